"""What the page shows of a finder: every trait that the kernel writes, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.suggest import Suggestion
from lrfinder_widget.runs.ladder import Ladder, around
from lrfinder_widget.runs.source import About

from .diagnosis import ShownDiagnosis, lines_of
from .display import JupyterDisplay
from .drawing import Drawing, Line, limits
from .hosts import draws_only_during_cells
from .legend import Legend
from .lines import ShownRun
from .metric import ShownMetric
from .number import format_lr
from .page import Page
from .run_settings import RunSettings
from .sentences import ONLY_DURING_CELLS, for_a_hand, sentences, traceback_text
from .trials import TrialPlan
from .variation import VariationPlan

_BYTES_S = 60_000  # sent at most, while a run grows: the longer its curve, the rarer a redraw


class View:
    """Writes to the page. Any thread may call it, under `lock`.

    The page itself is written to by Python alone, except the marker, where the last value wins.

    Parameters
    ----------
    page : Page
        The widget.
    plan : SweepPlan
        The plan of the first test.
    planned : Budget
        The training that the candidates are for.
    about : About
        What is known of what is trained.
    name : str
        The variable's name; empty if picks are not assigned to one.
    lr : float
        The initial position of the marker.
    ladder : callable
        Returns what to try if a curve has no candidate; None if that is not known.
    """

    def __init__(
        self,
        page: Page,
        plan: SweepPlan,
        planned: Budget,
        *,
        about: About,
        name: str,
        lr: float,
        ladder: Callable[[], Ladder | None],
    ) -> None:
        self.page = page
        self.lock = threading.RLock()
        self.display = JupyterDisplay(page, self.lock)
        self.legend = Legend()
        self.settings = RunSettings(plan, planned, about.epoch_steps)
        self.trial_plan = TrialPlan(self.settings, ladder)
        self.variation_plan = VariationPlan(self.settings, about.settings)
        self._plan = plan
        self._about = about
        self._name = name
        self._placed = lr  # where Python last put the marker
        self._made: dict[object, Drawing] = {}  # of the current run, and of the others
        self._diagnosis, self._metric = ShownDiagnosis(), ShownMetric()
        self._state: tuple[RangeTest | None, State] = (None, State.READY)  # that are shown
        self._trying: tuple[RangeTest | None, State] = (None, State.READY)
        self._suggested: tuple[ShownRun | None, Suggestion | None] = (None, None)
        self._way_on = ""  # what to do where trials tell more
        self._pace_from = (0.0, 0)
        self._wait_until = 0.0  # before the next redraw of what grows
        self._repeats: list[LossCurve] = []  # those that are shown
        page.variable, page.position = name, lr
        page.show(offers=self.settings.offers, settings=self.settings.values)

    # -- runs -------------------------------------------------------------------------------------

    def set_plan(self, plan: SweepPlan) -> None:
        """Use the plan of the next run."""
        before, self._plan = self._plan, plan
        ends, ends_before = (plan.start_lr, plan.end_lr), (before.start_lr, before.end_lr)
        if ends_before[0] <= ends[0] < ends[1] <= ends_before[1] and ends != ends_before:
            self.settings.set(zoom=True)  # the user wants a closer look

    def set_about(self, about: About) -> None:
        """Use what is known now of what is trained."""
        self._about = about
        if about.plan is not None:
            self._plan = about.plan
            self.settings.set_plan(about.plan)
        self.settings.offer_epochs(about.epoch_steps)
        self.variation_plan.offer(about.settings)
        self.page.show(offers=self.settings.offers, settings=self.settings.values)

    def is_due(self, run: RangeTest) -> bool:
        """Return whether to show new points of a run, by what was sent last."""
        going_on = run.state is State.RUNNING and (run, run.state) in (self._state, self._trying)
        return not going_on or time.monotonic() >= self._wait_until

    def show(
        self,
        test: RangeTest,
        curve: LossCurve,
        singles: list[LossCurve],
        suggestion: Suggestion | None,
        problem: str | None,
        waiting: str = "",
    ) -> None:
        """Show the current state of a run.

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
        waiting : str
            What it waits for as long as it has no points.
        """
        state, done, latest = test.state, sum(map(len, singles)), curve
        self.legend.latest.curve = curve
        if (test, state) != self._state:
            self._note_pace(done)
            self._state = (test, state)
        if (run := self.legend.current) is not self.legend.latest:
            curve, singles = run.curve, list(run.curve.repeats)
            suggestion = curve.suggestion
        self._show_runs()
        self._show_chart(curve, singles, done, state)
        if (run, suggestion) != self._suggested:
            self._suggested = (run, suggestion)
            self._show_suggestion(curve, suggestion)
        evidence = None
        if suggestion is not None:
            evidence = f"{for_a_hand(suggestion.reason, self._about)} {self._way_on}".strip()
        if evidence is not None and run is not self.legend.latest:
            evidence = f"{run.name}: {evidence}"
        text = sentences(test, latest, done, self._plan.steps, self._about, waiting, evidence)
        if state is State.RUNNING and draws_only_during_cells():
            text = f"{text} {ONLY_DURING_CELLS}"
        self.page.show(
            settings=self.settings.values,
            trial_cost=self.trial_plan.cost,
            vary_cost=self.variation_plan.cost(self.trial_plan.seconds_per_step),
            status={
                "state": state.value,
                "stopping": test.stopping,
                "text": text,
                "problem": problem or "",
                "unrestored": list(test.unrestored),
                "traceback": traceback_text(test.exception),
            },
        )

    def _show_runs(self) -> None:
        legend = self.legend
        self._made = {k: v for k, v in self._made.items() if isinstance(k, str) or k in legend.all}
        self.page.show(
            runs=[
                {
                    "key": run.style,
                    "name": run.name,
                    "style": run.style,
                    "shown": run.shown,
                    "current": run is legend.current,
                    "latest": run is legend.latest,
                    "line": self._drawing(run, run.curve).beside if run in legend.others else {},
                }
                for run in legend.listed
            ]
        )

    def _show_chart(
        self, curve: LossCurve, singles: list[LossCurve], done: int, state: State
    ) -> None:
        # The points of a repeat in progress, beside the median of those that have ended.
        several = len(singles) > 1
        growing = several and len(singles) > len(curve.repeats)
        line = self._drawing("line", curve)
        dots = self._drawing("dots", singles[-1]) if growing else line
        ended = (singles[:-1] if growing else singles) if several else []
        losses = dots.losses if len(dots.losses) > len(line.smooth) // 2 else line.smooth
        log_loss = self.settings.looks.log_loss
        found = [limits(losses, line.smooth, log=log_loss)]
        found += [self._drawing(run, run.curve).limits for run in self.legend.others]
        ends = [one for one in found if one is not None]
        chart = {
            "x": list(self._axis()),
            "x_log": self._plan.log,
            "y": [min(low for low, _ in ends), max(high for _, high in ends)] if ends else None,
            "y_log": log_loss,
            "n": done,
            "total": 0 if self._about.open_ended else self._plan.steps,
            "per_second": self._pace(state, done),
            "dots": dots.dots,
            "line": line.line,
        }
        diagnosis, metric = self._diagnosis.of(curve), self._metric.of(curve)
        if metric:
            chart["metric"] = metric
        self._sent(dots.dots, line.line, *lines_of(diagnosis), metric.get("line", {}))
        if ended != self._repeats:
            self._repeats = ended
            looks = self.settings.looks
            self.page.show(repeats=[Drawing(one, looks).beside for one in ended])
        self.page.show(chart=chart, diagnosis=diagnosis)

    def _drawing(self, key: object, curve: LossCurve) -> Drawing:
        made, looks = self._made.get(key), self.settings.looks
        if made is None or made.curve is not curve or made.looks != looks:
            made = self._made[key] = Drawing(curve, looks)
        return made

    def _axis(self) -> tuple[float, float]:
        """Cover the planned range and every run, or the current run only."""
        plan, run = self._plan, self.legend.current
        planned = (plan.start_lr, plan.end_lr)
        growing = run is self.legend.latest and self._state[1].active and not self._about.open_ended
        own = planned if growing or len(run.curve) < 2 else _ends(run.curve)
        others = [_ends(other.curve) for other in self.legend.others if len(other.curve)]
        ends = [own] if self.settings.values["zoom"] else [planned, own, *others]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def _show_suggestion(self, curve: LossCurve, suggestion: Suggestion | None) -> None:
        by_rule = {} if suggestion is None or suggestion.lr is None else curve.candidates()
        found = suggestion is not None and suggestion.lr is not None
        self.page.show(
            reading={
                "candidates": {rule: lr for rule, lr in by_rule.items() if lr is not None},
                "band": [suggestion.low, suggestion.high] if suggestion and found else None,
                "weak": suggestion is not None and suggestion.weak,
            }
        )
        if suggestion is not None:
            self._way_on = self.trial_plan.offer(around(curve))

    @property
    def candidate(self) -> float | None:
        """The candidate of the curve shown, if it has one."""
        found = self._suggested[1]
        return None if found is None else found.lr

    def narrow(self) -> None:
        """Write the range in which the loss falls into the boxes, plus a decade on either side."""
        run, found = self._suggested
        if run is None or found is None or found.low is None or found.high is None:
            return
        fall = run.curve.suggest("minimum")  # whose band begins where the loss begins to fall
        low, high = fall.low or found.low, fall.high or found.high
        self.settings.set_range(min(low, found.low) / 10, max(high, found.high) * 10)

    def _note_pace(self, done: int) -> None:
        """Keep the pace of the test until now, for the time that trial runs will take."""
        now, (since, before) = time.monotonic(), self._pace_from
        if self._state[1] is State.RUNNING and done > before:
            self.trial_plan.seconds_per_step = (now - since) / (done - before)
        self._pace_from = (now, done)

    def _pace(self, state: State, done: int) -> float | None:
        since, before = self._pace_from
        elapsed = time.monotonic() - since
        moving = state is State.RUNNING and done > before and elapsed > 0
        return (done - before) / elapsed if moving else None

    def show_beside(self, run: RangeTest, lines: Iterable[Line], **shown: Any) -> None:
        """Show the current state of a run beside the test, by a trait that has these lines."""
        self._trying = (run, run.state)
        self._sent(*lines)
        self.page.show(**shown)

    def _sent(self, *lines: Line) -> None:
        size = sum(len(part) for line in lines for part in line.values())
        self._wait_until = time.monotonic() + size / _BYTES_S

    # -- the pick ---------------------------------------------------------------------------------

    def show_pick(
        self, lr: float | None, value: float | None, *, about: str, code: str, **apply: Any
    ) -> None:
        """Show the pick and the variable.

        Parameters
        ----------
        lr : float or None
            The pick.
        value : float or None
            The value of the variable.
        about, code : str
            Where the pick comes from, and the line of code; empty if there is none.
        **apply
            ``optimizer``, its name, and whether the pick is ``applied`` to it.
        """
        name = f"{self._name} = " if self._name else ""
        text = "" if value is None else f"{name}{format_lr(value)}"
        self.page.show(lr=lr, picked={"text": text, "about": about, "code": code, **apply})

    def place(self, lr: float, kind: Literal["pick", "candidate"]) -> None:
        """Move the marker to `lr`."""
        self._placed = lr
        self.page.position, self.page.kind = lr, kind

    def note_place(self) -> None:
        """Remember the marker's position, to know later whether the user has moved it."""
        self._placed = self.page.position

    def offer(self, lr: float) -> None:
        """Move the marker to a candidate, unless the user has moved it."""
        if self.page.position == self._placed:
            self.place(lr, "candidate")


def _ends(curve: LossCurve) -> tuple[float, float]:
    return float(curve.lrs[0]), float(curve.lrs[-1])
