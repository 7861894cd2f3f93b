"""What is shown of a curve: the marker on its candidate, the other candidates, the band."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import comm
import numpy as np
import pytest
from widget_support import (
    DESCENT,
    POINTS,
    RISE,
    WAIT_S,
    Gate,
    Script,
    Wire,
    candidate,
    click,
    commit,
    drag,
    finished,
    go_to,
    is_picked,
    marker,
    page_sends,
    page_writes,
    points,
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
    assert not is_picked(finder)
    assert written(finder) == "lr = 5.00e-01"
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
    assert written(finder) == "lr = 3.00e-01"


def test_a_run_that_is_stopped_early_offers_nothing(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={"lr": 0.5}).start()
    while_held(gate, finder, finder.stop)
    assert marker(finder) == (0.5, "start")


def test_a_candidate_is_offered_once(make: Any) -> None:
    finder = finished(make(namespace={}))
    drag(finder, 0.02)
    click(finder, "pause")  # anything that draws again
    assert finder.position == 0.02


def test_a_weak_candidate_is_shown_as_one_until_the_next_run(make: Any) -> None:
    lrs = np.geomspace(1e-5, 1.0, POINTS)
    noise = np.random.default_rng(0).normal(0, 0.9, size=(50, POINTS))
    curves = (LossCurve(lrs, each + DESCENT) for each in noise)
    hidden = next(curve.losses.tolist() for curve in curves if curve.suggestion.weak)
    finder = finished(make([*hidden, *DESCENT], namespace={}))
    assert marker(finder) == (candidate(finder), "candidate")
    assert finder.reading["weak"] is True
    finished(finder)
    assert marker(finder) == (candidate(finder), "candidate")
    assert finder.reading["weak"] is False


def test_a_candidate_of_an_earlier_run_is_none_of_the_next(make: Any) -> None:
    losses = [*DESCENT, *RISE]
    finder = finished(make(losses, namespace={}))
    assert finder.kind == "candidate"
    assert finished(finder).suggestion.lr is None
    assert finder.kind == "start"


# -- the other candidates --------------------------------------------------------------------------


def offered(finder: LRFinder) -> dict[str, float]:
    return finder.reading["candidates"]


NOTHING = {"candidates": {}, "band": None, "weak": False}


def test_what_other_rules_find_is_offered_and_a_click_goes_there_without_writing(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    assert finder.reading == NOTHING
    found = finished(finder).curve.candidates()
    assert offered(finder) == {rule: lr for rule, lr in found.items() if lr is not None}
    go_to(finder, "steepest")
    assert marker(finder) == (found["steepest"], "candidate")
    assert namespace == {"lr": 0.5}
    assert finder.reading["band"] == [finder.suggestion.low, finder.suggestion.high]


def test_a_refused_curve_and_a_new_run_offer_nothing(make: Any, gate: Gate) -> None:
    assert finished(make(RISE, namespace={})).reading == NOTHING
    finder = make(gate, namespace={})
    gate.let_all()
    assert offered(finished(finder))
    gate._open = False
    finder.start()
    assert finder.reading == NOTHING
    gate.let_all()


def test_a_click_on_a_tick_places_the_marker_and_picks_nothing(make: Any) -> None:
    finder = finished(make([*DESCENT, *RISE], namespace={}))
    assert "steepest" in offered(finder)
    finder.pick(0.5)
    go_to(finder, "steepest")
    assert marker(finder) == (offered(finder)["steepest"], "candidate")
    assert finder.lr == 0.5  # nothing is chosen by that
    before = finder.reading, finder.chart
    page_writes(finder, reading={"candidates": {"<b>": 0.1}}, kind="pick", chart={}, variable="x")
    assert (finder.kind, finder.variable) == ("candidate", "lr")
    assert (finder.reading, finder.chart) == before


# -- the axes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [1e308, -1e308, 5e-324, 0.0])
def test_no_loss_is_too_odd_to_be_drawn(make: Any, loss: float) -> None:
    finder = finished(make([loss, -loss], namespace={}))
    assert f"All {POINTS} steps done." in status(finder)
    low, high = finder.chart["y"]
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high


@pytest.mark.parametrize("mode", ["exp", "linear"])
@pytest.mark.parametrize(
    ("low", "high"), [(1e-7, 10.0), (1e-3, 2e-3), (0.5, 0.500001), (1e-300, 1e300)]
)
def test_the_axis_of_learning_rates_is_that_of_the_test(
    make: Any, mode: str, low: float, high: float
) -> None:
    finder = make(namespace={}, start_lr=low, end_lr=high, mode=mode)
    assert (finder.chart["x"], finder.chart["x_log"]) == ([low, high], mode == "exp")
    assert (finder.chart["y"], finder.chart["y_log"]) == (None, False)


# -- points and lines ------------------------------------------------------------------------------


def test_a_growing_curve_grows_on_the_chart_and_a_new_one_begins_again(
    make: Any, gate: Gate
) -> None:
    finder = make(gate, namespace={})
    assert points(finder.chart["dots"]) == points(finder.chart["line"]) == ([], [])
    finder.start()
    gate.wait_until_asked()
    for n in (1, 2, 3, 5):
        grown(gate, n - len(finder.curve))
        finder._presenter.redraw()
        lrs = finder.curve.lrs[:n].tolist()
        assert points(finder.chart["dots"]) == (lrs, DESCENT[:n])
        assert points(finder.chart["line"]) == (lrs, finder.curve.smooth().tolist())
        assert finder.chart["n"] == n
    gate.let_all()
    finder.wait(WAIT_S)
    assert points(finder.chart["dots"])[1] == DESCENT
    gate._open = False
    finder.start()
    assert points(finder.chart["dots"]) == points(finder.chart["line"]) == ([], [])
    assert finder.chart["n"] == 0
    gate.let_all()


def test_repeats_are_drawn_beside_their_median(make: Any, gate: Gate) -> None:
    gate.losses = Script([loss + shift for shift in (0.0, 0.2, 0.1) for loss in DESCENT]).losses
    finder = make(gate, namespace={}, repeats=3).start()
    assert finder.repeats == []
    gate.let(POINTS + 7)
    gate.wait_until_asked(POINTS + 8)
    finder._presenter.redraw()
    one = finder.curve  # of the repeat that has ended
    assert [points(line) for line in finder.repeats] == [(one.lrs.tolist(), one.smooth().tolist())]
    assert points(finder.chart["dots"])[1] == [loss + 0.2 for loss in DESCENT[:7]]
    assert points(finder.chart["line"])[1] == one.smooth().tolist()
    assert (finder.chart["n"], finder.chart["total"]) == (POINTS + 7, 3 * POINTS)
    gate.let_all()
    median = finder.wait(WAIT_S).curve
    assert len(finder.repeats) == 3
    assert points(finder.chart["dots"])[1] == median.losses.tolist()
    assert points(finder.chart["line"])[1] == median.smooth().tolist()
    page_sends(finder, {"set": {"repeats": "1"}})
    finished(finder)
    assert finder.repeats == []


# -- when it is shown ------------------------------------------------------------------------------


class Clock:
    """The time of the view; it stands until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(
            "lrfinder_widget.widget.view.time", SimpleNamespace(monotonic=lambda: self.now)
        )


