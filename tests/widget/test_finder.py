"""The finder without a browser: a dict for the namespace, a fake shell, and no page at all."""

from __future__ import annotations

import csv
import datetime as dt
import gc
import html
import io
import itertools
import json
import math
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import IPython
import ipywidgets
import numpy as np
import pytest
import torch
from IPython.core.events import EventManager
from support import linear, loader, picture, sgd_momentum
from torch import nn

from lrfinder_widget import LossCurve, LRFinder, State

WAIT_S = 20.0
POINTS = 60

_x = np.linspace(0.0, 1.0, POINTS)
DESCENT = (2.3 - 1.6 / (1 + np.exp(-25 * (_x - 0.5))) + 40 * np.clip(_x - 0.85, 0, None)).tolist()
"""Losses that fall clearly and then turn: a candidate can be read off."""
RISE = (1.0 + _x**2).tolist()
"""Losses that only rise: nothing can be suggested."""


class Script:
    """A training step that trains nothing and returns one loss after another, over and over."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = itertools.cycle(losses)

    def __call__(self, batch: Any) -> float:
        return next(self.losses)


class Gate(Script):
    """A training step that does nothing until it is let through."""

    def __init__(self, losses: list[float] | None = None) -> None:
        super().__init__(losses or DESCENT)
        self._permits = threading.Semaphore(0)
        self._asked = threading.Semaphore(0)
        self._open = False

    def __call__(self, batch: Any) -> float:
        self._asked.release()
        if not self._open:
            assert self._permits.acquire(timeout=WAIT_S)
        return super().__call__(batch)

    def let(self, n: int = 1) -> None:
        for _ in range(n):
            self._permits.release()

    def let_all(self) -> None:
        self._open = True
        self._permits.release()

    def wait_until_asked(self, n: int = 1) -> None:
        for _ in range(n):
            assert self._asked.acquire(timeout=WAIT_S)


class Shell:
    """A notebook's shell as far as a finder looks at it; the events are IPython's own."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.events = EventManager(self, ["post_run_cell"], print_on_error=False)
        self.failures: list[str] = []
        self.parent: dict[str, Any] = {}
        self._executions = itertools.count(1)

    def get_parent(self) -> dict[str, Any]:
        return self.parent

    def showtraceback(self) -> None:
        self.failures.append("a callback of the shell failed")

    def run(self, cell: str | None, code: Callable[[], Any] = lambda: None) -> Any:
        """Execute a cell; `None` is one that the front end does not name."""
        metadata = {} if cell is None else {"cellId": cell}
        self.parent = {"metadata": metadata, "header": {"msg_id": str(next(self._executions))}}
        try:
            return code()
        finally:
            self.events.trigger("post_run_cell", None)

    @property
    def listening(self) -> int:
        return len(self.events.callbacks["post_run_cell"])


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    shell = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    yield shell
    assert shell.failures == []


@pytest.fixture
def make() -> Iterator[Callable[..., LRFinder]]:
    """Make finders with a model of their own, and close them in the end."""
    made: list[LRFinder] = []

    def make(losses: Any = DESCENT, model: nn.Module | None = None, **options: Any) -> LRFinder:
        model = model or linear()
        step = losses if callable(losses) else Script(losses)
        options = {"num_iter": POINTS, "start_lr": 1e-5, "end_lr": 1.0, **options}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        finder = LRFinder(model, optimizer, [0], step=step, stop=None, **options)
        made.append(finder)
        return finder

    yield make
    for finder in made:
        if isinstance(step := getattr(finder._sweep, "_step", None), Gate):
            step.let_all()
        in_thread(finder.close)()  # in bounded time


@pytest.fixture
def gate() -> Gate:
    return Gate()


def in_thread(act: Callable[[], Any]) -> Callable[[], Any]:
    """Call `act` in another thread; the function returned waits for it and returns its result."""
    result: list[Any] = []
    done = threading.Event()

    def work() -> None:
        try:
            result.append(act())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            result.append(error)
        done.set()

    threading.Thread(target=work, daemon=True).start()

    def finish(timeout: float = WAIT_S) -> Any:
        assert done.wait(timeout), "still not through"
        return result[0]

    return finish


def stopping(finder: LRFinder) -> threading.Event:
    """An event that is set when the run under way has been asked to stop."""
    asked = threading.Event()
    finder._test.listen(lambda test: asked.set() if test.stopping else None)
    return asked


def while_held(gate: Gate, finder: LRFinder, act: Callable[[], Any]) -> Any:
    """Do what stops the finder's run, and let the step under way through only when it is asked."""
    gate.wait_until_asked()
    asked = stopping(finder)
    finish = in_thread(act)
    assert asked.wait(WAIT_S)
    gate.let_all()
    return finish()


# What a person sees and does; the page's side of it is `set_state`, as a message from it would be.


def status(finder: LRFinder) -> str:
    return finder._view.controls.status.value


def written(finder: LRFinder) -> str:
    return finder._view.controls.written.value


def box(finder: LRFinder) -> str:
    return finder._view.controls.number.value


def type_in(finder: LRFinder, text: str) -> None:
    finder._view.controls.number.set_state({"value": text})


def drag(finder: LRFinder, lr: float, *, released: bool = True) -> None:
    start = finder._view.marker.lr
    finder._view.marker.set_state({"lr": lr, "moving_from": None if released else start})


_commits = itertools.count(1)


def commit(finder: LRFinder, lr: float) -> None:
    finder._view.marker.set_state({"lr": lr, "commit": {"lr": lr, "n": next(_commits)}})


def marker(finder: LRFinder) -> tuple[float, str]:
    return finder._view.marker.lr, finder._view.marker.kind


def finished(finder: LRFinder) -> LRFinder:
    return finder.start().wait(WAIT_S)


def candidate(finder: LRFinder) -> float:
    lr = finder.suggestion.lr
    assert lr is not None
    return lr


# -- states ---------------------------------------------------------------------------------------


def test_before_the_first_start_there_is_nothing(make: Any) -> None:
    finder = make(namespace={})
    assert (finder.state, finder.reason, finder.exception) == (State.READY, None, None)
    assert (finder.lr, finder.curves, len(finder.curve)) == (None, [], 0)
    assert finder.suggestion.lr is None
    assert repr(finder) == "LRFinder(ready, 0 points, lr=None)"


