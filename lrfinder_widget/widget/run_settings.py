"""The settings of the next run, and of the training that a learning rate is for."""

from __future__ import annotations

import re
from typing import Any

import ipywidgets

from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.plan import SweepPlan

from .factory import WidgetFactory
from .number import parse_number

_BOX = {"width": "170px"}
_WIDE = {"description_width": "80px"}
_EPOCHS = (1, 3, 10, 30)  # offered as lengths of the training


class RunSettings:
    """A row of input boxes, hidden until it is toggled.

    Parameters
    ----------
    plan : SweepPlan
        The initial contents of the boxes.
    planned : Budget
        The initial length and schedule of the training.
    epoch_steps : int or None
        The optimizer steps of an epoch, if they are known.
    also : ipywidgets.Box
        Another row that is shown and hidden with this one.
    make : WidgetFactory
        Makes the widgets.
    """

    def __init__(
        self,
        plan: SweepPlan,
        planned: Budget,
        epoch_steps: int | None,
        also: Any,
        make: WidgetFactory,
    ) -> None:
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
        steps = planned.train_steps
        self.train_steps = make(
            ipywidgets.Combobox,
            value="" if steps is None else str(steps),
            options=[] if epoch_steps is None else [_offer(n, epoch_steps) for n in _EPOCHS],
            placeholder="unknown",
            description="training steps",
            tooltip="For how many steps you will train: the more, the lower the candidate",
            continuous_update=False,
            layout={"width": "260px"},
            style={"description_width": "100px"},
        )
        self.schedule = make(
            ipywidgets.Dropdown,
            options=[("constant", "constant"), ("decays", "decay")],
            value=planned.schedule,
            description="schedule",
            tooltip="Whether the learning rate of your training will be constant or decay",
            layout={"width": "200px"},
            style=_WIDE,
        )
        boxes = [self.start_lr, self.end_lr, self.num_iter, self.mode, self.repeats]
        self.narrow = make(
            ipywidgets.Button,
            description="Narrow",
            icon="compress",
            tooltip="Set the range to where the loss falls, plus a decade on either side",
            disabled=True,
            layout={"width": "104px"},
        )
        self.row = make(
            ipywidgets.Box,
            [*boxes, self.narrow, self.train_steps, self.schedule],
            layout=ipywidgets.Layout(flex_flow="row wrap", width="100%", display="none"),
        )
        self.toggle = make(
            ipywidgets.ToggleButton,
            description="Set up",
            icon="sliders",
            tooltip="Range, number of points and repeats of the next run; length of the training",
            layout={"width": "104px"},
        )
        self._inputs: list[Any] = boxes

        def fold(change: Any) -> None:
            for row in (self.row, also):
                row.layout.display = "flex" if change["new"] else "none"

        self.toggle.observe(fold, "value")

    def set_range(self, start_lr: float, end_lr: float) -> None:
        """Write a range into the boxes, to two significant digits."""
        self.start_lr.value, self.end_lr.value = f"{start_lr:.1e}", f"{end_lr:.1e}"

    def allow(self, *, editing: bool) -> None:
        """Enable or disable the boxes; during a run, its settings cannot be edited."""
        for box in self._inputs:
            box.disabled = not editing

    def plan(self) -> SweepPlan:
        """Return the contents of the boxes.

        Raises
        ------
        ValueError
            If one of them is not a number, or large enough to make the page or the kernel hang.
        """
        return SweepPlan(
            start_lr=parse_number("from", self.start_lr.value, float),
            end_lr=parse_number("to", self.end_lr.value, float),
            num_iter=parse_number("points", self.num_iter.value, int, at_most=1_000_000),
            mode=self.mode.value,
            repeats=parse_number("repeats", self.repeats.value, int, at_most=100),
        )

    def planned(self) -> Budget:
        """Return the length and the schedule of the training in the boxes.

        Raises
        ------
        ValueError
            If the length is not a positive whole number, or the schedule is no choice.
        """
        typed = re.sub(r"\(\d+ epochs?\)\s*$", "", self.train_steps.value).strip()
        steps = None
        if typed:
            steps = parse_number("training steps", typed, int, at_most=1_000_000_000)
        return Budget(train_steps=steps, schedule=self.schedule.value)


def _offer(epochs: int, epoch_steps: int) -> str:
    return f"{epochs * epoch_steps} ({epochs} epoch{'s' if epochs > 1 else ''})"
