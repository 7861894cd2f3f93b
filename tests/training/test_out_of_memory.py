"""A run that finds no room on the device begins once more, with its copies on the host."""

from __future__ import annotations

import gc
import weakref
from contextlib import closing
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, loader, picture, sgd_momentum
from torch import Tensor, nn

import lrfinder_widget.restore.tensors as tensors_module
import lrfinder_widget.training.sweep_run as sweep_run
from lrfinder_widget import LRFinder, range_test, sweep
from lrfinder_widget.restore.tensors import Values
from lrfinder_widget.training.read_back import IN_FLIGHT

WAIT_S = 20.0
CE = nn.CrossEntropyLoss()
RUN: dict[str, Any] = {"num_iter": 12, "end_lr": 1.0, "stop": None}


class Full(nn.Module):
    """Runs out of memory in some of its calls; keeps weak references to activations."""

    def __init__(self, *calls: int) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)
        self.dropout = nn.Dropout(0.5)
        torch.manual_seed(0)
        nn.init.normal_(self.linear.weight)
        self._notes = Notes(calls)

    def forward(self, x: Tensor) -> Tensor:
        activation = self.linear(self.dropout(x))
        self._notes.hear(activation)
        return activation


class Notes:
    """What a run must not put back."""

    __slots__ = ("__dict__",)

    def __init__(self, calls: tuple[int, ...]) -> None:
        self.hear = hearing(calls)


def hearing(calls: tuple[int, ...]) -> Any:
    count = 0

    def hear(activation: Tensor) -> None:
        nonlocal count
        count += 1
        ACTIVATIONS.append(weakref.ref(activation))
        if count - 1 in calls:
            raise torch.OutOfMemoryError(f"full at call {count - 1}")

    return hear


ACTIVATIONS: list[weakref.ref[Tensor]] = []


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Take the host for a device; returns, for each snapshot, whether it had to be on the host."""
    on_host: list[bool] = []

    class Watched(Values):
        def __init__(self, tensors: list[Tensor], **options: Any) -> None:
            on_host.append(options["on_host"])
            super().__init__(tensors, **options)

    monkeypatch.setattr("lrfinder_widget.restore.snapshot.Values", Watched)
    monkeypatch.setattr(tensors_module, "is_scarce", lambda device: True)
    ACTIVATIONS.clear()
    return on_host


def fresh(*calls: int) -> tuple[Full, torch.optim.Optimizer]:
    model = Full(*calls)
    return model, sgd_momentum(model)


def losses(*calls: int, **options: Any) -> list[float]:
    torch.manual_seed(1)
    model, optimizer = fresh(*calls)
    return range_test(model, optimizer, loader(), CE, **RUN, **options).losses.tolist()


@pytest.mark.parametrize("call", [0, 1, 2, IN_FLIGHT])
def test_an_early_step_without_room_is_taken_again_with_the_same_losses(
    places: list[bool], call: int
) -> None:
    expected = losses()
    assert not any(places)
    assert losses(call) == expected
    assert sum(places) == 1


def test_everything_is_put_back_also_after_two_attempts(places: list[bool]) -> None:
    model, optimizer = fresh(1)
    batches = loader()
    before = picture(model, optimizer)
    range_test(model, optimizer, batches, CE, **RUN)
    assert any(places)
    assert picture(model, optimizer) == before


def test_repeats_begin_again_from_the_first(places: list[bool]) -> None:
    assert losses(0, repeats=2) == losses(repeats=2)


def test_no_point_is_yielded_twice(places: list[bool]) -> None:
    model, optimizer = fresh(3)
    points = list(sweep(model, optimizer, loader(), CE, **RUN))
    lrs = [lr for lr, _ in points]
    assert any(places)
    assert len(lrs) == RUN["num_iter"]
    assert lrs == sorted(set(lrs))


def test_a_generator_closed_in_the_second_attempt_puts_back(places: list[bool]) -> None:
    model, optimizer = fresh(1)
    before = picture(model, optimizer)
    with closing(sweep(model, optimizer, loader(), CE, **RUN)) as points:
        for _ in range(3):
            next(points)
    assert any(places)
    assert picture(model, optimizer) == before


@pytest.mark.timeout(60)
def test_the_curve_of_a_finder_has_each_point_once(places: list[bool]) -> None:
    model, optimizer = fresh(1)
    finder = LRFinder(model, optimizer, loader(), CE, **RUN, variable=None)
    curve = finder.start().wait(WAIT_S).curve
    assert any(places)
    assert len(curve) == RUN["num_iter"]
    finder.close()


def test_the_failed_steps_memory_is_free_before_the_second_attempt(
    places: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []

    def look(devices: object) -> None:
        alive.append(sum(ref() is not None for ref in ACTIVATIONS))

    monkeypatch.setattr(sweep_run, "free_cached_memory", look)
    gc.disable()
    try:
        losses(2)
    finally:
        gc.enable()
    assert alive == [0]


@pytest.mark.parametrize("calls", [(0, 1), (1, 3)])
def test_a_second_error_is_raised_as_it_is(places: list[bool], calls: tuple[int, ...]) -> None:
    model, optimizer = fresh(*calls)
    before = picture(model, optimizer)
    with pytest.raises(torch.OutOfMemoryError, match=f"full at call {calls[1]}") as caught:
        range_test(model, optimizer, loader(), CE, **RUN)
    assert caught.value.__context__ is None
    assert picture(model, optimizer) == before


def test_a_later_step_is_not_taken_again(places: list[bool]) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="full at call 5"):
        losses(IN_FLIGHT + 1)
    assert not any(places)


def test_nothing_is_taken_again_if_the_copies_are_on_the_host_already() -> None:
    ACTIVATIONS.clear()
    with pytest.raises(torch.OutOfMemoryError, match="full at call 0"):
        losses(0)
    assert len(ACTIVATIONS) == 1


def test_the_allocators_memory_is_given_back_in_between(
    places: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[object] = []
    monkeypatch.setattr(sweep_run, "free_cached_memory", freed.append)
    losses(0)
    assert len(freed) == 1
