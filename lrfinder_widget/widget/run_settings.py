"""The set-up of the next run, editable in place."""

from __future__ import annotations

from typing import Any

import ipywidgets

from lrfinder_widget.curve.plan import SweepPlan

from .factory import WidgetFactory
from .number import parse_number

_BOX = {"width": "170px"}
_WIDE = {"description_width": "80px"}


class RunSettings:
    """A row of boxes, folded away until somebody asks for it.

    Parameters
    ----------
    plan : SweepPlan
        What the boxes say at first.
    also : ipywidgets.Box
        What is folded away with it.
    make : WidgetFactory
        Makes the widgets.
    """

    def __init__(self, plan: SweepPlan, also: Any, make: WidgetFactory) -> None:
        def text(description: str, value: str) -> ipywidgets.Text:
            traits = {"description": description, "continuous_update": False}
            return make(ipywidgets.Text, value, layout=_BOX, style=_WIDE, **traits)

        self.start_lr = text("from", repr(plan.start_lr))
        self.end_lr = text("to", repr(plan.end_lr))
        self.num_iter = text("points", str(plan.num_iter))
        self.repeats = text("repeats", str(plan.repeats))
        self.mode = make(
            ipywidgets.Dropdown,
            options=[("exponential", "exp"), ("linear", "linear")],
            value=plan.mode,
            description="spacing",
            layout={"width": "200px"},
            style=_WIDE,
        )
        boxes = [self.start_lr, self.end_lr, self.num_iter, self.mode, self.repeats]
        self.narrow = make(
            ipywidgets.Button,
            description="Narrow",
            icon="compress",
            tooltip="Set the range to a decade around the band of the suggestion",
            disabled=True,
            layout={"width": "104px"},
        )
        self.row = make(
            ipywidgets.Box,
            [*boxes, self.narrow],
            layout=ipywidgets.Layout(flex_flow="row wrap", width="100%", display="none"),
        )
        self.toggle = make(
            ipywidgets.ToggleButton,
            description="Set up",
            icon="sliders",
            tooltip="Range, number of points and repeats of the next run",
            layout={"width": "104px"},
        )
        self._inputs: list[Any] = boxes

        def fold(change: Any) -> None:
            for row in (self.row, also):
                row.layout.display = "flex" if change["new"] else "none"

        self.toggle.observe(fold, "value")

    def set_range(self, start_lr: float, end_lr: float) -> None:
        """Write a range into the boxes; two digits are enough for that."""
        self.start_lr.value, self.end_lr.value = f"{start_lr:.1e}", f"{end_lr:.1e}"

    def allow(self, *, editing: bool) -> None:
        """Say whether the boxes may be edited: a run that has begun keeps its set-up."""
        for box in self._inputs:
            box.disabled = not editing

    def plan(self) -> SweepPlan:
        """Return what the boxes say.

        Raises
        ------
        ValueError
            If one of them does not hold a number, or one that would stop the page or the kernel.
        """
        return SweepPlan(
            start_lr=parse_number("from", self.start_lr.value, float),
            end_lr=parse_number("to", self.end_lr.value, float),
            num_iter=parse_number("points", self.num_iter.value, int, at_most=1_000_000),
            mode=self.mode.value,
            repeats=parse_number("repeats", self.repeats.value, int, at_most=100),
        )
