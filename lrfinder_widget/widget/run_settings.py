"""The boxes of the page: the next run, the training that is planned, and how the chart looks."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.smoothing import SMOOTHING

from .drawing import Looks
from .number import is_number, parse_number

_LONGEST = 500  # characters in a box
_EPOCHS = (1, 3, 10, 30)  # offered as lengths of the training
_MAX_SMOOTHING = 50  # per cent
_SWITCHES = ("diagnose", "zoom", "log_loss")
_CHOICES = {
    "mode": ("exp", "linear"),
    "schedule": ("constant", "decay"),
    "vary": ("weight_decay", "momentum", "batch_size", "optimizer"),
    "vary_2": ("", "weight_decay", "momentum", "batch_size", "optimizer"),
}
_LABELS = {"start_lr": "'from'", "end_lr": "'to'", "num_iter": "'points'", "repeats": "'repeats'"}

OF_THE_RUN = ("start_lr", "end_lr", "num_iter", "mode", "repeats", "diagnose")
"""Those of the next run, which cannot be edited during one."""
OF_TRIALS = ("trial_lrs", "trial_steps")
OF_VARIATION = ("vary", "vary_values", "vary_2", "vary_2_values")
OF_THE_TRAINING = ("train_steps", "schedule")


class RunSettings:
    """The contents of the boxes, as they were typed: what is wrong is told when it is used.

    Parameters
    ----------
    plan : SweepPlan
        The initial settings of a run.
    planned : Budget
        The initial length and schedule of the training.
    epoch_steps : int or None
        The optimizer steps of an epoch, if they are known.

    Attributes
    ----------
    values : dict
        By name, for the page: text, except `diagnose`, `zoom` and `log_loss` (bool) and `smoothing`
        (per cent).
    offers : list
        Lengths of the training to choose from, each a value and a label.
    """

    def __init__(self, plan: SweepPlan, planned: Budget, epoch_steps: int | None) -> None:
        steps = planned.train_steps
        self.values: dict[str, Any] = {
            "train_steps": "" if steps is None else str(steps),
            "schedule": planned.schedule,
            "zoom": False,
            "log_loss": False,
            "smoothing": round(100 * SMOOTHING),
            "trial_lrs": "",
            "trial_steps": "200",
            "vary": "weight_decay",
            "vary_values": "",
            "vary_2": "",
            "vary_2_values": "",
        }
        self.set_plan(plan)
        self.offer_epochs(epoch_steps)

    def offer_epochs(self, epoch_steps: int | None) -> None:
        """Offer a few numbers of epochs, if their optimizer steps are known."""
        self.offers = [] if epoch_steps is None else [_offer(n, epoch_steps) for n in _EPOCHS]

    def set(self, **values: Any) -> None:
        """Set the contents of some boxes."""
        self.values = {**self.values, **values}

    def set_plan(self, plan: SweepPlan) -> None:
        """Show the settings of a run."""
        self.set(
            start_lr=repr(plan.start_lr),
            end_lr=repr(plan.end_lr),
            num_iter=str(plan.num_iter),
            mode=plan.mode,
            repeats=str(plan.repeats),
            diagnose=plan.diagnose,
        )

    def accepts(self, name: str, value: object) -> bool:
        """Return whether the page may set a box to this value."""
        if name in _CHOICES:
            return value in _CHOICES[name]
        if name in _SWITCHES:
            return isinstance(value, bool)
        if name == "smoothing":
            return is_number(value) and 0 <= value <= _MAX_SMOOTHING  # type: ignore[operator]
        return name in self.values and is_text(value, _LONGEST)

    def set_range(self, start_lr: float, end_lr: float) -> None:
        """Write a range into the boxes, to two significant digits."""
        self.set(start_lr=f"{start_lr:.1e}", end_lr=f"{end_lr:.1e}")

    @property
    def looks(self) -> Looks:
        """How curves are drawn."""
        return Looks(self.values["smoothing"] / 100, self.values["log_loss"])

    def plan(self) -> SweepPlan:
        """Return the settings of the next run.

        Raises
        ------
        ValueError
            If one of them is not a number, or large enough to make the page or the kernel hang.
        """
        values = self.values
        try:
            return SweepPlan(
                start_lr=parse_number("from", values["start_lr"], float),
                end_lr=parse_number("to", values["end_lr"], float),
                num_iter=parse_number("points", values["num_iter"], int, at_most=1_000_000),
                mode=values["mode"],
                repeats=parse_number("repeats", values["repeats"], int, at_most=100),
                diagnose=values["diagnose"],
            )
        except ValueError as error:  # in the words of the page
            names = r"(?<!')\b(start_lr|end_lr|num_iter|repeats)\b"
            text = re.sub(names, lambda found: _LABELS[found[0]], str(error))
            raise ValueError(text) from None

    def planned(self) -> Budget:
        """Return the length and the schedule of the training in the boxes.

        Raises
        ------
        ValueError
            If the length is not a positive whole number.
        """
        typed = re.sub(r"\(\d+ epochs?\)\s*$", "", self.values["train_steps"]).strip()
        steps = None
        if typed:
            steps = parse_number("training steps", typed, int, at_most=1_000_000_000)
            if steps < 1:
                raise ValueError(f"'training steps' must be at least 1; got {typed!r}.")
        return Budget(train_steps=steps, schedule=self.values["schedule"])


def is_text(value: object, longest: int) -> TypeGuard[str]:
    """Return whether a value of the page is a text that can be sent back to it."""
    # Half of a surrogate pair cannot: a model that holds one can never be sent again.
    if not isinstance(value, str) or len(value) > longest:
        return False
    return not re.search("[\ud800-\udfff]", value)


def _offer(epochs: int, epoch_steps: int) -> tuple[str, str]:
    return str(epochs * epoch_steps), f"{epochs} epoch{'s' if epochs > 1 else ''}"
