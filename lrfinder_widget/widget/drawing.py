"""What a chart shows of curves: points and lines, thinned out, and the limits of its axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.smoothing import SMOOTHING

Line: TypeAlias = dict[str, bytes]
"""``x`` and ``y`` as bytes, little-endian float64."""

DRAWN_POINTS = 1000
"""Longer lines are thinned out for drawing, never in the data; dots to half as many."""

OTHER_POINTS = 400
"""The points of a line that is not the current run's."""

LARGEST = 1e100
"""The largest loss that is drawn; beyond it, the page's arithmetic overflows."""

SMALLEST = 1e-300
"""The lower end of a logarithmic loss axis is no lower; below, numbers lose their digits."""


@dataclass(frozen=True)
class Looks:
    """How curves are drawn.

    Parameters
    ----------
    smoothing : float
        The fraction of the points that each smoothed point is computed from.
    log_loss : bool
        Whether the loss axis is logarithmic; losses that are not positive are then left out.
    """

    smoothing: float = SMOOTHING
    log_loss: bool = False


class Drawing:
    """A curve as it is drawn.

    Parameters
    ----------
    curve : LossCurve
        Only what is finite is drawn, and no more points than can be seen.
    looks : Looks
        How it is drawn.
    """

    def __init__(self, curve: LossCurve, looks: Looks) -> None:
        self.curve, self.looks = curve, looks
        smooth = curve.smooth(looks.smoothing)
        good = np.isfinite(curve.losses)
        if looks.log_loss:
            good &= (curve.losses > 0) & (smooth > 0)
        losses, smooth = (np.clip(y[good], -LARGEST, LARGEST) for y in (curve.losses, smooth))
        self.lrs, self.losses, self.smooth = curve.lrs[good], losses, smooth

    @cached_property
    def dots(self) -> Line:
        """The points as measured."""
        return packed(*thin_out(self.lrs, self.losses, DRAWN_POINTS // 2))

    @cached_property
    def line(self) -> Line:
        """The smoothed line."""
        return packed(*thin_out(self.lrs, self.smooth))

    @cached_property
    def beside(self) -> Line:
        """The smoothed line beside that of the current run, in fewer points."""
        return packed(*thin_out(self.lrs, self.smooth, OTHER_POINTS))

    @cached_property
    def limits(self) -> tuple[float, float] | None:
        """The limits of the loss axis, see `limits`."""
        return limits(self.losses, self.smooth, log=self.looks.log_loss)


def limits(losses: Array, smooth: Array, *, log: bool) -> tuple[float, float] | None:
    """Choose the limits of the loss axis, see `loss_limits`; None if there is no loss."""
    if not len(losses):
        return None
    if not log:
        return loss_limits(losses, smooth)
    low, high = loss_limits(*(np.log10(np.maximum(y, SMALLEST)) for y in (losses, smooth)))
    return max(10.0**low, SMALLEST), 10.0**high


def packed(x: Array, y: Array) -> Line:
    """Return points as bytes."""
    return {"x": x.astype("<f8").tobytes(), "y": y.astype("<f8").tobytes()}


def loss_limits(losses: Array, smooth: Array) -> tuple[float, float]:
    """Choose the limits of the loss axis so that a divergence does not flatten the descent.

    It ends at most three quarters of the descent above the initial loss, or twice the initial
    spread if that is more.
    """
    if not losses.size:
        return 0.0, 1.0
    low, high = float(losses.min()), float(losses.max())
    head = losses[: max(5, len(losses) // 10)]
    start, spread = float(np.median(head)), float(np.ptp(head))
    high = min(high, start + max(0.75 * (start - float(smooth.min())), 2.0 * spread))
    return with_room(low, high)


def with_room(low: float, high: float) -> tuple[float, float]:
    """Return the limits of an axis on which these two are the lowest and the highest value.

    Values that differ by less than half a thousandth do not fill it: their labels would need more
    digits than there is room for.
    """
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1 / LARGEST):  # constant, except for rounding
        room = 0.05 * size if size > 1 / LARGEST else 0.5
        return low - room, high + room
    room = max(0.06 * (high - low), 2.5e-4 * size)
    return low - room, high + room


def round_ticks(low: float, high: float, most: int = 6) -> Array:
    """Choose at most `most` round numbers between the limits."""
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = min((s * power for s in (1, 2, 5, 10)), key=lambda s: (s < rough, s))
    ticks: Array = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return ticks[(ticks >= low) & (ticks <= high)]


def tick_labels(ticks: Array) -> list[str]:
    """Write round numbers with as many digits as tell them apart, six at least."""
    labels: list[str] = []
    for digits in range(6, 16):
        labels = [f"{tick:.{digits}g}" for tick in ticks.tolist()]
        if len(set(labels)) == len(labels):
            break
    return labels


def thin_out(x: Array, y: Array, limit: int = DRAWN_POINTS) -> tuple[Array, Array]:
    """Keep both ends, and the lowest and highest point of each of about ``limit / 2`` stretches."""
    if len(x) <= limit:
        return x, y
    kept = [np.array([0, len(x) - 1])]
    size, left = divmod(len(x), limit // 2 - 1)
    longer = left * (size + 1)  # the points in stretches that are one longer
    for begin, end, width in ((0, longer, size + 1), (longer, len(x), size)):
        stretches, first = y[begin:end].reshape(-1, width), np.arange(begin, end, width)
        kept += [first + stretches.argmin(axis=1), first + stretches.argmax(axis=1)]
    chosen = np.unique(np.concatenate(kept))
    return x[chosen], y[chosen]