def grown(gate: Gate, n: int) -> None:
    """Let so many more steps through, and wait until the last of them is a point."""
    gate.let(n)
    gate.wait_until_asked(n)


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_a_redraw_waits_for_its_share_of_sixty_kilobytes_a_second(
    make: Any, gate: Gate, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    finder = make(gate, namespace={}, num_iter=2 * size).start()
    gate.wait_until_asked()
    grown(gate, size)
    finder._presenter.redraw()
    sent = sum(len(part) for name in ("dots", "line") for part in finder.chart[name].values())
    assert sent > 16 * size
    view, test, due = finder._presenter.view, finder._session.test, clock.now + sent / 60_000
    clock.now = due - 1e-6
    assert not view.is_due(test)
    shown = finder.chart
    finder._presenter.show(test)
    assert finder.chart is shown
    clock.now = due
    assert view.is_due(test)
    clock.now = due - 1e-6
    finder.pause()  # another state is shown at once
    assert finder.status["state"] == "paused"
    finder.resume()
    assert finder.status["state"] == "running"
    gate.let_all()
    finder.wait(WAIT_S)  # and so is the end, at the same time
    assert (finder.status["state"], finder.chart["n"]) == ("finished", 2 * size)


def test_a_long_run_sends_sixty_kilobytes_a_second_at_most_and_its_end(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, wire = Clock(monkeypatch), Wire()
    monkeypatch.setattr("lrfinder_widget.background.range_test.REFRESH_S", 0.0)
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    losses = iter(np.linspace(2.0, 1.0, 3000).tolist())

    def step(batch: Any) -> float:
        clock.now += 0.01
        return next(losses)

    finder = make(step, namespace={}, num_iter=3000)
    wire.updates.clear()
    before = wire.bytes
    finished(finder)
    redraws = [update for update in wire.updates if "chart" in update]
    seconds = 3000 * 0.01
    assert 10 < len(redraws) <= 12 * seconds
    # Once the lines are thinned out, each redraw is 24 kB; what is not points is on top of that.
    assert (wire.bytes - before) / seconds < 64_000
    assert redraws[-1]["chart"]["n"] == 3000
    assert points(redraws[-1]["chart"]["line"])[0][-1] == finder.curve.lrs[-1]


def test_a_redraw_of_a_run_that_grows_is_one_message(
    make: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(gate, namespace={}).start()
    gate.wait_until_asked()
    for _ in range(5):
        grown(gate, 1)
        finder._presenter.redraw()
        wire.updates.clear()
        grown(gate, 1)
        finder._presenter.redraw()
        assert [list(update) for update in wire.updates if "chart" in update][-1] == ["chart"]
        assert {name for update in wire.updates for name in update} == {"chart"}
    gate.let_all()
    finder.wait(WAIT_S)
