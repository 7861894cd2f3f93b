"""Runs of one finder: start, pause, stop, wait, and what is kept of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from support import linear
from widget_support import DESCENT, POINTS, WAIT_S, Gate, finished, in_thread, status, while_held

from lrfinder_widget import State


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

    def stop() -> None:
        if paused:
            finder.pause()  # in the middle of the step that is held
        finder.stop()

    while_held(gate, finder, stop)
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
            getattr(finder._session.test, act)()  # on another thread, it could come just then
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", begin_late)
    assert in_thread(finder.start)(5.0) is finder
    finder.stop()
    assert (finder.state, len(finder.curve)) == (State.STOPPED, 0)


def test_an_interrupted_start_leaves_a_run_that_can_be_stopped(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})

    def interrupt(change: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            finder.unobserve(interrupt, "status")
            raise KeyboardInterrupt

    finder.observe(interrupt, "status")
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


def test_repeats_are_counted_together_and_their_median_is_the_curve(make: Any) -> None:
    losses = [loss + shift for shift in (0.0, 0.02, 0.01) for loss in DESCENT]
    finder = finished(make(losses, repeats=3, namespace={}))
    assert finder.curve.losses.tolist() == [loss + 0.01 for loss in DESCENT]
    assert len(finder.curve.repeats) == 3
    assert f"All {3 * POINTS} steps done." in status(finder)
    assert "The candidates of 3 repeats lie within 0.00 decades." in status(finder)
    assert finder.suggestion.spread == 0.0
    assert (finder.chart["n"], finder.chart["total"]) == (3 * POINTS, 3 * POINTS)