def test_start_runs_in_the_background_and_returns_the_finder(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    assert finder.start() is finder
    assert (finder.state, finder.reason) == (State.RUNNING, None)
    gate.let_all()
    assert finder.wait(WAIT_S) is finder
    assert (finder.state, finder.reason) == (State.FINISHED, "completed")
    assert finder.curve.losses.tolist() == DESCENT
    assert finder.curves == [finder.curve]


def test_a_weak_candidate_is_shown_as_one_until_the_next_run(make: Any) -> None:
    lrs = np.geomspace(1e-5, 1.0, POINTS)
    noise = np.random.default_rng(0).normal(0, 0.9, size=(50, POINTS))
    curves = (LossCurve(lrs, each + DESCENT) for each in noise)
    hidden = next(curve.losses.tolist() for curve in curves if curve.suggestion.weak)
    finder = finished(make([*hidden, *DESCENT], namespace={}))
    marker = finder._view.marker
    assert (marker.lr, marker.kind, marker.weak) == (candidate(finder), "candidate", True)
    finished(finder)
    assert (marker.lr, marker.kind, marker.weak) == (candidate(finder), "candidate", False)


def test_a_real_test_leaves_model_and_optimizer_as_they_were() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    finder = LRFinder(model, optimizer, loader(), nn.CrossEntropyLoss(), namespace={})
    before = picture(model, optimizer)
    finished(finder)
    assert picture(model, optimizer) == before
    assert len(finder.curve) > 50
    finder.close()


@pytest.mark.parametrize("paused", [False, True])
def test_start_while_it_runs_or_is_paused_is_refused(make: Any, gate: Gate, paused: bool) -> None:
    finder = make(gate, namespace={}).start()
    gate.wait_until_asked()
    if paused:
        finder.pause()
    with pytest.raises(RuntimeError, match=r"is (running|paused); call stop\(\) first"):
        finder.start()
    assert finder.state is (State.PAUSED if paused else State.RUNNING)


def test_pause_and_resume(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    gate.wait_until_asked()
    finder.pause()
    assert finder.state is State.PAUSED
    finder.resume()
    assert finder.state is State.RUNNING
    gate.let_all()
    assert finder.wait(WAIT_S).state is State.FINISHED


def test_pause_and_resume_at_the_wrong_moment_are_refused(make: Any) -> None:
    finder = make(namespace={})
    for act in (finder.pause, finder.resume):
        with pytest.raises(RuntimeError, match="this one is ready"):
            act()


@pytest.mark.parametrize("paused", [False, True])
def test_stop_returns_when_everything_is_put_back(make: Any, gate: Gate, paused: bool) -> None:
    model = linear()
    before = [p.clone() for p in model.parameters()]

    def step(batch: Any) -> float:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        return gate(batch)

    finder = make(step, model=model, namespace={}).start()
    gate.let(2)
    gate.wait_until_asked(2)
    if paused:
        finder.pause()
    while_held(gate, finder, finder.stop)
    assert (finder.state, finder.reason) == (State.STOPPED, "stopped")
    assert all(map(torch.equal, model.parameters(), before))


def test_stop_does_nothing_where_nothing_runs(make: Any) -> None:
    finder = make(namespace={})
    finder.stop()
    assert finder.state is State.READY
    finished(finder).stop()
    assert finder.state is State.FINISHED


def test_wait_before_the_start_or_in_a_pause_is_refused(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    with pytest.raises(RuntimeError, match=r"is ready; call start\(\) first"):
        finder.wait()
    finder.start()
    finder.pause()
    with pytest.raises(RuntimeError, match=r"is paused; call resume\(\) or stop\(\) first"):
        finder.wait()


def test_wait_past_its_time_says_so_and_the_test_goes_on(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    with pytest.raises(TimeoutError, match="has not ended"):
        finder.wait(0.01)
    assert finder.state is State.RUNNING
    gate.let_all()
    assert finder.wait(WAIT_S).state is State.FINISHED


def test_each_run_adds_a_curve(make: Any) -> None:
    finder = make([3.0, *DESCENT], num_iter=POINTS, namespace={})
    first = finished(finder).curve
    second = finished(finder).curve
    assert first != second
    assert finder.curves == [first, second]


def test_the_users_own_exception_is_kept_and_raised_by_wait(make: Any) -> None:
    error = ValueError("expected 3 channels")

    def step(batch: Any) -> float:
        raise error

    finder = make(step, namespace={}).start()
    with pytest.raises(ValueError, match="expected 3 channels") as caught:
        finder.wait(WAIT_S)
    assert caught.value is finder.exception is error
    assert (finder.state, finder.reason) == (State.FAILED, "failed")


def test_after_a_failure_it_can_be_started_again(make: Any) -> None:
    losses = iter([ValueError("once"), *DESCENT])

    def step(batch: Any) -> float:
        loss = next(losses)
        if isinstance(loss, Exception):
            raise loss
        return loss

    finder = make(step, namespace={}).start()
    with pytest.raises(ValueError, match="once"):
        finder.wait(WAIT_S)
    finished(finder)
    assert (finder.state, finder.exception) == (State.FINISHED, None)
    assert "once" not in status(finder)


def test_a_start_that_fails_at_once_does_not_keep_the_cell(make: Any) -> None:
    class Unreadable:
        def state_dict(self) -> Any:
            raise OSError("no state to read")

        def load_state_dict(self, state: Any) -> None:
            raise AssertionError

    finder = make(preserve=[Unreadable()], namespace={})
    assert in_thread(finder.start)(5.0) is finder
    with pytest.raises(OSError, match="no state to read"):
        finder.wait(WAIT_S)
    assert finder.state is State.FAILED


def test_a_start_without_a_thread_to_be_had_ends_as_a_failure(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = make(namespace={})
    begin = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "LR range test":
            raise RuntimeError("can't start new thread")
        begin(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            finder.start()
    assert finder.state is State.FAILED
    assert in_thread(finder.stop)() is None
    assert finished(finder).state is State.FINISHED


@pytest.mark.parametrize("act", ["stop", "pause"])
def test_a_run_that_is_halted_before_it_begins_does_not_keep_the_cell(
    make: Any, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    finder = make(namespace={})
    begin = threading.Thread.start

    def begin_late(thread: threading.Thread) -> None:
        if thread.name == "LR range test":
            getattr(finder._test, act)()  # on another thread, it could come just then
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", begin_late)
    assert in_thread(finder.start)(5.0) is finder
    finder.stop()
    assert (finder.state, len(finder.curve)) == (State.STOPPED, 0)


def test_an_interrupted_start_leaves_a_run_that_can_be_stopped(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})

    def interrupt(change: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            finder._view.controls.status.unobserve_all()
            raise KeyboardInterrupt

    finder._view.controls.status.observe(interrupt, "value")
    with pytest.raises(KeyboardInterrupt):
        finder.start()
    while_held(gate, finder, finder.stop)
    assert finder.state is State.STOPPED


def test_start_works_on_any_thread(make: Any) -> None:
    finder = make(namespace={})
    assert in_thread(lambda: finished(finder))() is finder
    assert finder.state is State.FINISHED


def test_of_two_starts_at_once_one_is_refused(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    starts = [in_thread(finder.start) for _ in range(2)]
    outcomes = [finish() for finish in starts]
    assert finder in outcomes
    assert [type(o) for o in outcomes if o is not finder] == [RuntimeError]


# -- close ----------------------------------------------------------------------------------------


def test_close_stops_a_run_and_restores(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    assert while_held(gate, finder, finder.close) is None
    assert finder.state is State.STOPPED


def test_close_twice_and_from_two_threads(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    gate.wait_until_asked()
    closing = [in_thread(finder.close) for _ in range(2)]
    gate.let_all()
    assert [finish() for finish in closing] == [None, None]
    finder.close()


def test_a_step_may_close_its_finder_even_while_another_thread_closes_it(
    make: Any, gate: Gate
) -> None:
    finders: list[LRFinder] = []

    def step(batch: Any) -> float:
        loss = gate(batch)
        finders[0].close()
        return loss

    finders.append(make(step, namespace={}))
    finder = finders[0].start()
    assert while_held(gate, finder, finder.close) is None
    assert finder.state is State.STOPPED


def test_a_closed_finder_cannot_be_started_but_its_curve_can_be_read(make: Any) -> None:
    finder = finished(make(namespace={}))
    finder.close()
    with pytest.raises(RuntimeError, match="is closed; make a new one"):
        finder.start()
    assert finder.curve.losses.tolist() == DESCENT
    assert finder.pick() == finder.lr


def test_a_closed_finder_hears_no_more_cells(make: Any, shell: Shell) -> None:
    finder = make()
    assert shell.listening == 1
    finder.close()
    assert shell.listening == 0


def test_a_finder_can_be_closed_after_the_callbacks_were_cleared(make: Any, shell: Shell) -> None:
    finder, before = make(), number_of_widgets()
    shell.events.callbacks["post_run_cell"].clear()
    finder.close()
    assert number_of_widgets() < before


def test_closing_every_widget_at_once_stops_the_run(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    assert while_held(gate, finder, ipywidgets.Widget.close_all) is None
    assert finder.state is State.STOPPED


def test_an_interrupted_close_can_be_finished(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = make(namespace={})
    before = number_of_widgets()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finder, "stop", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finder.close()
    finder.close()
    assert number_of_widgets() < before


# -- picks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "picked"),
    [
        (0.0031622776, 0.00316),
        (1, 1.0),
        (0.1, 0.1),
        (np.float32(0.3), 0.3),
        (np.int64(2), 2.0),
        (Fraction(1, 3), 0.333),
        (1e-300, 1e-300),
        (123456.0, 123000.0),  # outside the range is the user's own affair
    ],
)
def test_a_pick_in_code_is_rounded_and_written(make: Any, given: Any, picked: float) -> None:
    namespace: dict[str, Any] = {"lr": 0.5}
    finder = make(namespace=namespace)
    assert finder.pick(given) == finder.lr == namespace["lr"] == picked
    assert type(namespace["lr"]) is float
    assert marker(finder) == (picked, "pick")
    assert box(finder) == f"{picked:.2e}"
    assert f"lr = {picked:.2e}" in written(finder)
    assert "nothing picked" not in written(finder)


@pytest.mark.parametrize(
    "given",
    [0, -0.1, math.nan, math.inf, -math.inf, "0.1", True, 1j, 10**400, [0.1], torch.tensor(0.1)],
    ids=lambda given: repr(given)[:12],
)
def test_a_pick_that_is_no_positive_number_is_refused(make: Any, given: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    with pytest.raises(ValueError, match="lr must be a positive, finite number"):
        finder.pick(given)
    assert (namespace, finder.lr, marker(finder)) == ({"lr": 0.5}, None, (0.5, "start"))


@pytest.mark.parametrize("given", [1.7976931348623157e308, 5e-324])
def test_no_rounding_makes_a_pick_zero_or_infinite(make: Any, given: float) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)
    try:
        picked = finder.pick(given)
    except ValueError:
        assert (namespace, finder.lr) == ({}, None)
    else:
        assert 0 < picked < math.inf


def test_without_a_number_the_suggestion_is_picked(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    picked = finder.pick()
    assert picked == float(f"{candidate(finder):.2e}")
    assert namespace == {"lr": picked}
    assert marker(finder) == (picked, "pick")


@pytest.mark.parametrize("ran", [False, True])
def test_a_pick_without_a_suggestion_raises_with_the_reason(make: Any, ran: bool) -> None:
    namespace = {"lr": 0.5}
    finder = make(RISE, namespace=namespace)
    if ran:
        finished(finder)
    with pytest.raises(RuntimeError) as caught:
        finder.pick()
    assert finder.suggestion.reason in str(caught.value)
    assert (namespace, finder.lr) == ({"lr": 0.5}, None)


def test_a_commit_on_the_page_is_a_pick(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)
    commit(finder, 0.0031622776)
    assert namespace == {"lr": 0.00316}
    assert finder.lr == 0.00316
    assert marker(finder) == (0.00316, "pick")
    assert f"{finder._view.marker.lr:.2e}" == box(finder) == "3.16e-03"
    assert "lr = 3.16e-03" in written(finder)


def test_the_page_is_told_when_its_commit_has_been_written(make: Any) -> None:
    finder = make(namespace={})
    commit(finder, 0.01)
    assert finder._view.marker.received == finder._view.marker.commit["n"]


def test_a_marker_that_is_moved_writes_nothing(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    drag(finder, 0.01, released=False)
    drag(finder, 0.02)
    assert (namespace, finder.lr, box(finder)) == ({"lr": 0.5}, None, "2.00e-02")
    assert "nothing picked yet" in written(finder)


@pytest.mark.parametrize(
    "message",
    [
        {"commit": {"lr": math.nan, "n": 1}},
        {"commit": {"lr": -1.0, "n": 1}},
        {"commit": {"lr": "0.1", "n": 1}},
        {"commit": {"lr": 0.1}},
        {"commit": 0.1},
        {"lr": math.inf},
        {"lr": None},
    ],
)
def test_a_message_that_makes_no_sense_changes_nothing(make: Any, message: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    finder._view.marker.set_state(message)
    assert (namespace, finder.lr, marker(finder)) == ({"lr": 0.5}, None, (0.5, "start"))


def test_the_use_button_picks_where_the_marker_stands(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    finder._view.controls.use.click()
    assert namespace == {"lr": float(f"{candidate(finder):.2e}")}
    drag(finder, 0.0123456)
    finder._view.controls.use.click()
    assert namespace == {"lr": 0.0123}
    assert marker(finder) == (0.0123, "pick")


def test_marker_variable_and_pick_agree_after_commits_from_many_threads(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)

    def pick_often(first: int) -> None:
        for i in range(first, first + 40):
            finder.pick(i / 1000)

    picking = [in_thread(lambda first=first: pick_often(first)) for first in (1, 101, 201, 301)]
    assert [finish() for finish in picking] == [None] * 4
    assert namespace["lr"] == finder.lr == finder._view.marker.lr


# -- the candidate --------------------------------------------------------------------------------


def test_at_the_end_the_marker_goes_to_the_candidate_and_nothing_is_written(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = finished(make(namespace=namespace))
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
    finder._view.controls.pause.click()  # anything that draws again
    assert finder._view.marker.lr == 0.02


# -- the variable ---------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [0.0123456, 3, np.float32(0.5), 1e-9, 1e3])
def test_the_marker_starts_unrounded_at_what_the_variable_holds(make: Any, held: Any) -> None:
    finder = make(namespace={"lr": held})
    assert marker(finder) == (float(held), "start")
    assert f"lr = {float(held):.2e}" in written(finder)
    assert "nothing picked yet" in written(finder)


@pytest.mark.parametrize("held", [None, -1.0, 0, math.nan, math.inf, "0.1", math, True])
def test_where_it_holds_no_positive_number_the_marker_starts_in_the_middle(
    make: Any, held: Any
) -> None:
    finder = make(namespace={"lr": held})
    assert marker(finder) == (pytest.approx(math.sqrt(1e-5 * 1.0)), "start")


def test_what_is_no_number_is_kept_and_the_status_says_so(make: Any) -> None:
    namespace: dict[str, Any] = {"lr": math}
    finder = make(namespace=namespace)
    commit(finder, 0.01)
    assert namespace == {"lr": math}
    assert "lr holds a module, not a number" in status(finder)
    assert (finder.lr, marker(finder)) == (0.01, (0.01, "pick"))
    namespace["lr"] = None
    finder.pick(0.02)
    assert namespace == {"lr": 0.02}
    assert "not a number" not in status(finder)


def test_a_namespace_that_refuses_is_shown_not_raised(make: Any) -> None:
    class Sealed(dict[str, Any]):
        def __setitem__(self, key: str, value: object) -> None:
            raise PermissionError("<sealed>")

    finder = make(namespace=Sealed())
    commit(finder, 0.01)
    assert "lr could not be assigned: &lt;sealed&gt;" in status(finder)
    assert finder.lr == 0.01


def test_another_name_is_written_and_shown(make: Any) -> None:
    namespace: dict[str, Any] = {"lr": 0.5}
    finder = make(namespace=namespace, variable="max_lr")
    finder.pick(0.01)
    assert namespace == {"lr": 0.5, "max_lr": 0.01}
    assert "max_lr = 1.00e-02" in written(finder)
    assert finder._view.marker.variable == "max_lr"


def test_without_a_variable_the_pick_is_in_the_finder_alone(make: Any, shell: Shell) -> None:
    finder = make(variable=None)
    finder.pick(0.01)
    assert (finder.lr, shell.user_ns, shell.listening) == (0.01, {}, 0)
    assert "1.00e-02" in written(finder)
    assert status(finder)


def test_outside_a_notebook_the_pick_is_in_the_finder_alone(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    finder = make()
    finder.pick(0.01)
    assert finder.lr == 0.01
    assert "1.00e-02" in written(finder)


def test_by_default_the_pick_is_in_the_notebooks_namespace(make: Any, shell: Shell) -> None:
    finder = shell.run("a", make)
    commit(finder, 0.01)
    assert shell.run("b", lambda: shell.user_ns["lr"]) == 0.01


@pytest.mark.parametrize("value", [0.0123456, 2, np.float32(0.5)])
def test_a_cell_that_assigns_moves_the_marker_unrounded(
    make: Any, shell: Shell, value: Any
) -> None:
    finder = shell.run("a", make)
    shell.run("b", lambda: shell.user_ns.update(lr=value))
    assert marker(finder) == (float(value), "pick")
    assert finder.lr == float(value)
    assert shell.user_ns["lr"] is value
    assert f"lr = {float(value):.2e}" in written(finder)


def test_what_the_constructing_cell_assigns_afterwards_is_followed(make: Any, shell: Shell) -> None:
    def cell() -> LRFinder:
        finder = make()
        shell.user_ns["lr"] = 0.02
        return finder

    assert marker(shell.run("a", cell)) == (0.02, "pick")


@pytest.mark.parametrize("value", [-1.0, 0, math.nan, math.inf, "0.1", math, True, None])
def test_what_is_no_positive_number_does_not_move_the_marker(
    make: Any, shell: Shell, value: Any
) -> None:
    shell.user_ns["lr"] = 0.5
    finder = shell.run("a", make)
    shell.run("b", lambda: shell.user_ns.update(lr=value))
    assert marker(finder) == (0.5, "start")
    assert finder.lr is None


def test_cells_that_do_not_assign_change_nothing(make: Any, shell: Shell) -> None:
    finder = finished(shell.run("a", make))
    for _ in range(3):
        shell.run("b")
    assert marker(finder) == (candidate(finder), "candidate")
    commit(finder, 0.01)
    for _ in range(3):
        shell.run("b")
    assert (marker(finder), finder.lr) == ((0.01, "pick"), 0.01)


def test_what_another_finder_wrote_is_not_followed(make: Any, shell: Shell) -> None:
    one, other = shell.run("a", make), shell.run("b", make)
    one.pick(0.02)
    other.pick(0.03)
    shell.run("c")
    assert shell.user_ns["lr"] == 0.03
    assert one._view.marker.lr == one.lr == 0.02
    assert marker(one)[1] != "pick"  # not drawn as if the notebook had it
    assert marker(other) == (0.03, "pick")
    assert "lr = 3.00e-02" in written(one)


@pytest.mark.parametrize("held", ["deleted", "something else"])
def test_a_variable_that_is_gone_is_not_shown_as_picked(make: Any, shell: Shell, held: str) -> None:
    finder = shell.run("a", make)
    commit(finder, 0.01)
    if held == "deleted":
        shell.run("b", shell.user_ns.clear)  # as %reset does
    else:
        shell.run("b", lambda: shell.user_ns.update(lr="cosine"))
    assert marker(finder) == (0.01, "start")
    assert "lr = " not in written(finder)
    commit(finder, 0.02)
    assert shell.user_ns["lr"] == (0.02 if held == "deleted" else "cosine")


# -- the number box -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "picked"),
    [("0.01", 0.01), ("1e-2", 0.01), (" 3.1622e-03 ", 0.00316), ("1", 1.0), ("50", 50.0)],
)
def test_a_number_that_is_typed_is_a_pick(make: Any, typed: str, picked: float) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)
    type_in(finder, typed)
    assert namespace == {"lr": picked}
    assert (finder.lr, marker(finder)) == (picked, (picked, "pick"))
    assert box(finder) == f"{picked:.2e}"


def test_the_box_shows_the_number_as_it_is_shown_everywhere(make: Any) -> None:
    finder = make(namespace={})
    for typed in ("0.01", "0.010", "1e-2"):
        type_in(finder, typed)
        assert box(finder) == "1.00e-02"


BAD = ["", "  ", "abc", "0,01", "nan", "-1", "0", "inf", "1e999", "1e-999", "0.1 0.2", "lr"]


@pytest.mark.parametrize("typed", BAD)
def test_what_is_typed_and_is_no_positive_number_is_said_and_taken_back(
    make: Any, typed: str
) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    type_in(finder, typed)
    assert (namespace, finder.lr, marker(finder)) == ({"lr": 0.5}, None, (0.5, "start"))
    assert box(finder) == "5.00e-01"
    assert "is no positive number" in status(finder)


def test_markup_that_is_typed_stays_text(make: Any) -> None:
    finder = make(namespace={})
    type_in(finder, "<img src=x onerror=alert(1)>")
    assert "<img" not in status(finder)
    assert "&lt;img src=x onerror=alert(1)&gt;" in status(finder)


def test_a_complaint_goes_away_with_the_next_pick_or_start(make: Any) -> None:
    finder = make(namespace={})
    type_in(finder, "abc")
    type_in(finder, "0.01")
    assert "is no positive number" not in status(finder)
    type_in(finder, "abc")
    finished(finder)
    assert "is no positive number" not in status(finder)


# -- buttons and texts ----------------------------------------------------------------------------


def test_a_double_click_on_start_starts(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder._view.controls.start.click()
    finder._view.controls.start.click()
    assert finder.state is State.RUNNING
    assert "Stopping" not in status(finder)
    gate.let_all()
    assert finder.wait(WAIT_S).state is State.FINISHED


def labels(finder: LRFinder) -> tuple[str, str, bool]:
    controls = finder._view.controls
    return controls.start.description, controls.pause.description, controls.pause.disabled


def test_the_buttons_say_what_they_would_do(
    make: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrfinder_widget.widget.finder._DOUBLE_CLICK_S", 0.0)
    finder = make(gate, namespace={})
    controls = finder._view.controls
    assert labels(finder) == ("Start", "Pause", True)
    controls.start.click()
    assert (finder.state, labels(finder)) == (State.RUNNING, ("Stop", "Pause", False))
    gate.wait_until_asked()
    controls.pause.click()
    assert (finder.state, labels(finder)) == (State.PAUSED, ("Stop", "Resume", False))
    controls.pause.click()
    assert (finder.state, labels(finder)) == (State.RUNNING, ("Stop", "Pause", False))
    controls.start.click()
    assert "Stopping" in status(finder)
    gate.let_all()
    finder._test.join(WAIT_S)
    assert (finder.state, labels(finder)) == (State.STOPPED, ("Start", "Pause", True))
    controls.start.click()
    assert finder.wait(WAIT_S).state is State.FINISHED


def test_what_a_click_runs_into_is_shown_not_raised(make: Any) -> None:
    finder = make(namespace={})
    finder._view.controls.pause.click()  # the page was too late to know that it is disabled
    assert "can be paused; this one is ready" in status(finder)
    start = finder._view.controls.start
    finder.close()
    start.click()
    assert finder.state is State.READY


def test_the_status_says_where_the_test_is(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    assert f"trains {POINTS} steps" in status(finder)
    finder.start()
    gate.wait_until_asked()
    assert "Running." in status(finder)
    finder.pause()
    assert "Paused after 0 of 60 steps" in status(finder)
    finder.resume()
    gate.let_all()
    finder.wait(WAIT_S)
    assert "All 60 steps done. Everything is put back." in status(finder)


@pytest.mark.parametrize(
    ("losses", "stop", "batches", "reason", "said"),
    [
        ([2.0, 1.0, math.nan], None, [0], "non-finite", "no longer finite at"),
        (DESCENT, lambda losses: len(losses) == 7, [0], "stop-rule", "Your stop rule ended"),
        ([*DESCENT[:50], *np.geomspace(9, 1e6, 10)], "divergence", [0], "diverged", "diverged at"),
        (DESCENT, None, iter(range(9)), "exhausted", "used up after 9 of 60 steps"),
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
    assert "Everything is put back." in status(finder)
    finder.close()


def test_the_progress_is_the_number_of_points(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    progress = finder._view.controls.progress
    assert (progress.value, progress.max) == (0, POINTS)
    finder.start()
    gate.let_all()
    finder.wait(WAIT_S)
    assert progress.value == POINTS
    assert f"{POINTS} / {POINTS}" in finder._view.controls.pace.value


def test_an_exception_is_shown_as_text_with_a_folded_traceback(make: Any) -> None:
    def broken_step(batch: Any) -> float:
        raise ValueError("<script>alert('&')</script>")

    finder = make(broken_step, namespace={}).start()
    with pytest.raises(ValueError, match="script"):
        finder.wait(WAIT_S)
    html = status(finder)
    assert "<script" not in html
    assert "ValueError: &lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in html
    assert "Failed after 0 steps, everything is put back." in html
    sentence, folded = html.split("<details>")  # closed until somebody opens it
    assert "Traceback" not in sentence
    assert "broken_step" in folded
    assert labels(finder) == ("Start", "Pause", True)


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
    assert labels(finder) == ("Start", "Pause", True)


@pytest.mark.parametrize("loss", [1e308, -1e308, 5e-324, 0.0])
def test_no_loss_is_too_odd_to_be_drawn(make: Any, loss: float) -> None:
    finder = finished(make([loss, -loss], namespace={}))
    assert f"All {POINTS} steps done." in status(finder)
    for axis in finder._view.chart.figure.axes:
        assert math.isfinite(axis.scale.min)
        assert math.isfinite(axis.scale.max)


def test_hosts_without_the_widgets_show_what_to_install(make: Any) -> None:
    finder = make(namespace={})
    bundle = finder._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert repr(finder) in bundle["text/plain"]
    assert "pip install ipywidgets bqplot anywidget" in bundle["text/plain"]


# -- several finders ------------------------------------------------------------------------------


def test_a_cell_that_runs_again_closes_its_earlier_finder(
    make: Any, shell: Shell, gate: Gate
) -> None:
    earlier = shell.run("a", lambda: make(gate).start())
    later = while_held(gate, earlier, lambda: shell.run("a", make))
    assert earlier.state is State.STOPPED  # and restored, before the constructor returned
    with pytest.raises(RuntimeError, match="is closed"):
        earlier.start()
    assert (later.state, shell.listening) == (State.READY, 1)


def test_the_restore_of_the_earlier_finder_comes_before_the_new_one_is_there(
    make: Any, shell: Shell, gate: Gate
) -> None:
    model = linear()
    before = [p.clone() for p in model.parameters()]

    def step(batch: Any) -> float:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        return gate(batch)

    def again() -> list[torch.Tensor]:
        make()
        return [p.detach().clone() for p in model.parameters()]

    earlier = shell.run("a", lambda: make(step, model=model).start())
    after = while_held(gate, earlier, lambda: shell.run("a", again))
    assert all(map(torch.equal, after, before))


def test_finders_of_other_cells_stay_open(make: Any, shell: Shell) -> None:
    one, other = shell.run("a", make), shell.run("b", make)
    shell.run("c", make)
    assert finished(one).state is finished(other).state is State.FINISHED
    assert shell.listening == 3


def test_two_finders_of_one_execution_live_side_by_side(make: Any, shell: Shell) -> None:
    pair = shell.run("a", lambda: (make(), make()))
    assert [finished(finder).state for finder in pair] == [State.FINISHED] * 2
    again = shell.run("a", lambda: (make(), make()))
    for finder in pair:
        with pytest.raises(RuntimeError, match="is closed"):
            finder.start()
    assert [finished(finder).state for finder in again] == [State.FINISHED] * 2


@pytest.mark.parametrize("parent", [None, {}, {"metadata": {}}, {"header": None}, "nothing"])
def test_where_the_front_end_does_not_name_the_cell_nothing_is_closed(
    make: Any, shell: Shell, parent: Any
) -> None:
    shell.parent = parent
    one, other = make(), make()
    assert [finished(finder).state for finder in (one, other)] == [State.FINISHED] * 2


def test_a_second_finder_on_the_same_model_stops_the_first_before_it_starts(make: Any) -> None:
    model, events = linear(), []
    before = [p.clone() for p in model.parameters()]
    gate = Gate()

    def spoil(batch: Any) -> float:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        return gate(batch)

    def look(batch: Any) -> float:
        events.append(all(map(torch.equal, model.parameters(), before)))
        return 1.0

    first = make(spoil, model=model, namespace={}).start()
    second = make(look, model=model, namespace={})
    assert while_held(gate, first, lambda: finished(second)) is second
    assert first.state is State.STOPPED
    assert events == [True] * POINTS


def test_a_finder_that_shares_a_layer_stops_the_other_too(make: Any, gate: Gate) -> None:
    body = linear()
    first = make(gate, model=body, namespace={}).start()
    second = make(model=nn.Sequential(body, nn.ReLU()), namespace={})
    assert while_held(gate, first, lambda: finished(second)) is second
    assert first.state is State.STOPPED


def test_a_finder_that_puts_the_model_back_as_well_stops_the_other(make: Any, gate: Gate) -> None:
    half = linear()
    first = make(gate, model=half, namespace={}).start()
    second = make(preserve=[half], namespace={})
    assert while_held(gate, first, lambda: finished(second)) is second
    assert first.state is State.STOPPED


def test_of_two_finders_on_one_model_that_start_at_once_one_waits_for_the_other(make: Any) -> None:
    model, inside, together = linear(), [], []

    def step(batch: Any) -> float:
        inside.append(1)
        together.append(len(inside))
        inside.pop()
        return 1.0

    finders = [make(step, model=model, namespace={}) for _ in range(4)]
    barrier = threading.Barrier(len(finders))

    def start(finder: LRFinder) -> None:
        barrier.wait(WAIT_S)
        finder.start()

    for ended in [in_thread(partial(start, finder)) for finder in finders]:
        ended()
    for finder in finders:
        finder._test.join(WAIT_S)
    assert set(together) == {1}
    assert {finder.state for finder in finders} <= {State.STOPPED, State.FINISHED}


def test_a_step_that_starts_its_own_finder_is_told_so(make: Any) -> None:
    finders: list[LRFinder] = []

    def step(batch: Any) -> float:
        finders[0].start()
        return 1.0

    finders.append(make(step, namespace={}))
    with pytest.raises(RuntimeError, match="running; call stop"):
        finished(finders[0])


def test_finders_on_other_models_run_side_by_side(make: Any) -> None:
    gates = [Gate(), Gate(), Gate()]
    finders = [make(gate, namespace={}).start() for gate in gates]
    for gate in gates:
        gate.wait_until_asked()
    assert [finder.state for finder in finders] == [State.RUNNING] * 3
    for gate in gates:
        gate.let_all()
    assert [finder.wait(WAIT_S).state for finder in finders] == [State.FINISHED] * 3


# -- what stays behind ----------------------------------------------------------------------------


def number_of_widgets() -> int:
    return len(ipywidgets.widgets.widget._instances)


def worker_threads() -> int:
    return sum(thread.name == "LR range test" for thread in threading.enumerate())


def test_neither_widgets_nor_threads_nor_callbacks_pile_up_when_a_cell_runs_again(
    make: Any, shell: Shell
) -> None:
    counts = []
    for _ in range(20):
        finished(shell.run("a", make))
        counts.append((number_of_widgets(), shell.listening))
    assert counts == [counts[0]] * 20
    assert worker_threads() <= 1  # the last one may still be on its way out


def test_a_finder_has_few_models_and_what_they_share_never_changes(make: Any) -> None:
    before = number_of_widgets()
    finder = make(namespace={})
    assert number_of_widgets() - before < 110
    shared = list(finder._view._make._made.values())
    looks = [one.get_state() for one in shared]
    view = finder._view
    for toggle in (view.setup.toggle, view.saving.toggle, view.trials.toggle):
        toggle.value = True
    finished(finished(finder)).pick(0.01)
    finder.compare([0.1], steps=10).wait(WAIT_S)
    view.marker.ready = True
    for toggle in (view.setup.toggle, view.saving.toggle, view.trials.toggle):
        toggle.value = False
    assert [one.get_state() for one in shared] == looks


def test_closing_leaves_no_widget_behind(make: Any) -> None:
    before = number_of_widgets()
    finished(make(namespace={})).close()
    assert number_of_widgets() == before


def test_a_closed_finder_is_let_go(shell: Shell) -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(model, optimizer, [0], step=Script(DESCENT), num_iter=POINTS)
    view = finder._view
    gone = [weakref.ref(one) for one in (finder, model, view.marker, view.chart.figure)]
    finished(finder).close()
    del finder, model, optimizer, view
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4


def test_python_ends_in_silence_with_a_finder_still_open() -> None:
    source = """
import torch
from torch import nn
from lrfinder_widget import LRFinder
model, data = nn.Linear(4, 1), [(torch.ones(2, 4), torch.ones(2, 1))]
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
finder = LRFinder(model, optimizer, data, nn.MSELoss(), num_iter=20)
finder.start().wait()
"""
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_closed_finder_that_ipython_keeps_keeps_no_model(shell: Shell) -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [(torch.randn(8, 6), torch.zeros(8, dtype=torch.long))]
    finder = LRFinder(model, optimizer, data, nn.CrossEntropyLoss(), num_iter=POINTS, stop=None)
    finished(finder).pick(0.01)
    finder.apply()
    finder.compare([0.1], steps=10).wait(WAIT_S)
    code, ranking = finder.code, finder.comparison.ranking
    finder.close()
    gone = [weakref.ref(thing) for thing in (model, optimizer, model.weight, data[0][0])]
    del model, optimizer, data
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4
    # What was found can still be read.
    assert (len(finder.curve), finder.code, finder.parameters()) == (POINTS, code, [])
    assert finder.comparison.ranking == ranking
    assert "svg" in finder.snapshot()._repr_svg_()
    assert "LRFinder" in repr(finder)


def test_a_closed_finder_that_ipython_keeps_keeps_no_widget_but_itself(make: Any) -> None:
    namespace: dict[str, Any] = {}

    def widgets() -> int:
        gc.collect()
        return sum(issubclass(type(thing), ipywidgets.Widget) for thing in gc.get_objects())

    before = widgets()
    finder = finished(finished(make(namespace=namespace)))
    finder.add(LossCurve([1e-3, 1e-2, 1e-1], [3.0, 2.0, 1.0]), name="of another")
    names = [run["name"] for run in json.loads(finder.to_json())["runs"]]
    assert widgets() > before + 100
    finder.close()
    assert widgets() - before <= 2  # it is one, with a layout
    # What was found can still be read, and picked.
    assert [run["name"] for run in json.loads(finder.to_json())["runs"]] == names
    assert [len(curve) for curve in finder.curves] == [POINTS, POINTS]
    assert "of another" in finder.to_csv()
    assert "svg" in finder.snapshot()._repr_svg_()
    assert finder.pick(0.02) == finder.lr == namespace["lr"] == 0.02


def test_an_exception_that_is_kept_does_not_keep_the_copy_of_the_model(make: Any) -> None:
    model = nn.Linear(613, 2)

    def weights() -> int:
        gc.collect()
        kinds = (torch.Tensor, nn.Parameter)
        return sum(type(o) in kinds and o.shape == model.weight.shape for o in gc.get_objects())

    def step(batch: Any) -> float:
        raise ValueError("out of memory")

    before = weights()
    finder = make(step, model=model, namespace={})
    with pytest.raises(ValueError, match="out of memory"):
        finished(finder)
    assert finder.exception is not None
    assert weights() == before


BAD_ARGUMENTS: list[dict[str, Any]] = [
    {"model": "resnet18"},
    {"start_lr": 0.0},
    {"start_lr": 1.0, "end_lr": 0.1},
    {"num_iter": 1},
    {"variable": "lambda"},
    {"variable": "print"},
    {"namespace": [("lr", 0.1)]},
    {"stop": "never"},
    {"step": None},
    {"preserve": [3]},
]


@pytest.mark.parametrize("bad", BAD_ARGUMENTS, ids=repr)
def test_a_constructor_that_raises_leaves_no_trace(bad: dict[str, Any], shell: Shell) -> None:
    model = linear()
    before = number_of_widgets()
    options = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "batches": [0],
        "criterion": "no function" if "step" in bad else None,
        "step": Script(DESCENT),
        **bad,
    }
    with pytest.raises((TypeError, ValueError)):
        LRFinder(**options)
    gc.collect()  # whatever a finalizer has to say is an error in this suite
    assert (number_of_widgets(), shell.listening, shell.user_ns) == (before, 0, {})


def test_a_finder_cannot_be_copied(make: Any) -> None:
    import copy

    finder = make(namespace={})
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(NotImplementedError):
            copied(finder)


def test_repeats_are_counted_together_and_their_median_is_the_curve(make: Any) -> None:
    losses = [loss + shift for shift in (0.0, 0.02, 0.01) for loss in DESCENT]
    finder = finished(make(losses, repeats=3, namespace={}))
    assert finder.curve.losses.tolist() == [loss + 0.01 for loss in DESCENT]
    assert len(finder.curve.repeats) == 3
    assert f"All {3 * POINTS} steps done." in status(finder)
    assert "The candidates of 3 repeats lie within 0.00 decades." in status(finder)
    assert finder.suggestion.spread == 0.0
    assert f"{3 * POINTS} / {3 * POINTS}" in finder._view.controls.pace.value


def test_repeats_that_cannot_differ_are_said_to_tell_nothing(make: Any) -> None:
    finder = finished(make(repeats=2, namespace={}))
    assert finder.suggestion.spread is None
    assert "saw the same data in the same order" in status(finder)


# -- apply ----------------------------------------------------------------------------------------


def test_apply_sets_the_pick_on_the_optimizer_and_a_second_click_takes_it_back(make: Any) -> None:
    finder = make(namespace={})
    optimizer, button = finder._sweep.optimizer, finder._view.controls.apply
    assert button.disabled
    with pytest.raises(RuntimeError, match="nothing has been picked"):
        finder.apply()
    finder.pick(0.02)
    assert not button.disabled
    assert optimizer.param_groups[0]["lr"] == 0.1  # a pick alone changes no optimizer
    button.click()
    assert (optimizer.param_groups[0]["lr"], button.description) == (0.02, "Undo")
    button.click()
    assert (optimizer.param_groups[0]["lr"], button.description) == (0.1, "Apply")
    button.click()
    finder.pick(0.03)
    assert button.description == "Apply"
    finder.apply()
    assert optimizer.param_groups[0]["lr"] == 0.03


def test_apply_takes_another_optimizer_and_its_scheduler(make: Any) -> None:
    finder = make(namespace={})
    optimizer = torch.optim.SGD(linear().parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    finder.pick(0.02)
    finder.apply(optimizer, scheduler)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert finder._sweep.optimizer.param_groups[0]["lr"] == 0.1


def test_during_a_run_the_optimizer_is_the_tests(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder.pick(0.02)
    finder.start()
    assert finder._view.controls.apply.disabled
    with pytest.raises(RuntimeError, match="is running; call stop"):
        finder.apply()
    gate.let_all()
    finder.wait(WAIT_S)
    finder.apply()
    assert finder._sweep.optimizer.param_groups[0]["lr"] == 0.02


# -- candidates -----------------------------------------------------------------------------------


def offered(finder: LRFinder) -> dict[str, str]:
    buttons = finder._view.controls.candidates.items()
    return {rule: b.description for rule, b in buttons if b.layout.display != "none"}


def test_what_other_rules_find_is_offered_and_a_click_goes_there_without_writing(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    assert offered(finder) == {}
    found = finished(finder).curve.candidates()
    assert set(offered(finder)) == {rule for rule, lr in found.items() if lr is not None}
    assert offered(finder)["steepest"] == f"steepest {found['steepest']:.2e}"
    finder._view.controls.candidates["steepest"].click()
    marker = finder._view.marker
    assert (marker.lr, marker.kind) == (found["steepest"], "candidate")
    assert namespace == {"lr": 0.5}
    assert finder._view.chart._band.x.tolist() == [finder.suggestion.low, finder.suggestion.high]


def test_a_refused_curve_and_a_new_run_offer_nothing(make: Any, gate: Gate) -> None:
    assert offered(finished(make(RISE, namespace={}))) == {}
    finder = make(gate, namespace={})
    gate.let_all()
    assert offered(finished(finder))
    gate._open = False
    finder.start()
    assert offered(finder) == {}
    assert len(finder._view.chart._band.x) == 0
    gate.let_all()


# -- taking it away -------------------------------------------------------------------------------


def test_a_display_after_the_run_carries_the_picture(make: Any) -> None:
    finder = make(namespace={})
    assert "image/svg+xml" not in finder._repr_mimebundle_()
    finished(finder).pick(0.01)
    assert "lr = 1.00e-02" in finder._repr_mimebundle_()["image/svg+xml"]
    assert finder.snapshot()._repr_svg_() == finder._repr_mimebundle_()["image/svg+xml"]


def test_all_runs_in_one_frame(make: Any) -> None:
    finder = make(namespace={})
    columns = ["run", "lr", "loss", "smoothed", "baseline"]
    assert finder.to_dataframe().columns.tolist() == columns
    finished(finder)
    finished(finder)
    frame = finder.to_dataframe()
    assert frame.columns.tolist() == columns
    assert frame["run"].value_counts().to_dict() == {1: POINTS, 2: POINTS}
    assert frame["loss"][:POINTS].tolist() == finder.curves[0].losses.tolist()


def test_plot_shows_the_pick(make: Any) -> None:
    finder = finished(make(namespace={}))
    finder.pick(0.01)
    assert "lr = 1.00e-02" in [line.get_label() for line in finder.plot().get_lines()]


# -- set-up in place ------------------------------------------------------------------------------


def test_the_set_up_starts_as_the_code_says_and_changes_the_next_run(make: Any) -> None:
    finder = make(lambda batch: 1.0, start_lr=1.23456789e-5, end_lr=0.5, num_iter=12, namespace={})
    setup, view = finder._view.setup, finder._view
    assert setup.values() == {
        "start_lr": 1.23456789e-5,
        "end_lr": 0.5,
        "num_iter": 12,
        "mode": "exp",
        "repeats": 1,
    }
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
    getattr(finder._view.setup, box).value = typed
    with pytest.raises(ValueError, match=message):
        finder.start()
    assert (finder.state, finder.curve, len(finder.curves)) == (State.FINISHED, curve, 1)
    finder._view.controls.start.click()
    assert html.escape(message) in status(finder)


def test_the_set_up_is_folded_and_cannot_be_changed_during_a_run(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    setup = finder._view.setup
    assert setup.row.layout.display == "none"
    setup.toggle.value = True
    assert setup.row.layout.display == "flex"
    finder.start()
    assert all(box.disabled for box in setup._inputs)
    assert not finder._view.looks.log_loss.disabled
    gate.let_all()
    finder.wait(WAIT_S)
    assert not any(box.disabled for box in setup._inputs)


# -- trial runs -----------------------------------------------------------------------------------


def by_learning_rate(finders: list[LRFinder]) -> Callable[[Any], float]:
    """A step whose loss says how far its learning rate is from 1e-2; three times that at first."""

    def step(batch: Any) -> float:
        lr: float = finders[0]._sweep.optimizer.param_groups[0]["lr"]
        return 1.0 + abs(math.log10(lr) + 2)

    return step


def with_trials(make: Any, **options: Any) -> LRFinder:
    finders: list[LRFinder] = []
    finders.append(make(by_learning_rate(finders), **options))
    return finders[0]


def test_trial_runs_rank_and_one_click_takes_the_winner(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = with_trials(make, namespace=namespace)
    view = finder._view.trials
    assert finder.comparison is None
    view.lrs.value, view.steps.value = "1e-3, 1e-2, 0.1", "20"
    view.run.click()
    finder.wait(WAIT_S)
    assert finder.comparison is not None
    assert finder.comparison.winner == 1e-2
    assert "1.00e-02 has the lowest loss" in view.text.value
    assert [len(line.x) for line in view.figure.marks] == [20, 20, 20]
    assert view.take.description == "Use 1.00e-02"
    assert namespace == {}
    view.take.click()
    assert namespace == {"lr": 0.01}


def test_trial_runs_by_code_default_to_what_the_curve_suggests(make: Any) -> None:
    finder = finished(make(namespace={}))
    assert finder._view.trials.lrs.value == ", ".join(
        f"{lr:.2e}" for lr in finder.curve.trial_candidates()
    )
    assert finder.compare(steps=12).wait(WAIT_S) is finder
    assert finder.comparison is not None
    assert finder.comparison.lrs == finder.curve.trial_candidates()
    with pytest.raises(RuntimeError, match=r"pass lrs=\[…\]"):
        make(namespace={}).compare()


def test_trial_runs_and_a_test_keep_out_of_each_others_way(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder.compare([1e-3, 1e-2], steps=10)
    gate.wait_until_asked()
    with pytest.raises(RuntimeError, match="trial runs are under way"):
        finder.start()
    with pytest.raises(RuntimeError, match="trial runs are under way"):
        finder.compare([1e-3])
    other = make(model=finder._sweep.model, namespace={})  # another finder stops them
    asked = threading.Event()
    finder._trial_run.listen(lambda run: asked.set() if run.stopping else None)
    finish = in_thread(lambda: finished(other))
    assert asked.wait(WAIT_S)
    gate.let_all()
    assert finish() is other
    assert finder._trial_run.state is State.STOPPED
    assert "Stopped" in finder._view.trials.text.value
    assert finder.state is State.READY


def test_trial_runs_can_be_stopped_and_close_ends_them(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder._view.trials.lrs.value = "1e-3, 1e-2"
    finder._view.trials.run.click()
    gate.wait_until_asked()
    assert finder._view.trials.run.description == "Stop"
    finder._view.trials.run.click()
    gate.let()
    finder._trial_run.join(WAIT_S)
    assert finder._trial_run.state is State.STOPPED
    finder.compare([1e-3], steps=10)
    gate.let_all()
    finder.close()
    assert finder._trial_run.state.ended


@pytest.mark.parametrize(
    ("lrs", "steps", "message"),
    [
        ("", "20", "at least one learning rate"),
        ("fast", "20", "must be numbers with commas between; got 'fast'"),
        ("1e-3, -1", "20", "positive learning rates"),
        ("1e-3, 1e-3", "20", "each once"),
        (", ".join(map(str, range(1, 20))), "20", "at most 12; got 19"),
        ("1e-3", "few", "'steps' must be a whole number; got 'few'"),
        ("1e-3", "999999999999", "'steps' must be at most 1,000,000"),
        ("1e-3", "2", "steps must be a whole number, at least 10"),
    ],
)
def test_a_trial_that_cannot_work_is_told(make: Any, lrs: str, steps: str, message: str) -> None:
    finder = make(namespace={})
    finder._view.trials.lrs.value, finder._view.trials.steps.value = lrs, steps
    finder._view.trials.run.click()
    assert html.escape(message) in status(finder)
    assert finder.comparison is None


def test_a_failing_trial_is_told_as_text(make: Any) -> None:
    def step(batch: Any) -> float:
        raise ValueError("<b>boom</b>")

    finder = make(step, namespace={})
    finder.compare([1e-3], steps=10)
    with pytest.raises(ValueError, match="boom"):
        finder.wait(WAIT_S)
    assert "&lt;b&gt;boom" in finder._view.trials.text.value
    assert finder._view.trials.take.layout.display == "none"


# -- runs side by side ----------------------------------------------------------------------------


def rows(finder: LRFinder) -> list[tuple[str, bool]]:
    boxes = finder._view.legend.box.children
    return [(row.children[2].value, row.children[1].value) for row in boxes]


def behind(finder: LRFinder) -> list[list[float]]:
    """What is drawn behind the current run."""
    return [line.x.tolist() for line in finder._view.chart._others.values()]


def test_earlier_runs_stay_on_the_chart_and_can_be_named_hidden_and_removed(make: Any) -> None:
    finder = make(namespace={})
    assert rows(finished(finder)) == []
    first = finder.curve
    finished(finished(finder))
    assert rows(finder) == [("SGD", True), ("SGD #2", True), ("SGD #3", True)]
    assert behind(finder) == [first.lrs.tolist()] * 2
    one, two, latest = finder._view.legend.box.children
    assert latest.children[4].disabled
    one.children[2].value = "<b>mine</b>"
    assert finder._view.legend.kept[0].name == "<b>mine</b>"
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
    finder._view.setup.end_lr.value = "0.5"
    finished(finder)
    assert len(behind(finder)) == 1


def test_the_loss_axis_holds_every_run_that_is_shown(make: Any) -> None:
    low = finished(make([loss - 5 for loss in DESCENT], namespace={})).curve
    finder = finished(make(namespace={}))
    scale = finder._view.chart._y
    own = scale.min, scale.max
    finder.add(low)
    assert scale.min < float(low.losses.min())
    assert scale.max == own[1]
    finder._view.legend.box.children[1].children[1].value = False
    assert (scale.min, scale.max) == own


def test_a_candidate_of_an_earlier_run_is_none_of_the_next(make: Any) -> None:
    losses = [*DESCENT, *RISE]
    finder = finished(make(losses, namespace={}))
    assert finder._view.marker.kind == "candidate"
    assert finished(finder).suggestion.lr is None
    assert finder._view.marker.kind == "start"


def test_the_pick_as_code_says_where_it_comes_from(make: Any) -> None:
    model = linear()
    finder = LRFinder(model, sgd_momentum(model), loader(), nn.CrossEntropyLoss(), namespace={})
    assert finder.code is None
    finder.pick(0.00316)
    today = dt.date.today().isoformat()
    assert finder.code == f"lr = 3.16e-03  # LR range test, SGD, batch 8, {today}"
    assert f"# LR range test, SGD, batch 8, {today}" in written(finder)
    finder.close()
    namespace: dict[str, Any] = {}
    exec(finder.code, namespace)
    assert namespace["lr"] == 0.00316


def test_another_run_can_be_made_the_current_one(make: Any) -> None:
    finder = finished(make([*DESCENT, *RISE], namespace={}))
    first = finder.curve
    finder._view.setup.num_iter.value = "17"
    latest = finished(finder).curve
    view, (one, two) = finder._view, finder._view.legend.box.children
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
    choose = finder._view.legend.box.children[0].children[3]
    choose.click()
    assert finder._view.chart._raw.x[::2].tolist() == [1e-4, 1e-3, 1e-2]
    finder.start()
    assert choose.disabled
    choose.click()
    gate.let_all()
    finder.wait(WAIT_S)
    assert not choose.disabled
    assert finder._view.chart._raw.x[::2].tolist() == finder.curve.lrs.tolist()


def test_a_run_that_is_alone_makes_no_row(make: Any) -> None:
    finder = make(namespace={})
    before = len(ipywidgets.widgets.widget._instances)
    assert rows(finished(finder)) == []
    assert len(ipywidgets.widgets.widget._instances) == before
    assert len(rows(finished(finder))) == 2


def test_a_removed_run_and_a_closed_finder_leave_no_row_behind(make: Any) -> None:
    before = len(ipywidgets.widgets.widget._instances)
    finder = finished(finished(make(namespace={})))
    finder._view.legend.box.children[0].children[4].click()
    finder.close()
    assert len(ipywidgets.widgets.widget._instances) == before


def test_the_axis_holds_every_run_until_it_is_zoomed(make: Any) -> None:
    finder = make([*DESCENT[:40], math.nan], namespace={})
    marker, scale = finder._view.marker, finder._view.chart._x
    finder._view.looks.zoom.value = True
    lrs = finished(finder).curve.lrs
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-5, lrs[-1])
    assert lrs[-1] < 0.1  # as far as it came
    finder._view.looks.zoom.value = False
    finder.add(LossCurve([1e-8, 1e-7, 1e-6], [3.0, 2.0, 1.0]))
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-8, 1.0)
    finder._view.looks.zoom.value = True
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-5, lrs[-1])
    added = finder._view.legend.box.children[1]
    added.children[3].click()
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-8, 1e-6)


def test_the_smoothing_is_changed_without_a_run_and_changes_no_candidate(make: Any) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    chart, marker, candidates = finder._view.chart, finder._view.marker, finder._view.marker.ticks
    for percent, share in ((0, 0.0), (40, 0.4), (10, 0.1)):
        finder._view.looks.smoothing.value = percent
        smooth = finder.curve.smooth(share).tolist()
        assert chart._smooth.y.tolist() == smooth == marker.curve_losses.tolist()
        assert [line.y.tolist() for line in chart._others.values()] == [
            finder.curves[0].smooth(share).tolist()
        ]
        assert marker.ticks == candidates
    assert finder.curve.smooth(0.0).tolist() == finder.curve.losses.tolist()


def test_a_click_on_a_tick_places_the_marker_and_picks_nothing(make: Any) -> None:
    finder = finished(make([*DESCENT, *RISE], namespace={}))
    marker = finder._view.marker
    assert "steepest" in marker.ticks
    finder.pick(0.5)
    marker.set_state({"lr": marker.ticks["steepest"], "kind": "candidate"})  # by the page
    assert (marker.lr, marker.kind) == (marker.ticks["steepest"], "candidate")
    assert finder.lr == 0.5  # nothing is chosen by that
    marker.set_state({"ticks": {"<b>": 0.1}, "kind": "pick", "low": 1e-9, "variable": "x"})
    assert (marker.kind, marker.low, marker.variable) == ("candidate", 1e-5, "lr")
    assert "<b>" not in marker.ticks


def test_what_is_shown_can_be_saved_as_a_file(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    finder._view.legend.box.children[0].children[2].value = '<b>"one", two</b>'
    finder.pick(0.01)
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(finder._view.marker, "send", sent.append)
    for button in finder._view.saving.buttons.values():
        button.click()
    names = [message["download"] for message in sent]
    assert names == [f"lr-range-test.{ending}" for ending in ("svg", "png", "csv", "json")]
    svg, png, table, runs = (message["text"] for message in sent)
    assert svg == png == finder.snapshot()._repr_svg_()
    assert "&lt;b&gt;&quot;one&quot;, two&lt;/b&gt;" in svg
    assert "<b>" not in svg
    read = list(csv.DictReader(io.StringIO(table)))
    assert [
        float(row["loss"]) for row in read if row["run"] == "SGD #2"
    ] == finder.curve.losses.tolist()
    assert {row["run"] for row in read} == {'<b>"one", two</b>', "SGD #2"}
    content = json.loads(runs)
    assert content["lr"] == 0.01
    assert LossCurve.from_json(json.dumps(content["runs"][1])) == finder.curve
    finder._view.controls.copy.click()
    assert sent[-1] == {"copy": finder.code}


def test_a_baseline_is_in_the_tables_too(make: Any) -> None:
    finder = finished(make(namespace={}))
    start = np.linspace(2.0, 3.0, POINTS)
    finder.add(LossCurve(finder.curve.lrs, start - 1.0, baseline=start), name="with one")
    rows = csv.DictReader(io.StringIO(finder.to_csv()))
    baselines: dict[str, list[str]] = {}
    for row in rows:
        baselines.setdefault(row["run"], []).append(row["baseline"])
    assert [float(loss) for loss in baselines.pop("with one")] == start.tolist()
    assert list(baselines.values()) == [[""] * POINTS]


def test_the_loss_axis_can_be_logarithmic_and_linear_again(make: Any) -> None:
    finder = finished(make(namespace={}))
    finished(finder)
    for log_loss in (True, False):
        finder._view.looks.log_loss.value = log_loss
        chart = finder._view.chart
        assert (type(chart._y).__name__ == "LogScale") == log_loss
        assert chart._smooth.y.tolist() == finder.curve.smooth().tolist()
        assert chart._band.x.tolist() == [finder.suggestion.low, finder.suggestion.high]
        assert len(behind(finder)) == 1
        assert finder._view._stage.children[0] is chart.figure


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
    assert "on cpu, though there is a cuda device, one per" in text()


def test_narrow_sets_the_range_around_the_band(make: Any) -> None:
    finder = make([*DESCENT, *RISE], namespace={})
    setup = finder._view.setup
    assert setup.narrow.disabled
    found = finished(finder).suggestion
    assert not setup.narrow.disabled
    setup.narrow.click()
    values = setup.values()
    assert values["start_lr"] == pytest.approx(found.low / 10, rel=0.05)
    assert values["end_lr"] == pytest.approx(found.high * 10, rel=0.05)
    assert finished(finder).curve.lrs[0] == values["start_lr"]
    assert setup.narrow.disabled  # that curve is refused
