"""Runs side by side: named, hidden, removed, and one of them the current one."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets
import pytest
from widget_support import DESCENT, RISE, WAIT_S, Gate, behind, finished, status

from lrfinder_widget import LossCurve, LRFinder


def rows(finder: LRFinder) -> list[tuple[str, bool]]:
    boxes = finder._presenter.view.legend.box.children
    return [(row.children[2].value, row.children[1].value) for row in boxes]


def test_earlier_runs_stay_on_the_chart_and_can_be_named_hidden_and_removed(make: Any) -> None:
    finder = make(namespace={})
    assert rows(finished(finder)) == []
    first = finder.curve
    finished(finished(finder))
    assert rows(finder) == [("SGD", True), ("SGD #2", True), ("SGD #3", True)]
    assert behind(finder) == [first.lrs.tolist()] * 2
    one, two, latest = finder._presenter.view.legend.box.children
    assert latest.children[4].disabled
    one.children[2].value = "<b>mine</b>"
    assert finder._presenter.view.legend.kept[0].name == "<b>mine</b>"
    two.children[1].value = False
    assert len(behind(finder)) == 1
    two.children[1].value = True
    assert len(behind(finder)) == 2
    parts = [one, *one.children]
    one.children[4].click()
    assert [name for name, _ in rows(finder)] == ["SGD #2", "SGD #3"]
    assert len(behind(finder)) == 1
    assert {part.comm for part in parts} == {None}  # nothing is kept
    assert len(finder.curves) == 3  # taken off the chart, not out of the record


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
    finder._presenter.view.setup.end_lr.value = "0.5"
    finished(finder)
    assert len(behind(finder)) == 1


def test_the_loss_axis_holds_every_run_that_is_shown(make: Any) -> None:
    low = finished(make([loss - 5 for loss in DESCENT], namespace={})).curve
    finder = finished(make(namespace={}))
    scale = finder._presenter.view.chart._y
    own = scale.min, scale.max
    finder.add(low)
    assert scale.min < float(low.losses.min())
    assert scale.max == own[1]
    finder._presenter.view.legend.box.children[1].children[1].value = False
    assert (scale.min, scale.max) == own


def test_another_run_can_be_made_the_current_one(make: Any) -> None:
    finder = finished(make([*DESCENT, *RISE], namespace={}, train_steps=700))
    first = finder.curve
    finder._presenter.view.setup.num_iter.value = "17"
    latest = finished(finder).curve
    view, (one, two) = finder._presenter.view, finder._presenter.view.legend.box.children
    assert two.children[3].disabled  # is the current one
    assert view.chart._raw.x[::2].tolist() == latest.lrs.tolist()
    assert behind(finder) == [first.lrs.tolist()]

    one.children[2].value = "<i>the first</i>"
    one.children[3].click()
    assert view.chart._raw.x[::2].tolist() == first.lrs.tolist()
    assert behind(finder) == [latest.lrs.tolist()]
    assert view.marker.curve_lrs.tolist() == first.lrs.tolist()
    assert view.chart._band.x.tolist() == [first.suggestion.low, first.suggestion.high]
    assert view.marker.ticks == {k: v for k, v in first.candidates().items() if v is not None}
    said = html.escape(f"<i>the first</i>: {first.suggestion.reason}")
    assert said in status(finder)
    assert finder.curve == latest  # what code reads is the latest

    one.children[4].click()  # removed: the latest is the current one again
    assert view.chart._raw.x[::2].tolist() == latest.lrs.tolist()
    assert behind(finder) == []


def test_while_a_run_goes_on_it_is_the_current_one(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder.add(LossCurve([1e-4, 1e-3, 1e-2], [3.0, 2.0, 1.0]), "other")
    choose = finder._presenter.view.legend.box.children[0].children[3]
    choose.click()
    assert finder._presenter.view.chart._raw.x[::2].tolist() == [1e-4, 1e-3, 1e-2]
    finder.start()
    assert choose.disabled
    choose.click()
    gate.let_all()
    finder.wait(WAIT_S)
    assert not choose.disabled
    assert finder._presenter.view.chart._raw.x[::2].tolist() == finder.curve.lrs.tolist()


def test_a_run_that_is_alone_makes_no_row(make: Any) -> None:
    finder = make(namespace={})
    before = len(ipywidgets.widgets.widget._instances)
    assert rows(finished(finder)) == []
    assert len(ipywidgets.widgets.widget._instances) == before
    assert len(rows(finished(finder))) == 2


def test_a_removed_run_and_a_closed_finder_leave_no_row_behind(make: Any) -> None:
    before = len(ipywidgets.widgets.widget._instances)
    finder = finished(finished(make(namespace={})))
    finder._presenter.view.legend.box.children[0].children[4].click()
    finder.close()
    assert len(ipywidgets.widgets.widget._instances) == before
