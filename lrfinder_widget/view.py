"""What the finder shows: chart, marker and controls put together; all writing to them is here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import ipywidgets

from .chart import MARGIN, Chart, close_tree, smooth_line
from .controls import Controls, pace_text, sentence, status_text, written_text
from .curve import LossCurve
from .legend import Legend
from .marker import LRMarker
from .run import RangeTest
from .setup import SetUp
from .state import State
from .suggest import Rule, Suggestion
from .trial_view import TrialView

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
        self._drawn: tuple[RangeTest | None, int] = (None, 0)
        self._read: tuple[RangeTest | None, int] = (None, 0)  # what the marker has of it
        self._read_at = 0.0
        self._state: tuple[RangeTest | None, State] = (None, State.READY)
        self._suggested: tuple[RangeTest | None, Suggestion | None] = (None, None)
        self._found: dict[Rule, float] = {}
        self._pace_from = (0.0, 0)
        self.chart = Chart(ladder[0], ladder[-1], log=log)
        self.marker = LRMarker(
            low=ladder[0],
            high=ladder[-1],
            scale="log" if log else "linear",
            lr=lr,
            variable=name or "",
            margin=MARGIN,
            layout={"grid_area": "1 / 1"},
        )
        self.controls = Controls(self._total)
        self.setup = SetUp(ladder[0], ladder[-1], len(ladder), "exp" if log else "linear", repeats)
        self.trials = TrialView()
        self.legend = Legend(self.lock, self._show_others)
        toggles = (self.setup.toggle, self.trials.toggle)
        self.controls.above.children = (*self.controls.above.children, *toggles)
        # The marker lies over the figure: both are in the same cell of a grid.
        self._stage = ipywidgets.Box(
            [self.chart.figure, self.marker], layout={"display": "grid", "width": "100%"}
        )
        controls = self.controls
        self.children: list[Any] = [
            controls.above,
            self.setup.row,
            controls.missing,
            self._stage,
            controls.below,
            controls.rules,
            controls.status,
            self.legend.box,
            self.trials.box,
        ]
        self.setup.narrow.on_click(lambda _: self._narrow())
        self.setup.log_loss.observe(lambda change: self._change_loss_axis(), "value")
        self.show_number()
        self.marker.observe(lambda change: self.show_number(), "lr")
        for rule, button in controls.candidates.items():
            button.on_click(lambda _, rule=rule: self._place_by(rule))
        self.marker.observe(lambda change: controls.hide_missing(), "ready")

    def set_range(self, ladder: list[float], *, log: bool, repeats: int) -> None:
        """Take up the set-up of a new run; under `lock`."""
        if self._range == (ladder, log, repeats):
            return
        self._range = (ladder, log, repeats)
        self._total = repeats * len(ladder)
        self.controls.progress.max = self._total
        self._chart_anew()
        with self.marker.hold_sync():
            self.marker.low, self.marker.high = ladder[0], ladder[-1]
            self.marker.scale = "log" if log else "linear"

    def _chart_anew(self) -> None:
        ladder, log, _ = self._range
        log_loss = self.setup.log_loss.value
        old, self.chart = self.chart, Chart(ladder[0], ladder[-1], log=log, log_loss=log_loss)
        self._drawn, self._suggested = (None, 0), (None, None)
        self._show_others()
        self._stage.children = (self.chart.figure, self.marker)
        old.close()

    def _change_loss_axis(self) -> None:
        with self.lock:
            self._chart_anew()
        self.redraw()

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
        state, done = test.state, sum(map(len, singles))
        if (test, state) != self._state:
            self._state = (test, state)
            self._pace_from = (time.monotonic(), done)
        if (test, done) != self._drawn:
            self._drawn = (test, done)
            self.chart.draw(curve, singles)
        self._let_read(test, curve, done, state)
        if (test, suggestion) != self._suggested:
            self._suggested = (test, suggestion)
            self._show_suggestion(curve, suggestion)
        self.controls.show_state(
            active=state in (State.RUNNING, State.PAUSED), paused=state is State.PAUSED
        )
        self.setup.allow(editing=state not in (State.RUNNING, State.PAUSED))
        self.controls.progress.value = done
        self.controls.pace.value = self._pace(state, done)
        self.controls.status.value = status_text(
            sentence(test, curve, done, self._total, self._device, suggestion, problem),
            test.exception,
        )

    def keep(self, curve: LossCurve, name: str) -> None:
        """Keep a curve on the chart, beside the latest; under `lock`."""
        self.legend.add(curve, name)
        self._show_others()

    def _show_others(self) -> None:
        with self.lock:
            shown = [one for one in self.legend.kept if one.shown]
            self.chart.show_others([(one, one.curve, one.style) for one in shown])

    def _let_read(self, test: RangeTest, curve: LossCurve, done: int, state: State) -> None:
        """Give the marker the curve, so that the page can tell the loss where the marker is."""
        now = time.monotonic()
        again = test is self._read[0] and state is State.RUNNING
        if (test, done) == self._read or (again and now - self._read_at < _READ_S):
            return
        self._read, self._read_at = (test, done), now
        # No hold_sync: it would swallow what the page's own thread assigns to the marker meanwhile.
        self.marker.curve_lrs, self.marker.curve_losses = smooth_line(curve, _READ_POINTS)

    def _show_suggestion(self, curve: LossCurve, suggestion: Suggestion | None) -> None:
        found = {} if suggestion is None or suggestion.lr is None else curve.candidates()
        self._found = {rule: lr for rule, lr in found.items() if lr is not None}
        self.controls.show_candidates(found)
        self.chart.show_band(suggestion)
        self.setup.narrow.disabled = not found
        if suggestion is not None:
            self.trials.offer(curve.trial_candidates())

    def _narrow(self) -> None:
        suggestion = self._suggested[1]
        if suggestion is not None and suggestion.low is not None and suggestion.high is not None:
            self.setup.set_range(suggestion.low / 10, suggestion.high * 10)

    def _place_by(self, rule: Rule) -> None:
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

    def show_number(self) -> None:
        """Show in the number box where the marker stands."""
        self.controls.number.value = f"{self.marker.lr:.2e}"

    def place(self, lr: float, kind: Literal["pick", "candidate"]) -> None:
        """Put the marker there."""
        self._placed = lr
        with self.marker.hold_sync():
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
