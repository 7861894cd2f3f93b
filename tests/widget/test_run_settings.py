"""The settings of the next run, changed in place."""

from __future__ import annotations

import html
import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from support import linear
from widget_support import (
    DESCENT,
    RISE,
    WAIT_S,
    Gate,
    Script,
    candidate,
    drag,
    finished,
    marker,
    status,
)

from lrfinder_widget import LossCurve, LRFinder, State
from lrfinder_widget.curve import suggest
from lrfinder_widget.curve.budget import Budget
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


# -- the training that a candidate is for --------------------------------------------------------


def type_steps(finder: LRFinder, text: str) -> None:
    finder._presenter.view.setup.train_steps.set_state({"value": text})  # as from the page


def choose(finder: LRFinder, index: int) -> None:
    finder._presenter.view.setup.schedule.set_state({"index": index})


def test_the_training_starts_as_the_code_says(make: Any) -> None:
    for finder, contents in (
        (make(namespace={}), ("", "constant")),
        (make(namespace={}, train_steps=700, schedule="decay"), ("700", "decay")),
    ):
        setup = finder._presenter.view.setup
        assert (setup.train_steps.value, setup.schedule.value) == contents
    assert finished(finder).curve.budget == Budget("sgd", 700, "decay")
    assert "for 700 steps with a decaying" in status(finder)


def test_without_a_length_the_sentence_points_at_the_box_and_not_at_the_argument(
    make: Any,
) -> None:
    finder = finished(make(namespace={}))
    box = finder._presenter.view.setup.train_steps.description
    assert f"enter the {box} in Set up for a sharper one" in status(finder)
    assert "train_steps" not in status(finder)
    assert "give train_steps for a sharper one" in finder.suggestion.reason
    type_steps(finder, "700")
    assert "sharper" not in status(finder)


def test_a_change_reads_the_curve_again_without_a_run_and_moves_the_marker(make: Any) -> None:
    finder = finished(make(namespace={"lr": 0.5}))
    curve = finder.curve
    type_steps(finder, "20000")
    assert finder.suggestion == curve.suggest(train_steps=20_000)
    assert finder.suggestion.lr < curve.suggestion.lr
    assert marker(finder) == (candidate(finder), "candidate")
    assert finder._presenter.view.chart._band.x.tolist() == [
        finder.suggestion.low,
        finder.suggestion.high,
    ]
    assert "for 20,000 steps at a constant" in status(finder)
    choose(finder, 1)
    assert finder.suggestion == curve.suggest(train_steps=20_000, schedule="decay")
    assert marker(finder) == (candidate(finder), "candidate")
    type_steps(finder, "")
    choose(finder, 0)
    assert finder.suggestion == curve.suggestion
    assert finder.curve == curve
    assert marker(finder) == (candidate(finder), "candidate")
    assert (len(finder.curves), finder.lr) == (1, None)


@pytest.mark.parametrize("how", ["drag", "pick", "rule"])
def test_a_marker_that_somebody_has_moved_stays(make: Any, how: str) -> None:
    finder = finished(make(namespace={}))
    if how == "drag":
        drag(finder, 0.02)
    elif how == "pick":
        finder.pick(0.02)
    else:
        finder._presenter.view.controls.candidates["steepest"].click()
    before = marker(finder)
    type_steps(finder, "20000")
    assert marker(finder) == before
    assert "for 20,000 steps" in status(finder)


def test_earlier_and_added_runs_answer_for_the_new_training_too(make: Any) -> None:
    finder = finished(finished(make(namespace={})))
    finder.add(LossCurve(finder.curve.lrs, DESCENT, budget=Budget("adaptive", 500)), "other")
    type_steps(finder, "3000")
    assert [curve.budget for curve in finder.curves] == [Budget("sgd", 3_000)] * 2
    budgets = [run.curve.budget for run in finder._presenter.view.legend.all]
    assert budgets == [Budget("sgd", 3_000)] * 2 + [Budget("adaptive", 3_000)]
    saved = [LossCurve.from_json(json.dumps(run)) for run in json.loads(finder.to_json())["runs"]]
    assert [curve.budget for curve in saved] == budgets


