"""What the finder shows: chart, marker and controls put together; all writing to them is here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import ipywidgets
import numpy as np

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.suggest import Suggestion

from .chart import MARGIN, Chart, smooth_line
from .controls import Controls, pace_text, sentence, status_text, written_text
from .display_options import DisplayOptions
from .downloads import Downloads
from .factory import WidgetFactory, close_tree
from .legend import Legend
from .lines import ShownRun
from .marker import LRMarker
from .number import format_lr
from .run_settings import RunSettings
from .trials import TrialView

_READ_POINTS = 400  # of the curve, for the loss at the marker
_READ_S = 1.0  # while the curve grows, the marker is given it no more often


class View:
    """The widgets of one finder. Any thread may call it, under `lock` where it asks for that.

    ipywidgets is not thread-safe: what Python alone writes is written under `lock`. What the page
    writes too, the marker and the number box, is merely set: the last value wins.

    Parameters
    ----------
    ladder : list of float
        The learning rates of a run.
    repeats : int
        So many times.
    log : bool
        Whether they are even on a logarithmic axis, or a linear one.
    device : str or None
        Where it runs, to be shown.
    name : str or None
        The variable's name.
    lr : float
        Where the marker stands at first.
    about : callable
        Says what a pick comes from.
    contents : callable
        Returns what can be saved as a file of the given ending.
    redraw : callable
        Has `show` called with what there is.
    """

    def __init__(
        self,
        ladder: list[float],
        *,
        repeats: int,
        log: bool,
        device: str | None,
        name: str | None,
        lr: float,
        about: Callable[[], str],
        contents: Callable[[str], str],
        redraw: Callable[[], object],
    ) -> None:
        self.about = about
        self.redraw = redraw
        self.lock = threading.RLock()
        self._range = (ladder, log, repeats)
        self._total = repeats * len(ladder)
        self._device = device
        self._name = name
        self._placed = lr  # where Python last put the marker
        self._drawn: tuple[ShownRun | None, int, float] = (None, 0, 0.0)
        self._read: tuple[ShownRun | None, int, float] = (None, 0, 0.0)  # what the marker has of it
        self._read_at = 0.0
        self._state: tuple[RangeTest | None, State] = (None, State.READY)
        self._suggested: tuple[ShownRun | None, Suggestion | None] = (None, None)
        self._found: dict[str, float] = {}
        self._pace_from = (0.0, 0)
        self.chart = Chart(ladder[0], ladder[-1], log=log)
        self._axes = (log, False, ladder[0], ladder[-1])
        self.marker = LRMarker(
            low=ladder[0],
            high=ladder[-1],
            scale="log" if log else "linear",
            lr=lr,
            variable=name or "",
            margin=MARGIN,
            layout={"grid_area": "1 / 1"},
        )
        self._make = make = WidgetFactory()
        self.controls = Controls(self._total, make)
        self.looks = DisplayOptions(self._look_again, make)
        mode = "exp" if log else "linear"
        self.setup = RunSettings(
            ladder[0], ladder[-1], len(ladder), mode, repeats, self.looks.row, make
        )
        self.trials = TrialView(make)
        self.saving = Downloads(self.marker, contents, make)
        self.legend = Legend(self.lock, self._look_again, make)
        toggles = (self.setup.toggle, self.trials.toggle, self.saving.toggle)
        self.controls.above.children = (*self.controls.above.children, *toggles)
        # The marker lies over the figure: both are in the same cell of a grid.
        self._stage = ipywidgets.Box(
            [self.chart.figure, self.marker], layout={"display": "grid", "width": "100%"}
        )
        controls = self.controls
        self.children: list[Any] = [
            controls.above,
            self.setup.row,
            self.looks.row,
            self.saving.row,
            controls.missing,
            self._stage,
            controls.below,
            controls.rules,
            controls.status,
            self.legend.box,
            self.trials.box,
        ]
        self.setup.narrow.on_click(lambda _: self._narrow())
        self.show_number()
        self.marker.observe(lambda change: self.show_number(), "lr")
        for rule, button in controls.candidates.items():
            button.on_click(lambda _, rule=rule: self._place_by(rule))
        self.marker.observe(lambda change: controls.hide_missing(), "ready")

    def set_range(self, ladder: list[float], *, log: bool, repeats: int) -> None:
        """Take up the set-up of a new run; under `lock`."""
        before, self._range = self._range[0], (ladder, log, repeats)
        self._total = repeats * len(ladder)
        self.controls.progress.max = self._total
        ends, ends_before = (ladder[0], ladder[-1]), (before[0], before[-1])
        if ends_before[0] <= ends[0] < ends[1] <= ends_before[1] and ends != ends_before:
            self.looks.zoom.value = True  # somebody wants to look closer

    def begin(self, name: str) -> None:
        """Make room for a new run; under `lock`."""
        self.legend.begin(name)
        self._show_others()

    def keep(self, curve: LossCurve, name: str | None) -> None:
        """Show a curve behind the current one; under `lock`."""
        self.legend.add(curve, name)
        self._show_others()

    def _look_again(self) -> None:
        with self.lock:
            self._show_others()
        self.redraw()

    def _show_others(self) -> None:
        log, log_loss, low, high = axes = self._choose_axes()
        if axes[:2] != self._axes[:2]:
            old, self.chart = self.chart, Chart(low, high, log=log, log_loss=log_loss)
            self._drawn, self._suggested = (None, 0, 0.0), (None, None)
            self._stage.children = (self.chart.figure, self.marker)
            old.close()
        if axes != self._axes:
            self._axes = axes
            self.chart.set_ends(low, high)
            self.marker.low, self.marker.high = low, high
            self.marker.scale = "log" if log else "linear"
        self.chart.smoothing = self.looks.share
        self.chart.show_others([(one, one.curve, one.style) for one in self.legend.others])

    def _choose_axes(self) -> tuple[bool, bool, float, float]:
        """Let the axis hold the range that was set up and every run, or just the current one."""
        ladder, log, _ = self._range
        one = self.legend.current
        growing = one is self.legend.latest and self._state[1] in (State.RUNNING, State.PAUSED)
        own = np.array(ladder) if growing or len(one.curve) < 2 else one.curve.lrs
        all_of_them = [np.array(ladder), own, *(other.curve.lrs for other in self.legend.others)]
        ends = own if self.looks.zoom.value else np.concatenate(all_of_them)
        return log, self.looks.log_loss.value, float(ends.min()), float(ends.max())

    def show(
        self,
        test: RangeTest,
        curve: LossCurve,
        singles: list[LossCurve],
        suggestion: Suggestion | None,
        problem: str | None,
    ) -> None:
        """Draw a run as it is now; under `lock`.

        Parameters
        ----------
        test : RangeTest
            The run.
        curve : LossCurve
            What it says so far.
        singles : list of LossCurve
            Its repeats, the latest last.
        suggestion : Suggestion or None
            What the curve suggests, at the end.
        problem : str or None
            What went wrong with the last click or pick.
        """
        state, done, latest = test.state, sum(map(len, singles)), curve
        self.legend.latest.curve = curve
        if (test, state) != self._state:
            self._state = (test, state)
            self._pace_from = (time.monotonic(), done)
            self._show_others()  # the axis may be that of the run as far as it came
            active = state in (State.RUNNING, State.PAUSED)
            self.legend.allow(choosing=not active)
            self.controls.show_state(active=active, paused=state is State.PAUSED)
            self.setup.allow(editing=not active)
        if (one := self.legend.current) is not self.legend.latest:
            curve, singles = one.curve, list(one.curve.repeats)
            suggestion = curve.suggestion
        now = (one, len(curve) + sum(map(len, singles)), self.looks.share)
        if now != self._drawn:
            self._drawn = now
            self.chart.draw(curve, singles, one)
        self._let_read(curve, now, state)
        if (one, suggestion) != self._suggested:
            self._suggested = (one, suggestion)
            self._show_suggestion(curve, suggestion)
        self.controls.progress.value = done
        self.controls.pace.value = self._pace(state, done)
        evidence = None if suggestion is None else suggestion.reason
        if evidence is not None and one is not self.legend.latest:
            evidence = f"{one.name}: {evidence}"
        self.controls.status.value = status_text(
            sentence(test, latest, done, self._total, self._device, evidence, problem),
            test.exception,
        )

    def _let_read(self, curve: LossCurve, now: tuple[ShownRun, int, float], state: State) -> None:
        """Give the marker the curve, so that the page can tell the loss where the marker is."""
        at = time.monotonic()
        again = now[0] is self._read[0] and state is State.RUNNING
        if now == self._read or (again and at - self._read_at < _READ_S):
            return
        self._read, self._read_at = now, at
        line = smooth_line(curve, self.looks.share, _READ_POINTS)
        self.marker.curve_lrs, self.marker.curve_losses = line

    def _show_suggestion(self, curve: LossCurve, suggestion: Suggestion | None) -> None:
        found = {} if suggestion is None or suggestion.lr is None else curve.candidates()
        self._found = {rule: lr for rule, lr in found.items() if lr is not None}
        self.controls.show_candidates(found)
        self.marker.ticks = dict(self._found)
        self.marker.weak = suggestion is not None and suggestion.weak
        self.chart.show_band(suggestion)
        self.setup.narrow.disabled = not found
        if suggestion is not None:
            self.trials.offer(curve.trial_candidates())

    def _narrow(self) -> None:
        suggestion = self._suggested[1]
        if suggestion is not None and suggestion.low is not None and suggestion.high is not None:
            self.setup.set_range(suggestion.low / 10, suggestion.high * 10)

    def _place_by(self, rule: str) -> None:
        if (lr := self._found.get(rule)) is not None:
            self.place(lr, "candidate")

    def _pace(self, state: State, done: int) -> str:
        since, before = self._pace_from
        elapsed = time.monotonic() - since
        moving = state is State.RUNNING and done > before and elapsed > 0
        return pace_text(done, self._total, (done - before) / elapsed if moving else None)

    def show_variable(self, value: float | None, *, picked: bool) -> None:
        """Show what the variable holds; under `lock`."""
        about = self.about() if picked else None
        self.controls.written.value = written_text(self._name, value, about)
        self.controls.copy.layout.display = None if picked else "none"

    def show_number(self) -> None:
        """Show in the number box where the marker stands."""
        self.controls.number.value = format_lr(self.marker.lr)

    def place(self, lr: float, kind: Literal["pick", "candidate"]) -> None:
        """Put the marker there."""
        self._placed = lr
        # Never hold_sync on the marker: it would swallow what the page's own thread assigns to it
        # meanwhile, or break off when that comes while it sends.
        self.marker.lr, self.marker.kind = lr, kind

    def note_place(self) -> None:
        """Note where the marker stands, to know later whether somebody has moved it."""
        self._placed = self.marker.lr

    def offer(self, lr: float) -> None:
        """Put the marker on a candidate, unless somebody has moved it."""
        if self.marker.lr == self._placed:
            self.place(lr, "candidate")

    def close(self) -> None:
        """Close every widget; under `lock`."""
        self.trials.close()
        for child in self.children:
            close_tree(child)
        self.legend.close()
        self._make.close()
