"""Any sequence of public calls, chosen by hypothesis: each does what the model of it says."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support import linear, picture, sgd_momentum
from widget_support import click, page_sends, page_writes, points

from lrfinder_widget import LossCurve, LRFinder, RangeTest, State
from lrfinder_widget.background import range_test as run_module

WAIT_S = 20.0
ACTIVE = (State.RUNNING, State.PAUSED)
POINTS = 8


class Boom(Exception):
    pass


class Gate:
    """Where the worker waits before each step, until the test decides what comes of the step."""

    def __init__(self) -> None:
        self._asked = threading.Semaphore(0)
        self._let = threading.Semaphore(0)
        self._fate: Any = None

    def __call__(self) -> Any:
        self._asked.release()
        assert self._let.acquire(timeout=WAIT_S)
        return self._fate

    def wait_until_asked(self) -> None:
        assert self._asked.acquire(timeout=WAIT_S)

    def let(self, fate: Any = None) -> None:
        self._fate = fate
        self._let.release()


class Heard:
    """What a listener heard of last, to wait for."""

    def __init__(self) -> None:
        self._change = threading.Condition()

    def __call__(self, test: RangeTest) -> None:
        with self._change:
            self._change.notify_all()

    def wait_until(self, so: Callable[[], bool]) -> None:
        with self._change:
            assert self._change.wait_for(so, WAIT_S)


class Machine(RuleBasedStateMachine):
    """What a run and a finder have in common: their calls, and a model of their state."""

    called: Any  # the run or the finder

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.state = State.READY
        self.at_gate = False

    def _refused(self, act: Callable[[], object], error: type[Exception] = RuntimeError) -> None:
        with pytest.raises(error):
            act()

    @rule()
    def pause(self) -> None:
        if self.state is not State.RUNNING:
            return self._refused(self.called.pause)
        self.called.pause()
        self.state = State.PAUSED
        return None

    @rule()
    def resume(self) -> None:
        if self.state is not State.PAUSED:
            return self._refused(self.called.resume)
        self.called.resume()
        self.state = State.RUNNING
        if not self.at_gate:
            self.gate.wait_until_asked()
            self.at_gate = True
        return None

    @rule()
    def wait(self) -> None:
        if self.state is State.RUNNING:
            self._refused(lambda: self.called.wait(0.0), TimeoutError)
        elif self.state in (State.READY, State.PAUSED):
            self._refused(self.called.wait)
        elif self.state is State.FAILED:
            self._refused(self.called.wait, Boom)
        else:
            assert self.called.wait() is self.called


class RangeTestMachine(Machine):
    """A run whose every step is decided here, against five lines of what it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = Heard()
        self.n, self.reason = 0, None
        self.error: Boom | None = None
        self.restored_in: list[State] = []
        self.failed_listeners: list[int] = []
        self.test = self.called = RangeTest(self._points())
        self.test.listen(self.heard)

    def _points(self) -> Iterator[Any]:
        try:
            for i in itertools.count():
                fate = self.gate()
                if isinstance(fate, Boom):
                    raise fate
                if isinstance(fate, str):
                    return fate
                yield 1e-5 * 1.1**i, 1.0 / (i + 1)
        finally:
            self.restored_in.append(self.test.state)

    @rule()
    def start(self) -> None:
        if self.state is not State.READY:
            return self._refused(self.test.start)
        assert self.test.start() is self.test
        self.gate.wait_until_asked()
        self.state, self.at_gate = State.RUNNING, True
        return None

    @precondition(lambda self: self.at_gate)
    @rule(times=st.integers(1, 3))
    def step(self, times: int) -> None:
        for _ in range(times if self.state is State.RUNNING else 1):
            self.gate.let()
            self.n += 1
            self.heard.wait_until(lambda: len(self.test) == self.n)
            if self.state is State.RUNNING:
                self.gate.wait_until_asked()
        self.at_gate = self.state is State.RUNNING

    @precondition(lambda self: self.at_gate)
    @rule(reason=st.sampled_from(["completed", "diverged", "exhausted", "non-finite", None]))
    def end(self, reason: Any) -> None:
        self.error = None if reason else Boom()
        self.gate.let(reason or self.error)
        assert self.test.join(WAIT_S)
        self.state = State.FINISHED if reason else State.FAILED
        self.reason, self.at_gate = reason or "failed", False

    @rule()
    def stop(self) -> None:
        self.test.stop()
        if self.state not in ACTIVE:
            return
        if self.at_gate:
            assert self.test.stopping
            self.gate.let()  # the step under way is counted
            self.n += 1
        assert self.test.join(WAIT_S)
        self.state, self.reason, self.at_gate = State.STOPPED, "stopped", False

    @rule()
    def listen_with_a_listener_that_fails(self) -> None:
        number = len(self.failed_listeners)
        self.failed_listeners.append(0)

        def listener(test: RangeTest) -> None:
            self.failed_listeners[number] += 1
            raise Boom

        self.test.listen(listener)

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        curve = self.test.curve
        assert (self.test.state, self.test.reason) == (self.state, self.reason)
        assert len(self.test) == len(curve) == self.n
        assert curve.reason == (self.reason or "stopped")
        assert self.test.exception is self.error
        assert not self.test.stopping
        assert max(self.failed_listeners, default=0) <= 1

    @invariant()
    def it_is_restored_before_the_end_is_told_and_only_then(self) -> None:
        assert len(self.restored_in) == self.state.ended
        assert not any(state.ended for state in self.restored_in)

    def teardown(self) -> None:
        self.stop()


