"""The plan of an LR range test: its learning rates, how often, and what is seen. NumPy only."""

from __future__ import annotations

import math
import operator
import reprlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

Mode: TypeAlias = Literal["exp", "linear"]


@dataclass(frozen=True)
class SweepPlan:
    """The validated learning rates of an LR range test.

    Parameters
    ----------
    start_lr, end_lr : float
        First and last learning rate, both exact.
    num_iter : int
        Number of learning rates, at least two.
    mode : {"exp", "linear"}
        Spaced by `numpy.geomspace` or by `numpy.linspace`.
    repeats : int
        How many times to go through the learning rates.
    diagnose : bool
        Whether to look at the gradient and the update of each step, too.

    Raises
    ------
    TypeError, ValueError
        For values that cannot work.
    """

    start_lr: float = 1e-7
    end_lr: float = 10.0
    num_iter: int = 100
    mode: Mode = "exp"
    repeats: int = 1
    diagnose: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.diagnose, bool):
            raise TypeError(f"diagnose must be True or False; got {self.diagnose!r}.")
        values = {"repeats": check_count("repeats", self.repeats, at_least=1)}
        if self.mode not in get_args(Mode):
            raise ValueError(f'mode must be "exp" or "linear"; got {self.mode!r}.')
        ends = {name: check_positive(name, getattr(self, name)) for name in ("start_lr", "end_lr")}
        if ends["start_lr"] >= ends["end_lr"]:
            raise ValueError(
                "start_lr must be below end_lr; "
                f"got start_lr={self.start_lr!r}, end_lr={self.end_lr!r}."
            )
        values["num_iter"] = check_count("num_iter", self.num_iter, at_least=2)
        for name, value in {**values, **ends}.items():
            object.__setattr__(self, name, value)

    @cached_property
    def lrs(self) -> tuple[float, ...]:
        """The learning rates of one repeat, ascending."""
        spaced = np.geomspace if self.log else np.linspace
        return tuple(spaced(self.start_lr, self.end_lr, self.num_iter).tolist())

    @property
    def log(self) -> bool:
        """Whether they are evenly spaced on a logarithmic axis, rather than on a linear one."""
        return self.mode == "exp"

    @property
    def steps(self) -> int:
        """The number of optimizer steps, over all repeats."""
        return self.repeats * self.num_iter


def check_positive(name: str, value: Any) -> float:
    """Return `value` as a `float`.

    Raises
    ------
    ValueError
        If it is not a positive, finite number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a positive, finite number; got {reprlib.repr(value)}.")
    return number


def check_count(name: str, value: Any, *, at_least: int) -> int:
    """Return `value` as an `int`.

    Raises
    ------
    ValueError
        If it is not a whole number, or is less than `at_least`.
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = at_least - 1
    if isinstance(value, bool) or count < at_least:
        given = reprlib.repr(value)
        raise ValueError(f"{name} must be a whole number, at least {at_least}; got {given}.")
    return count
