"""The metric of a curve as the page shows it: a line on an axis of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.loss_curve import LossCurve

from .drawing import LARGEST, OTHER_POINTS, packed, thin_out, with_room


def metric_points(curve: LossCurve) -> tuple[Array, Array]:
    """Return what is drawn of a metric: learning rates and values, nan once where there is a gap.

    Not more points than can be seen; none at all without a metric.
    """
    if curve.metric is None:
        return np.zeros(0), np.zeros(0)
    good = np.abs(curve.metric) <= LARGEST  # neither nan nor infinite
    if not good.any():
        return np.zeros(0), np.zeros(0)
    lrs, values = thin_out(curve.lrs[good], curve.metric[good], OTHER_POINTS)
    ends = good[:-1] & ~good[1:]  # a gap begins behind
    gaps = curve.lrs[1:][ends]
    gaps = gaps[gaps < lrs[-1]]  # bqplot expects none at the end
    lrs, values = np.concatenate([lrs, gaps]), np.concatenate([values, np.full(len(gaps), np.nan)])
    order = lrs.argsort()
    return lrs[order], values[order]


def metric_limits(values: Array) -> tuple[float, float]:
    """Return the limits of the axis of a metric, of which at least one value is known."""
    return with_room(float(np.nanmin(values)), float(np.nanmax(values)))


class ShownMetric:
    """What the page shows of the metric of the curve that was asked for last, made once.

    Once there is a metric, there is an axis, so that the chart keeps its width from run to run.
    """

    def __init__(self) -> None:
        self._curve: LossCurve | None = None
        self._made: dict[str, Any] = {}

    def of(self, curve: LossCurve) -> dict[str, Any]:
        """Return ``name``, the limits ``y`` of its axis, or None, and ``line``; or nothing."""
        if self._curve is not curve:
            self._curve = curve
            name = curve.metric_name or self._made.get("name")
            x, y = metric_points(curve)
            limits = list(metric_limits(y)) if len(y) else None
            self._made = {"name": name, "y": limits, "line": packed(x, y)} if name else {}
        return self._made
