"""Runs side by side: named, hidden, removed, and one of them the current one."""

from __future__ import annotations

from typing import Any

import pytest
from widget_support import (
    DESCENT,
    RISE,
    WAIT_S,
    Gate,
    Points,
    behind,
    fill,
    finished,
    number_of_widgets,
    page_sends,
    points,
    status,
)

from lrfinder_widget import LossCurve, LRFinder


def rows(finder: LRFinder) -> list[tuple[str, bool]]:
    return [(run["name"], run["shown"]) for run in finder.runs]


def key(finder: LRFinder, row: int) -> int:
    return finder.runs[row]["key"]


def of(finder: LRFinder, row: int, **what: Any) -> None:
    """Do something to the run in a row."""
    page_sends(finder, {"run": key(finder, row), **what})


def drawn(finder: LRFinder) -> list[float]:
    """The learning rates of the points of the current run."""
    return points(finder.chart["dots"])[0]


def test_earlier_runs_stay_on_the_chart_and_can_be_named_hidden_and_removed(make: Any) -> None:
    finder = make(namespace={})
    assert rows(finished(finder)) == []
    first = finder.curve
    finished(finished(finder))
    assert rows(finder) == [("SGD", True), ("SGD #2", True), ("SGD #3", True)]
    assert behind(finder) == [first.lrs.tolist()] * 2
    assert [(run["current"], run["latest"]) for run in finder.runs] == [
        *[(False, False)] * 2,
        (True, True),
    ]
    of(finder, 2, do="remove")  # the latest stays
    of(finder, 2, shown=False)  # and it is drawn as the current one anyway
    assert rows(finder) == [("SGD", True), ("SGD #2", True), ("SGD #3", False)]
    assert drawn(finder) == finder.curve.lrs.tolist()
    of(finder, 2, shown=True)
    of(finder, 0, name="<b>mine</b>")
    assert rows(finder)[0] == ("<b>mine</b>", True)
    of(finder, 1, shown=False)
    assert len(behind(finder)) == 1
    of(finder, 1, shown=True)
    assert len(behind(finder)) == 2
    styles = [run["style"] for run in finder.runs]
    of(finder, 0, do="remove")
    assert [name for name, _ in rows(finder)] == ["SGD #2", "SGD #3"]
    assert [run["style"] for run in finder.runs] == styles[1:]  # colours stay
    assert len(behind(finder)) == 1
    assert len(finder.curves) == 3  # taken off the chart, not out of the record


def test_what_is_behind_is_the_smoothed_line_of_each_run(make: Any) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    first = finder.curves[0]
    expected: Points = (first.lrs.tolist(), first.smooth().tolist())
    assert points(finder.runs[0]["line"]) == expected
    assert finder.runs[1]["line"] == {}  # in `chart`


def test_a_name_is_cut_to_what_a_row_can_show(make: Any) -> None:
    finder = finished(finished(make(namespace={})))
    of(finder, 0, name="x" * 10_000)
    assert rows(finder)[0] == ("x" * 200, True)


def test_curves_of_other_finders_can_be_added(make: Any) -> None:
    other = finished(make(namespace={}))
    finder = make(namespace={})
    finder.add(other.curve, name="AdamW, batch 64")
    finder.add(other.curve)
    finder.add(other.curve)
    finder.add(other.curve, name="AdamW, batch 64")  # as it was given
    names = [name for name, _ in rows(finder)]
    assert names == ["AdamW, batch 64", "added", "added #2", "AdamW, batch 64"]
    with pytest.raises(TypeError, match="curve must be a LossCurve"):
        finder.add(other)
    finder.close()
    with pytest.raises(RuntimeError, match="closed"):
        finder.add(other.curve)


def test_only_so_many_runs_are_kept_on_the_chart(make: Any) -> None:
    finder = make(namespace={})
    curve = finished(make(namespace={})).curve
    for i in range(15):
        finder.add(curve, name=str(i))
    assert [name for name, _ in rows(finder)] == [str(i) for i in range(2, 15)]
    assert len(behind(finder)) == 13
    finished(finder)
    assert len(rows(finder)) == 13


def test_a_new_range_keeps_the_other_runs_on_the_chart(make: Any) -> None:
    finder = finished(make(namespace={}))
    fill(finder, end_lr="0.5")
    finished(finder)
    assert len(behind(finder)) == 1


def test_the_loss_axis_holds_every_run_that_is_shown(make: Any) -> None:
    low = finished(make([loss - 5 for loss in DESCENT], namespace={})).curve
    finder = finished(make(namespace={}))
    own = finder.chart["y"]
    finder.add(low)
    assert finder.chart["y"][0] < float(low.losses.min())
    assert finder.chart["y"][1] == own[1]
    of(finder, 1, shown=False)
    assert finder.chart["y"] == own


def test_another_run_can_be_made_the_current_one(make: Any) -> None:
    finder = finished(make([*DESCENT, *RISE], namespace={}, train_steps=700))
    first = finder.curve
    fill(finder, num_iter="17")
    latest = finished(finder).curve
    assert [run["current"] for run in finder.runs] == [False, True]
    assert drawn(finder) == latest.lrs.tolist()
    assert behind(finder) == [first.lrs.tolist()]

    of(finder, 0, name="<i>the first</i>")
    of(finder, 0, do="choose")
    assert [run["current"] for run in finder.runs] == [True, False]
    assert drawn(finder) == first.lrs.tolist()
    assert points(finder.chart["line"]) == (first.lrs.tolist(), first.smooth().tolist())
    assert behind(finder) == [latest.lrs.tolist()]
    assert finder.reading == {
        "candidates": {k: v for k, v in first.candidates().items() if v is not None},
        "band": [first.suggestion.low, first.suggestion.high],
        "weak": first.suggestion.weak,
    }
    assert f"<i>the first</i>: {first.suggestion.reason}" in status(finder)
    assert finder.curve == latest  # what code reads is the latest

    of(finder, 0, do="remove")  # the latest is the current one again
    assert drawn(finder) == latest.lrs.tolist()
    assert (behind(finder), finder.runs) == ([], [])


def test_while_a_run_goes_on_it_is_the_current_one(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder.add(LossCurve([1e-4, 1e-3, 1e-2], [3.0, 2.0, 1.0]), "other")
    of(finder, 0, do="choose")
    assert drawn(finder) == [1e-4, 1e-3, 1e-2]
    finder.start()
    assert "choose" in finder.blocked
    of(finder, 0, do="choose")
    assert [run["current"] for run in finder.runs] == [False, True]
    gate.let_all()
    finder.wait(WAIT_S)
    assert "choose" not in finder.blocked
    assert drawn(finder) == finder.curve.lrs.tolist()


def test_a_run_that_is_alone_makes_no_row_and_no_run_makes_a_model(make: Any) -> None:
    finder = make(namespace={})
    before = number_of_widgets()
    assert rows(finished(finder)) == []
    assert len(rows(finished(finder))) == 2
    assert number_of_widgets() == before
