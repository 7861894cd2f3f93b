"""The settings of the next run, changed in place."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pytest
from widget_support import DESCENT, RISE, WAIT_S, Gate, finished, status

from lrfinder_widget import State
from lrfinder_widget.curve.plan import SweepPlan


def test_the_set_up_starts_as_the_code_says_and_changes_the_next_run(make: Any) -> None:
    finder = make(lambda batch: 1.0, start_lr=1.23456789e-5, end_lr=0.5, num_iter=12, namespace={})
    setup, view = finder._presenter.view.setup, finder._presenter.view
    assert setup.plan() == SweepPlan(
        start_lr=1.23456789e-5,
        end_lr=0.5,
        num_iter=12,
        mode="exp",
        repeats=1,
    )
    first = finished(finder).curve
    figure = view.chart.figure
    setup.start_lr.value, setup.num_iter.value, setup.repeats.value = "1e-3", "7", "2"
    setup.mode.value = "linear"
    second = finished(finder).curve
    assert second.lrs.tolist() == np.linspace(1e-3, 0.5, 7).tolist()
    assert len(second.repeats) == 2
    assert finder.curves[0] == first
    assert view.chart.figure is not figure
    assert view._stage.children == (view.chart.figure, view.marker)
    assert (view.marker.low, view.marker.high, view.marker.scale) == (1e-3, 0.5, "linear")
    view.looks.zoom.value = False
    assert (view.marker.low, view.marker.high) == (1.23456789e-5, 0.5)
    assert view.controls.progress.max == 14


@pytest.mark.parametrize(
    ("box", "typed", "message"),
    [
        ("start_lr", "small", "'from' must be a number; got 'small'"),
        ("start_lr", "nan", "start_lr must be a positive, finite number"),
        ("end_lr", "1e-9", "start_lr must be below end_lr"),
        ("end_lr", "<b>1</b>", "'to' must be a number"),
        ("num_iter", "1", "num_iter must be a whole number, at least 2"),
        ("num_iter", "10.5", "'points' must be a whole number"),
        ("num_iter", "999999999999", "'points' must be at most 1,000,000"),
        ("repeats", "0", "repeats must be a whole number, at least 1"),
        ("repeats", "1000", "'repeats' must be at most 100"),
    ],
)
def test_a_set_up_that_cannot_work_is_told_and_nothing_begins(
    make: Any, box: str, typed: str, message: str
) -> None:
    finder = finished(make(namespace={}))
    curve = finder.curve
    getattr(finder._presenter.view.setup, box).value = typed
    with pytest.raises(ValueError, match=message):
        finder.start()
    assert (finder.state, finder.curve, len(finder.curves)) == (State.FINISHED, curve, 1)
    finder._presenter.view.controls.start.click()
    assert html.escape(message) in status(finder)


def test_the_set_up_is_folded_and_cannot_be_changed_during_a_run(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    setup = finder._presenter.view.setup
    assert setup.row.layout.display == "none"
    setup.toggle.value = True
    assert setup.row.layout.display == "flex"
    finder.start()
    assert all(box.disabled for box in setup._inputs)
    assert not finder._presenter.view.looks.log_loss.disabled
    gate.let_all()
    finder.wait(WAIT_S)
    assert not any(box.disabled for box in setup._inputs)


def test_narrow_sets_the_range_around_the_band(make: Any) -> None:
    finder = make([*DESCENT, *RISE], namespace={})
    setup = finder._presenter.view.setup
    assert setup.narrow.disabled
    found = finished(finder).suggestion
    assert not setup.narrow.disabled
    setup.narrow.click()
    plan = setup.plan()
    assert plan.start_lr == pytest.approx(found.low / 10, rel=0.05)
    assert plan.end_lr == pytest.approx(found.high * 10, rel=0.05)
    assert finished(finder).curve.lrs[0] == plan.start_lr
    assert setup.narrow.disabled  # that curve is refused
