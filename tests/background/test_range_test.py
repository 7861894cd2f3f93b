"""The run: states, pause, resume, stop, wait, listeners. Fakes only: no torch, no widgets."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import TRANSITIONS, State

PAIRS = [(1e-3 * i, 1.0 / i) for i in range(1, 6)]


class Gate:
    """Points that come one by one, when they are let through; notes how it was left."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()
        self.restored_before: State | None = None

    def points(self) -> Iterator[tuple[float, float]]:
        try:
            for i in itertools.count(1):
                self.asked.release()
                assert self.permits.acquire(timeout=20)
                yield i * 1e-3, float(i)
        finally:
            self.closed.set()

    def let(self, n: int) -> None:
        for _ in range(n):
            self.permits.release()

    def wait_until_asked(self, n: int = 1) -> None:
        for _ in range(n):
            assert self.asked.acquire(timeout=20)


def test_a_list_of_pairs_is_run_to_its_end() -> None:
    test = RangeTest(PAIRS)
    assert (test.state, test.reason, len(test)) == (State.READY, None, 0)
    assert test.start() is test
    assert test.wait(20) is test
    assert (test.state, test.reason) == (State.FINISHED, "completed")
    assert list(zip(test.curve.lrs, test.curve.losses, strict=True)) == PAIRS
    assert "finished, 5 points" in repr(test)


def test_what_a_generator_returns_is_the_reason() -> None:
    def points() -> Any:
        yield 1e-3, 1.0
        return "diverged"

    test = RangeTest(points()).start().wait(20)
    assert (test.state, test.reason, test.curve.reason) == (State.FINISHED, "diverged", "diverged")


def test_pause_resume_and_stop() -> None:
    gate = Gate()
    test = RangeTest(gate.points()).start()
    gate.wait_until_asked()
    test.pause()
    assert test.state is State.PAUSED
    gate.let(2)  # the step under way ends, the next does not begin
    assert not gate.asked.acquire(timeout=0.2)
    assert len(test) == 1
    assert test.curve.reason == "stopped"
    test.resume()
    gate.wait_until_asked(2)
    assert (test.state, len(test)) == (State.RUNNING, 2)
    test.stop()
    assert test.stopping
    gate.let(1)
    test.wait(20)
    assert (test.state, test.reason, len(test)) == (State.STOPPED, "stopped", 3)
    assert not test.stopping


def test_a_paused_run_can_be_stopped() -> None:
    gate = Gate()
    test = RangeTest(gate.points()).start()
    gate.wait_until_asked()
    test.pause()
    gate.let(1)
    test.stop()
    test.wait(20)
    assert test.state is State.STOPPED
    assert gate.closed.is_set()


def test_the_end_is_published_only_after_the_restore() -> None:
    restoring, may_restore = threading.Event(), threading.Event()

    def points() -> Any:
        try:
            yield from PAIRS
        finally:
            restoring.set()
            assert may_restore.wait(20)

    test = RangeTest(points()).start()
    assert restoring.wait(20)
    assert (test.state, test.reason) == (State.RUNNING, None)
    with pytest.raises(TimeoutError, match="has not ended"):
        test.wait(0.01)
    may_restore.set()
    test.wait(20)
    assert test.state is State.FINISHED


def test_points_that_are_waited_for_can_be_paused_and_stopped_meanwhile() -> None:
    """They say None for nothing new, which is no point."""
    said = threading.Semaphore(0)

    def points() -> Any:
        yield 1e-3, 1.0
        while True:
            said.release()
            yield None

    test = RangeTest(points()).start()
    for _ in range(2):
        assert said.acquire(timeout=20)
    assert len(test) == 1
    test.pause()
    assert test.state is State.PAUSED
    test.resume()
    test.stop()
    assert test.join(20)
    assert (test.state, test.curve.losses.tolist()) == (State.STOPPED, [1.0])


def test_listeners_hear_of_a_run_that_waits_for_its_first_point() -> None:
    heard, started = threading.Event(), threading.Event()

    def points() -> Any:
        while not heard.is_set():
            yield None
        yield 1e-3, 1.0

    test = RangeTest(points())
    test.listen(lambda test: heard.set() if started.is_set() else None)
    test.start()  # which tells them, too
    started.set()
    test.wait(20)
    assert len(test) == 1


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_what_the_points_raise_is_raised_by_wait_as_it_is(error: BaseException) -> None:
    def points() -> Any:
        yield 1e-3, 1.0
        raise error

    test = RangeTest(points()).start()
    with pytest.raises(type(error)) as caught:
        test.wait(20)
    assert caught.value is test.exception is error
    assert (test.state, test.reason, len(test)) == (State.FAILED, "failed", 1)


def test_a_restore_that_fails_is_a_failure() -> None:
    gate = threading.Event()

    def points() -> Any:
        try:
            yield 1e-3, 1.0
            assert gate.wait(20)
            yield 1e-2, 1.0
        finally:
            raise OSError("no way back")

    test = RangeTest(points()).start()
    test.stop()
    gate.set()
    with pytest.raises(OSError, match="no way back"):
        test.wait(20)
    assert test.state is State.FAILED


def act(test: RangeTest, name: str) -> None:
    getattr(test, name)()


