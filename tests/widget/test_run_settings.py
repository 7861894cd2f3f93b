"""The boxes: the next run, the training that is planned, and how the chart looks."""

from __future__ import annotations

import itertools
import json
import math
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
    behind,
    candidate,
    click,
    drag,
    fill,
    finished,
    go_to,
    marker,
    page_sends,
    points,
    problem,
    status,
)

from lrfinder_widget import LossCurve, LRFinder, State
from lrfinder_widget.curve import suggest
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.widget.run_settings import RunSettings


def test_the_set_up_starts_as_the_code_says_and_changes_the_next_run(make: Any) -> None:
    finder = make(lambda batch: 1.0, start_lr=1.23456789e-5, end_lr=0.5, num_iter=12, namespace={})
    assert finder.settings == {
        "start_lr": "1.23456789e-05",
        "end_lr": "0.5",
        "num_iter": "12",
        "mode": "exp",
        "repeats": "1",
        "diagnose": False,
        "train_steps": "",
        "schedule": "constant",
        "zoom": False,
        "log_loss": False,
        "smoothing": 10,
        "trial_lrs": "",
        "trial_steps": "200",
        "vary": "weight_decay",
        "vary_values": "0, 0.0001, 0.001, 0.01",
        "vary_2": "",
        "vary_2_values": "",
    }
    assert finder._presenter.view.settings.plan() == SweepPlan(
        start_lr=1.23456789e-5, end_lr=0.5, num_iter=12, mode="exp", repeats=1
    )
    first = finished(finder).curve
    fill(finder, start_lr="1e-3", num_iter="7", repeats="2", mode="linear")
    second = finished(finder).curve
    assert second.lrs.tolist() == np.linspace(1e-3, 0.5, 7).tolist()
    assert len(second.repeats) == 2
    assert finder.curves[0] == first
    assert (finder.chart["x"], finder.chart["x_log"]) == ([1e-3, 0.5], False)
    fill(finder, zoom=False)
    assert finder.chart["x"] == [1.23456789e-5, 0.5]
    assert finder.chart["total"] == 14
    assert len(finder.repeats) == 2


@pytest.mark.parametrize(
    ("box", "typed", "message"),
    [
        ("start_lr", "small", "'from' must be a number; got 'small'"),
        ("start_lr", "nan", "'from' must be a positive, finite number"),
        ("end_lr", "1e-9", "'from' must be below 'to'"),
        ("end_lr", "<b>1</b>", "'to' must be a number"),
        ("num_iter", "1", "'points' must be a whole number, at least 2"),
        ("num_iter", "10.5", "'points' must be a whole number"),
        ("num_iter", "999999999999", "'points' must be at most 1,000,000"),
        ("repeats", "0", "'repeats' must be a whole number, at least 1"),
        ("repeats", "1000", "'repeats' must be at most 100"),
    ],
)
def test_a_set_up_that_cannot_work_is_told_and_nothing_begins(
    make: Any, box: str, typed: str, message: str
) -> None:
    finder = finished(make(namespace={}))
    curve = finder.curve
    fill(finder, **{box: typed})
    with pytest.raises(ValueError, match=message):
        finder.start()
    assert (finder.state, finder.curve, len(finder.curves)) == (State.FINISHED, curve, 1)
    click(finder, "start")
    assert message in problem(finder)
    assert finder.settings[box] == typed  # as it was typed, to be corrected


