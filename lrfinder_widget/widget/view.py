"""What the finder shows: chart, marker and controls, and all code that writes to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import ipywidgets

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.suggest import Suggestion
from lrfinder_widget.training.ladder import Ladder

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

_Drawn: TypeAlias = tuple[ShownRun | None, LossCurve | None, float]

_READ_POINTS = 400  # points of the curve that the marker gets, to show the loss where it stands
_READ_S = 1.0  # how often the marker gets the curve, at most, while that grows


class View:
    """The widgets of one finder. Any thread may call it, under `lock` where the method says so.

    ipywidgets is not thread-safe. Widgets that only Python writes to are written under `lock`. The
    marker and the number box, which the page writes to as well, are set without it: the last value
    wins.

    Parameters
    ----------
    plan : SweepPlan
        The plan of the first test.
    planned : Budget
        The training that the candidates are for.
    epoch_steps : int or None
        The optimizer steps of an epoch, if they are known.
    device : str or None
        The device on which it runs, to be shown.
    name : str or None
        The variable's name.
    lr : float
        The initial position of the marker.
    about : callable
        Returns where a pick comes from.
    contents : callable
        Returns the contents of a file with the given suffix.
    redraw : callable
        Calls `show` with the latest state.
    ladder : callable
        Returns what to try if a curve has no candidate.
    """

    def __init__(
        self,
        plan: SweepPlan,
        planned: Budget,
        *,
        epoch_steps: int | None,
        device: str | None,
        name: str | None,
        lr: float,
        about: Callable[[], str],
        contents: Callable[[str], str],
        redraw: Callable[[], object],
        ladder: Callable[[], Ladder],
    ) -> None:
        self.about = about
        self.redraw = redraw
        self.lock = threading.RLock()
        self._plan = plan
        self._device = device
        self._name = name
        self._placed = lr  # where Python last put the marker
        # What the chart shows, and what the marker has: run, curve and smoothing. A run's curve is
        # the same object until another point arrives.
        self._drawn: _Drawn = (None, None, 0.0)
        self._read: _Drawn = (None, None, 0.0)
        self._read_at = 0.0
        self._state: tuple[RangeTest | None, State] = (None, State.READY)
        self._suggested: tuple[ShownRun | None, Suggestion | None] = (None, None)
        self._candidates: dict[str, float] = {}
        self._way_on = ""  # what to do if nothing is suggested
        self._pace_from = (0.0, 0)
        self.chart = Chart(plan.start_lr, plan.end_lr, log=plan.log)
        self._axes = (plan.log, False, plan.start_lr, plan.end_lr)
        self.marker = LRMarker(
            low=plan.start_lr,
            high=plan.end_lr,
            scale="log" if plan.log else "linear",
            lr=lr,
            variable=name or "",
            margin=MARGIN,
            layout={"grid_area": "1 / 1"},
        )
        self._make = make = WidgetFactory()
        self.controls = Controls(plan.steps, make)
        self.looks = DisplayOptions(self._look_again, make)
        self.setup = RunSettings(plan, planned, epoch_steps, self.looks.row, make)
        self.trials = TrialView(make, ladder)
        self.saving = Downloads(self.marker, contents, make)
        self.legend = Legend(self.lock, self._look_again, make)
        toggles = (self.setup.toggle, self.trials.toggle, self.saving.toggle)
        self.controls.above.children = (*self.controls.above.children, *toggles)
        # The marker lies on top of the figure: both are in the same grid cell.
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

    def set_plan(self, plan: SweepPlan) -> None:
        """Use the plan of the next run; under `lock`."""
        before, self._plan = self._plan, plan
        self.controls.progress.max = plan.steps
        ends, ends_before = (plan.start_lr, plan.end_lr), (before.start_lr, before.end_lr)
        if ends_before[0] <= ends[0] < ends[1] <= ends_before[1] and ends != ends_before:
            self.looks.zoom.value = True  # the user wants a closer look

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
            self._drawn, self._suggested = (None, None, 0.0), (None, None)
            self._stage.children = (self.chart.figure, self.marker)
            old.close()
        if axes != self._axes:
            self._axes = axes
            self.chart.set_ends(low, high)
            self.marker.low, self.marker.high = low, high
            self.marker.scale = "log" if log else "linear"
        self.chart.smoothing = self.looks.share
        self.chart.show_others([(run, run.curve, run.style) for run in self.legend.others])

    def _choose_axes(self) -> tuple[bool, bool, float, float]:
        """Make the axis cover the planned range and every run, or the current run only."""
        plan, run = self._plan, self.legend.current
        planned = (plan.start_lr, plan.end_lr)
        growing = run is self.legend.latest and self._state[1].active
        own = planned if growing or len(run.curve) < 2 else _ends(run.curve)
        others = [_ends(other.curve) for other in self.legend.others if len(other.curve)]
        ends = [own] if self.looks.zoom.value else [planned, own, *others]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        return plan.log, self.looks.log_loss.value, low, high

    def show(
        self,
        test: RangeTest,
        curve: LossCurve,
        singles: list[LossCurve],
        suggestion: Suggestion | None,
        problem: str | None,
    ) -> None:
        """Draw the current state of a run; under `lock`.

        Parameters
        ----------
        test : RangeTest
            The run.
        curve : LossCurve
            Its curve so far.
        singles : list of LossCurve
            The curves of its repeats, the latest last.
        suggestion : Suggestion or None
            What the curve suggests, once the run has ended.
        problem : str or None
            What went wrong with the last click or pick.
        """
        state, done, latest = test.state, sum(map(len, singles)), curve
        self.legend.latest.curve = curve
        if (test, state) != self._state:
            self._note_pace(done)
            self._state = (test, state)
            self._show_others()  # the axis may now end where the run ended
            self.legend.allow(choosing=not state.active)
            self.controls.show_state(active=state.active, paused=state is State.PAUSED)
            self.setup.allow(editing=not state.active)
        if (run := self.legend.current) is not self.legend.latest:
            curve, singles = run.curve, list(run.curve.repeats)
            suggestion = curve.suggestion
        # Not the median alone: it does not change during a repeat.
        now = (run, singles[-1] if singles else curve, self.looks.share)
        if not _same(now, self._drawn):
            self._drawn = now
            self.chart.draw(curve, singles)
        self._let_read(curve, now, state)
        if (run, suggestion) != self._suggested:
            self._suggested = (run, suggestion)
            self._show_suggestion(curve, suggestion)
        self.controls.progress.value = done
        self.controls.pace.value = self._pace(state, done)
        evidence = None if suggestion is None else f"{suggestion.reason} {self._way_on}".strip()
        if evidence is not None and run is not self.legend.latest:
            evidence = f"{run.name}: {evidence}"
        self.controls.status.value = status_text(
            sentence(test, latest, done, self._plan.steps, self._device, evidence, problem),
            test.exception,
        )

    def _let_read(self, curve: LossCurve, now: _Drawn, state: State) -> None:
        """Give the marker the curve, so that the page can show the loss where the marker is."""
        at = time.monotonic()
        again = now[0] is self._read[0] and state is State.RUNNING
        if _same(now, self._read) or (again and at - self._read_at < _READ_S):
            return
        self._read, self._read_at = now, at
        line = smooth_line(curve, self.looks.share, _READ_POINTS)
        self.marker.curve_lrs, self.marker.curve_losses = line

    def _show_suggestion(self, curve: LossCurve, suggestion: Suggestion | None) -> None:
        by_rule = {} if suggestion is None or suggestion.lr is None else curve.candidates()
        self._candidates = {rule: lr for rule, lr in by_rule.items() if lr is not None}
        self.controls.show_candidates(by_rule)
        self.marker.ticks = dict(self._candidates)
        self.marker.weak = suggestion is not None and suggestion.weak
        self.chart.show_band(suggestion)
        self.setup.narrow.disabled = not by_rule
        if suggestion is not None:
            lrs = [] if suggestion.lr is None else curve.trial_candidates()
            self._way_on = self.trials.offer(lrs)

    def _narrow(self) -> None:
        run, found = self._suggested
        if run is None or found is None or found.low is None or found.high is None:
            return
        fall = run.curve.suggest("minimum")  # whose band begins where the loss begins to fall
        low, high = fall.low or found.low, fall.high or found.high
        self.setup.set_range(min(low, found.low) / 10, max(high, found.high) * 10)

    def _place_by(self, rule: str) -> None:
        # The user moves it, so where Python last put it stays.
        if (lr := self._candidates.get(rule)) is not None:
            self.marker.lr, self.marker.kind = lr, "candidate"

    def _note_pace(self, done: int) -> None:
        """Keep the pace of the test until now, for the time that trial runs will take."""
        now, (since, before) = time.monotonic(), self._pace_from
        if self._state[1] is State.RUNNING and done > before:
            self.trials.seconds_per_step = (now - since) / (done - before)
        self._pace_from = (now, done)

    def _pace(self, state: State, done: int) -> str:
        since, before = self._pace_from
        elapsed = time.monotonic() - since
        moving = state is State.RUNNING and done > before and elapsed > 0
        return pace_text(done, self._plan.steps, (done - before) / elapsed if moving else None)

    def show_variable(self, value: float | None, *, picked: bool) -> None:
        """Show the variable's value; under `lock`."""
        about = self.about() if picked else None
        self.controls.written.value = written_text(self._name, value, about)
        self.controls.copy.layout.display = None if picked else "none"

    def show_number(self) -> None:
        """Show the marker's position in the number box."""
        self.controls.number.value = format_lr(self.marker.lr)

    def place(self, lr: float, kind: Literal["pick", "candidate"]) -> None:
        """Move the marker to `lr`."""
        self._placed = lr
        # Never hold_sync on the marker: it would lose what the page's thread assigns to the marker
        # meanwhile, or fail if that happens while it sends.
        self.marker.lr, self.marker.kind = lr, kind

    def note_place(self) -> None:
        """Remember the marker's position, to know later whether the user has moved it."""
        self._placed = self.marker.lr

    def offer(self, lr: float) -> None:
        """Move the marker to a candidate, unless the user has moved it."""
        if self.marker.lr == self._placed:
            self.place(lr, "candidate")

    def close(self) -> None:
        """Close every widget; under `lock`."""
        self.trials.close()
        for child in self.children:
            close_tree(child)
        self.legend.close()
        self._make.close()


def _ends(curve: LossCurve) -> tuple[float, float]:
    return float(curve.lrs[0]), float(curve.lrs[-1])


def _same(one: _Drawn, other: _Drawn) -> bool:
    return one[0] is other[0] and one[1] is other[1] and one[2] == other[2]