def test_a_change_during_a_run_counts_at_its_end(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    type_steps(finder, "20000")
    gate.let_all()
    finder.wait(WAIT_S)
    assert finder.curve.budget == Budget("sgd", 20_000)
    assert marker(finder) == (candidate(finder), "candidate")


def test_a_length_whose_candidate_is_below_the_range_leaves_none_on_the_chart(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = finished(make(namespace={}))
    before = marker(finder)
    assert before == (candidate(finder), "candidate")
    monkeypatch.setattr(suggest, "shift", lambda budget: (-5.0, 0.3))
    type_steps(finder, "3000")
    assert finder.suggestion.lr is None
    assert marker(finder) == (before[0], "start")
    assert "lower start_lr" in status(finder)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("long", "'training steps' must be a whole number; got 'long'"),
        ("2.5", "'training steps' must be a whole number; got '2.5'"),
        ("0", "train_steps must be a whole number, at least 1; got 0"),
        ("-3", "train_steps must be a whole number, at least 1; got -3"),
        ("99999999999", "'training steps' must be at most 1,000,000,000"),
        ("(3 epochs) <b>", "'training steps' must be a whole number; got '(3 epochs) <b>'"),
    ],
)
def test_a_length_that_is_none_is_told_and_changes_nothing(
    make: Any, typed: str, message: str
) -> None:
    finder = finished(make(namespace={}, train_steps=3_000))
    before = finder.suggestion, marker(finder)
    type_steps(finder, typed)
    assert html.escape(message) in status(finder)
    assert (finder.suggestion, marker(finder)) == before
    with pytest.raises(ValueError, match=re.escape(message)):
        finder.start()
    assert len(finder.curves) == 1
    type_steps(finder, "4000")
    assert html.escape(message) not in status(finder)
    assert "for 4,000 steps" in status(finder)


def test_a_page_without_a_choice_is_told(make: Any) -> None:
    finder = finished(make(namespace={}))
    before = finder.suggestion
    finder._presenter.view.setup.schedule.set_state({"index": None})
    assert html.escape('schedule must be "constant" or "decay"; got None') in status(finder)
    assert finder.suggestion == before


@pytest.mark.parametrize("batches", [30, None])
def test_epochs_are_offered_where_the_batches_have_a_length(batches: int | None) -> None:
    model = linear()
    given = [0] * batches if batches else itertools.repeat(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(model, optimizer, given, step=Script(DESCENT), namespace={})
    offered = finder._presenter.view.setup.train_steps.options
    if batches is None:
        assert offered == ()
    else:
        assert offered == ("30 (1 epoch)", "90 (3 epochs)", "300 (10 epochs)", "900 (30 epochs)")
        for text in offered:
            type_steps(finder, text)
            assert finder._session.budget.train_steps == int(text.split()[0])
    finder.close()


def test_a_closed_finder_hears_no_change(make: Any) -> None:
    finder = finished(make(namespace={}))
    box, before = finder._presenter.view.setup.train_steps, finder.suggestion
    finder.close()
    box.value = "300"
    assert finder.suggestion == before


def test_narrow_sets_the_range_around_the_fall(make: Any) -> None:
    finder = make([*DESCENT, *RISE], namespace={})
    setup = finder._presenter.view.setup
    assert setup.narrow.disabled
    fall = finished(finder).curve.suggest("minimum")
    assert not setup.narrow.disabled
    setup.narrow.click()
    plan = setup.plan()
    assert plan.start_lr == pytest.approx(fall.low / 10, rel=0.05)
    assert plan.end_lr == pytest.approx(fall.high * 10, rel=0.05)
    assert finished(finder).curve.lrs[0] == plan.start_lr
    assert setup.narrow.disabled  # that curve is refused
