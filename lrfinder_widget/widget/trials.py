"""Trial runs in the widget: which learning rates to try, their curves, and the ranking."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any, Literal

import bqplot
import ipywidgets
import numpy as np

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.points import unrestored_text
from lrfinder_widget.curve.smoothing import moving_average
from lrfinder_widget.curve.trial import format_rate
from lrfinder_widget.training.ladder import MOST_RUNGS, Ladder
from lrfinder_widget.training.trials import Trials

from .chart import LARGEST, loss_limits, plain_figure, put, round_ticks, styled_axis
from .controls import after_failure
from .factory import WidgetFactory, close_tree
from .lines import START, line_style, swatch
from .number import format_lr, parse_number

MAX_TRIALS = 12
_MARGIN = 0.008  # so that the dots at both ends are whole


class TrialView:
    """The controls and the chart of trial runs, hidden until toggled; the finder connects them.

    Parameters
    ----------
    make : WidgetFactory
        Makes the widgets.
    ladder : callable
        Returns what to try if the curve has no candidate.

    Attributes
    ----------
    seconds_per_step : float or None
        The pace of the latest test; None before the first.
    """

    def __init__(self, make: WidgetFactory, ladder: Callable[[], Ladder]) -> None:
        self._ladder = ladder
        self._offered_ladder: Ladder | None = None  # what was offered last, if it is one
        self.seconds_per_step: float | None = None
        self.toggle = make(
            ipywidgets.ToggleButton,
            description="Try",
            icon="flask",
            tooltip="Train a few hundred steps with each of several learning rates and compare",
            layout={"width": "84px"},
        )
        self.lrs = make(
            ipywidgets.Text,
            description="learning rates",
            continuous_update=False,
            placeholder="1e-3, 3e-3, 1e-2",
            style={"description_width": "initial"},
            layout={"flex": "1 1 240px", "max_width": "480px"},
        )
        self.steps = make(
            ipywidgets.Text,
            "200",
            description="steps",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "110px"},
        )
        self.try_button = make(
            ipywidgets.Button,
            description="Run",
            icon="play",
            button_style="primary",
            layout={"width": "84px"},
        )
        self.take = make(
            ipywidgets.Button,
            icon="check",
            tooltip="Pick the learning rate with the lowest loss",
            layout=ipywidgets.Layout(width="auto", display="none"),
        )
        self.cost = make(ipywidgets.HTML)
        self.text = make(ipywidgets.HTML, layout={"width": "100%"})
        self.legend = make(ipywidgets.HTML, layout={"width": "100%"})
        self._row = make(
            ipywidgets.Box,
            [self.lrs, self.steps, self.try_button, self.take, self.cost],
            layout={"flex_flow": "row wrap", "align_items": "center", "width": "100%"},
        )
        self.box = make(ipywidgets.VBox, [], layout={"width": "100%", "overflow": "hidden"})
        self._lines: dict[int, Any] = {}
        self._dots: dict[int, Any] = {}  # of held-out losses
        self._offered = ""
        self.figure: Any = None  # until there is something to draw
        self.toggle.observe(lambda change: self._fold(), "value")
        for box in (self.lrs, self.steps):
            box.observe(lambda change: self._show_cost(), "value")

    def _begin(self) -> None:
        # Not in the constructor: most finders never run trials.
        self._x = bqplot.LinearScale(min=0, max=1, allow_padding=False)
        self._y = bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)
        self._axis = styled_axis(
            self._y, "loss", side="left", label_offset="46px", visible=False, tick_format=".6~g"
        )
        self._steps = styled_axis(self._x, "step", label_offset="34px", tick_format="d")
        axes = [self._steps, self._axis]
        self.figure = plain_figure((self._x, self._y), axes, {"height": "280px"})
        self.toggle.value = True
        self._fold()

    def _fold(self) -> None:
        # Removed rather than hidden: bqplot cannot draw a figure that has no size.
        parts = [self._row, *([self.figure, self.legend] if self.figure else [])]
        self.box.children = [*parts, self.text] if self.toggle.value else []

    def close(self) -> None:
        """Close every widget, the hidden ones too."""
        for part in (self.box, self._row, self.figure, self.legend, self.text):
            close_tree(part)

    def offer(self, lrs: list[float]) -> str:
        """Suggest what to try, unless the box has been edited; the ladder if there are no `lrs`.

        Returns
        -------
        str
            The sentence that names the ladder, or an empty string.
        """
        ladder = None if lrs else self._ladder()
        if self.lrs.value in ("", self._offered):
            self._offered_ladder = ladder
            self._offered = ", ".join(map(format_lr, lrs if ladder is None else ladder.lrs))
            self.lrs.value = self._offered
        self._show_cost()
        return "" if ladder is None else _WAY_ON.format(ladder.reason)

    def values(self) -> tuple[list[float] | Literal["ladder"], int]:
        """Return the learning rates, or the ladder that was offered, and the number of steps.

        Raises
        ------
        ValueError
            If they are not numbers, or too many.
        """
        typed = [part for part in self.lrs.value.replace(";", ",").split(",") if part.strip()]
        try:
            lrs = [float(part) for part in typed]
        except ValueError:
            raise ValueError(
                f"the learning rates must be numbers separated by commas; got {self.lrs.value!r}."
            ) from None
        if not 1 <= len(lrs) <= MAX_TRIALS:
            raise ValueError(
                f"enter at least one learning rate and at most {MAX_TRIALS}; got {len(lrs)}."
            )
        steps = parse_number("steps", self.steps.value, int, at_most=1_000_000)
        is_ladder = self._offered_ladder is not None and self.lrs.value == self._offered
        return ("ladder" if is_ladder else lrs), steps

    def _show_cost(self) -> None:
        """Show how many steps a click on Run would take, and how long they are."""
        try:
            lrs, steps = self.values()
        except ValueError:  # a click tells
            self.cost.value = ""
            return
        ladder = self._offered_ladder if lrs == "ladder" else None
        if ladder is None:
            text, steps = "", steps * len(lrs)
        else:
            text, steps = "at most ", ladder.steps(steps) * MOST_RUNGS
        text, pace = f"{text}{steps:,} steps", self.seconds_per_step
        self.cost.value = text if pace is None else f"{text}, about {pace * steps:.0f} s"

    def show(self, run: RangeTest, trials: Trials) -> None:
        """Draw the trials so far; under the view's lock."""
        active = run.state in (State.RUNNING, State.PAUSED)
        comparison = trials.comparison
        self.try_button.description = "Stop" if active else "Run"
        self.try_button.icon = "stop" if active else "play"
        self.try_button.button_style = "" if active else "primary"
        self.lrs.disabled = self.steps.disabled = active
        if self.figure is None:
            self._begin()
        self._draw(comparison, trials.steps)
        winner = _to_take(comparison) if run.state.ended else None
        self.take.layout.display = "none" if winner is None else None
        self.take.description = "" if winner is None else f"Use {format_lr(winner)}"
        role = ' role="status"' if run.state.ended else ""  # announced once, not at each step
        told = html.escape(_sentence(run, trials, comparison, self.seconds_per_step))
        self.text.value = f'<div{role} style="line-height: 1.5">{told}</div>'

    def _draw(self, comparison: Comparison, steps: int) -> None:
        names = {i: format_rate(lr) for i, lr in enumerate(comparison.lrs)}
        lines = dict(enumerate(comparison.losses.values()))
        held_out = dict(enumerate(comparison.held_out_losses.values()))
        if not any(trial.held_out for trial in comparison.trials):
            held_out = {}
        names |= {
            i: f"{names[i]}: {_last(found)}" for i, found in held_out.items() if len(found) > 1
        }
        if comparison.baseline is not None:
            names[START], lines[START] = "starting weights", comparison.baseline
        smooth = {i: _smoothed(losses, steps) for i, losses in lines.items()}
        dots = {i: _points(held_out.get(i, {})) for i in lines}
        for i in sorted(smooth.keys() - self._lines.keys()):
            self._lines[i] = self._add(stroke_width=2, **line_style(i))
        for i in sorted(held_out.keys() - self._dots.keys()):
            style = line_style(i) | {"line_style": "dotted"}
            self._dots[i] = self._add(stroke_width=1, marker="circle", marker_size=48, **style)
        self._x.min, self._x.max = -_MARGIN * steps, (1 + _MARGIN) * steps
        self._steps.tick_values = round_ticks(0.0, float(steps))
        seen = [y for y in smooth.values() if len(y)]
        if seen:
            longest = max(seen, key=len)
            lowest = min(seen, key=lambda y: float(y.min()))
            beside = [y for _, y in dots.values()]
            low, high = loss_limits(
                np.concatenate([longest[:1], lowest, *beside]), np.concatenate([lowest, *beside])
            )
            self._y.min, self._y.max = low, high
            self._axis.tick_values = round_ticks(low, high)
        self._axis.visible = bool(seen)
        for i, line in self._lines.items():
            y = smooth.get(i, np.empty(0))
            put(line, np.arange(len(y), dtype=np.float64), y)
        for i, line in self._dots.items():
            put(line, *dots.get(i, (np.empty(0), np.empty(0))))
        self.legend.value = " ".join(
            f'<span style="white-space: nowrap; margin-right: 14px">{swatch(i)} {name}</span>'
            for i, name in names.items()
        )

    def _add(self, **style: Any) -> Any:
        line = bqplot.Lines(x=[], y=[], scales={"x": self._x, "y": self._y}, **style)
        self.figure.marks = [*self.figure.marks, line]
        return line


