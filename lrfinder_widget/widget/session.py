"""The runs of one finder: the latest test, earlier curves, trial runs and varied tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from lrfinder_widget.background.at_exit import exiting
from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.budget import NO_BUDGET, Budget
from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import RunPoints
from lrfinder_widget.runs.ladder import around
from lrfinder_widget.runs.source import RunSource
from lrfinder_widget.runs.trial_runs import TrialRuns
from lrfinder_widget.runs.varied_runs import Settings, VariedRuns

from .surroundings import Surroundings

_CLOSED = "this LRFinder is closed; make a new one."
_OPENED_S = 30.0  # how long start() lets a run open its data before it returns anyway


class Session:
    """The runs of a finder, one at a time. It knows no widgets.

    Parameters
    ----------
    source : RunSource
        Where they come from; released when the session is closed.
    plan : SweepPlan
        The learning rates of the first test.
    planned : Budget
        The training that the candidates are for.

    Attributes
    ----------
    source : RunSource
        As given.
    test : RangeTest
        The latest test; before the first start, one in the state ``READY``.
    surroundings : Surroundings
        The cell that made the session.
    trial_test : RangeTest
        The latest trial runs, as one run in the background.
    trials : TrialRuns or None
        What those run; `None` before the first, and once the session is released.
    varied_test : RangeTest
        The latest tests with other settings varied, as one run in the background.
    varied : VariedRuns or None
        What those run; `None` before the first.
    latest : RangeTest
        Whatever was started last.
    closed : bool
        Whether nothing more can be started.
    """

    def __init__(self, source: RunSource, plan: SweepPlan, planned: Budget = NO_BUDGET) -> None:
        self.source = source
        self._plan = plan
        self.surroundings = Surroundings(source.thread_state())
        self._planned = planned
        self.test = RangeTest(())
        self.trial_test = RangeTest(())
        self.varied_test = RangeTest(())
        self.closed = False
        self._steering = threading.RLock()
        self._earlier: list[LossCurve] = []
        self._latest_curve: tuple[LossCurve, LossCurve] | None = None  # as measured, for the budget
        self.trials: TrialRuns | None = None
        self.varied: VariedRuns | None = None
        self._comparison: Comparison | None = None  # what is left of the trials at the end
        self.latest = self.test
        self._opened = threading.Event()

    @property
    def plan(self) -> SweepPlan:
        """The learning rates of the latest test."""
        return self.source.about.plan or self._plan

    @property
    def curve(self) -> LossCurve:
        """The curve of the latest test so far, for the training that is planned now.

        It is the same object until another point arrives or the plan changes.
        """
        measured, budget, made = self.test.curve, self.budget, self._latest_curve
        if made is None or made[0] is not measured or made[1].budget != budget:
            made = self._latest_curve = measured, measured.with_budget(budget)
        return made[1]

    @property
    def curves(self) -> list[LossCurve]:
        """The curves of all tests, the latest last."""
        return [*self._earlier, self.curve] if len(self.test) else list(self._earlier)

    @property
    def budget(self) -> Budget:
        """What the candidates of the latest test are for, as far as it is known."""
        return replanned(self.source.about.budget, self._planned)

    def plan_training(self, planned: Budget) -> None:
        """Let every curve answer for another length and schedule of the training."""
        self._planned = planned
        self._earlier = [c.with_budget(replanned(c.budget, planned)) for c in self._earlier]
        if self.varied is not None:
            self.varied.plan_training(planned)

    @property
    def unrestored(self) -> tuple[str, ...]:
        """What the run that was started last could not put back, one sentence each."""
        return self.latest.unrestored

    @property
    def comparison(self) -> Comparison | None:
        """The results of the latest trial runs so far; `None` before the first."""
        trials = self.trials
        return self._comparison if trials is None else trials.comparison

    def check_open(self) -> None:
        """Raise a RuntimeError if the session is closed."""
        if self.closed:
            raise RuntimeError(_CLOSED)

    def check_idle(self) -> None:
        """Raise an error if something is running, or if the session is closed.

        Raises
        ------
        RuntimeError
            If anything is running or paused, or the session is closed.
        """
        self.check_open()
        if self.test.state.active:
            raise RuntimeError(f"the LR range test is {self.test.state.value}; call stop() first.")
        if self.trial_test.state.active:
            raise RuntimeError("trial runs are in progress; call stop() first.")
        if self.varied_test.state.active:
            raise RuntimeError("tests with a setting varied are in progress; call stop() first.")

    def begin(self, plan: SweepPlan) -> RangeTest:
        """Create a new test, which becomes the latest; `launch` starts it.

        Raises
        ------
        RuntimeError
            As `check_idle`.
        """
        self.check_idle()
        earlier, opened = self.curves, threading.Event()
        test = self._in_surroundings(self.source.begin(plan, opened))

        def stop_waiting(test: RangeTest) -> None:
            if test.state is not State.RUNNING:  # paused or ended before it opened the data
                opened.set()

        test.listen(stop_waiting)
        self._plan, self._opened = plan, opened
        self._earlier = earlier
        self.test = self.latest = test
        return test

    def begin_trials(self, lrs: Any, steps: int, **judged: Any) -> RangeTest:
        """Create new trial runs, which become the latest; `launch` starts them.

        Parameters
        ----------
        lrs : iterable of float, "ladder" or None
            None stands for those around the candidate of the latest curve, or for the ladder; see
            `around`.
        steps, **judged
            As for `compare`; the last are ``held_out`` and ``evaluate``.

        Raises
        ------
        RuntimeError
            As `check_idle`.
        TypeError, ValueError
            For invalid arguments.
        """
        self.check_idle()
        if lrs is None:
            lrs = around(self.curve) or "ladder"
        self.trials, points = self.source.begin_trials(lrs, steps, **judged)
        run = self._in_surroundings(points)
        self.trial_test = self.latest = run
        return run

    def begin_variation(
        self, settings: Settings, plan: SweepPlan, planned: Budget, **makes: Any
    ) -> RangeTest:
        """Create tests with other settings varied, which become the latest; `launch` starts them.

        Parameters
        ----------
        settings, plan, planned, **makes
            See `RunSource.begin_variation`.

        Raises
        ------
        RuntimeError
            As `check_idle`.
        TypeError, ValueError
            For invalid arguments.
        """
        self.check_idle()
        self.varied, points = self.source.begin_variation(settings, plan, planned, **makes)
        self.varied_test = self.latest = self._in_surroundings(points)
        return self.varied_test

    def _in_surroundings(self, points: RunPoints) -> RangeTest:
        run = RangeTest(RunPoints(self.surroundings.around(points), points.unrestored))
        run.listen(self._stop_without_cell)
        if points.steer is not None:
            run.listen(partial(self._steer, points.steer))
        return run

    def _stop_without_cell(self, run: RangeTest) -> None:
        if self.surroundings.gone and run.state.active and not run.stopping:
            run.stop()

    def _steer(self, order: Callable[[str], object], run: RangeTest) -> None:
        """Pass a pause or a stop on; that a finder, its cell or the kernel ends is none."""
        with self._steering:  # or the order of a thread that looked earlier could come last
            state = run.state
            stopped = run.stopping or state is State.STOPPED  # it may have ended before this call
            if not (state.active or stopped):
                return
            if self.closed or self.surroundings.gone or exiting.is_set():
                order("run")
            else:
                order("stop" if stopped else "pause" if state is State.PAUSED else "run")

    def launch(self, run: RangeTest, show: Callable[[RangeTest], object]) -> None:
        """Start a new run; `show` is called as it proceeds, on any thread."""
        run.listen(show)
        run.start()
        if self.closed:  # meanwhile, on another thread
            run.stop()

    def wait_until_open(self) -> None:
        """Wait until a start need not be waited for any more."""
        self._opened.wait(_OPENED_S)

    def stop(self) -> None:
        """End all runs after the current step, and return once everything is put back."""
        for run in (self.test, self.trial_test, self.varied_test):
            run.stop()
            run.join()

    def wait(self, timeout: float | None) -> None:
        """Wait for the run that was started last, as `RangeTest.wait` does."""
        self.latest.wait(timeout)

    def release(self) -> None:
        """Let go of all that is trained; keep what was measured."""
        self._comparison, self.trials = self.comparison, None
        self.source.release()


def replanned(budget: Budget, planned: Budget) -> Budget:
    """Return a budget for the length and the schedule of another, with its own optimizer."""
    return replace(budget, train_steps=planned.train_steps, schedule=planned.schedule)