def in_state(state: State) -> tuple[RangeTest, Gate]:
    gate = Gate()

    def failing() -> Any:
        yield 1e-3, 1.0
        raise ValueError

    test = RangeTest({State.FINISHED: PAIRS, State.FAILED: failing()}.get(state, gate.points()))
    if state is State.READY:
        return test, gate
    test.start()
    if state in (State.FINISHED, State.FAILED):
        assert test.join(20)
        return test, gate
    gate.wait_until_asked()
    if state is State.PAUSED:
        test.pause()
    if state is State.STOPPED:
        test.stop()
        gate.let(1)
        assert test.join(20)
    return test, gate


ALLOWED = {
    ("start", State.READY): State.RUNNING,
    ("pause", State.RUNNING): State.PAUSED,
    ("resume", State.PAUSED): State.RUNNING,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", ["start", "pause", "resume"])
def test_every_action_in_every_state(action: str, state: State) -> None:
    test, gate = in_state(state)
    try:
        if (action, state) in ALLOWED:
            act(test, action)
            assert test.state is ALLOWED[action, state]
        else:
            with pytest.raises(RuntimeError, match=f"this one is {state.value}"):
                act(test, action)
            assert test.state is state
    finally:
        test.stop()
        gate.let(2)
        assert test.join(20)


@pytest.mark.parametrize("state", [State.READY, State.FINISHED, State.STOPPED, State.FAILED])
def test_stop_does_nothing_where_nothing_runs(state: State) -> None:
    test, _ = in_state(state)
    test.stop()
    assert test.state is state
    assert not test.stopping


@pytest.mark.parametrize("state", [State.READY, State.PAUSED])
def test_wait_refuses_to_wait_in_vain(state: State) -> None:
    test, gate = in_state(state)
    with pytest.raises(RuntimeError, match=f"is {state.value}; call"):
        test.wait()
    test.stop()
    gate.let(1)
    assert test.join(20)


def test_the_table_of_transitions_allows_just_these() -> None:
    allowed = {(a.name, b.name) for a, followers in TRANSITIONS.items() for b in followers}
    ends = ["FINISHED", "STOPPED", "FAILED"]
    assert allowed == {
        ("READY", "RUNNING"),
        ("RUNNING", "PAUSED"),
        ("PAUSED", "RUNNING"),
        *itertools.product(["RUNNING", "PAUSED"], ends),
    }
    assert {state.name for state in State if state.ended} == set(ends)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(State, State)))
def test_a_forbidden_transition_is_never_taken(a: State, b: State) -> None:
    test = RangeTest([])
    test._state = a
    if b in TRANSITIONS[a]:
        with test._lock:
            test._set_state(b)
        assert test.state is b
    else:
        with test._lock, pytest.raises(AssertionError):
            test._set_state(b)
        assert test.state is a


def test_listeners_hear_of_every_state_and_of_the_last_point() -> None:
    heard: list[tuple[State, int]] = []
    gate = Gate()
    test = RangeTest(gate.points())
    test.listen(lambda test: heard.append((test.state, len(test))))
    test.start()
    gate.let(1)
    gate.wait_until_asked(2)
    test.pause()
    test.resume()
    test.stop()
    gate.let(1)
    test.wait(20)
    states = [state for state, _ in heard]
    assert {State.RUNNING, State.PAUSED, State.STOPPED} <= set(states)
    assert heard[-1] == (State.STOPPED, 2)


def test_listeners_are_called_at_a_bounded_rate() -> None:
    heard: list[int] = []
    test = RangeTest([(1.0, 1.0)] * 20_000)
    test.listen(lambda test: heard.append(len(test)))
    test.start().wait(20)
    assert heard[-1] == 20_000
    assert len(heard) < 100


def test_a_listener_that_raises_is_logged_once_and_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls = []

    def broken(test: RangeTest) -> None:
        calls.append(1)
        raise ValueError("broken chart")

    test = RangeTest(PAIRS)
    test.listen(broken)
    with caplog.at_level(logging.ERROR):
        test.start().wait(20)
    assert len(calls) <= 2  # at the start, two threads may call it at once
    assert len(caplog.records) == 1
    assert "broken chart" in caplog.text
    assert test.state is State.FINISHED


def test_a_listener_may_stop_the_run_and_cannot_deadlock_it() -> None:
    test = RangeTest((1.0, 1.0) for _ in itertools.count())

    def stop(test: RangeTest) -> None:
        if len(test):
            test.stop()
            test.join()  # in the worker: cannot be waited for, returns at once

    test.listen(stop)
    test.start()
    test.wait(20)
    assert test.state is State.STOPPED


def test_reading_while_it_runs_gives_whole_copies() -> None:
    test = RangeTest((float(i), float(i)) for i in range(1, 30_000)).start()
    while not test.state.ended:
        curve = test.curve
        assert (
            curve.lrs.tolist()
            == curve.losses.tolist()
            == list(map(float, range(1, len(curve) + 1)))
        )
    assert len(test.curve) == 29_999


def test_a_process_that_exits_in_mid_run_restores_first_and_ends_cleanly() -> None:
    code = """
import threading, itertools
from lrfinder_widget.background.range_test import RangeTest
reached = threading.Event()
def points():
    try:
        for i in itertools.count(1):
            yield 1.0, float(i)
            if i == 100:
                reached.set()
    finally:
        print("restored", flush=True)
RangeTest(points()).start()
assert reached.wait(20)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "restored\n", "")
