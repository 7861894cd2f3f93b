"""LR range tests with one or two other settings varied, as a plan and its results. No torch."""

from __future__ import annotations

import itertools
import math
import reprlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, TypeAlias

from lrfinder_widget.curve.budget import NO_BUDGET, Budget
from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.curve.plan import SweepPlan, check_count
from lrfinder_widget.curve.points import Item, Recorder
from lrfinder_widget.curve.variation import Value, Variation

from .jobs import Jobs

Values: TypeAlias = tuple[Value, ...]
"""One of each setting that is varied, in their order."""

Settings: TypeAlias = Mapping[str, Sequence[Value]]
"""The values of each setting that is varied: weight_decay, momentum, batch_size, optimizer."""

MOST = 2  # settings that can be varied together
MOST_VALUES = 100  # of one setting; an iterator may have no end
_CUT_SHORT: tuple[Reason, ...] = ("stopped", "failed")


@dataclass(frozen=True)
class VariedJob:
    """One LR range test of several.

    Attributes
    ----------
    names : tuple of str
        What is varied.
    values : tuple
        The value of each in this test.
    plan : SweepPlan
        Its learning rates.
    """

    names: tuple[str, ...]
    values: Values
    plan: SweepPlan

    @property
    def chosen(self) -> dict[str, Value]:
        """The values by what they are values of."""
        return dict(zip(self.names, self.values, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.chosen.items())


@dataclass(frozen=True)
class Setting:
    """Something that a test can be varied by.

    Attributes
    ----------
    name : str
        ``"weight_decay"``, ``"momentum"``, ``"batch_size"`` or ``"optimizer"``.
    values : tuple of float
        A few that are worth trying, ascending; none of an optimizer.
    why_not : str
        Why it cannot be varied here; empty if it can.
    """

    name: str
    values: tuple[float, ...] = ()
    why_not: str = ""


class VariedRuns(Jobs[VariedJob]):
    """A test for each combination of values, and the curves so far; can be read from any thread.

    Parameters
    ----------
    settings : mapping of str to sequence
        The values of each setting that is varied, see `check_settings`.
    plan : SweepPlan
        The learning rates of each test.
    planned : Budget
        The training that the candidates are for.
    """

    def __init__(self, settings: Settings, plan: SweepPlan, planned: Budget) -> None:
        super().__init__()
        self.names = tuple(settings)
        self.jobs = [
            VariedJob(self.names, values, plan) for values in itertools.product(*settings.values())
        ]
        self.plan = plan
        self._planned = planned
        self._budgets: dict[Values, Budget] = {}
        self._lock = threading.RLock()  # of the next two
        self._running: dict[Values, Recorder] = {}
        self._curves: dict[Values, LossCurve] = {}

    @property
    def steps_in_all(self) -> int:
        """The steps of all tests together; some may end early."""
        return len(self.jobs) * self.plan.steps

    @property
    def variation(self) -> Variation:
        """The curves of the tests that have come to an end of their own."""
        with self._lock:
            ended = dict(self._curves)
        return Variation(self.names, {v: ended[v] for v in self.all_values if v in ended})

    @property
    def curves(self) -> dict[Values, LossCurve]:
        """The curves, also of the tests that are going on."""
        with self._lock:
            curves = {v: LossCurve.median(one.curves) for v, one in self._running.items()}
            curves |= self._curves
        return {v: curves[v] for v in self.all_values if v in curves}

    @property
    def all_values(self) -> list[Values]:
        """The values of each test, in their order."""
        return [job.values for job in self.jobs]

    def learn(self, budgets: Sequence[Budget]) -> None:
        """Take what the optimizer of each test shows of the training that a candidate is for."""
        self._budgets = dict(zip(self.all_values, budgets, strict=True))

    def plan_training(self, planned: Budget) -> None:
        """Let every curve answer for another length and schedule of the training."""
        self._planned = planned
        with self._lock:
            self._curves = {
                v: curve.with_budget(self._budget(v)) for v, curve in self._curves.items()
            }

    def _budget(self, values: Values) -> Budget:
        planned, budget = self._planned, self._budgets.get(values, NO_BUDGET)
        return replace(budget, train_steps=planned.train_steps, schedule=planned.schedule)

    # -- what to run, and what came of it ---------------------------------------------------------

    def stages(self) -> Iterator[list[VariedJob]]:
        """Yield all tests at once: none needs the result of another."""
        yield list(self.jobs)

    def _begun(self, job: VariedJob) -> None:
        with self._lock:
            self._running[job.values] = Recorder()

    def take(self, job: VariedJob, item: Item) -> Item | None:
        """Record an item of a test, and return it if it is a point."""
        with self._lock:
            self._running[job.values].take(item)
        return item if isinstance(item, tuple) else None

    def note(self, job: VariedJob, error: BaseException) -> None:
        """Note on an exception in which test it was raised."""
        error.add_note(f"In the LR range test with {job}.")

    def _ended(self, job: VariedJob, reason: Reason) -> int:
        with self._lock:
            recorder = self._running.pop(job.values)
            recorder.end(reason)
            if reason not in _CUT_SHORT:
                curve = LossCurve.median(recorder.curves)
                self._curves[job.values] = curve.with_budget(self._budget(job.values))
        return len(recorder)


# -- what can be varied ---------------------------------------------------------------------------


def check_settings(**given: Any) -> dict[str, list[Value]]:
    """Return the values of each setting that is varied, checked; those that are None are not.

    Parameters
    ----------
    **given
        ``weight_decay``, ``momentum``, ``batch_size``: their values. ``optimizer``: names.

    Raises
    ------
    TypeError, ValueError
        If none or more than two are given, or a value cannot be one, or is given twice.
    """
    settings = {name: check_values(name, of) for name, of in given.items() if of is not None}
    if not 1 <= len(settings) <= MOST:
        what = f"got {' and '.join(settings)}" if settings else "got none"
        raise ValueError(
            "one or two of weight_decay, momentum, batch_size and optimizers must be given; "
            f"{what}."
        )
    return settings


def check_values(name: str, given: Any) -> list[Value]:
    """Return the values of one setting, checked.

    Raises
    ------
    TypeError, ValueError
        If it is no list, or a value cannot be one of this setting, or is given twice.
    """
    try:
        if isinstance(given, (str, bytes)) or (isinstance(given, Mapping) and name != "optimizer"):
            raise TypeError
        items = iter(given)
    except TypeError:  # some that cannot be iterated over say so only when asked
        raise TypeError(
            f"{name} must be a list of values to try; got {type(given).__name__}."
        ) from None
    values: list[Value]
    called = "optimizers" if name == "optimizer" else name
    listed = list(itertools.islice(items, MOST_VALUES + 1))
    if len(listed) > MOST_VALUES:
        raise ValueError(f"{called} must have at most {MOST_VALUES} values; got more.")
    if name == "optimizer":
        values = list(map(str, listed))
    elif name == "batch_size":
        values = [_size(value) for value in listed]
    else:
        values = [_number(name, value) for value in listed]
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{called} must have values, each given once; got {reprlib.repr(listed)}.")
    return values


def _size(value: Any) -> int:
    size = check_count("batch_size", value, at_least=1)
    if size > sys.maxsize:
        raise ValueError(f"a batch_size must be at most {sys.maxsize}; got {reprlib.repr(value)}.")
    return size


def _number(name: str, value: Any) -> float:
    number = math.nan
    if type(value) is not bool and isinstance(value, Real):
        with suppress(OverflowError):
            number = float(value)
    if not 0 <= number < (1.0 if name == "momentum" else math.inf):
        limits = "below 1 and not negative" if name == "momentum" else "finite and not negative"
        raise ValueError(f"a {name} must be a number, {limits}; got {reprlib.repr(value)}.")
    return number
