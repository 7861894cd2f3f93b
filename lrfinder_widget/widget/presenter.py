"""Shows a session in its view, and puts picks where they belong: the variable, the optimizer."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.training.param_groups import apply_lr
from lrfinder_widget.training.task import TrainingTask

from . import tables
from .number import format_lr
from .picker import Picker
from .picture import Picture
from .session import Session
from .variable import Variable
from .view import View


class Presenter:
    """What lies between the runs of a finder and its widgets; any thread may call it.

    Parameters
    ----------
    session : Session
        The runs.
    target : Variable
        Where picks go.

    Attributes
    ----------
    view : View
        The widgets; gone once it is closed.
    picker : Picker
        The pick.
    """

    def __init__(self, session: Session, target: Variable) -> None:
        task, plan, held = session.task, session.plan, target.read()
        self._session = session
        self._name = target.name
        self._summary = task.summary
        self._optimizer = type(task.optimizer).__name__
        self._offered: RangeTest | None = None  # the test whose candidate has been offered
        self._undo: Callable[[], None] | None = None  # of the last apply
        self.view = View(
            plan,
            device=_where(task),
            name=target.name,
            lr=math.sqrt(plan.start_lr * plan.end_lr) if held is None else held,
            about=self.about,
            contents=self._contents,
            redraw=self.redraw,
        )
        self._lock, self._legend = self.view.lock, self.view.legend  # they outlive the view
        self.picker = Picker(self.view, target, self._picked)

    # -- runs -------------------------------------------------------------------------------------

    def begin(self) -> RangeTest:
        """Begin a test with what the set-up boxes say, and make room for it.

        Raises
        ------
        RuntimeError
            If something runs, or the session is closed.
        ValueError
            If what was typed into the boxes cannot work.
        """
        with self._lock:
            self._session.check_idle()  # it may have been closed on another thread
            plan = self.view.setup.plan()
            self.view.set_plan(plan)
            test = self._session.begin(plan)
            self.view.begin(self._summary)
            self.picker.begin()
        return test

    def redraw(self) -> None:
        """Show what the latest test is now."""
        self.show(self._session.test)

    def show(self, test: RangeTest) -> None:
        """Show what a test is now, unless another has taken its place."""
        with self._lock:
            if self._session.closed or test is not self._session.test:
                return
            curve = test.curve
            suggestion = curve.suggestion if test.state.ended else None
            if suggestion is not None and self._offered is not test:
                self._offered = test
                if suggestion.lr is not None:
                    self.picker.offer(suggestion.lr)
            self.view.show(test, curve, test.curves, suggestion, self.picker.problem)
            self.view.controls.show_apply(
                self._optimizer,
                possible=self.picker.lr is not None and not test.state.active,
                applied=self._undo is not None,
            )

    def show_trials(self, run: RangeTest) -> None:
        """Show what trial runs are now, unless others have taken their place."""
        with self._lock:
            found = self._session.comparison
            if not self._session.closed and found is not None and run is self._session.trial_test:
                self.view.trials.show(run, found, self._session.trial_steps)

    # -- the pick ---------------------------------------------------------------------------------

    def about(self) -> str:
        """Say what a pick comes from, for a comment in code."""
        return f"LR range test, {self._summary}, {dt.date.today().isoformat()}"

    @property
    def code(self) -> str | None:
        """The pick as a line of code; `None` while there is none."""
        lr = self.picker.lr
        return None if lr is None else f"{self._name or 'lr'} = {format_lr(lr)}  # {self.about()}"

    def apply(self, optimizer: Optimizer | None, scheduler: Any) -> None:
        """Set the pick on an optimizer, by default the task's, and on its schedule.

        Raises
        ------
        RuntimeError
            If nothing has been picked, or something runs.
        """
        self._session.check_idle()
        if (lr := self.picker.lr) is None:
            raise RuntimeError("nothing has been picked yet: drag the marker, or call pick().")
        with self._lock:
            self._undo = apply_lr(lr, optimizer or self._session.task.optimizer, scheduler)
        self.redraw()

    def apply_or_undo(self) -> None:
        """Set the pick on the task's optimizer, or take that back."""
        self._session.check_idle()
        with self._lock:  # one click after another, whatever thread they come on
            undo, self._undo = self._undo, None
            if undo is not None:
                undo()
        if undo is None:
            self.apply(None, None)
        self.redraw()

    def _picked(self) -> None:
        self._undo = None  # the next click applies the new pick
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
            self.view.keep(curve, name)

    def picture(self) -> Picture:
        """Return the chart as a static picture."""
        with self._lock:
            run, beside = self._legend.current, self._legend.others
        return Picture(run, self.picker.lr, log=self._session.plan.log, beside=beside)

    def runs(self) -> list[tuple[str, LossCurve]]:
        """Return the runs on the chart, with their names."""
        with self._lock:
            return [(one.name, one.curve) for one in self._legend.all]

    def _contents(self, ending: str) -> str:
        """Return what a file of that ending would hold; of a bitmap, as the SVG to draw."""
        if ending in ("svg", "png"):
            return self.picture()._repr_svg_()
        return tables.to_csv(self.runs()) if ending == "csv" else self.to_json()

    def to_json(self) -> str:
        """Return the pick and the runs on the chart as JSON."""
        return tables.to_json(self.picker.lr, self.runs())

    def close(self) -> None:
        """Close every widget; the pick and the runs stay."""
        with self._lock:
            self._undo = None
            self.picker.close()
            self.view.close()
            del self.view  # IPython keeps what a cell has shown, in `Out`: not all its widgets


def _where(task: TrainingTask) -> str | None:
    """Name the device; a model that was forgotten on the CPU deserves a note."""
    device = task.device
    if device is None:
        return None
    if device.type == "cpu" and torch.accelerator.is_available():
        return f"cpu, although a {torch.accelerator.current_accelerator()} device is available"
    return str(device)
