"""Arguments that are refused, and what one is told to write instead."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import linear
from torch import nn

from lrfinder_widget.training.checks import check_optimizer, check_values


class Optimizer:
    """One that only looks like torch's."""

    def step(self) -> None: ...

    def zero_grad(self) -> None: ...


class Wrapper(Optimizer):
    def __init__(self) -> None:
        self.opt = torch.optim.SGD(linear().parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ([Wrapper().opt, Wrapper().opt], ["got list", "step=your_function", "preserve=[…]"]),
        (torch.optim.Adam, ["Create it: Adam(model.parameters(), lr=…)"]),
        (Wrapper(), ["got Wrapper", "in its attribute opt: pass that"]),
        (Optimizer(), [f"got a {__name__}.Optimizer, which is another class", "torch.optim.AdamW"]),
        (None, ["got NoneType."]),
    ],
    ids=["list", "class", "wrapper", "look-alike", "None"],
)
def test_what_is_no_optimizer_of_torch_is_told_what_to_pass(optimizer: Any, words: Any) -> None:
    with pytest.raises(TypeError, match="optimizer must be") as caught:
        check_optimizer(optimizer)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_model_without_values_is_told_of_offloading_and_of_allocating() -> None:
    with pytest.raises(ValueError, match="weight of the model is on the meta device") as caught:
        check_values(nn.Linear(2, 1, device="meta"))
    assert "load the model without that offloading" in str(caught.value)
    assert "to_empty" in str(caught.value)
