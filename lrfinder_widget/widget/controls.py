"""The controls around the chart, and the sentences they show."""

from __future__ import annotations

import html
import traceback
from types import FrameType

import ipywidgets

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.points import unrestored_text
from lrfinder_widget.curve.rules import RULES, Rule
from lrfinder_widget.curve.suggest import NO_LENGTH

from .factory import WidgetFactory
from .number import format_lr

MISSING = (
    "No chart here? It needs ipywidgets, bqplot and anywidget both where the kernel runs and where "
    "the notebook server runs. Install them there (pip install ipywidgets bqplot anywidget), then "
    "reload the page."
)

_ROW = {"flex_flow": "row wrap", "align_items": "center", "width": "100%"}


class Controls:
    """Buttons, progress bar, number box and texts; the finder connects and fills them."""

    def __init__(self, num_iter: int, make: WidgetFactory) -> None:
        self.start = make(
            ipywidgets.Button,
            description="Start",
            icon="play",
            button_style="primary",
            layout={"width": "96px"},
        )
        self.pause = make(
            ipywidgets.Button,
            description="Pause",
            icon="pause",
            disabled=True,
            layout={"width": "104px"},
        )
        self.progress = make(
            ipywidgets.IntProgress,
            max=num_iter,
            layout={"flex": "1 1 120px", "min_width": "80px", "width": "auto"},
        )
        self.pace = make(ipywidgets.HTML, layout={"flex": "0 1 auto"})
        self.number = make(
            ipywidgets.Text,
            description="learning rate",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "200px"},
        )
        self.use = make(
            ipywidgets.Button,
            description="Use",
            icon="check",
            tooltip="Pick the learning rate at the marker",
            layout={"width": "84px"},
        )
        self.written = make(ipywidgets.HTML)
        self.copy = make(
            ipywidgets.Button,
            icon="copy",
            tooltip="Copy this line of code",
            layout=ipywidgets.Layout(width="40px", display="none"),
        )
        self.apply = make(
            ipywidgets.Button, description="Apply", disabled=True, layout={"width": "84px"}
        )
        # "auto" rather than "100%", which would not leave room for the margins.
        self.status = make(ipywidgets.HTML, layout={"width": "auto"})
        self.candidates: dict[Rule, ipywidgets.Button] = {
            rule: make(
                ipywidgets.Button,
                tooltip=f'Move the marker to the candidate of the rule "{rule}"',
                layout=ipywidgets.Layout(width="auto", display="none"),
            )
            for rule in RULES
        }
        self.rules = make(
            ipywidgets.Box,
            [make(ipywidgets.Label, "candidates"), *self.candidates.values()],
            layout=ipywidgets.Layout(**_ROW, display="none"),
        )
        self.missing = make(
            ipywidgets.HTML,
            _late(MISSING),
            layout=ipywidgets.Layout(min_height="0", margin="0 2px"),
        )
        self.above = make(
            ipywidgets.Box, [self.start, self.pause, self.progress, self.pace], layout=_ROW
        )
        self.below = make(
            ipywidgets.Box,
            [self.number, self.use, self.written, self.copy, self.apply],
            layout=_ROW,
        )

    def show_state(self, *, active: bool, paused: bool) -> None:
        """Label the two buttons with what a click would do."""
        self.start.description = "Stop" if active else "Start"
        self.start.icon = "stop" if active else "play"
        self.start.button_style = "" if active else "primary"
        self.pause.disabled = not active
        self.pause.description = "Resume" if paused else "Pause"
        self.pause.icon = "play" if paused else "pause"

    def show_apply(self, optimizer: str, *, possible: bool, applied: bool) -> None:
        """Label the button that applies the pick to the optimizer, or undoes that."""
        self.apply.disabled = not possible
        self.apply.description = "Undo" if applied else "Apply"
        self.apply.icon = "undo" if applied else "arrow-right"
        self.apply.tooltip = (
            f"Restore the previous learning rate of the {optimizer} optimizer"
            if applied
            else f"Set the picked learning rate on the {optimizer} optimizer of this test"
        )

    def show_candidates(self, candidates: dict[Rule, float | None]) -> None:
        """Show a button for each rule that has a candidate, if there are at least two."""
        for rule, button in self.candidates.items():
            lr = candidates.get(rule)
            button.layout.display = "none" if lr is None else None
            button.description = "" if lr is None else f"{rule} {format_lr(lr)}"
        several = sum(lr is not None for lr in candidates.values()) > 1
        self.rules.layout.display = "flex" if several else "none"

    def hide_missing(self) -> None:
        """Remove the hint on what to install, once a chart has been drawn."""
        self.missing.layout.display = "none"


