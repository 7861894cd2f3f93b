"""A picked learning rate into optimizers and schedulers, and out again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LambdaLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from lrfinder_widget.training.param_groups import apply_lr


def optimizer_with(*lrs: Any) -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(2))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def test_the_largest_group_gets_it_exactly_and_the_others_keep_their_ratio() -> None:
    optimizer = optimizer_with(0.03, 0.3, 0.1, 0.0)
    apply_lr(0.1, optimizer)
    assert rates(optimizer) == [pytest.approx(0.01), 0.1, pytest.approx(0.1 / 3), 0.0]


def test_where_all_are_zero_all_get_it() -> None:
    optimizer = optimizer_with(0.0, 0.0)
    apply_lr(0.1, optimizer)
    assert rates(optimizer) == [0.1, 0.1]


def test_a_tensor_is_filled() -> None:
    tensor = torch.tensor(0.5)
    optimizer = optimizer_with(0.1, tensor)
    undo = apply_lr(0.25, optimizer)
    assert optimizer.param_groups[1]["lr"] is tensor
    assert rates(optimizer) == [pytest.approx(0.05), 0.25]
    undo()
    assert optimizer.param_groups[1]["lr"] is tensor
    assert rates(optimizer) == [0.1, 0.5]


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "step": lambda o: StepLR(o, 3, gamma=0.5),
    "cosine": lambda o: CosineAnnealingLR(o, 20),
    "warm-up from zero": lambda o: LambdaLR(o, lambda i: min(1.0, i / 5)),
    "cyclic": lambda o: CyclicLR(o, 0.01, 0.1, step_size_up=4),
    "one-cycle": lambda o: OneCycleLR(o, max_lr=0.1, total_steps=20),
}


@pytest.mark.parametrize("taken", [0, 7])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_goes_on_as_if_it_had_been_made_with_it(name: str, taken: int) -> None:
    """Twice the rate now: twice the rate at every later step."""

    def later(optimizer: Any, scheduler: Any, steps: int) -> list[list[float]]:
        seen = []
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
            seen.append(rates(optimizer))
        return seen

    one, two = optimizer_with(0.1, 0.05), optimizer_with(0.1, 0.05)
    schedule, doubled = SCHEDULERS[name](one), SCHEDULERS[name](two)
    later(one, schedule, taken)
    later(two, doubled, taken)
    apply_lr(0.2, two, doubled)
    for a, b in zip(later(one, schedule, 10), later(two, doubled, 10), strict=True):
        assert [2 * rate for rate in a] == pytest.approx(b, rel=1e-6)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_undone_everything_is_what_it_was(name: str) -> None:
    optimizer = optimizer_with(0.1, 0.05)
    scheduler = SCHEDULERS[name](optimizer)
    before = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict().get("base_lrs")))
    undo = apply_lr(0.2, optimizer, scheduler)
    assert optimizer.state_dict() != before[0]
    undo()
    assert (optimizer.state_dict(), scheduler.state_dict().get("base_lrs")) == before


def test_a_scheduler_without_base_rates_needs_none() -> None:
    optimizer = optimizer_with(0.1)
    scheduler = ReduceLROnPlateau(optimizer)
    apply_lr(0.2, optimizer, scheduler)
    assert rates(optimizer) == [0.2]