def test_the_set_up_cannot_be_changed_during_a_run_but_the_looks_can(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    before = finder.settings
    assert "settings" in finder.blocked
    fill(finder, start_lr="1e-6", end_lr="2", num_iter="7", repeats="2", mode="linear")
    assert finder.settings == before
    fill(finder, log_loss=True, num_iter="7", trial_steps="50")
    assert finder.settings == before | {"log_loss": True, "trial_steps": "50"}
    gate.let_all()
    finder.wait(WAIT_S)
    assert "settings" not in finder.blocked
    fill(finder, num_iter="7")
    assert finder.settings["num_iter"] == "7"


def test_the_boxes_of_the_trials_cannot_be_changed_during_them(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).compare([1e-3], steps=10)
    before = finder.settings
    assert "trial_settings" in finder.blocked
    fill(finder, trial_lrs="1", trial_steps="50")
    assert finder.settings == before
    fill(finder, num_iter="7")
    assert finder.settings == before | {"num_iter": "7"}
    gate.let_all()
    finder.wait(WAIT_S)
    fill(finder, trial_steps="50")
    assert finder.settings["trial_steps"] == "50"


GOOD: list[tuple[str, list[Any]]] = [
    *((name, ["", "1e-3", "no number", "x" * 500]) for name in ("start_lr", "trial_lrs")),
    ("mode", ["exp", "linear"]),
    ("schedule", ["constant", "decay"]),
    *((name, [True, False]) for name in ("zoom", "log_loss")),
    ("smoothing", [0, 50, 12.5]),
]
BAD: list[tuple[str, list[Any]]] = [
    *(
        (name, [None, 1, 1e-3, True, [], {}, "x" * 501, "\ud800"])
        for name in ("end_lr", "train_steps")
    ),
    *((name, ["", "EXP", None, 0, True, [], ["exp"], {}]) for name in ("mode", "schedule")),
    *((name, [1, 0, None, "true", "", []]) for name in ("zoom", "log_loss")),
    ("smoothing", [-1, 51, math.nan, math.inf, "10", None, True, [], 10**400]),
    *((name, ["", "1", 1, True]) for name in ("no_such_box", "values", "", "__class__")),
]


def of_code() -> RunSettings:
    return RunSettings(SweepPlan(1e-5, 1.0, 60, "exp", 1), Budget(), 30)


@pytest.mark.parametrize(("name", "values"), GOOD)
def test_a_box_takes_what_it_can_hold(name: str, values: list[Any]) -> None:
    settings = of_code()
    for value in values:
        assert settings.accepts(name, value)
        settings.set(**{name: value})
        assert settings.values[name] == value


@pytest.mark.parametrize(("name", "values"), BAD)
def test_a_box_takes_nothing_else(name: str, values: list[Any]) -> None:
    settings = of_code()
    assert [value for value in values if settings.accepts(name, value)] == []


def test_every_box_has_a_value_that_is_text_a_choice_a_tick_or_a_number() -> None:
    for name, value in of_code().values.items():
        assert of_code().accepts(name, value)


def test_one_bad_box_does_not_take_the_good_ones_with_it(make: Any) -> None:
    finder = make(namespace={})
    before = finder.settings
    fill(finder, num_iter="7", mode="sqrt", zoom="yes", smoothing=1000, repeats=3, other="x")
    assert finder.settings == before | {"num_iter": "7"}


# -- the training that a candidate is for --------------------------------------------------------


def type_steps(finder: LRFinder, text: str) -> None:
    fill(finder, train_steps=text)


def test_the_training_starts_as_the_code_says(make: Any) -> None:
    for finder, contents in (
        (make(namespace={}), ("", "constant")),
        (make(namespace={}, train_steps=700, schedule="decay"), ("700", "decay")),
    ):
        assert (finder.settings["train_steps"], finder.settings["schedule"]) == contents
    assert finished(finder).curve.budget == Budget("sgd", 700, "decay", trained=False)
    assert "for 700 steps with a decaying" in status(finder)


def test_without_a_length_the_sentence_points_at_the_box_and_not_at_the_argument(
    make: Any,
) -> None:
    finder = finished(make(namespace={}))
    assert "enter the training steps in Set up for a sharper one" in status(finder)
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
    assert finder.reading["band"] == [finder.suggestion.low, finder.suggestion.high]
    assert finder.planned["steps"] == 20_000
    assert "for 20,000 steps at a constant" in status(finder)
    fill(finder, schedule="decay")
    assert finder.suggestion == curve.suggest(train_steps=20_000, schedule="decay")
    assert marker(finder) == (candidate(finder), "candidate")
    assert finder.planned["schedule"] == "decay"
    fill(finder, train_steps="", schedule="constant")
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
        go_to(finder, "steepest")
    before = marker(finder)
    type_steps(finder, "20000")
    assert marker(finder) == before
    assert "for 20,000 steps" in status(finder)


def test_earlier_and_added_runs_answer_for_the_new_training_too(make: Any) -> None:
    finder = finished(finished(make(namespace={})))
    finder.add(LossCurve(finder.curve.lrs, DESCENT, budget=Budget("adaptive", 500)), "other")
    type_steps(finder, "3000")
    assert [curve.budget for curve in finder.curves] == [Budget("sgd", 3_000, trained=False)] * 2
    budgets = [run.curve.budget for run in finder._presenter.view.legend.all]
    assert budgets == [Budget("sgd", 3_000, trained=False)] * 2 + [Budget("adaptive", 3_000)]
    saved = [LossCurve.from_json(json.dumps(run)) for run in json.loads(finder.to_json())["runs"]]
    assert [curve.budget for curve in saved] == budgets


def test_a_change_during_a_run_counts_at_its_end(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    type_steps(finder, "20000")
    gate.let_all()
    finder.wait(WAIT_S)
    assert finder.curve.budget == Budget("sgd", 20_000, trained=False)
    assert marker(finder) == (candidate(finder), "candidate")


def test_a_length_whose_candidate_is_below_the_range_leaves_none_on_the_chart(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = finished(make(namespace={}))
    before = marker(finder)
    assert before == (candidate(finder), "candidate")
    monkeypatch.setattr(suggest, "shift", lambda budget, density: (-5.0, 0.3))
    type_steps(finder, "3000")
    assert finder.suggestion.lr is None
    assert marker(finder) == (before[0], "start")
    assert "lower 'from'" in status(finder)
    assert "lower start_lr" in finder.suggestion.reason


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("long", "'training steps' must be a whole number; got 'long'"),
        ("2.5", "'training steps' must be a whole number; got '2.5'"),
        ("0", "'training steps' must be at least 1; got '0'"),
        ("-3", "'training steps' must be at least 1; got '-3'"),
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
    assert message in problem(finder)
    assert (finder.suggestion, marker(finder)) == before
    with pytest.raises(ValueError, match=re.escape(message)):
        finder.start()
    assert len(finder.curves) == 1
    type_steps(finder, "4000")
    assert problem(finder) == ""
    assert "for 4,000 steps" in status(finder)


@pytest.mark.parametrize("value", [None, "cosine", 1, ""])
def test_a_schedule_that_is_none_changes_nothing(make: Any, value: Any) -> None:
    finder = finished(make(namespace={}, train_steps=700))
    before = finder.suggestion, finder.settings
    fill(finder, schedule=value)
    assert (finder.suggestion, finder.settings) == before


@pytest.mark.parametrize("batches", [30, None])
def test_epochs_are_offered_where_the_batches_have_a_length(batches: int | None) -> None:
    model = linear()
    given = [0] * batches if batches else itertools.repeat(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(model, optimizer, given, step=Script(DESCENT), namespace={})
    if batches is None:
        assert finder.offers == []
    else:
        labels = ["1 epoch", "3 epochs", "10 epochs", "30 epochs"]
        assert finder.offers == list(zip(["30", "90", "300", "900"], labels, strict=True))
        for value, label in finder.offers:
            for typed in (value, f"{value} ({label})"):
                type_steps(finder, typed)
                assert finder._session.budget.train_steps == int(value)
    finder.close()


def test_a_closed_finder_hears_no_change(make: Any) -> None:
    finder = finished(make(namespace={}))
    before = finder.suggestion, finder.settings
    finder.close()
    type_steps(finder, "300")
    assert (finder.suggestion, finder.settings) == before


def test_narrow_sets_the_range_around_the_fall(make: Any) -> None:
    finder = make([*DESCENT, *RISE], namespace={})
    assert "narrow" in finder.blocked
    fall = finished(finder).curve.suggest("minimum")
    assert "narrow" not in finder.blocked
    click(finder, "narrow")
    plan = finder._presenter.view.settings.plan()
    assert finder.settings["start_lr"] == f"{fall.low / 10:.1e}"
    assert plan.start_lr == pytest.approx(fall.low / 10, rel=0.05)
    assert plan.end_lr == pytest.approx(fall.high * 10, rel=0.05)
    assert finished(finder).curve.lrs[0] == plan.start_lr
    assert "narrow" in finder.blocked  # that curve is refused


# -- how the chart looks --------------------------------------------------------------------------


def test_the_axis_holds_every_run_until_it_is_zoomed(make: Any) -> None:
    finder = make([*DESCENT[:40], math.nan], namespace={})
    fill(finder, zoom=True)
    lrs = finished(finder).curve.lrs
    assert finder.chart["x"] == [1e-5, lrs[-1]]
    assert lrs[-1] < 0.1  # as far as it came
    fill(finder, zoom=False)
    finder.add(LossCurve([1e-8, 1e-7, 1e-6], [3.0, 2.0, 1.0]))
    assert finder.chart["x"] == [1e-8, 1.0]
    fill(finder, zoom=True)
    assert finder.chart["x"] == [1e-5, lrs[-1]]
    page_sends(finder, {"run": finder.runs[1]["key"], "do": "choose"})
    assert finder.chart["x"] == [1e-8, 1e-6]


def test_a_range_within_the_last_one_is_zoomed_to(make: Any) -> None:
    finder = finished(make(namespace={}))
    fill(finder, start_lr="1e-4", end_lr="0.1")
    finished(finder)
    assert finder.settings["zoom"] is True
    assert finder.chart["x"] == [1e-4, 0.1]


def test_the_smoothing_is_changed_without_a_run_and_changes_no_candidate(make: Any) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    reading = finder.reading
    for percent, share in ((0, 0.0), (40, 0.4), (10, 0.1)):
        fill(finder, smoothing=percent)
        assert points(finder.chart["line"])[1] == finder.curve.smooth(share).tolist()
        behind_it = points(finder.runs[0]["line"])[1]
        assert behind_it == finder.curves[0].smooth(share).tolist()
        assert finder.reading == reading
    assert finder.curve.smooth(0.0).tolist() == finder.curve.losses.tolist()


def test_the_loss_axis_can_be_logarithmic_and_linear_again(make: Any) -> None:
    finder = finished(make(namespace={}))
    finished(finder)
    for log_loss in (True, False):
        fill(finder, log_loss=log_loss)
        assert finder.chart["y_log"] is log_loss
        assert points(finder.chart["line"])[1] == finder.curve.smooth().tolist()
        assert finder.reading["band"] == [finder.suggestion.low, finder.suggestion.high]
        assert len(behind(finder)) == 1
