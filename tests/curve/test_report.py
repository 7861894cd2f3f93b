"""A report: plain values that are true of the curve, and a page that no value can spoil."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from typing import Any

import mistune
import numpy as np
import pytest
from curves import blowing_up, first_weak, known, ladder
from hypothesis import example, given
from hypothesis import strategies as st

from lrfinder_widget import Comparison, LossCurve
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.trial import Trial


def falls(**more: Any) -> LossCurve:
    return LossCurve(*known(), "diverged", **more)


def comparison(*results: float, start: float | None = None) -> Comparison:
    trials = [
        Trial(10.0**-i, np.full(50, loss), True, {50: np.linspace(loss, loss + 0.1, 8)})
        for i, loss in enumerate(results, 1)
    ]
    held_out = None if start is None else np.linspace(start, start + 0.1, 8)
    return Comparison(trials, held_out=held_out)


def test_a_report_says_what_the_curve_says() -> None:
    curve = falls(budget=Budget("adaptive", 5_000, "decay"))
    report = curve.report()
    found = curve.suggestion
    assert report["suggestion"] == {
        **{name: getattr(found, name) for name in ("lr", "low", "high", "weak", "rule", "reason")}
    }
    assert report["candidates"] == curve.candidates()
    assert report["training"] == {"steps": 5_000, "schedule": "decay"}
    assert report["run"]["points"] == len(curve)
    assert report["run"]["last_lr"] == curve.lrs[-1]
    assert report["run"]["optimizer"] == "adaptive"
    assert report["seen"]["first_loss"] == curve.losses[0]
    seen = report["seen"]
    assert seen["falls_from"] < seen["lowest_at"] < seen["turns_up_after"]
    for one in report["by_length"]:
        asked = curve.suggest(train_steps=one["steps"], schedule=one["schedule"])
        assert (one["lr"], one["low"], one["high"]) == (asked.lr, asked.low, asked.high)
    assert f"lr={found.lr:.2e}" in report["next"][0]
    assert len(report["next"]) == 1  # the length is known


def test_without_a_length_the_next_thing_is_to_give_it() -> None:
    assert "train_steps" in falls().report()["next"][-1]


def test_a_refusal_comes_with_its_reason_and_with_what_to_try() -> None:
    rng = np.random.default_rng(0)
    curve = LossCurve(ladder(100), 2 + 0.1 * rng.normal(size=100))
    report = curve.report()
    assert report["suggestion"]["lr"] is None
    assert report["by_length"] == []
    assert report["next"][0] == curve.suggestion.reason
    assert all(f"{lr:.2e}" in report["next"][-1] for lr in curve.trial_candidates())


def test_a_weak_candidate_is_to_be_tried_first() -> None:
    curve = first_weak()
    assert curve.report()["suggestion"]["weak"] is True
    assert "trial runs" in curve.report()["next"][-1]


def test_nothing_measured_is_said() -> None:
    report = LossCurve([], []).report()
    assert report["next"] == ["Run the LR range test: nothing has been measured yet."]
    assert report["run"]["first_lr"] is report["seen"]["first_loss"] is None


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (comparison(1.0, 0.5, 0.8, start=2.0), "by the trial runs"),
        (comparison(1.0, 0.5, start=0.5), "Training on does not help: no loss that was"),
        (comparison(1.0, 0.5, start=0.1), "None of these learning rates helps, and lower ones"),
        (comparison(math.nan, math.nan), "No trial ended with a finite loss"),
    ],
)
def test_after_trials_these_say_what_to_do(trials: Comparison, expected: str) -> None:
    report = falls().report(comparison=trials)
    assert expected in report["next"][-1]
    assert [one["steps"] for one in report["trials"]["tried"]] == [50] * len(trials.trials)
    assert report["trials"]["winner"] == trials.winner
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_training_of_one_step_is_no_plural() -> None:
    assert "## Suggestion for 1 step, constant" in str(falls(budget=Budget(train_steps=1)).report())


def test_a_pick_is_what_to_train_with() -> None:
    assert "lr=3.21e-03, which was picked" in falls().report(picked=3.21e-3)["next"][0]


def test_what_was_not_put_back_comes_first() -> None:
    report = falls().report(unrestored=["The queue <b>of</b> batches is empty."])
    assert "before you train" in report["next"][0]
    assert report["unrestored"] == ["The queue <b>of</b> batches is empty."]
    assert "## Not put back" in str(report)


def test_for_another_length_the_groups_keep_the_ratio_that_did_best() -> None:
    start = np.linspace(2.0, 2.1, 8)
    trials = [
        Trial(rates, np.ones(50), True, {50: start - gain})
        for rates, gain in (((0.3, 0.1), 1.0), ((0.1, 0.3), 0.5))
    ]
    found = Comparison(trials, held_out=start)
    lr = found.suggest(5_000).lr
    assert lr is not None
    curve = falls(budget=Budget(train_steps=5_000))
    expected = f"Train with lr=({lr:.2e}, {lr / 3:.2e}), by the trial runs."
    assert curve.report(comparison=found)["next"] == [expected]


def test_a_rate_for_each_group_is_told_as_several() -> None:
    trial = Trial((1e-4, 1e-3), np.full(50, 1.0), True)
    report = falls().report(comparison=Comparison([trial]))
    assert report["trials"]["winner"] == [1e-4, 1e-3]
    assert "(1.00e-04, 1.00e-03)" in report["next"][-1]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40),
    st.sampled_from(["completed", "diverged", "non-finite", "no-effect", "stopped"]),
)
def test_any_curve_has_a_report_of_plain_values(losses: list[float], reason: Any) -> None:
    lrs = np.geomspace(1e-6, 1, len(losses)) if losses else []
    report = LossCurve(lrs, losses, reason).report()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert str(report).startswith("# LR range test\n")


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(st.text(min_size=1, max_size=60))
@example("1. one")
@example("- one")
@example("+ one")
@example("===")
@example("---")
@example("<img src=x onerror=alert()>")
@example("a | b")
@example("[a](b)")
def test_no_text_of_the_users_is_taken_for_markup(text: str) -> None:
    page = str(falls().report(run={"about": text}, unrestored=[text]))
    read = Tags(mistune.html(page))  # as Jupyter's nbconvert does
    assert read.tags <= {"h1", "h2", "ul", "li", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "".join(text.split()) in "".join("".join(read.words).split())


def test_repeats_are_counted() -> None:
    curves = [LossCurve(ladder(60), blowing_up(ladder(60), 0.01, seed)) for seed in range(3)]
    report = LossCurve.median(curves).report()
    assert report["run"]["repeats"] == 3
    assert "| Repeats | 3 |" in str(report)
