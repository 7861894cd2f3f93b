"""Points of a source that nobody vouches for: none reaches a curve that could not be read."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeGuard, get_args

from lrfinder_widget.curve.diagnosis import StepDiagnosis
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.measured import MeasuredPoint
from lrfinder_widget.curve.points import Item
from lrfinder_widget.runs.source import About

MOST = 1_000_000
"""Items of one run."""

_NUMBERS = 5  # of a diagnosis; the names of two modules follow
_LONGEST_NAME = 200

_UNTOLD = About("points from elsewhere", open_ended=True)
_ENDS = tuple(reason for reason in get_args(Reason) if reason != "failed")


def check_points(points: object) -> None:
    """Raise a TypeError if points cannot be iterated over."""
    if not hasattr(points, "__iter__"):
        kind = type(points).__name__
        raise TypeError(f"points must be an iterable of pairs (lr, loss), as a sweep; got {kind}.")


def about(points: object) -> About:
    """Return what points tell of themselves; it may be another object later."""
    told = getattr(points, "about", None)
    return told if isinstance(told, About) else _UNTOLD


def is_reason(value: object) -> TypeGuard[Reason]:
    """Return whether a value is the reason of an end other than a failure."""
    return isinstance(value, str) and value in _ENDS


def checked(points: Iterable[Any]) -> Generator[Item | None, None, Reason]:
    """Yield the items of a source, each checked; return the reason of the end.

    A generator is closed, however it is left. A sweep is asked for a baseline.

    Raises
    ------
    ValueError
        If an item is none, if its learning rate is not positive, finite and larger than the one
        before, or if there are too many.
    """
    if ask := getattr(points, "ask_for_baseline", None):
        ask()
    items = iter(points)
    last, count = 0.0, 0
    try:
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                return end.value if is_reason(end.value) else "completed"
            if item is not None:  # something new
                item = _item(item, last)
                if not isinstance(item, float):
                    last = 0.0 if isinstance(item, str) else item[0]
                count += 1
            if count > MOST:
                raise ValueError(f"there are more than {MOST:,} points.")
            yield item
    finally:
        if isinstance(items, Generator):
            items.close()


def _item(item: Any, last: float) -> Item:
    """Return an item that may follow a point with the learning rate `last`; 0 if there is none."""
    if is_reason(item):  # of a repeat
        return item
    if isinstance(item, float):  # of the baseline
        if last and math.isfinite(item):
            return item
        raise _no_point(item)
    try:
        lr, loss = map(float, item)
    except (TypeError, ValueError, OverflowError):
        raise _no_point(item) from None
    if not last < lr < math.inf:
        raise ValueError(
            "the learning rates must be positive and finite, each larger than the one before; got "
            f"{lr} after {last}."
        )
    if not isinstance(item, MeasuredPoint):
        return lr, loss
    return MeasuredPoint(lr, loss, item.diagnosis, item.metric, item.metric_name)


def point_to_plain(point: tuple[float, float]) -> list[Any]:
    """Return a point as it travels: its two numbers, then its diagnosis and its metric if any."""
    plain: list[Any] = [*map(float, point)]
    if isinstance(point, MeasuredPoint):
        plain.append(None if point.diagnosis is None else list(point.diagnosis))
        if point.metric is not None:
            plain.append([float(point.metric), point.metric_name])
    return plain


def point(value: Any, number: Callable[[Any], float]) -> tuple[float, float]:
    """Return the point that has travelled as `value`.

    Parameters
    ----------
    value : object
        What has come.
    number : callable
        Returns what it is given as a number, or raises a ValueError.

    Raises
    ------
    ValueError
        If it is not of that form.
    """
    if not (isinstance(value, (list, tuple)) and 2 <= len(value) <= 4):
        raise ValueError(f"no point: {reprlib.repr(value)}")
    lr, loss = map(number, value[:2])
    if len(value) == 2:
        return lr, loss
    if len(value) == 3:
        return MeasuredPoint(lr, loss, _diagnosis(value[2], number))
    diagnosis = None if value[2] is None else _diagnosis(value[2], number)
    return MeasuredPoint(lr, loss, diagnosis, *_metric(value[3], number))


def _diagnosis(told: Any, number: Callable[[Any], float]) -> StepDiagnosis:
    if not (isinstance(told, (list, tuple)) and len(told) == len(StepDiagnosis._fields)):
        raise ValueError(f"no diagnosis: {reprlib.repr(told)}")
    numbers, names = told[:_NUMBERS], told[_NUMBERS:]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"no names of modules: {reprlib.repr(names)}")
    cut = [name[:_LONGEST_NAME] for name in names]
    return StepDiagnosis._make([*map(number, numbers), *cut])


def _metric(told: Any, number: Callable[[Any], float]) -> tuple[float, str]:
    if not (isinstance(told, (list, tuple)) and len(told) == 2 and isinstance(told[1], str)):
        raise ValueError(f"no metric: {reprlib.repr(told)}")
    return number(told[0]), told[1][:_LONGEST_NAME]


def _no_point(item: object) -> ValueError:
    return ValueError(f"the points must be pairs (lr, loss) of numbers; got {reprlib.repr(item)}.")