class LRFinderMachine(Machine):
    """A finder, the hand on its controls, and cells; the model is what a user would expect."""

    def __init__(self) -> None:
        super().__init__()
        self.model = linear()
        self.optimizer = sgd_momentum(self.model)
        self.namespace: dict[str, Any] = {"lr": 0.01, "mine": 1}
        self.points: list[int] = []  # of each run
        self.added = 0
        self.pick_: float | None = None
        self.held: Any = 0.01
        self.closed = False
        self.applied = 0.05
        self.before = self._state_of_training()

    @initialize(start=st.sampled_from(["click", "call"]))
    def make(self, start: str) -> None:
        self.by_click = start == "click"
        self.finder = self.called = LRFinder(
            self.model,
            self.optimizer,
            [0],
            step=self._step,
            start_lr=1e-4,
            end_lr=1.0,
            num_iter=POINTS,
            stop=None,
            namespace=self.namespace,
        )

    def _step(self, batch: Any) -> float:
        fate = self.gate()
        if fate is not None:
            raise fate
        # By the optimizer: a step that moves weights by itself is called once more, to see whether
        # the learning rate has an effect.
        self.model.weight.grad = -torch.ones_like(self.model.weight)
        self.optimizer.step()
        torch.rand(1)
        return float(self.model.weight.detach().sum()) ** 2

    def _state_of_training(self) -> Any:
        shown = picture(self.model, self.optimizer)
        return {key: value for key, value in shown.items() if not key.startswith("group")}

    @rule()
    def start(self) -> None:
        if self.closed or self.state in ACTIVE:
            return self._refused(self.finder.start)
        if self.by_click:
            click(self.finder, "start")
        else:
            assert self.finder.start() is self.finder
        self.gate.wait_until_asked()
        self.finder._session.test.listen(heard := Heard())
        self.heard = heard
        self.state, self.at_gate = State.RUNNING, True
        self.points.append(0)
        return None

    @precondition(lambda self: self.at_gate)
    @rule()
    def step(self) -> None:
        self.gate.let()
        self.points[-1] += 1
        if self.points[-1] == POINTS:
            assert self.finder._session.test.join(WAIT_S)
            self.state, self.at_gate = State.FINISHED, False
        elif self.state is State.RUNNING:
            self.gate.wait_until_asked()
        else:
            self.heard.wait_until(lambda: len(self.finder.curve) == self.points[-1])
            self.at_gate = False

    @precondition(lambda self: self.at_gate)
    @rule()
    def fail(self) -> None:
        self.gate.let(Boom())
        assert self.finder._session.test.join(WAIT_S)
        self.state, self.at_gate = State.FAILED, False

    def _in_the_middle(self, act: Callable[[], object]) -> None:
        """Do what waits for the step under way, and let that pass."""
        stopping = self.at_gate
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        if stopping:
            self.heard.wait_until(lambda: self.finder._session.test.stopping)
            self.gate.let()
            self.points[-1] += 1
        thread.join(WAIT_S)
        assert not thread.is_alive()
        if self.state in ACTIVE:
            # The last point that there was to come is still an end by a stop.
            self.state = State.STOPPED
        self.at_gate = False

    @rule()
    def stop(self) -> None:
        self._in_the_middle(self.finder.stop)

    @rule(often=st.booleans())
    def close(self, often: bool) -> None:
        if not often and not self.closed:
            return  # or there would be little else
        self._in_the_middle(self.finder.close)
        self.closed = True

    @precondition(lambda self: not self.closed)
    @rule(lr=st.floats(1e-4, 1.0))
    def pick(self, lr: float) -> None:
        picked = self.finder.pick(lr)
        assert picked == float(f"{lr:.2e}")
        self.pick_ = self.held = picked

    @precondition(lambda self: not self.closed)
    @rule(lr=st.sampled_from([0.0, -1.0, float("nan"), float("inf"), "0.1", None]))
    def pick_what_is_none(self, lr: Any) -> None:
        self._refused(lambda: self.finder.pick(lr), (ValueError, RuntimeError))

    @precondition(lambda self: not self.closed)
    @rule(lr=st.floats(1e-4, 1.0), n=st.integers(1, 10**6))
    def commit(self, lr: float, n: int) -> None:
        held = self.finder.commit
        page_writes(self.finder, position=lr, commit={"lr": lr, "n": n})
        if held != {"lr": lr, "n": n}:
            self.pick_ = self.held = float(f"{lr:.2e}")

    @precondition(lambda self: not self.closed)
    @rule(lr=st.floats(1e-4, 1.0))
    def move(self, lr: float) -> None:
        page_writes(self.finder, position=lr, moving_from=lr)
        page_writes(self.finder, moving_from=None)

    @precondition(lambda self: not self.closed)
    @rule(value=st.one_of(st.floats(1e-4, 1.0), st.sampled_from([None, -1.0, 2])))
    def assign_in_a_cell(self, value: Any) -> None:
        self.namespace["lr"] = self.held = value
        self.finder._picker.follow()
        if value is not None and value > 0:
            self.pick_ = float(value)

    @precondition(lambda self: not self.closed)
    @rule()
    def apply(self) -> None:
        if self.state in ACTIVE or self.pick_ is None:
            return self._refused(self.finder.apply)
        self.finder.apply()
        self.applied = self.pick_
        return None

    @rule(n=st.integers(0, 3))
    def add(self, n: int) -> None:
        curve = LossCurve([1e-3 * (i + 1) for i in range(n)], [1.0] * n)
        if self.closed:
            return self._refused(lambda: self.finder.add(curve))
        self.finder.add(curve)
        self.added += 1
        return None

    @rule(
        boxes=st.dictionaries(
            st.sampled_from(["zoom", "log_loss", "smoothing", "mode", "schedule", "trial_lrs"]),
            st.sampled_from([True, False, 0, 20, "exp", "decay", "constant", "1e-3", None]),
        )
    )
    def set_boxes(self, boxes: dict[str, Any]) -> None:
        page_sends(self.finder, {"set": {**boxes, "mode": "exp"}})

    @precondition(lambda self: not self.closed)
    @rule(row=st.integers(0, 20), what=st.sampled_from(["choose", "hide", "show", "rename"]))
    def change_a_run(self, row: int, what: str) -> None:
        finder = self.finder
        if row >= len(finder.runs):
            return
        before = finder.runs[row]
        changes = {"hide": {"shown": False}, "show": {"shown": True}, "rename": {"name": "x"}}
        page_sends(finder, {"run": before["key"], **changes.get(what, {"do": what})})
        after = next(run for run in finder.runs if run["key"] == before["key"])
        if what == "choose":
            assert after["current"] == (before["current"] or self.state not in ACTIVE)
        elif what == "rename":
            assert after["name"] == "x"
        else:
            assert after["shown"] == (what == "show")

    @rule(name=st.sampled_from(["pause", "apply", "narrow", "try", "take"]))
    def click_what_is_blocked(self, name: str) -> None:
        """What is not blocked has rules of its own, or trains."""
        if self.closed or name in self.finder.blocked:
            why = self.finder.blocked.get(name)
            click(self.finder, name)
            assert self.closed or self.finder.status["problem"] == why

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        if not hasattr(self, "finder"):
            return
        finder = self.finder
        assert finder.state is self.state, finder.exception
        assert finder.lr == self.pick_
        assert self.namespace == {"lr": self.held, "mine": 1}
        assert len(finder.curve) == (self.points[-1] if self.points else 0)
        assert [len(curve) for curve in finder.curves] == [
            n for i, n in enumerate(self.points) if n
        ]
        repr(finder), finder.code, finder.suggestion, finder.snapshot()
        if not self.closed:
            kept = sum(n > 0 for n in self.points[:-1]) + self.added
            assert len(finder._presenter.view.legend.kept) == min(12, kept)
            assert finder.position > 0
            finder._presenter.redraw()
            self._the_page_shows_it()

    def _the_page_shows_it(self) -> None:
        finder, active = self.finder, self.state in ACTIVE
        assert finder.status["state"] == self.state.value
        assert finder.chart["n"] == (self.points[-1] if self.points else 0)
        shown = finder.chart if not finder.runs or finder.runs[-1]["current"] else None
        if shown is not None and self.points and not self.added:
            assert len(points(shown["dots"])[0]) == self.points[-1]
        busy = {"try", "take", "apply", "choose", "settings"}
        assert busy <= set(finder.blocked) if active else "settings" not in finder.blocked
        assert ("pause" in finder.blocked) == (not active)
        assert ("apply" in finder.blocked) == (active or self.pick_ is None)
        assert "start" not in finder.blocked
        assert (finder.picked["code"] == "") == (self.pick_ is None)
        current = [run for run in finder.runs if run["current"]]
        assert len(current) == 1 or not finder.runs or not self.points

    @invariant()
    def between_runs_training_is_what_it_was(self) -> None:
        if self.state not in ACTIVE:
            assert self._state_of_training() == self.before
            assert self.optimizer.param_groups[0]["lr"] == self.applied

    def teardown(self) -> None:
        if hasattr(self, "finder"):
            self._in_the_middle(self.finder.close)
            with suppress(RuntimeError):
                self.finder.start()
                raise AssertionError("a closed finder was started")
        assert not [t for t in threading.enumerate() if t.name == "LR range test"]


@pytest.fixture(autouse=True)
def every_point_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "REFRESH_S", 0.0)
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)


pytestmark = pytest.mark.timeout(300)
BOUNDED = settings(derandomize=True, deadline=None, stateful_step_count=30)

TestRangeTest = RangeTestMachine.TestCase
TestRangeTest.settings = settings(BOUNDED, max_examples=150)
TestLRFinder = LRFinderMachine.TestCase
TestLRFinder.settings = settings(BOUNDED, max_examples=40)
