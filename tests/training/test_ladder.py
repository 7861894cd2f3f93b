"""The ladder: what is worth trying with an optimizer whose curve shows no candidate."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import linear, loader, picture
from torch import nn

from lrfinder_widget import compare
from lrfinder_widget.training.ladder import (
    MOST_STEPS,
    has_adapters,
    ladder,
    usual_lr,
    warm_up_and_decay,
)


def adam(lr: float = 1e-3, model: nn.Module | None = None) -> torch.optim.Optimizer:
    return torch.optim.AdamW((model or linear()).parameters(), lr=lr)


class Adapted(nn.Module):
    """A frozen layer with a low-rank adapter beside it, as peft makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(32, 32).requires_grad_(requires_grad=False)
        self.lora_A = nn.Linear(32, 2, bias=False)
        self.lora_B = nn.Linear(2, 32, bias=False)


def test_it_goes_from_a_hundredth_of_what_is_usual_to_the_own_rate() -> None:
    found = ladder(linear(), adam())
    assert found.lrs == (1e-5, 3.16e-5, 1e-4, 3.16e-4, 1e-3)
    assert found.reason == (
        "a ladder of 5 learning rates around the optimizer's own 1.0e-03 and a tenth and a "
        "hundredth of the 1.0e-03 that is usual from scratch"
    )


def test_an_own_rate_among_them_is_kept_as_it_is_and_the_ends_are_extended() -> None:
    found = ladder(linear(), adam(2e-5))
    assert found.lrs == (6.32e-6, 2e-5, 4.47e-5, 1e-4, 3.16e-4)


@given(own=st.floats(1e-9, 1e3))
def test_there_are_five_at_least_a_third_of_a_decade_apart_with_the_own_among_them(
    own: float,
) -> None:
    lrs = ladder(linear(), adam(own)).lrs
    assert len(lrs) == 5
    assert own in lrs
    assert all(math.log10(b / a) > 0.333 for a, b in pairwise(lrs))


def test_a_rate_of_zero_is_none() -> None:
    assert ladder(linear(), adam(0.0)).lrs == ladder(linear(), adam(1e-4)).lrs
    assert "own" not in ladder(linear(), adam(0.0)).reason


def test_in_a_schedule_the_own_rate_is_that_of_its_start_or_peak() -> None:
    optimizer = adam()
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.0)
    assert 1e-3 in ladder(linear(), optimizer).lrs
    optimizer.param_groups[0]["max_lr"] = 2e-3
    assert 2e-3 in ladder(linear(), optimizer).lrs


def test_adapters_get_ten_times_as_much() -> None:
    model = Adapted()
    assert has_adapters(model)
    found = ladder(model, adam(1e-4, model))
    assert found.lrs == (3.16e-5, 1e-4, 3.16e-4, 1e-3, 3.16e-3)
    assert "ten times a tenth and a hundredth" in found.reason
    assert not has_adapters(Adapted().requires_grad_(requires_grad=True))
    head = nn.Sequential(nn.Linear(32, 32).requires_grad_(requires_grad=False), nn.Linear(32, 2))
    assert not has_adapters(head)


class Muon(torch.optim.Optimizer):
    def __init__(self, params: Any, **settings: Any) -> None:
        super().__init__(params, {"lr": 0.02, **settings})


class Lion(torch.optim.Optimizer):
    def __init__(self, params: Any, lr: float = 1e-4) -> None:
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.99)})


class Around(torch.optim.Optimizer):
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups


@pytest.mark.parametrize(
    ("make", "usual"),
    [
        (lambda p: torch.optim.SGD(p, lr=3.0, momentum=0.9), 0.1),
        (lambda p: torch.optim.Adam(p, lr=3.0), 1e-3),
        (lambda p: torch.optim.NAdam(p, lr=3.0), 2e-3),
        (lambda p: Lion(p, lr=3.0), 1e-4),
        (lambda p: Around(Lion(p, lr=3.0)), 1e-4),
        (lambda p: Muon(p, ns_steps=5, momentum=0.95), 0.02),
        (lambda p: Muon(p, ns_steps=5, adjust_lr_fn="match_rms_adamw"), 1e-3),
        (lambda p: Muon([{"params": p, "use_muon": True}]), 0.02),
        (lambda p: Muon([{"params": p, "use_muon": False}]), 1e-3),
    ],
)
def test_what_is_usual_is_told_by_the_settings_or_the_default_of_the_class(
    make: Any, usual: float
) -> None:
    assert usual_lr(make(list(linear().parameters()))) == usual


def test_the_schedule_warms_up_and_decays_and_never_stands_still() -> None:
    factor = warm_up_and_decay(200)
    factors = [factor(i) for i in range(200)]
    assert max(factors) == 1.0
    assert factors.index(1.0) == 9
    assert factors[:10] == sorted(factors[:10])
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert 0 < min(factors) < 0.1
    assert all(0 < warm_up_and_decay(10)(i) <= 1 for i in range(10))


def test_it_takes_at_most_two_thousand_steps_in_all() -> None:
    found = ladder(linear(), adam())
    assert [found.steps(n) for n in (50, 400, 500, 10_000)] == [50, 400, 400, 400]
    assert found.steps(10_000) * len(found.lrs) <= MOST_STEPS


def test_in_code_it_is_named_ladder_and_ends_in_a_number_or_in_a_refusal() -> None:
    torch.manual_seed(0)
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    held_out = list(loader())[:4]
    before = picture(model, optimizer)
    criterion = nn.CrossEntropyLoss()
    found = compare(
        model, optimizer, loader(), criterion, lrs="ladder", steps=40, held_out=held_out
    )
    assert picture(model, optimizer) == before
    assert found.scheduled
    assert found.improves
    assert found.suggest().lr is not None
    optimizer.zero_grad()

    def away(output: Any, target: Any) -> Any:  # nothing can be learnt from this
        return criterion(output, torch.randint(0, 3, target.shape))

    found = compare(
        model,
        optimizer,
        loader(),
        away,
        lrs="ladder",
        steps=40,
        held_out=held_out,
        evaluate=lambda model, batches: criterion(model(batches[0][0]) * 0, batches[0][1]),
    )
    assert found.improves is False
    assert found.suggest().lr is None
    assert found.reason.startswith("training on does not help")
