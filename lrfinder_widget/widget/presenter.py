"""Shows a session in its view, and passes picks on to the variable and the optimizer."""

from __future__ import annotations

import datetime as dt
import math
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from torch.optim import Optimizer

from lrfinder_widget.background.range_test import REFRESH_S, RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.training.param_groups import apply_lr
from lrfinder_widget.training.schedule import note_on_peak

from . import tables
from .code import ScheduleKind, check_kind, pick_line, schedule_lines
from .hosts import draws_from_this_thread, draws_only_during_cells
from .page import Page
from .picker import Picker
from .picture import Picture
from .sentences import blocked
from .session import Session, replanned
from .side_view import SideView
from .variable import Variable, notebook_shell
from .variation import ShownVariation
from .view import View


class Presenter(SideView):
    """Connects the runs of a finder to its page; may be called from any thread.

    Parameters
    ----------
    page : Page
        The widget.
    session : Session
        The runs.
    target : Variable
        Where picks are written.

    Attributes
    ----------
    view : View
        What the page shows.
    picker : Picker
        The pick.
    """

    def __init__(self, page: Page, session: Session, target: Variable) -> None:
        plan, value = session.plan, target.read()
        self._session = session
        self._name = target.name
        self._about = session.source.about  # what is shown of it
        self._offered = False  # the candidate of the latest test
        self._undo: Callable[[], None] | None = None  # of the last apply
        self._page = page
        self._variation = ShownVariation()
        self.view = View(
            page,
            plan,
            session.budget,
            about=self._about,
            name=(target.name or "") if target.writable else "",
            lr=math.sqrt(plan.start_lr * plan.end_lr) if value is None else value,
            ladder=session.source.ladder,
        )
        self._lock, self._legend = self.view.lock, self.view.legend
        self.picker = Picker(self.view, target, self._picked, self._show_rest)
        page.on_commit(self.picker.pick)
        shell = notebook_shell()
        self._events = shell.events if shell is not None and target.writable else None
        if self._events is not None:
            self._events.register("post_run_cell", self._after_cell)

    # -- runs -------------------------------------------------------------------------------------

    def begin(self) -> RangeTest:
        """Create a test with the settings in the set-up boxes, and make room for it in the view.

        Raises
        ------
        RuntimeError
            If something is running, or the session is closed.
        ValueError
            If a value in the boxes is invalid.
        """
        with self._lock:
            self._session.check_idle()  # another thread may have closed it
            settings = self.view.settings
            plan, planned = settings.plan(), settings.planned()
            self.view.set_plan(plan)
            self._session.plan_training(planned)
            test = self._session.begin(plan)
            self._offered = False
            self._learn()
            self._legend.begin(self._about.summary)
            self.picker.begin()
        return test

    def replan(self) -> None:
        """Read the curves again for the training that the set-up boxes describe.

        The marker moves to the new candidate, unless somebody has moved it from the last one.

        Raises
        ------
        ValueError
            If a value in the boxes is invalid; then nothing changes.
        """
        with self._lock:
            if self._session.closed:
                return
            planned = self.view.settings.planned()
            self._session.plan_training(planned)
            for run in self._legend.all:
                run.curve = run.curve.with_budget(replanned(run.curve.budget, planned))
            self.picker.problem = None
            self._offered = False
        self.redraw()

    def redraw(self) -> None:
        """Show the current state of the latest test, trial runs and varied tests."""
        self._show(self._session.test)
        self._show_trials(self._session.trial_test)
        self._show_variation(self._session.varied_test)

    def show(self, test: RangeTest) -> None:
        """Show the current state of a test that goes on, if the page is due for it."""
        if draws_from_this_thread() and self.view.is_due(test):
            self._show(test)

    def _show(self, test: RangeTest) -> None:
        with self._lock:
            if self._session.closed or test is not self._session.test:  # another took its place
                return
            self._learn()
            ended = test.state.ended  # before the curve: if it has ended, the curve is whole
            curve = self._session.curve
            suggestion = curve.suggestion if ended else None
            if suggestion is not None and not self._offered:
                self._offered = True
                self.picker.offer(suggestion.lr)
            waiting = self._session.source.waiting
            with self._page.at_once():
                self.view.show(test, curve, test.curves, suggestion, self.picker.problem, waiting)
                self._show_rest()
            self.view.display.renew()

    def _learn(self) -> None:
        """Show what is known of the source, if that has changed."""
        if (about := self._session.source.about) is not self._about:
            self._about = about
            self._legend.name_latest(about.summary)
            self.view.set_about(about)

    def _show_rest(self) -> None:
        """Show the pick, the training that is planned, and what can be clicked."""
        self._show_pick()
        budget, found = self._session.budget, self.view.candidate
        lr = found if self.picker.lr is None else self.picker.lr
        self._page.show(
            planned={"steps": budget.train_steps, "schedule": budget.schedule, "lr": lr},
            blocked=self.blocked,
        )

    @property
    def blocked(self) -> dict[str, str]:
        """Why controls cannot be used now, by their names."""
        cannot = self._session.source.cannot
        if why_not := self.view.variation_plan.why_not:
            cannot = {"vary": why_not, **cannot}
        return blocked(
            self._session.test,
            self._session.trial_test,
            self._session.varied_test,
            picked=self.picker.lr is not None,
            candidate=self.view.candidate is not None,
            cannot=cannot,
        )

    def _after_cell(self, *_: Any) -> None:
        self.picker.follow()
        if draws_only_during_cells():
            self.redraw()

    def draw_until_ended(self, timeout: float | None) -> None:
        """Where the page draws only during a cell, hold the cell and draw from its thread."""
        if not draws_only_during_cells():
            return
        deadline = None if timeout is None else time.monotonic() + timeout
        run = self._session.latest
        while run.state is State.RUNNING and (deadline is None or time.monotonic() < deadline):
            run.join(REFRESH_S)
            self.redraw()

    def _show_pick(self) -> None:
        self.view.show_pick(
            self.picker.lr,
            self.picker.value,
            about="" if self.picker.lr is None else self.about(),
            code=self.code or "",
            optimizer=self._about.optimizer,
            applied=self._undo is not None,
        )

    # -- the pick ---------------------------------------------------------------------------------

    def about(self) -> str:
        """Return where a pick comes from, for a comment in code."""
        parts = ("LR range test", self._about.summary, dt.date.today().isoformat())
        return ", ".join(filter(None, parts))

    @property
    def code(self) -> str | None:
        """The pick as a line of code; `None` while there is none."""
        lr = self.picker.lr
        return None if lr is None else pick_line(self._name or "lr", lr, self.about())

    def schedule_code(self, kind: ScheduleKind) -> str:
        """Return a schedule of the planned length as code.

        Raises
        ------
        RuntimeError
            If the length is unknown, or there is no candidate where one is needed.
        ValueError
            If the kind is unknown.
        """
        check_kind(kind)
        steps, name, picked = self._session.budget.train_steps, self._name or "lr", self.picker.lr
        if steps is None:
            raise RuntimeError(
                "a schedule needs the number of training steps, which is unknown: enter it in "
                "Set up, or pass train_steps= to LRFinder."
            )
        found = self._session.curve.suggest(schedule="constant" if kind == "warmup" else "decay")
        peak = found.lr if picked is None or kind == "1cycle" else picked
        if peak is None:
            raise RuntimeError(f"the curve suggests no learning rate: {found.reason}")
        line = pick_line(name, peak, self.about())
        about = self._about
        kept = {"ratios": about.several_rates, "tensors": about.tensor_rates}
        return schedule_lines(kind, steps, name, line, found, **kept)

    def apply(self, optimizer: Optimizer | None, scheduler: Any) -> None:
        """Set the pick on an optimizer, by default the source's, and on its schedule.

        Raises
        ------
        RuntimeError
            If nothing has been picked, or something is running, or there is no optimizer.
        TypeError
            If one of them is no optimizer or no scheduler.
        """
        self._session.check_idle()
        if (lr := self.picker.lr) is None:
            raise RuntimeError("nothing has been picked yet: drag the marker, or call pick().")
        with self._lock:
            if (optimizer := optimizer or self._session.source.optimizer) is None:
                raise RuntimeError(self.blocked["apply"])
            self._undo = apply_lr(lr, optimizer, scheduler)
        if scheduler is not None:
            self.picker.problem = note = note_on_peak(lr, scheduler)
            if note is not None:
                warnings.warn(note, stacklevel=3)
        self.redraw()

    def apply_or_undo(self) -> None:
        """Set the pick on the source's optimizer, or undo that."""
        self._session.check_idle()
        with self._lock:  # one click at a time, whichever thread it comes on
            undo, self._undo = self._undo, None
            if undo is not None:
                undo()
        if undo is None:
            self.apply(None, None)
        self.redraw()

    def _picked(self) -> None:
        self._undo = None  # the next click applies the new pick
        with self._lock:  # also once it is closed
            self._page.show(lr=self.picker.lr)
        self.redraw()

    # -- in and out -------------------------------------------------------------------------------

    def keep(self, curve: LossCurve, name: str | None) -> None:
        """Show a curve behind the current one.

        Raises
        ------
        RuntimeError
            If the session is closed.
        """
        with self._lock:
            self._session.check_open()
            self._legend.add(curve, name)
        self.redraw()

    def picture(self) -> Picture:
        """Return the chart as a static picture."""
        with self._lock:
            run, beside = self._legend.current, self._legend.others
        return Picture(run, self.picker.lr, log=self._session.plan.log, beside=beside)

    def runs(self) -> list[tuple[str, LossCurve]]:
        """Return the runs on the chart, with their names."""
        with self._lock:
            return [(run.name, run.curve) for run in self._legend.all]

    def contents(self, ending: str) -> str:
        """Return the contents of a file with this suffix; for a bitmap, the SVG to draw."""
        if ending in ("svg", "png"):
            return self.picture()._repr_svg_()
        return tables.to_csv(self.runs()) if ending == "csv" else self.to_json()

    def to_json(self) -> str:
        """Return the pick and the runs on the chart as JSON."""
        return tables.to_json(self.picker.lr, self.runs())

    def close(self) -> None:
        """Stop following the variable; the pick and the runs stay."""
        with self._lock:
            self._undo = None
            self.picker.close()
            if self._events is not None:
                with suppress(ValueError):  # all callbacks have been cleared
                    self._events.unregister("post_run_cell", self._after_cell)
                self._events = None
