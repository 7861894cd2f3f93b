"""A hundred thousand steps, and an hour by a fake clock: little memory, few messages, no loss."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from support import linear
from widget_support import points

from lrfinder_widget import LRFinder, RangeTest, State
from lrfinder_widget.background import range_test as run
from lrfinder_widget.widget import view

STEPS = 100_000
HOUR_S = 3600.0
WAIT_S = 100.0
LADDER = np.geomspace(1e-7, 10.0, STEPS)
LOSSES = 2.0 - np.linspace(0.0, 1.0, STEPS) + 0.1 * np.random.default_rng(0).normal(size=STEPS)


class Clock:
    """Time that passes only with the steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, per_step: float) -> None:
        self.now, self.per_step = 0.0, per_step
        fake = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(run, "time", fake)
        monkeypatch.setattr(view, "time", fake)

    def tick(self) -> None:
        self.now += self.per_step


def test_an_hour_of_a_run_costs_sixteen_bytes_a_point_and_twelve_calls_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, HOUR_S / STEPS)

    def points() -> Iterator[tuple[float, float]]:
        for lr, loss in zip(LADDER.tolist(), LOSSES.tolist(), strict=True):
            clock.tick()
            yield lr, loss

    heard: list[float] = []
    test = RangeTest(points())
    test.listen(lambda test: heard.append(clock.now))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        test.start()
        assert test._done.wait(WAIT_S)  # not by the clock that is ours
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert test.state is State.FINISHED
    first = run.MANY * HOUR_S / STEPS  # seconds until there are many
    assert len(heard) <= 12 * first + 1.2 * HOUR_S + 3
    assert np.diff(heard).max() < 1.0  # and it is not forgotten either
    given = 2 * 8 * STEPS + 100 * len(heard)  # what this test keeps itself
    assert after - before < 16 * 1.2 * STEPS + given + 2**20
    assert np.array_equal(test.curve.lrs, LADDER)
    assert np.array_equal(test.curve.losses, LOSSES)


def test_a_hundred_thousand_points_on_the_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 60
    clock = Clock(monkeypatch, seconds / STEPS)
    losses = iter(LOSSES.tolist())

    def step(batch: Any) -> float:
        clock.tick()
        return next(losses)

    sent: list[tuple[type, int]] = []
    send = ipywidgets.Widget._send

    def noted(widget: Any, message: Any, buffers: Any = None) -> None:
        size = sum(memoryview(b).nbytes for b in buffers or [])
        sent.append((type(widget), size + len(str(message))))
        send(widget, message, buffers)

    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(model, optimizer, [0], step=step, num_iter=STEPS, stop=None, namespace={})
    monkeypatch.setattr(ipywidgets.Widget, "_send", noted)
    finder.start().wait(WAIT_S)
    monkeypatch.undo()
    assert (finder.state, finder.reason) == (State.FINISHED, "completed")
    assert np.array_equal(finder.curve.lrs, LADDER)
    assert np.array_equal(finder.curve.losses, LOSSES)
    size = sum(n for _, n in sent)
    print(f"{len(sent) / seconds:.1f} messages and {size / seconds / 1000:.0f} kB a second")
    assert len(sent) <= 12 * seconds
    assert size <= 64_000 * seconds
    for name in ("dots", "line"):
        lrs, _ = points(finder.chart[name])
        assert len(lrs) <= 1000
        assert (lrs[0], lrs[-1]) == (LADDER[0], LADDER[-1])
    finder.close()
