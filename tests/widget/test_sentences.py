"""Progress, the status and what is blocked: where the test is, why it ended, what went wrong."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from support import linear, loader, sgd_momentum
from torch import nn
from widget_support import (
    DESCENT,
    POINTS,
    RISE,
    WAIT_S,
    Gate,
    Script,
    click,
    finished,
    marker,
    problem,
    status,
    type_in,
)

from lrfinder_widget import LRFinder, State
from lrfinder_widget.curve import reasons
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.reasons import NO_LENGTH
from lrfinder_widget.runs.source import About
from lrfinder_widget.widget.sentences import MISSING, blocked, for_a_hand


def test_the_status_says_where_the_test_is(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    assert (finder.status["state"], finder.status["stopping"]) == ("ready", False)
    assert f"trains {POINTS} steps" in status(finder)
    finder.start()
    gate.wait_until_asked()
    assert finder.status["state"] == "running"
    assert "Running." in status(finder)
    finder.pause()
    assert finder.status["state"] == "paused"
    assert "Paused after 0 of 60 steps" in status(finder)
    finder.resume()
    assert finder.status["state"] == "running"
    finder._session.test.stop()
    assert (finder.status["state"], finder.status["stopping"]) == ("running", True)
    assert "Stopping after the current step" in status(finder)
    gate.let_all()
    finder._session.test.join(WAIT_S)
    assert (finder.status["state"], finder.status["stopping"]) == ("stopped", False)
    finished(finder)
    assert finder.status["state"] == "finished"
    assert "All 60 steps done. Everything has been restored." in status(finder)
    assert finder.status["traceback"] == ""
    assert finder.status["unrestored"] == []


@pytest.mark.parametrize(
    ("losses", "stop", "batches", "reason", "said"),
    [
        ([2.0, 1.0, math.nan], None, [0], "non-finite", "no longer finite at"),
        (DESCENT, lambda losses: len(losses) == 7, [0], "stop-rule", "Your stop rule ended"),
        ([*DESCENT[:50], *np.geomspace(9, 1e6, 10)], "divergence", [0], "diverged", "diverged at"),
        (DESCENT, None, iter(range(9)), "exhausted", "ran out after 9 of 60 steps"),
    ],
)
def test_the_status_says_why_it_ended(
    losses: Any, stop: Any, batches: Any, reason: str, said: str
) -> None:
    model = linear()
    finder = LRFinder(
        model,
        sgd_momentum(model),
        batches,
        step=Script(losses),
        stop=stop,
        num_iter=POINTS,
        namespace={},
    )
    finished(finder)
    assert (finder.state, finder.reason) == (State.FINISHED, reason)
    assert said in status(finder)
    assert "Everything has been restored." in status(finder)
    finder.close()


def test_the_progress_is_the_number_of_points(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    assert (finder.chart["n"], finder.chart["total"]) == (0, POINTS)
    finder.start()
    assert finder.chart["per_second"] is None  # no step yet
    gate.let_all()
    finder.wait(WAIT_S)
    assert (finder.chart["n"], finder.chart["total"]) == (POINTS, POINTS)
    assert finder.chart["per_second"] is None  # it is over


def test_the_pace_is_that_since_the_run_goes_on(
    make: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("lrfinder_widget.widget.view.time.monotonic", lambda: now[0])
    finder = make(gate, namespace={}).start()
    gate.let(4)
    gate.wait_until_asked(5)
    now[0] += 2.0
    finder._presenter.redraw()
    assert (finder.chart["n"], finder.chart["per_second"]) == (4, 2.0)
    gate.let_all()
    finder.wait(WAIT_S)


def test_half_of_a_surrogate_pair_in_an_exception_does_not_keep_the_end_from_the_page(
    make: Any,
) -> None:
    def broken_step(batch: Any) -> float:
        raise ValueError("\ud83d")

    finder = make(broken_step, namespace={}).start()
    with pytest.raises(ValueError, match="\ud83d"):
        finder.wait(WAIT_S)
    assert r"ValueError: \ud83d" in status(finder)
    for text in (status(finder), finder.status["traceback"]):
        text.encode()


def test_an_exception_is_told_and_its_traceback_is_apart(make: Any) -> None:
    def broken_step(batch: Any) -> float:
        raise ValueError("<script>alert('&')</script>")

    finder = make(broken_step, namespace={}).start()
    with pytest.raises(ValueError, match="script"):
        finder.wait(WAIT_S)
    assert status(finder) == (  # text: the page makes no markup of it
        "Failed after 0 steps; everything has been restored. "
        "ValueError: <script>alert('&')</script>"
    )
    assert "Traceback" in finder.status["traceback"]
    first = finder.status["traceback"].splitlines()[1]
    assert __file__ in first  # the user's code, not ours before it
    assert "broken_step" in finder.status["traceback"]
    assert finder.status["state"] == "failed"
    assert "start" not in finder.blocked


def test_an_exception_that_cannot_be_written_is_shown_all_the_same(make: Any) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def step(batch: Any) -> float:
        raise Unspeakable

    finder = make(step, namespace={}).start()
    with pytest.raises(Unspeakable):
        finder.wait(WAIT_S)
    assert "Failed after 0 steps" in status(finder)
    assert finder.status["state"] == "failed"
    assert "start" not in finder.blocked


def test_repeats_that_cannot_differ_are_said_to_tell_nothing(make: Any) -> None:
    finder = finished(make(repeats=2, namespace={}))
    assert finder.suggestion.spread is None
    assert "saw the same data in the same order" in status(finder)


def test_a_model_on_the_cpu_beside_a_gpu_is_worth_a_word(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = linear()

    def text() -> str:
        finder = LRFinder(
            model, sgd_momentum(model), loader(), nn.CrossEntropyLoss(), variable=None
        )
        said = status(finder)
        finder.close()
        return said

    assert "on cpu, one per" in text()
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert "on cpu, although a cuda device is available, one per" in text()


# -- what is blocked ------------------------------------------------------------------------------

CONTROLS = {"start", "pause", "apply", "narrow", "try", "take", "vary", "choose"}
BUTTONS = CONTROLS - {"choose"}
RUNNING = "A test is running: stop it, or wait until it has ended."
TRIALS = "Trial runs are in progress: stop them, or wait until they have ended."
VARIED = "Tests with a setting varied are in progress: stop them, or wait until they end."
FOR_CODE = re.compile(r"\(\)|`|\w=|\b[a-z]+_[a-z_]+\b|\b(call|argument|pass)\b")


class Run:
    """A run as far as `blocked` looks at it."""

    def __init__(self, state: State, *, stopping: bool = False) -> None:
        self.state, self.stopping = state, stopping


RUNS = [Run(state) for state in State] + [Run(s, stopping=True) for s in State if s.active]
READY = Run(State.READY)
THREES = [
    three
    for three in itertools.product(RUNS, repeat=3)
    if sum(run.state.active for run in three) < 2
]


def why(
    test: Run,
    trials: Run = READY,
    varied: Run = READY,
    *,
    picked: bool = True,
    candidate: bool = True,
    cannot: Any = None,
) -> dict[str, str]:
    found: Any = (test, trials, varied)
    return blocked(*found, picked=picked, candidate=candidate, cannot=cannot or {})


@pytest.mark.parametrize("picked", [True, False])
@pytest.mark.parametrize("candidate", [True, False])
def test_what_is_blocked_in_every_state(picked: bool, candidate: bool) -> None:
    for test, trials, varied in THREES:
        found = why(test, trials, varied, picked=picked, candidate=candidate)
        testing, trying, varying = (run.state.active for run in (test, trials, varied))
        expected = {
            "start": trying or varying or (testing and test.stopping),
            "pause": not testing or test.stopping,
            "apply": testing or trying or varying or not picked,
            "narrow": not candidate,
            "try": testing or varying or (trying and trials.stopping),
            "take": testing,
            "vary": testing or trying or (varying and varied.stopping),
            "choose": testing,
            "settings": testing,
            "trial_settings": trying,
            "vary_settings": varying,
        }
        assert set(found) == {name for name, is_so in expected.items() if is_so}


def test_what_cannot_be_done_is_blocked_but_never_the_way_to_stop() -> None:
    cannot = {"start": "It was read once.", "try": "It trains nothing.", "apply": "None is here."}
    cannot["vary"] = "It has none."
    running, ended = Run(State.RUNNING), Run(State.FINISHED)
    assert cannot.items() <= why(READY, cannot=cannot).items()
    assert "start" not in why(running, cannot=cannot)
    assert "try" not in why(ended, running, cannot=cannot)
    assert "vary" not in why(ended, ended, running, cannot=cannot)


def test_every_reason_is_a_sentence_for_a_hand() -> None:
    for three in THREES:
        for text in why(*three, picked=False, candidate=False).values():
            assert re.fullmatch(r"[A-Z].*\.", text)
            assert not FOR_CODE.search(text), text


def test_the_more_pressing_reason_is_told() -> None:
    running, ready = Run(State.RUNNING), Run(State.READY)
    assert why(running, ready, picked=False)["apply"] == RUNNING
    assert why(ready, running, picked=False)["apply"] == TRIALS
    assert why(ready, ready, running, picked=False)["apply"] == VARIED
    assert why(ready, ready, picked=False)["apply"] == "Pick a learning rate first."
    stopping = Run(State.RUNNING, stopping=True)
    assert why(stopping, ready)["start"] == "The test is stopping."
    assert why(ready, stopping)["try"] == "The trial runs are stopping."
    assert why(ready, ready, stopping)["vary"] == "The tests are stopping."


def in_state(name: str, make: Any, gate: Gate) -> LRFinder:
    """Make a finder and bring it into a state."""
    finder: LRFinder = make(gate, namespace={})
    if name in ("running", "paused", "stopping"):
        finder.start()
        gate.wait_until_asked()
        if name == "paused":
            finder.pause()
        elif name == "stopping":
            finder._session.test.stop()
    elif name in ("trying", "trials stopping"):
        finder.compare([1e-3, 1e-2], steps=10)
        gate.wait_until_asked()
        if name == "trials stopping":
            finder._session.trial_test.stop()
    elif name == "varying":
        finder.vary(momentum=[0.0, 0.9])
        gate.wait_until_asked()
    elif name in ("finished", "refused"):
        gate.losses = Script(DESCENT if name == "finished" else RISE).losses
        gate.let_all()
        finished(finder)
    return finder


STATES = ["ready", "running", "paused", "stopping", "finished", "refused", "trying"]
STATES += ["trials stopping", "varying"]


@pytest.mark.parametrize("state", STATES)
def test_a_click_on_what_is_blocked_does_nothing_but_say_why(
    make: Any, gate: Gate, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)
    finder = in_state(state, make, gate)
    optimizer = finder._session.source.task.optimizer
    session = finder._session

    def all_of_it() -> Any:
        tests = (session.test, session.trial_test, session.varied_test)
        states = [(test, test.state, test.stopping) for test in tests]
        lr = optimizer.param_groups[0]["lr"]
        return states, lr, finder.lr, marker(finder), finder.settings, finder.blocked

    before = all_of_it()
    assert finder.blocked == finder._presenter.blocked  # the page has heard of it
    said = set()
    for name in sorted(BUTTONS & set(finder.blocked)):
        type_in(finder, "no number")  # so that each reason is a change
        click(finder, name)
        assert problem(finder) == finder.blocked[name]
        said.add(name)
        assert all_of_it() == before
    assert said or state == "finished"
    gate.let_all()
    finder.stop()


@pytest.mark.parametrize("state", STATES)
def test_no_text_for_code_is_shown_to_a_hand(
    make: Any, gate: Gate, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)
    finder = in_state(state, make, gate)
    for message in [{"click": name} for name in sorted(BUTTONS)]:
        if state in ("ready", "finished", "refused") and message["click"] == "start":
            continue  # there it starts
        finder._handle_msg({"content": {"data": {"method": "custom", "content": message}}})
        shown = [*finder.status.values(), *finder.blocked.values()]
        shown += [finder.trials.get("text", ""), finder.varied.get("text", "")]
        for text in shown:
            assert not isinstance(text, str) or not FOR_CODE.search(text), (message, text)
    gate.let_all()
    finder.stop()


def test_the_sentence_for_hosts_without_widgets_names_all_three_packages() -> None:
    assert "pip install ipywidgets bqplot anywidget" in MISSING


REASONS = [
    text
    for name, text in vars(reasons).items()
    if isinstance(text, str) and name.isupper() and name != "NO_EFFECT" and text.endswith(".")
]


@pytest.mark.parametrize("reason", [*REASONS, NO_LENGTH])
def test_a_reason_that_names_arguments_names_the_boxes_of_the_page_instead(reason: str) -> None:
    assert not FOR_CODE.search(for_a_hand(reason, About()))


@pytest.mark.parametrize("about", [About(open_ended=True), About(plan=SweepPlan())])
def test_where_the_boxes_do_nothing_the_arguments_of_the_job_are_named(about: About) -> None:
    assert for_a_hand("raise end_lr, or take repeats=3.", about) == (
        "raise end_lr, or take repeats=3."
    )
    assert "Set up" in for_a_hand(NO_LENGTH, about)  # a box that counts for any curve


def test_all_reasons_are_seen() -> None:
    assert len(REASONS) > 12
    assert sum(bool(FOR_CODE.search(reason)) for reason in REASONS) >= 6
