"""What is shown of a curve: the marker on its candidate, the other candidates, the band."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from widget_support import (
    DESCENT,
    POINTS,
    RISE,
    WAIT_S,
    Gate,
    candidate,
    commit,
    drag,
    finished,
    marker,
    status,
    while_held,
    written,
)

from lrfinder_widget import LossCurve, LRFinder

# -- the candidate ---------------------------------------------------------------------------------


def test_at_the_end_the_marker_goes_to_the_candidate_and_nothing_is_written(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = finished(make(namespace=namespace, train_steps=700))
    assert marker(finder) == (candidate(finder), "candidate")
    assert (namespace, finder.lr) == ({"lr": 0.5}, None)
    assert "nothing picked yet" in written(finder)
    assert finder.suggestion.reason in status(finder)


def test_without_a_candidate_the_marker_stays(make: Any) -> None:
    finder = finished(make(RISE, namespace={"lr": 0.5}))
    assert marker(finder) == (0.5, "start")


def test_a_marker_that_was_moved_during_the_run_stays(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    drag(finder, 0.02)
    gate.let_all()
    finder.wait(WAIT_S)
    assert finder.suggestion.lr is not None
    assert marker(finder) == (0.02, "start")


def test_a_marker_that_is_being_held_at_the_end_stays(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={"lr": 0.5}).start()
    drag(finder, 0.02, released=False)
    gate.let_all()
    finder.wait(WAIT_S)
    assert marker(finder) == (0.02, "start")


@pytest.mark.parametrize("how", [commit, LRFinder.pick])
def test_a_pick_during_the_run_stays(make: Any, gate: Gate, how: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(gate, namespace=namespace).start()
    how(finder, 0.5)
    gate.let_all()
    finder.wait(WAIT_S)
    assert marker(finder) == (0.5, "pick")
    assert namespace == {"lr": 0.5}


def test_a_later_run_offers_its_candidate_and_the_pick_keeps_its_value(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    finder.pick(0.3)
    finished(finder)
    assert marker(finder) == (candidate(finder), "candidate")
    assert (namespace, finder.lr) == ({"lr": 0.3}, 0.3)
    assert "lr = 3.00e-01" in written(finder)


def test_a_run_that_is_stopped_early_offers_nothing(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={"lr": 0.5}).start()
    while_held(gate, finder, finder.stop)
    assert marker(finder) == (0.5, "start")


def test_a_candidate_is_offered_once(make: Any) -> None:
    finder = finished(make(namespace={}))
    drag(finder, 0.02)
    finder._presenter.view.controls.pause.click()  # anything that draws again
    assert finder._presenter.view.marker.lr == 0.02


def test_a_weak_candidate_is_shown_as_one_until_the_next_run(make: Any) -> None:
    lrs = np.geomspace(1e-5, 1.0, POINTS)
    noise = np.random.default_rng(0).normal(0, 0.9, size=(50, POINTS))
    curves = (LossCurve(lrs, each + DESCENT) for each in noise)
    hidden = next(curve.losses.tolist() for curve in curves if curve.suggestion.weak)
    finder = finished(make([*hidden, *DESCENT], namespace={}))
    marker = finder._presenter.view.marker
    assert (marker.lr, marker.kind, marker.weak) == (candidate(finder), "candidate", True)
    finished(finder)
    assert (marker.lr, marker.kind, marker.weak) == (candidate(finder), "candidate", False)


def test_a_candidate_of_an_earlier_run_is_none_of_the_next(make: Any) -> None:
    losses = [*DESCENT, *RISE]
    finder = finished(make(losses, namespace={}))
    assert finder._presenter.view.marker.kind == "candidate"
    assert finished(finder).suggestion.lr is None
    assert finder._presenter.view.marker.kind == "start"


# -- the other candidates --------------------------------------------------------------------------


def offered(finder: LRFinder) -> dict[str, str]:
    buttons = finder._presenter.view.controls.candidates.items()
    return {rule: b.description for rule, b in buttons if b.layout.display != "none"}


def test_what_other_rules_find_is_offered_and_a_click_goes_there_without_writing(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    assert offered(finder) == {}
    found = finished(finder).curve.candidates()
    assert set(offered(finder)) == {rule for rule, lr in found.items() if lr is not None}
    assert offered(finder)["steepest"] == f"steepest {found['steepest']:.2e}"
    finder._presenter.view.controls.candidates["steepest"].click()
    marker = finder._presenter.view.marker
    assert (marker.lr, marker.kind) == (found["steepest"], "candidate")
    assert namespace == {"lr": 0.5}
    assert finder._presenter.view.chart._band.x.tolist() == [
        finder.suggestion.low,
        finder.suggestion.high,
    ]


def test_a_refused_curve_and_a_new_run_offer_nothing(make: Any, gate: Gate) -> None:
    assert offered(finished(make(RISE, namespace={}))) == {}
    finder = make(gate, namespace={})
    gate.let_all()
    assert offered(finished(finder))
    gate._open = False
    finder.start()
    assert offered(finder) == {}
    assert len(finder._presenter.view.chart._band.x) == 0
    gate.let_all()


def test_a_click_on_a_tick_places_the_marker_and_picks_nothing(make: Any) -> None:
    finder = finished(make([*DESCENT, *RISE], namespace={}))
    marker = finder._presenter.view.marker
    assert "steepest" in marker.ticks
    finder.pick(0.5)
    marker.set_state({"lr": marker.ticks["steepest"], "kind": "candidate"})  # by the page
    assert (marker.lr, marker.kind) == (marker.ticks["steepest"], "candidate")
    assert finder.lr == 0.5  # nothing is chosen by that
    marker.set_state({"ticks": {"<b>": 0.1}, "kind": "pick", "low": 1e-9, "variable": "x"})
    assert (marker.kind, marker.low, marker.variable) == ("candidate", 1e-5, "lr")
    assert "<b>" not in marker.ticks


# -- the axes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [1e308, -1e308, 5e-324, 0.0])
def test_no_loss_is_too_odd_to_be_drawn(make: Any, loss: float) -> None:
    finder = finished(make([loss, -loss], namespace={}))
    assert f"All {POINTS} steps done." in status(finder)
    for axis in finder._presenter.view.chart.figure.axes:
        assert math.isfinite(axis.scale.min)
        assert math.isfinite(axis.scale.max)
