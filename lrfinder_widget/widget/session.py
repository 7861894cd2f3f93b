"""The runs of one finder, one at a time, and how finders keep out of each other's way."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Self

from torch import Tensor

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.curve.suggest import Suggestion
from lrfinder_widget.training.compare import Trials
from lrfinder_widget.training.engine import Sweep

from .takeover import current_cell, forget, starting, stop_others

_OPENED_S = 30.0  # how long start() lets a loader start its workers before it returns anyway


class Runs:
    """Starts and steers the runs of one sweep; whoever shows them inherits from this.

    Parameters
    ----------
    sweep : Sweep
        Its checked arguments.
    """

    _closed = True  # until the constructor is through: ipywidgets closes what is collected

    def __init__(self, sweep: Sweep) -> None:
        self.cell = current_cell()
        self._sweep = sweep
        self._test = RangeTest(())  # until the first start, one that is ready
        self._earlier: list[LossCurve] = []
        self._trials: Trials | None = None
        self._trial_run = RangeTest(())
        self._latest = self._test  # of both kinds

    def _show(self, test: RangeTest) -> None:
        """Draw what the run is now; called on any thread."""
        raise NotImplementedError

    # -- reading ----------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the latest run is; ``State.READY`` before the first."""
        return self._test.state

    @property
    def reason(self) -> Reason | None:
        """Why the latest run ended, see `LossCurve`; `None` before that."""
        return self._test.reason

    @property
    def exception(self) -> BaseException | None:
        """What made the latest run fail, as it was raised."""
        return self._test.exception

    @property
    def curve(self) -> LossCurve:
        """The curve of the latest run, as far as it is."""
        return self._test.curve

    @property
    def curves(self) -> list[LossCurve]:
        """The curves of all runs, the latest last."""
        return [*self._earlier, self.curve] if len(self._test) else list(self._earlier)

    @property
    def suggestion(self) -> Suggestion:
        """What the latest curve suggests, or why it suggests nothing."""
        return self.curve.suggestion

    @property
    def comparison(self) -> Comparison | None:
        """What the latest trial runs have shown so far; `None` before the first."""
        return None if self._trials is None else self._trials.comparison

    def parameters(self) -> list[Tensor]:
        """Return the parameters that a run changes and puts back."""
        sweep = self._sweep  # read before: a finder that is being closed has another in the end
        return [] if self._closed else sweep.parameters()

    # -- steering ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Run the test in the background and return itself, so as a last line it shows the chart.

        A run of another finder on the same model is stopped first, and its restore waited for.

        Raises
        ------
        RuntimeError
            If the test is running or paused, or the finder is closed.
        ValueError
            If what was typed into the set-up boxes cannot work; nothing is begun then.
        """
        self._check_idle()  # before the lock, too: a step that starts its own finder must not wait
        with starting:
            self._check_idle()
            stop_others(self)
            self._prepare()
            opened = threading.Event()
            test = RangeTest(self._sweep.points(opened))
            self._replace(test)
            self._begin(test, opened)
        # A loader starts its worker processes by fork, which wants the other threads at rest: this
        # one waits until that is done.
        opened.wait(_OPENED_S)
        return self

    def _check_idle(self) -> None:
        if self._closed:
            raise RuntimeError("this LRFinder is closed; make a new one.")
        if self.state in (State.RUNNING, State.PAUSED):
            raise RuntimeError(f"the LR range test is {self.state.value}; call stop() first.")
        if self._trial_run.state is State.RUNNING:
            raise RuntimeError("trial runs are under way; call stop() first.")

    def compare(self, lrs: Iterable[float] | None = None, steps: int = 200) -> Self:
        """Try a few learning rates in the background, as `lrfinder_widget.compare` does.

        Parameters
        ----------
        lrs : iterable of float, optional
            By default what the latest curve suggests to try.
        steps : int, default 200
            Optimizer steps of each.

        Raises
        ------
        RuntimeError
            If a test or trial runs are under way, the finder is closed, or there is nothing to try.
        ValueError
            For arguments that cannot work.
        """
        self._check_idle()
        chosen = self.curve.trial_candidates() if lrs is None else list(lrs)
        if lrs is None and not chosen:
            raise RuntimeError("the curve shows nothing that is worth a trial: pass lrs=[…].")
        with starting:
            self._check_idle()
            stop_others(self)
            trials = Trials(self._sweep, chosen, steps)
            run = RangeTest(trials.points())
            run.listen(self._show_trials)
            self._trials, self._trial_run, self._latest = trials, run, run
            run.start()
            if self._closed:  # on another thread, meanwhile
                run.stop()
        return self

    def _show_trials(self, run: RangeTest) -> None:
        """Draw the trial runs as they are now; called on any thread."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Take up what has been set up for the next run."""

    def _replace(self, test: RangeTest) -> None:
        """Make `test` the latest run."""
        self._earlier = self.curves
        self._test = self._latest = test

    def _begin(self, test: RangeTest, opened: threading.Event) -> None:
        def let_go(test: RangeTest) -> None:
            if test.state is not State.RUNNING:  # paused or ended before it came to the data
                opened.set()

        test.listen(let_go)
        test.listen(self._show)
        test.start()
        if self._closed:  # on another thread, meanwhile
            test.stop()

    def pause(self) -> None:
        """Halt after the step under way; the model stays as the test has made it.

        Raises
        ------
        RuntimeError
            If the test is not running.
        """
        self._test.pause()

    def resume(self) -> None:
        """Go on after a pause.

        Raises
        ------
        RuntimeError
            If the test is not paused.
        """
        self._test.resume()

    def stop(self) -> None:
        """End what runs after the step under way, and return when everything is put back."""
        for run in (self._test, self._trial_run):
            run.stop()
            run.join()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until what was started last has ended and everything is put back.

        Raises
        ------
        RuntimeError
            If it was not started, or is paused: it would be waited for in vain.
        TimeoutError
            If it has not ended after `timeout` seconds; it goes on.
        BaseException
            What made the test fail, as your code raised it.
        """
        self._latest.wait(timeout)
        return self

    def close(self) -> None:
        """Stop a run, wait until everything is put back, and let go of every widget."""
        if self._closed:
            return
        self._closed = True  # without start()'s lock: the run that is waited for may close it too
        try:
            self.stop()
        finally:  # an interrupt does not keep the widgets
            forget(self)
            self._let_go()
            # IPython keeps what a cell has shown, in `Out`: not the model with it.
            self._sweep = self._sweep.let_go()
            if self._trials is not None:
                self._trials.let_go()

    def _let_go(self) -> None:
        """Close every widget."""
        raise NotImplementedError
