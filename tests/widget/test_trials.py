"""Trial runs in the widget: from the boxes or by code, ranked, stopped, failed."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support import CLASSES, DEVICE, linear
from torch import nn
from widget_support import (
    DESCENT,
    RISE,
    WAIT_S,
    Gate,
    Points,
    click,
    fill,
    finished,
    in_thread,
    points,
    problem,
    status,
)

from lrfinder_widget import LRFinder, State
from lrfinder_widget.widget.lines import START, stroke
from lrfinder_widget.widget.trials import MAX_TRIALS, _smoothed


def by_learning_rate(finders: list[LRFinder]) -> Callable[[Any], float]:
    """A step whose loss says how far its learning rate is from 1e-2; three times that at first."""

    def step(batch: Any) -> float:
        lr: float = finders[0]._session.source.task.optimizer.param_groups[0]["lr"]
        return 1.0 + abs(math.log10(lr) + 2)

    return step


def with_trials(make: Any, **options: Any) -> LRFinder:
    finders: list[LRFinder] = []
    finders.append(make(by_learning_rate(finders), **options))
    return finders[0]


def lines(finder: LRFinder) -> dict[str, Points]:
    return {one["name"]: points(one["line"]) for one in finder.trials["lines"]}


def dots(finder: LRFinder) -> dict[str, Points]:
    """The held-out losses of those that have some."""
    shown = {one["name"]: points(one["held_out"]) for one in finder.trials["lines"]}
    return {name: xy for name, xy in shown.items() if xy[0]}


def observed(finder: LRFinder) -> list[str]:
    """Every text that is shown of the trials from now on."""
    told: list[str] = []
    finder.observe(lambda change: told.append(change["new"]["text"]), "trials")
    return told


def test_trial_runs_rank_and_one_click_takes_the_winner(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = with_trials(make, namespace=namespace)
    assert finder.comparison is None
    assert finder.trials == {}
    fill(finder, trial_lrs="1e-3, 1e-2, 0.1", trial_steps="20")
    click(finder, "try")
    finder.wait(WAIT_S)
    assert finder.comparison is not None
    assert finder.comparison.winner == 1e-2
    shown = finder.trials
    assert (shown["state"], shown["steps"], shown["take"]) == ("finished", 20, 1e-2)
    assert "1.00e-02 has the lowest loss" in shown["text"]
    assert list(lines(finder)) == ["1.00e-03", "1.00e-02", "1.00e-01"]
    assert {len(x) for x, _ in lines(finder).values()} == {20}
    assert [one["style"] for one in shown["lines"]] == [0, 1, 2]
    assert namespace == {}
    click(finder, "take")
    assert namespace == {"lr": 0.01}


def test_trial_runs_by_code_default_to_what_the_curve_suggests(make: Any) -> None:
    finder = finished(make(namespace={}))
    assert finder.settings["trial_lrs"] == ", ".join(
        f"{lr:.2e}" for lr in finder.curve.trial_candidates()
    )
    assert finder.compare(steps=12).wait(WAIT_S) is finder
    assert finder.comparison is not None
    assert finder.comparison.lrs == finder.curve.trial_candidates()


def test_what_was_typed_is_not_replaced_by_what_the_next_curve_suggests(make: Any) -> None:
    finder = finished(make(namespace={}))
    offered = finder.settings["trial_lrs"]
    fill(finder, trial_lrs="0.5")
    finished(finder)
    assert finder.settings["trial_lrs"] == "0.5"
    fill(finder, trial_lrs="")
    finished(finder)
    assert finder.settings["trial_lrs"] == offered


def test_without_a_candidate_they_are_a_ladder_that_is_named_and_announced(make: Any) -> None:
    finder = finished(make(RISE, namespace={}))
    assert finder.suggestion.lr is None
    rungs = finder._session.source.ladder()
    assert finder.settings["trial_lrs"] == ", ".join(f"{lr:.2e}" for lr in rungs.lrs)
    assert "Try compares a ladder of learning rates" in status(finder)
    told = observed(finder)
    finder._presenter.view.trial_plan.seconds_per_step = 10.0
    finder.compare(steps=50).wait(WAIT_S)
    assert finder.comparison is not None
    assert finder.comparison.lrs[:3] == list(rungs.lrs)
    assert finder.comparison.scheduled
    assert "A ladder of learning rates from the optimizer's own 1.0e-01" in told[0]
    assert "trial runs of 50 steps each, at most 400 in all" in told[0]
    assert re.search(r"at most about \d+ s left", told[0])  # by the pace of the test
    assert "A ladder of learning rates" in told[-1]


def test_for_a_model_that_was_trained_they_are_the_ladder_beside_its_weak_candidate(
    make: Any,
) -> None:
    model = nn.Sequential(linear(), nn.LayerNorm(CLASSES)).to(DEVICE)
    with torch.no_grad():
        model[1].weight.copy_(torch.linspace(0.5, 1.5, CLASSES))
        model[1].bias.copy_(torch.linspace(-0.1, 0.1, CLASSES))
    finder = finished(make([*DESCENT, *RISE], model, namespace={}))
    assert finder.suggestion.weak
    rungs = finder._session.source.ladder()
    assert finder.settings["trial_lrs"] == ", ".join(f"{lr:.2e}" for lr in rungs.lrs)
    assert "was trained before" in status(finder)
    assert "Try compares a ladder of learning rates" in status(finder)
    finder.compare(steps=10).wait(WAIT_S)
    assert finder.comparison is not None
    assert finder.comparison.lrs[: len(rungs.lrs)] == list(rungs.lrs)


def test_a_ladder_that_went_on_is_drawn_whole(make: Any) -> None:
    finder = with_trials(make, namespace={})  # best where it decays to 1e-2
    finder.compare("ladder", steps=10).wait(WAIT_S)
    assert finder.comparison is not None
    assert finder.comparison.lrs == [1e-3, 1e-2, 0.1, 1.0, 0.316, 0.0316]
    assert {len(x) for x, _ in lines(finder).values()} == {10}
    assert list(lines(finder)) == [f"{lr:.2e}" for lr in finder.comparison.lrs]
    assert finder.trials["steps"] == 10
    assert finder.trials["take"] == finder.comparison.winner


def test_each_of_the_most_trials_has_a_line_of_its_own() -> None:
    looks = {re.sub(r'stroke-width="[^"]*"', "", stroke(i)) for i in range(START, MAX_TRIALS)}
    assert len(looks) == MAX_TRIALS + 1


@pytest.mark.parametrize("pace", [None, 0.02])
def test_steps_and_seconds_are_shown_before_it_begins(make: Any, pace: float | None) -> None:
    finder = make(gate := Gate(RISE), namespace={})
    assert finder.trial_cost == ""
    finder.start()
    gate.let_all()
    finder.wait(WAIT_S)
    assert re.fullmatch(r"at most 1,600 steps, about \d+ s", finder.trial_cost)
    finder._presenter.view.trial_plan.seconds_per_step = pace
    fill(finder, trial_steps="100")
    assert finder.trial_cost == "at most 800 steps" + (", about 16 s" if pace else "")
    fill(finder, trial_steps="5000")
    assert finder.trial_cost.startswith("at most 2,000 steps")
    fill(finder, trial_lrs="1e-3, 1e-2")
    assert finder.trial_cost.startswith("10,000 steps")
    fill(finder, trial_steps="many")
    assert finder.trial_cost == ""


def test_before_any_test_there_is_the_ladder(make: Any) -> None:
    finder = make(RISE, namespace={}).compare(steps=10).wait(WAIT_S)
    assert finder.comparison.scheduled
    assert len(finder.comparison.lrs) >= 3


def test_a_click_on_the_ladder_that_was_offered_runs_it_but_not_on_what_was_typed(
    make: Any,
) -> None:
    finder = finished(make(RISE, namespace={}))
    fill(finder, trial_steps="10")
    click(finder, "try")
    finder.wait(WAIT_S)
    assert finder.comparison.scheduled
    fill(finder, trial_lrs=finder.settings["trial_lrs"].replace(",", " ,"))
    click(finder, "try")
    finder.wait(WAIT_S)
    assert not finder.comparison.scheduled


def test_trial_runs_and_a_test_keep_out_of_each_others_way(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder.compare([1e-3, 1e-2], steps=10)
    gate.wait_until_asked()
    with pytest.raises(RuntimeError, match="trial runs are in progress"):
        finder.start()
    with pytest.raises(RuntimeError, match="trial runs are in progress"):
        finder.compare([1e-3])
    other = make(model=finder._session.source.task.model, namespace={})  # another finder stops them
    asked = threading.Event()
    finder._session.trial_test.listen(lambda run: asked.set() if run.stopping else None)
    finish = in_thread(lambda: finished(other))
    assert asked.wait(WAIT_S)
    gate.let_all()
    assert finish() is other
    assert finder._session.trial_test.state is State.STOPPED
    assert finder.trials["state"] == "stopped"
    assert "Stopped" in finder.trials["text"]
    assert finder.state is State.READY


def test_trial_runs_can_be_stopped_and_close_ends_them(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    fill(finder, trial_lrs="1e-3, 1e-2")
    click(finder, "try")
    gate.wait_until_asked()
    assert finder.trials["state"] == "running"  # the page's button stops them now
    click(finder, "try")
    gate.let()
    finder._session.trial_test.join(WAIT_S)
    assert finder._session.trial_test.state is State.STOPPED
    finder.compare([1e-3], steps=10)
    gate.let_all()
    finder.close()
    assert finder._session.trial_test.state.ended


@pytest.mark.parametrize(
    ("lrs", "steps", "message"),
    [
        ("", "20", "at least one learning rate"),
        ("fast", "20", "must be numbers separated by commas; got 'fast'"),
        ("1e-3, -1", "20", "positive learning rates, each once; got '1e-3, -1'"),
        ("1e-3, nan", "20", "positive learning rates"),
        ("1e-3, 1e-3", "20", "each once"),
        (", ".join(map(str, range(1, 20))), "20", "at most 12; got 19"),
        ("1e-3", "few", "'steps' must be a whole number; got 'few'"),
        ("1e-3", "999999999999", "'steps' must be at most 1,000,000"),
        ("1e-3", "2", "steps must be a whole number, at least 10"),
    ],
)
def test_a_trial_that_cannot_work_is_told(make: Any, lrs: str, steps: str, message: str) -> None:
    finder = make(namespace={})
    fill(finder, trial_lrs=lrs, trial_steps=steps)
    click(finder, "try")
    assert message in problem(finder)
    assert finder.comparison is None


def test_a_failing_trial_is_told_as_text(make: Any) -> None:
    def step(batch: Any) -> float:
        raise ValueError("<b>boom</b>")

    finder = make(step, namespace={})
    finder.compare([1e-3], steps=10)
    with pytest.raises(ValueError, match="boom"):
        finder.wait(WAIT_S)
    assert "The trial runs failed; everything has been restored." in finder.trials["text"]
    assert "ValueError: <b>boom</b>" in finder.trials["text"]
    assert (finder.trials["state"], finder.trials["take"]) == ("failed", None)


def test_a_line_grows_and_never_moves() -> None:
    losses = np.random.default_rng(0).normal(size=200)
    whole = _smoothed(losses, steps=200)
    for n in (1, 19, 20, 199):
        np.testing.assert_array_equal(_smoothed(losses[:n], steps=200), whole[:n])
    assert whole[-1] == pytest.approx(losses[-10:].mean())


# -- judged on held-out batches -------------------------------------------------------------------


def judged(make: Any, losses: dict[float, float], start: float) -> LRFinder:
    """Compare learning rates whose held-out losses are given; nothing is trained."""
    finders: list[LRFinder] = []
    held_out = iter([start, *(loss + d for loss in losses.values() for d in (0.2, 0.1, 0.0))])
    finders.append(make(by_learning_rate(finders), namespace={}))
    finder = finders[0]
    finder.compare(
        list(losses), steps=20, held_out=[0], evaluate=lambda model, batches: next(held_out)
    )
    return finder.wait(WAIT_S)


def test_held_out_losses_are_dots_and_numbers_and_decide(make: Any) -> None:
    finder = judged(make, {1e-3: 0.5, 1e-2: 0.7}, start=1.0)
    assert finder.comparison is not None
    assert finder.comparison.winner == 1e-3  # by its training loss, it is the worse one
    assert [x for x, _ in dots(finder).values()] == [[0, 5, 10, 20]] * 2
    name = "1.00e-03: 0.5 held out"
    assert dots(finder)[name][1] == pytest.approx([1.0, 0.7, 0.6, 0.5])
    low, high = finder.trials["y"]
    assert low < 0.5
    assert high > 1.0
    assert name in lines(finder)
    assert (
        "1.00e-03 has the lowest loss on the held-out batches, 0.5 (1 at" in (finder.trials["text"])
    )
    assert finder.trials["take"] == 1e-3
    finder.compare([1e-2], steps=20).wait(WAIT_S)  # and without, as before
    assert dots(finder) == {}
    assert "held" not in "".join([*lines(finder), finder.trials["text"]])


def test_what_is_of_no_use_cannot_be_taken(make: Any) -> None:
    finder = judged(make, {1e-3: 0.999, 1e-2: 1.5}, start=1.0)
    assert finder.trials["text"].startswith("Training on does not help: after 20")
    assert finder.trials["take"] is None
    click(finder, "take")  # a page that has not heard of it yet
    assert finder.lr is None
    assert finder.comparison is not None
    assert finder.comparison.suggest().lr is None


def test_rates_of_groups_are_shown_but_are_not_one_number_to_take(make: Any) -> None:
    finder = make(lambda batch: 1.0, namespace={})
    finder.compare([(1e-3,), 1e-2], steps=10).wait(WAIT_S)
    assert "(1.00e-03)" in lines(finder)
    assert finder.comparison.winner == (1e-3,)
    assert finder.trials["take"] is None
    click(finder, "take")
    assert finder.lr is None


def test_a_held_out_loss_that_is_not_finite_breaks_no_axis(make: Any) -> None:
    finder = judged(make, {1e-3: math.nan, 1e-2: math.inf, 1e-1: 0.5}, start=1.0)
    assert np.isfinite(finder.trials["y"]).all()
    for x, y in [*lines(finder).values(), *dots(finder).values()]:
        assert np.isfinite([*x, *y]).all()
    assert finder.comparison is not None
    assert finder.comparison.winner == 1e-1


def test_the_line_of_the_starting_weights_is_seen_whole() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.ones(2, 4)
    batches = [(x, model(x).detach() + off) for off in (1.0, 1.0, 1.2, 1.2)]
    finder = LRFinder(model, optimizer, batches, nn.MSELoss(), namespace={})
    finder.compare([0.01, 0.05], steps=40).wait(WAIT_S)
    low, high = finder.trials["y"]
    _, start = lines(finder)["starting weights"]
    assert low < min(start) <= max(start) < high


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e308, -1e308, 0.0])
def test_no_loss_of_a_trial_is_too_odd_to_be_shown(make: Any, loss: float) -> None:
    finder = make(lambda batch: loss, namespace={})
    finder.compare([1e-3, 1e-2], steps=10).wait(WAIT_S)
    for _, y in lines(finder).values():
        assert np.isfinite(y).all()
    if finder.trials["y"] is not None:
        low, high = finder.trials["y"]
        assert -math.inf < low < high < math.inf


def test_a_long_trial_is_drawn_in_few_points_and_to_its_end(make: Any) -> None:
    finder = with_trials(make, namespace={})
    finder.compare([1e-2], steps=3000).wait(WAIT_S)
    x, _ = lines(finder)["1.00e-02"]
    assert len(x) <= 200
    assert (x[0], x[-1]) == (0, 2999)


def test_the_time_left_is_told_after_the_first_trial(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).compare([1e-3, 1e-2], steps=10)
    gate.wait_until_asked()
    assert "10 steps each, 20 in all" in finder.trials["text"]
    assert "s left" not in finder.trials["text"]
    gate.let(10)
    gate.wait_until_asked(10)
    finder._presenter.redraw()
    assert "10 steps done, about 0 s left." in finder.trials["text"]
    gate.let_all()
    finder.wait(WAIT_S)


def test_an_evaluation_that_fails_is_told_as_text(make: Any) -> None:
    def evaluate(model: Any, batches: Any) -> float:
        raise ValueError("<b>boom</b>")

    finder = make(lambda batch: 1.0, namespace={})
    finder.compare([1e-3], steps=10, held_out=[0], evaluate=evaluate)
    with pytest.raises(ValueError, match="boom"):
        finder.wait(WAIT_S)
    assert "ValueError: <b>boom</b>" in finder.trials["text"]
    with pytest.raises(ValueError, match="held_out needs evaluate"):
        finder.compare([1e-3], steps=10, held_out=[0])
