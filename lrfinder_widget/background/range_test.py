"""One observable run of any iterator of ``(lr, loss)`` in a background thread.

The package's only thread, and the only place that knows what is running. No torch, no widgets.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any

from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.curve.points import Item, Recorder

from .at_exit import forget, stop_at_exit
from .let_go import let_go_of_locals
from .state import TRANSITIONS, State
from .switch_interval import short_switch_interval
from .thread_note import note_thread

logger = logging.getLogger(__name__)

REFRESH_S = 1 / 12
"""The shortest time between two calls of the listeners for new points."""

MANY, RARELY = 1000, 10
"""Beyond `MANY` points, `RARELY` times less often: each refresh sends the whole curve."""

Listener = Callable[["RangeTest"], object]


class RangeTest:
    """Run an iterator of ``(lr, loss)`` in a background thread, once; `range_test` blocks instead.

    Parameters
    ----------
    points : iterable of (float, float) or None
        Usually a `sweep`. A generator is closed when the run is stopped; the value it returns is
        the reason of its end. Between two repeats it yields the reason of the earlier one. A
        baseline that it can be asked for follows each repeat's points. One that has to wait for its
        next point yields None now and then, so that the run can be paused or stopped meanwhile.

    Examples
    --------
    >>> test = RangeTest([(1e-3, 2.0), (1e-2, 1.0)]).start().wait()
    >>> test.state, test.reason, test.curve.losses.tolist()
    (<State.FINISHED: 'finished'>, 'completed', [2.0, 1.0])
    """

    def __init__(self, points: Iterable[Item | None]) -> None:
        self._points = points
        # Guards everything below; never held while calling other code. Acquired directly: its
        # condition's `with` is Python code, slow, and an interrupt in it could leave it locked.
        self._lock = threading.RLock()
        self._change = threading.Condition(self._lock)
        self._state = State.READY
        self._stop = False
        self._recorder = Recorder(getattr(points, "budget", None))
        self._median: tuple[tuple[LossCurve, ...], LossCurve] | None = None  # of these curves
        self._reason: Reason | None = None
        self._exception: BaseException | None = None
        self.unrestored: tuple[str, ...] = ()  # what could not be put back, in sentences
        self._listeners: list[Listener] = []
        self._done = threading.Event()  # set as the worker's last act
        self._worker: threading.Thread | None = None
        self._begun = False  # the worker has started, or never will

    def __repr__(self) -> str:
        return f"<RangeTest {self.state.value}, {len(self)} points>"

    # -- reading ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state of the run."""
        return self._state

    @property
    def reason(self) -> Reason | None:
        """Why it ended, as a keyword, see `LossCurve`; `None` until then."""
        return self._reason

    @property
    def exception(self) -> BaseException | None:
        """The exception that made it fail, as it was raised; `None` if it has not failed."""
        return self._exception

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop and has not ended yet."""
        return self._stop and not self._state.ended

    @property
    def curve(self) -> LossCurve:
        """The points so far; until the run ends, the reason is "stopped", as if it ended here.

        With several repeats, the median of those that have ended. It is the same object until
        another point arrives.
        """
        curves, made = self._all_repeats(), self._median
        if made is None or made[0] is not curves:
            made = self._median = curves, LossCurve.median(curves)
        return made[1]

    @property
    def curves(self) -> list[LossCurve]:
        """One curve per repeat, the latest last; in `LRFinder.curves` there is one per run."""
        return list(self._all_repeats())

    def _all_repeats(self) -> tuple[LossCurve, ...]:
        with self._lock:
            return self._recorder.curves

    def __len__(self) -> int:
        return len(self._recorder)

    # -- steering ---------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Call ``listener(self)`` after new points and at each change of state.

        For new points it is called at most 12 times a second, and ten times less often beyond a
        thousand points. It may be called on any thread, and should read the run's current state. If
        a listener raises an error, the error is logged and the listener removed; the run continues.
        """
        with self._lock:
            self._listeners.append(listener)

    def start(self) -> RangeTest:
        """Start the run in a background thread, and return at once.

        Raises
        ------
        RuntimeError
            If it has already been started.
        """
        worker = threading.Thread(target=self._work, name="LR range test", daemon=True)
        try:
            with self._lock:
                self._check(State.READY, "started")
                self._worker = worker
                self._set_state(State.RUNNING)
            stop_at_exit(self)
            worker.start()
        except BaseException as error:  # an interrupt, or no more threads can be created
            if self._given_up(worker):
                self._publish(State.FAILED, "failed", error)
                forget(self)
                self._done.set()
            raise
        self._notify()
        return self

    def _given_up(self, worker: threading.Thread) -> bool:
        """Return whether the run was about to begin and now never will; a late worker sees that."""
        with self._lock:
            if self._worker is not worker or self._begun:
                return False
            self._begun = self._state is State.RUNNING
            if not self._begun:
                self._worker = None
            return self._begun

    def pause(self) -> None:
        """Pause after the current step.

        Raises
        ------
        RuntimeError
            If it is not running.
        """
        self._move(State.PAUSED, "paused", only_from=State.RUNNING)
        self._notify()

    def resume(self) -> None:
        """Continue after a pause.

        Raises
        ------
        RuntimeError
            If it is not paused.
        """
        self._move(State.RUNNING, "resumed", only_from=State.PAUSED)
        self._notify()

    def stop(self) -> None:
        """Ask it to end after the current step; do nothing if it is not running."""
        with self._lock:
            if self._state is State.READY or self._state.ended:
                return
            self._stop = True
            self._change.notify_all()
        self._notify()

    def wait(self, timeout: float | None = None) -> RangeTest:
        """Wait until it has ended and everything is restored.

        Raises
        ------
        RuntimeError
            If it has not been started or is paused, as the wait might then never end.
        TimeoutError
            If it has not ended after `timeout` seconds; it runs on.
        BaseException
            The exception that made the run fail, as it was raised.
        """
        if self._state in (State.READY, State.PAUSED) and not self._stop:
            todo = "start()" if self._state is State.READY else "resume() or stop()"
            raise RuntimeError(f"the LR range test is {self._state.value}; call {todo} first.")
        if not self.join(timeout):
            raise TimeoutError(f"the LR range test has not ended after {timeout} s; it runs on.")
        if self._exception is not None:
            raise self._exception
        return self

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of a run that was started; return whether it came within `timeout` s.

        Unlike `wait`, it does not raise the run's exception. A run never begun counts as ended.
        """
        if self._worker is None:
            return True
        if self._worker is threading.current_thread():  # a listener cannot wait for its own caller
            return False
        # Not `Thread.join`: before Python 3.13, an interrupt in it marks a live thread as ended.
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:  # in slices, so that an interrupt takes effect on every platform
            left = 0.1 if deadline is None else deadline - time.monotonic()
            if self._done.wait(max(0.0, min(0.1, left))):
                return True
            if deadline is not None and left <= 0:
                return False

    def _move(self, to: State, verb: str, *, only_from: State) -> None:
        with self._lock:
            self._check(only_from, verb)
            self._set_state(to)

    def _check(self, state: State, verb: str) -> None:
        if self._state is not state:
            raise RuntimeError(
                f"only an LR range test that is {state.value} can be {verb}; "
                f"this one is {self._state.value}."
            )

    def _set_state(self, to: State) -> None:
        if to not in TRANSITIONS[self._state]:  # a bug in this module, not in its caller
            raise AssertionError(f"forbidden transition {self._state} to {to}")
        self._state = to
        self._change.notify_all()

    # -- the worker -------------------------------------------------------------------------------

    def _work(self) -> None:
        with self._lock:
            if self._begun:
                return
            self._begun = True
        try:
            self._run()
        finally:
            forget(self)
            self._done.set()

    def _run(self) -> None:
        exception: BaseException | None = None
        try:
            if ask := getattr(self._points, "ask_for_baseline", None):
                ask()
            points = iter(self._points)
            try:
                state, reason = self._advance(points)
            finally:
                if isinstance(points, Generator):
                    points.close()  # restores
        except BaseException as error:  # noqa: BLE001 - `wait` raises it, whatever it is
            note_thread(error)
            let_go_of_locals(error)
            state, reason, exception = State.FAILED, "failed", error
        self._publish(state, reason, exception)

    def _publish(self, state: State, reason: Reason, exception: BaseException | None) -> None:
        self.unrestored = tuple(getattr(self._points, "unrestored", ()))
        self._points = ()
        with self._lock:
            self._reason = reason
            self._exception = exception
            self._recorder.end(reason)
            self._set_state(state)
        self._notify()

    def _advance(self, points: Any) -> tuple[State, Reason]:
        while self._may_go_on():
            with short_switch_interval():
                end = self._consume(points)
            if end is not None:
                return State.FINISHED, end
        return State.STOPPED, "stopped"

    def _may_go_on(self) -> bool:
        """Wait while it is paused; return whether to take more points."""
        with self._lock:
            self._change.wait_for(lambda: self._state is State.RUNNING or self._stop)
            return not self._stop

    def _consume(self, points: Any) -> Reason | None:
        """Take points until they end, or until a pause or stop; return why they ended, if so."""
        # The caller that started or resumed it has notified the listeners.
        due = time.monotonic() + REFRESH_S
        while self._state is State.RUNNING and not self._stop:
            try:
                item = next(points)
            except StopIteration as end:
                return end.value or "completed"
            if item is not None:
                with self._lock:
                    self._recorder.take(item)
            if (now := time.monotonic()) >= due:
                due = now + REFRESH_S * (RARELY if self._recorder.size > MANY else 1)
                self._notify()
        return None

    def _notify(self) -> None:
        with self._lock:
            listeners, worker = tuple(self._listeners), self._worker
        for listener in listeners:
            try:
                listener(self)
            except BaseException as error:
                if not isinstance(error, Exception) and threading.current_thread() is not worker:
                    raise  # an interrupt of a cell; in the worker, nothing could catch it
                with self._lock:
                    first = listener in self._listeners
                    if first:
                        self._listeners.remove(listener)
                if first:  # two threads may have called it at once
                    logger.error("A listener of the run failed; it was removed.", exc_info=error)
