"""How batches are moved; where they come from is in test_sweep.py and promises/test_setups.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lrfinder_widget.training.batches import move


class Watched(Tensor):
    """Notes how it is to be moved, and stays."""

    asked: tuple[Any, ...]

    def to(self, *args: Any, **options: Any) -> Tensor:
        self.asked = args, options
        return self


@pytest.mark.parametrize(
    ("device", "non_blocking"), [("cuda", True), ("xpu", True), ("mps", False), ("hpu", False)]
)
def test_only_a_device_that_queues_its_copies_safely_is_not_waited_for(
    device: str, non_blocking: bool
) -> None:
    batch = torch.ones(2).as_subclass(Watched)
    move([batch], torch.device(device))
    assert batch.asked == ((torch.device(device),), {"non_blocking": non_blocking})


def test_a_tensor_that_is_there_is_not_moved() -> None:
    batch = torch.ones(2)
    assert move(batch, torch.device("cpu")) is batch
