"""The learning rate of parameter groups: set by a sweep, or by a pick, and put back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from support import ByEpochs, linear, loader
from torch import nn
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from lrfinder_widget import sweep
from lrfinder_widget.training.param_groups import apply_lr

# -- what a rate may be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lr",
    [
        1,
        np.float64(0.1),
        np.float32(0.1),
        np.linspace(0.1, 1, 3, dtype="float32")[0],
        np.float16(0.1),
        np.int64(1),
        Fraction(1, 10),
        torch.tensor(0.1),
    ],
    ids=lambda lr: type(lr).__name__,
)
def test_a_rate_may_be_any_number_and_comes_back_as_what_it_was(lr: Any) -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = lr
    seen = lrs_during(optimizer, model)
    assert seen == [[pytest.approx(1e-4)], [pytest.approx(1e-3)], [pytest.approx(1e-2)]]
    assert optimizer.param_groups[0]["lr"] is lr


# -- during a sweep --------------------------------------------------------------------------------


def lrs_during(optimizer: torch.optim.Optimizer, model: nn.Module, **options: Any) -> list[Any]:
    seen: list[Any] = []

    def step(batch: Any) -> float:
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        return 1.0

    options = {"start_lr": 1e-4, "end_lr": 1e-2, "num_iter": 3, **options}
    list(sweep(model, optimizer, loader(), step=step, **options))
    return seen


@pytest.mark.parametrize(
    ("lrs", "initial", "ratios"),
    [
        ([0.1, 0.01], [None, None], [1.0, 0.1]),
        ([0.01, 0.1], [None, None], [0.1, 1.0]),
        ([0.1, 0.0], [None, None], [1.0, 0.0]),
        ([0.0, 0.0], [0.2, 0.1], [1.0, 0.5]),
        ([0.0, 0.0], [None, None], [1.0, 1.0]),
    ],
)
def test_groups_keep_their_ratios(lrs: Any, initial: Any, ratios: Any) -> None:
    model = linear()
    groups = [
        {"params": [p], "lr": lr, **({} if first is None else {"initial_lr": first})}
        for p, lr, first in zip(model.parameters(), lrs, initial, strict=True)
    ]
    optimizer = torch.optim.SGD(groups)
    seen = lrs_during(optimizer, model)
    assert seen[0] == pytest.approx([1e-4 * r for r in ratios], rel=1e-12)
    assert max(seen[-1]) == 1e-2
    assert [group["lr"] for group in optimizer.param_groups] == lrs


def test_a_tensor_lr_is_filled_in_place_and_put_back() -> None:
    model = linear()
    lr = torch.tensor(0.05, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    seen = lrs_during(optimizer, model)
    assert seen == [[1e-4], [pytest.approx(1e-3)], [1e-2]]
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == 0.05


def test_the_optimizer_is_read_when_the_run_starts() -> None:
    model = linear()
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(
        [{"params": parameters[:1], "lr": 0.1}, {"params": parameters[1:], "lr": 0.1}]
    )
    seen: list[Any] = []

    def step(batch: Any) -> float:
        seen.append([group["lr"] for group in optimizer.param_groups])
        return 1.0

    points = sweep(model, optimizer, loader(), step=step, start_lr=1e-4, end_lr=1e-2, num_iter=2)
    optimizer.param_groups[1]["lr"] = 0.05
    list(points)
    assert seen == [[1e-4, 5e-5], [1e-2, 5e-3]]
    assert optimizer.param_groups[1]["lr"] == 0.05


# -- a pick on an optimizer and its scheduler ------------------------------------------------------


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


class Wrapper:
    """As Accelerate's: passes all on."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def step(self) -> None:
        self.scheduler.step()

    def state_dict(self) -> Any:
        if isinstance(self.scheduler, ByEpochs):
            return {k: v for k, v in vars(self.scheduler).items() if k != "optimizer"}
        return self.scheduler.state_dict()


class OfEpochs(Wrapper):
    """Counts the epochs, as a training loop does."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(scheduler)
        self.epoch = 0

    def step(self) -> None:
        self.epoch += 1
        self.scheduler.step(self.epoch)


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "step": lambda o: StepLR(o, 3, gamma=0.5),
    "cosine": lambda o: CosineAnnealingLR(o, 20),
    "warm-up from zero": lambda o: LambdaLR(o, lambda i: min(1.0, i / 5)),
    "cyclic": lambda o: CyclicLR(o, 0.01, 0.1, step_size_up=4),
    "one-cycle": lambda o: OneCycleLR(o, max_lr=0.1, total_steps=20),
    "warm-up, then cosine": lambda o: SequentialLR(
        o, [LinearLR(o, 0.1, total_iters=4), CosineAnnealingLR(o, 20)], [4]
    ),
    "steps one after another": lambda o: SequentialLR(
        o, [ConstantLR(o, 0.5, 9), ExponentialLR(o, 0.9)], [9]
    ),
    "a wrapped sequence": lambda o: Wrapper(
        SequentialLR(o, [LinearLR(o, 0.1, total_iters=3), StepLR(o, 2)], [3])
    ),
    "a chain": lambda o: ChainedScheduler(
        [LinearLR(o, 0.1, total_iters=5), ExponentialLR(o, 0.9)], o
    ),
    "wrapped": lambda o: Wrapper(CosineAnnealingWarmRestarts(o, 6)),
    "by epochs": lambda o: OfEpochs(ByEpochs(o, last=20)),
    "by epochs, with a warm-up": lambda o: OfEpochs(ByEpochs(o, last=90, warmup=4, first=1e-3)),
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
    before = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    undo = apply_lr(0.2, optimizer, scheduler)
    assert optimizer.state_dict() != before[0]
    undo()
    assert (optimizer.state_dict(), scheduler.state_dict()) == before


def test_a_scheduler_without_base_rates_needs_none() -> None:
    optimizer = optimizer_with(0.1)
    scheduler = ReduceLROnPlateau(optimizer)
    apply_lr(0.2, optimizer, scheduler)
    assert rates(optimizer) == [0.2]