def sentence(
    test: RangeTest,
    curve: LossCurve,
    done: int,
    total: int,
    device: str | None,
    evidence: str | None,
    problem: str | None,
) -> str:
    """Describe in whole sentences the state of the test and its result."""
    text = _state_sentence(test, curve, done, total, device)
    if evidence is not None and test.state is not State.FAILED:
        text += f" {evidence.replace(NO_LENGTH, _NO_LENGTH)}"
    return text if problem is None else f"{problem} {text}"


_NO_LENGTH = ": enter the training steps in Set up for a sharper one"  # instead of an argument


def _state_sentence(
    test: RangeTest, curve: LossCurve, done: int, total: int, device: str | None
) -> str:
    if test.state is State.READY:
        where = f" on {device}" if device is not None else ""
        return (
            f"Start trains {total} steps{where}, one per learning rate, and then restores the "
            "model, the optimizer and the random state."
        )
    if test.stopping:
        return "Stopping after the current step; then everything is restored."
    if test.state is State.RUNNING:
        return "Running. The notebook stays usable; leave the model alone until the test has ended."
    if test.state is State.PAUSED:
        return (
            f"Paused after {done} of {total} steps. The model is in the middle of the test; "
            "resume or stop the test before you use it."
        )
    if test.state is State.FAILED:
        return f"Failed after {done} steps{after_failure(test)}"
    at = f" at {format_lr(curve.lrs[-1])}" if len(curve) else ""
    ended = {
        "completed": f"All {total} steps done.",
        "diverged": f"The loss diverged{at}, so the test ended there.",
        "non-finite": f"The loss was no longer finite{at}, so the test ended there.",
        "exhausted": f"The data ran out after {done} of {total} steps.",
        "stop-rule": f"Your stop rule ended the test{at}.",
        "stopped": f"Stopped after {done} of {total} steps.",
        "no-effect": f"Ended after {done} of {total} steps.",
    }
    return f"{ended[test.reason or 'stopped']} {unrestored_text(test.unrestored)}"


def after_failure(test: RangeTest) -> str:
    """Say what of a failed run was restored, then its exception's type, message and notes."""
    restored = "; everything has been restored."
    if test.unrestored:
        restored = f". {unrestored_text(test.unrestored)}"
    return f"{restored} {''.join(traceback.format_exception_only(test.exception)).strip()}"


def status_text(sentence: str, exception: BaseException | None = None) -> str:
    """Return the status line as HTML, all text escaped, with a collapsed traceback on failure."""
    line = f'<div role="status" style="line-height: 1.5">{html.escape(sentence)}'
    if exception is not None:
        trace = html.escape("".join(_own_traceback(exception)))
        line += (
            '<details><summary style="padding: 4px 0">Traceback</summary>'
            f'<pre style="overflow: auto; max-height: 240px; line-height: 1.3">{trace}</pre>'
            "</details>"
        )
    return line + "</div>"


def _own_traceback(exception: BaseException) -> list[str]:
    """Format the traceback from the first frame of the user's code, without our own before it."""
    trace = exception.__traceback__
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    return traceback.format_exception(type(exception), exception, trace or exception.__traceback__)


def _is_ours(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__package__"))
    return f"{package}.".startswith("lrfinder_widget.")


def written_text(name: str | None, value: float | None, about: str | None) -> str:
    """Return the variable's value as HTML; a pick is a line of code with its origin as comment."""
    if value is None:
        return "<span>nothing picked yet</span>"
    shown = ("" if name is None else f"{html.escape(name)} = ") + format_lr(value)
    if about is not None:  # one click selects the whole line, ready to be copied
        muted = 'style="color: var(--jp-ui-font-color2, #616161); font-size: 12px"'
        shown += f"<span {muted}>&nbsp; # {html.escape(about)}</span>"
    code = f'<code style="font-size: 14px; padding: 2px 8px; user-select: all">{shown}</code>'
    return code if about is not None else f"{code} <span>unchanged; nothing picked yet</span>"


def pace_text(done: int, total: int, per_second: float | None) -> str:
    """Return progress, speed and the time that is left at most, as HTML."""
    parts = [f"{done} / {total}"]
    if per_second:
        left = (total - done) / per_second
        speed = f"{per_second:.0f} steps/s" if per_second >= 10 else f"{1 / per_second:.2g} s/step"
        parts.append(speed)
        if done < total:
            parts.append(f"{_duration(left)} left")
    return f'<span style="font-variant-numeric: tabular-nums">{" · ".join(parts)}</span>'


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _late(text: str) -> str:
    # The text is in the page from the start and becomes visible after a while, unless the chart has
    # hidden it by then: a missing package cannot report itself.
    return (
        "<style>@keyframes lrf-late { to { visibility: visible; max-height: 20em; } }"
        ".lrf-late { visibility: hidden; max-height: 0; animation: lrf-late 0s 6s forwards; }"
        "</style>"
        f'<div class="lrf-late">{html.escape(text)}</div>'
    )