def _to_take(comparison: Comparison) -> float | None:
    """Return what a click can take: one number, which is not known to be of no use."""
    of_no_use = comparison.held_out is not None and comparison.improves is False
    winner = comparison.winner
    return None if of_no_use or isinstance(winner, tuple) else winner


def _last(held_out: dict[int, float]) -> str:
    return f"{held_out[max(held_out)]:.4g} held out"


def _points(held_out: dict[int, float]) -> tuple[Array, Array]:
    """Return the finite held-out losses as x and y."""
    found = [(n, loss) for n, loss in held_out.items() if abs(loss) < LARGEST]
    points = np.array(found, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def _smoothed(losses: Array, steps: int) -> Array:
    """Average over a twentieth of the planned steps, so that a line grows and never moves."""
    finite = np.clip(losses[np.isfinite(losses)], -LARGEST, LARGEST)
    return moving_average(finite, max(1, steps // 20))


_WAY_ON = "Try compares {}, from the same start, by trial runs."


def _sentence(run: RangeTest, trials: Trials, comparison: Comparison, pace: float | None) -> str:
    if run.state is State.FAILED:
        return f"The trial runs failed{after_failure(run)}"
    what = f"{trials.about[0].upper()}{trials.about[1:]}: " if trials.about else ""
    if not run.state.ended:
        done, in_all = len(run), trials.steps_in_all
        most, pace = "at most " if trials.about else "", trials.seconds_per_step or pace
        text = (
            f"{what}{'t' if what else 'T'}rial runs of {trials.steps} steps each, {most}{in_all:,} "
            f"in all, from the same weights on the same batches: {done} steps done"
        )
        left = max(0, in_all - done)
        return f"{text}." if pace is None else f"{text}, {most}about {pace * left:.0f} s left."
    stopped = "Stopped: " if run.state is State.STOPPED else ""
    text = f"{stopped}{what}{comparison.reason}"
    return f"{text[0].upper()}{text[1:]} {unrestored_text(run.unrestored)}"
