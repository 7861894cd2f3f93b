"""A schedule that is played on a copy: its peak, and that nothing else notices."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import ByEpochs
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)
from torch.optim.swa_utils import SWALR

from lrfinder_widget.training.param_groups import apply_lr
from lrfinder_widget.training.schedule import note_on_peak


def optimizer() -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (0.1, 0.01)]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


class Own:
    """A scheduler of one's own, that knows its rates by heart."""

    def __init__(self, optimizer: Any, rates: list[float]) -> None:
        self.optimizer = optimizer
        self.rates = rates
        self.count = 0

    def step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[min(self.count, len(self.rates) - 1)]
        self.count += 1


REACHES: dict[str, Callable[[Any], Any]] = {
    "decay": lambda o: ExponentialLR(o, 0.9),
    "cosine": lambda o: CosineAnnealingLR(o, 20),
    "warm restarts": lambda o: CosineAnnealingWarmRestarts(o, 6),
    "warm-up, then cosine": lambda o: SequentialLR(
        o, [LinearLR(o, 0.1, total_iters=50), CosineAnnealingLR(o, 200)], [50]
    ),
    "warm-up from zero": lambda o: LambdaLR(o, lambda i: min(1.0, i / 500)),
    "one-cycle, which ends": lambda o: OneCycleLR(o, max_lr=0.1, total_steps=100),
    "cyclic": lambda o: CyclicLR(o, 0.01, 0.1, step_size_up=40),
    "plateau": ReduceLROnPlateau,
    "by epochs": lambda o: ByEpochs(o, last=2000, warmup=50, first=1e-5),
    "by updates": lambda o: ByEpochs(o, last=2000, warmup=50, by_updates=True),
    "a warm-up longer than it is played": lambda o: LambdaLR(o, lambda i: min(1.0, i / 1e6)),
}
OTHERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "averaging": (lambda o: SWALR(o, swa_lr=0.7, anneal_epochs=3), "SWALR is 7.00e-01"),
    "own": (lambda o: Own(o, [0.01, 0.03, 0.01]), "is 3.00e-02"),
    "a factor": (lambda o: LambdaLR(o, lambda i: 0.5 if i else 0.4), "LambdaLR is 1.00e-01"),
}


def state(optimizer: Any, scheduler: Any) -> Any:
    own = {key: value for key, value in vars(scheduler).items() if key != "optimizer"}
    nested = [dict(vars(each)) for each in own.pop("_schedulers", [])]
    for each in nested:
        each.pop("optimizer")
    own.pop("_wrapped", None)
    return copy.deepcopy([repr(own), repr(nested), optimizer.state_dict()])


@pytest.mark.parametrize("name", REACHES)
def test_nothing_is_said_of_a_schedule_that_reaches_the_pick(name: str) -> None:
    one = optimizer()
    scheduler = REACHES[name](one)
    apply_lr(0.2, one, scheduler)
    before, random = state(one, scheduler), torch.get_rng_state().tolist()
    assert note_on_peak(0.2, scheduler) is None
    assert state(one, scheduler) == before
    assert torch.get_rng_state().tolist() == random


@pytest.mark.parametrize("name", OTHERS)
def test_another_peak_is_said(name: str) -> None:
    make, said = OTHERS[name]
    one = optimizer()
    scheduler = make(one)
    if name == "own":
        one.param_groups[0]["lr"] = 0.02
    else:
        apply_lr(0.2, one, scheduler)
    before = state(one, scheduler)
    note = note_on_peak(0.2, scheduler)
    assert note is not None
    assert said in note
    assert "not the pick, 2.00e-01" in note
    assert state(one, scheduler) == before


def test_a_schedule_that_is_past_its_peak_says_what_is_left_of_it() -> None:
    one = optimizer()
    scheduler = ExponentialLR(one, 0.5)
    for _ in range(3):
        one.step()
        scheduler.step()
    apply_lr(0.2, one, scheduler)
    note = note_on_peak(0.2, scheduler)
    assert note is not None
    assert "ExponentialLR is 2.50e-02" in note


def test_tensors_as_rates_are_left_alone() -> None:
    rate = torch.tensor(0.1)
    one = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=rate)
    assert note_on_peak(0.1, ExponentialLR(one, 0.5)) is None
    assert rate.item() == pytest.approx(0.1)


def test_a_schedule_that_cannot_be_played_is_named() -> None:
    class Broken(Own):
        def step(self) -> None:
            raise ZeroDivisionError

    note = note_on_peak(0.1, Broken(optimizer(), []))
    assert note is not None
    assert "Broken could not be tried out (ZeroDivisionError)" in note


def test_it_takes_a_lambda_that_holds_a_model_without_copying_it() -> None:
    class Trainer:
        def factor(self, i: int) -> float:
            return 0.5 + math.exp(-i)

        def __deepcopy__(self, memo: Any) -> Any:
            raise AssertionError

    scheduler = LambdaLR(optimizer(), Trainer().factor)
    assert note_on_peak(0.15, scheduler) is None
