"""The part of a presenter that shows trial runs and varied tests; any thread may call it."""

from __future__ import annotations

import threading
from typing import Any

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.runs.varied_runs import Settings

from .hosts import draws_from_this_thread
from .session import Session
from .trials import shown_trials
from .variation import ShownVariation
from .view import View


class SideView:
    """Shows what a finder runs beside its test."""

    view: View
    _session: Session
    _lock: threading.RLock
    _variation: ShownVariation

    def _learn(self) -> None:
        raise NotImplementedError

    def _show_rest(self) -> None:
        raise NotImplementedError

    def begin_variation(self, settings: Settings, **makes: Any) -> RangeTest:
        """Create tests with other settings varied, and all else as in the set-up boxes.

        Raises
        ------
        RuntimeError
            If something is running, or the session is closed.
        TypeError, ValueError
            If a setting cannot be varied, or a value in the boxes is invalid.
        """
        with self._lock:
            boxes = self.view.settings
            return self._session.begin_variation(settings, boxes.plan(), boxes.planned(), **makes)

    def show_trials(self, run: RangeTest) -> None:
        """Show the current state of trial runs that go on, if the page is due for it."""
        if draws_from_this_thread() and self.view.is_due(run):
            self._show_trials(run)

    def show_variation(self, run: RangeTest) -> None:
        """Show the current state of varied tests that go on, if the page is due for it."""
        if draws_from_this_thread() and self.view.is_due(run):
            self._show_variation(run)

    def _show_trials(self, run: RangeTest) -> None:
        with self._lock:
            session, trials = self._session, self._session.trials
            if session.closed or trials is None or run is not session.trial_test:
                return
            self._learn()
            pace, source = self.view.trial_plan.seconds_per_step, session.source
            here, waiting = source.about.here, source.waiting
            shown = shown_trials(run, trials, pace, session.budget, here=here, waiting=waiting)
            lines = (line for one in shown["lines"] for line in (one["line"], one["held_out"]))
            self.view.show_beside(run, lines, trials=shown)
            self._show_rest()

    def _show_variation(self, run: RangeTest) -> None:
        with self._lock:
            session, varied = self._session, self._session.varied
            if session.closed or varied is None or run is not session.varied_test:
                return
            self._learn()
            looks, source = self.view.settings.looks, session.source
            here, waiting = source.about.here, source.waiting
            shown = self._variation.show(run, varied, looks, here=here, waiting=waiting)
            self.view.show_beside(run, (one["line"] for one in shown["lines"]), varied=shown)
            self._show_rest()
