"""The bqplot figure: its axes and marks, and what each redraw sends to the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bqplot
import numpy as np

from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.smoothing import SMOOTHING
from lrfinder_widget.curve.suggest import Suggestion

from .factory import close_tree
from .lines import CURRENT, line_style

MARGIN = {"top": 34, "right": 22, "bottom": 46, "left": 62}
"""Pixels around the plot area; fixed, so that the marker can be placed on the axis."""

DRAWN_POINTS = 1000
"""Longer lines are thinned out for drawing, never in the data; dots to half as many."""

LARGEST = 1e100
"""The largest loss that is drawn; beyond it, the page's arithmetic overflows."""

_TEXT = "var(--jp-ui-font-color1, #333)"
_GRID = "var(--jp-border-color2, #e0e0e0)"

_NO_POINTS: tuple[Array, Array, Array] = (np.empty(0), np.empty(0), np.empty(0))


class Chart:
    """Loss over learning rate: the measured points, and a smoothed line.

    Parameters
    ----------
    start_lr, end_lr : float
        The ends of the learning-rate axis.
    log : bool
        Whether that axis is logarithmic rather than linear.
    log_loss : bool
        Whether the loss axis is logarithmic; losses that are not positive are then left out.
    """

    def __init__(
        self, start_lr: float, end_lr: float, *, log: bool, log_loss: bool = False
    ) -> None:
        scale: Any = bqplot.LogScale if log else bqplot.LinearScale
        self._x = scale(min=start_lr, max=end_lr, allow_padding=False)
        self._log_loss = log_loss
        loss_scale: Any = bqplot.LogScale if log_loss else bqplot.LinearScale
        self._y = loss_scale(min=0.1 if log_loss else 0.0, max=1.0, allow_padding=False)
        self._scales = scales = {"x": self._x, "y": self._y}
        self._log = log
        self._singles: list[Any] = []  # lines of repeats
        # The lines of other runs by key.
        self._others: dict[Any, Any] = {}
        # What each line of a repeat or another run shows, and how smoothed.
        self._shown: dict[Any, tuple[LossCurve | None, float]] = {}
        self.smoothing = SMOOTHING
        self._own_limits: tuple[float, float] | None = None  # of the loss
        self._other_limits: list[tuple[float, float]] = []
        self._limits_sent: tuple[float, float, bool] | None = None
        self._lr_axis = styled_axis(
            self._x, "learning rate", label_offset="34px", tick_format=".1~e" if log else ".2~g"
        )
        self._loss_axis = styled_axis(
            self._y,
            "loss",
            side="left",
            label_offset="46px",
            visible=False,
            tick_format=".6~g",
        )
        # Not bqplot's Scatter: it has an element per point, too many to redraw within a frame.
        self._raw = bqplot.Lines(x=[], y=[], scales=scales, colors=[CURRENT], stroke_width=4.2)
        self._raw.opacities = [0.65]
        # The band of the suggestion spans the full height.
        height = {"x": self._x, "y": bqplot.LinearScale(min=0.0, max=1.0, allow_padding=False)}
        self._band = bqplot.Lines(
            x=[],
            y=[],
            scales=height,
            colors=[CURRENT],
            fill="bottom",
            fill_colors=[CURRENT],
            fill_opacities=[0.12],
            stroke_width=0,
        )
        self._smooth = bqplot.Lines(x=[], y=[], scales=scales, colors=[CURRENT], stroke_width=2.5)
        self.figure = plain_figure(
            (self._x, self._y),
            [self._lr_axis, self._loss_axis],
            {"height": "340px", "grid_area": "1 / 1"},
        )
        self.figure.marks = [self._band, self._raw, self._smooth]
        self.figure.add_class("lrf-figure")
        self.set_ends(start_lr, end_lr)

    def set_ends(self, low: float, high: float) -> None:
        """Set the ends of the learning-rate axis."""
        with self._x.hold_sync():
            self._x.min, self._x.max = low, high
        # bqplot's own ticks are too dense on a logarithmic axis.
        ticks = log_ticks(low, high, most=12) if self._log else round_ticks(low, high)
        self._lr_axis.tick_values = ticks

    def draw(self, curve: LossCurve, singles: Sequence[LossCurve] = ()) -> None:
        """Draw the curve so far; only finite values, and no more points than can be seen.

        Parameters
        ----------
        curve : LossCurve
            Its smoothed line is drawn, and its points too, unless a later repeat is in progress.
        singles : sequence of LossCurve
            The repeats, the latest last; if there are several, each is a faint line.
        """
        latest = singles[-1] if len(singles) > len(curve.repeats) else curve
        smooth_lrs, losses, smooth = self._drawn(curve)
        lrs, losses, _ = (smooth_lrs, losses, smooth) if latest is curve else self._drawn(latest)
        self._draw_singles(singles if len(singles) > 1 else ())
        own = self._limits(losses if len(losses) > len(smooth) // 2 else smooth, smooth)
        self._own_limits = own if len(losses) else None
        self._limit()
        put(self._raw, *dots(lrs, losses))
        put(self._smooth, smooth_lrs, smooth)

    def show_band(self, suggestion: Suggestion | None) -> None:
        """Shade the band of a suggestion, if there is one."""
        found = suggestion is not None and suggestion.lr is not None
        ends = [suggestion.low, suggestion.high] if suggestion is not None and found else []
        put(self._band, np.array(ends, dtype=np.float64), np.ones(len(ends)))

    def show_others(self, others: Sequence[tuple[Any, LossCurve, int]]) -> None:
        """Draw other runs behind this one, each given as a key, a curve and a line number."""
        keys = [key for key, _, _ in others]
        drawn = {key: self._drawn(curve) for key, curve, _ in others}
        self._other_limits = [self._limits(*part[1:]) for part in drawn.values() if len(part[0])]
        self._limit()
        for key, curve, style in others:
            if key not in self._others:
                self._others[key] = bqplot.Lines(
                    x=[], y=[], scales=self._scales, stroke_width=2, **line_style(style)
                )
            if self._is_new(key, curve):
                lrs, _, smooth = drawn[key]
                put(self._others[key], lrs, smooth)
        gone = [key for key in self._others if key not in keys]
        lines = [self._others.pop(key) for key in gone]
        for key in gone:
            del self._shown[key]
        self._arrange()
        for line in lines:
            line.close()

    def _is_new(self, key: Any, curve: LossCurve | None) -> bool:
        """Say whether a line shows something else, and note what it will show."""
        shown, smoothing = self._shown.get(key, (None, -1.0))
        self._shown[key] = curve, self.smoothing
        return shown is not curve or smoothing != self.smoothing

    def _limit(self) -> None:
        """Fit the loss axis to all runs."""
        limits = [*self._other_limits, *([] if self._own_limits is None else [self._own_limits])]
        low = min((low for low, _ in limits), default=0.1 if self._log_loss else 0.0)
        high = max((high for _, high in limits), default=1.0)
        if self._limits_sent == (sent := (low, high, bool(limits))):
            return
        self._limits_sent = sent
        with self._y.hold_sync():
            self._y.min, self._y.max = low, high
        with self._loss_axis.hold_sync():
            self._loss_axis.visible = bool(limits)  # no tick labels before the first point
            self._loss_axis.tick_values = (log_ticks if self._log_loss else round_ticks)(low, high)

    def _drawn(self, curve: LossCurve) -> tuple[Array, Array, Array]:
        """Return learning rates, losses and smoothed losses where they can be drawn."""
        smooth = curve.smooth(self.smoothing)
        good = np.isfinite(curve.losses)
        if self._log_loss:
            good &= (curve.losses > 0) & (smooth > 0)
        losses, smooth = (np.clip(y[good], -LARGEST, LARGEST) for y in (curve.losses, smooth))
        return curve.lrs[good], losses, smooth

    def _limits(self, losses: Array, smooth: Array) -> tuple[float, float]:
        if not self._log_loss:
            return loss_limits(losses, smooth)
        if not len(losses):
            return 0.1, 1.0
        low, high = loss_limits(np.log10(losses), np.log10(smooth))
        return 10.0 ** max(low, -300), 10.0 ** min(high, 300)

    def _arrange(self) -> None:
        others = list(self._others.values())
        self.figure.marks = [self._band, *others, *self._singles, self._raw, self._smooth]

    def _draw_singles(self, singles: Sequence[LossCurve]) -> None:
        while len(self._singles) < len(singles):
            line = bqplot.Lines(x=[], y=[], scales=self._scales, colors=[CURRENT], stroke_width=1)
            line.opacities = [0.35]
            self._singles.append(line)
            self._arrange()
        for i, line in enumerate(self._singles):
            single = singles[i] if i < len(singles) else None
            if self._is_new(("repeat", i), single):
                lrs, _, smooth = self._drawn(single) if single is not None else _NO_POINTS
                put(line, lrs, smooth)

    def close(self) -> None:
        """Close every model of the figure."""
        close_tree(self.figure)


def smooth_line(curve: LossCurve, share: float, limit: int) -> tuple[Array, Array]:
    """Return learning rates and losses of the smoothed line, thinned out to `limit` points."""
    smooth = curve.smooth(share)
    finite = np.isfinite(smooth)
    return thin_out(curve.lrs[finite], np.clip(smooth[finite], -LARGEST, LARGEST), limit)


def put(mark: Any, x: Array, y: Array) -> None:
    """Set the points of a mark, thinned out if there are many."""
    with mark.hold_sync():  # one message, so that the lengths of x and y agree
        mark.x, mark.y = thin_out(x, y)


def dots(x: Array, y: Array) -> tuple[Array, Array]:
    """Return points as a line with gaps between all of them; its round caps look like dots."""
    x, y = thin_out(x, y, DRAWN_POINTS // 2)
    broken = np.column_stack([y, np.full(len(y), np.nan)]).ravel()
    return np.repeat(x, 2)[:-1], broken[:-1]  # the page expects no gap at the end


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
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1 / LARGEST):  # constant, except for rounding
        room = 0.05 * size if size > 1 / LARGEST else 0.5
        return low - room, high + room
    room = 0.06 * (high - low)
    return low - room, high + room


def round_ticks(low: float, high: float, most: int = 6) -> Array:
    """Choose at most `most` round numbers between the limits."""
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = min((s * power for s in (1, 2, 5, 10)), key=lambda s: (s < rough, s))
    ticks: Array = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return ticks[(ticks >= low) & (ticks <= high)]


def log_ticks(low: float, high: float, most: int = 8) -> Array:
    """Choose powers of ten between the limits, and multiples of them if those are few."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for factors in ([1], [1, 2, 5], range(1, 10)):
        ticks: Array = np.sort(np.outer(powers, factors).ravel())
        ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if len(ticks) > 2:
            return ticks[:: 1 + (len(ticks) - 1) // most]
    return round_ticks(low, high)


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


def styled_axis(scale: Any, label: str, **options: Any) -> Any:
    """Make an axis in the colours of the page's theme."""
    return bqplot.Axis(
        scale=scale,
        label=label,
        label_color=_TEXT,
        color=_TEXT,
        grid_color=_GRID,
        grid_lines="solid",
        tick_style={"fill": _TEXT, "font-size": "12px"},
        **options,
    )


def plain_figure(scales: tuple[Any, Any], axes: list[Any], layout: dict[str, str]) -> Any:
    """Make a figure of full width without bqplot's padding, toolbar and animations."""
    x, y = scales
    return bqplot.Figure(
        scale_x=x,
        scale_y=y,
        axes=axes,
        fig_margin=MARGIN,
        min_aspect_ratio=0.01,
        max_aspect_ratio=100,
        padding_x=0,
        padding_y=0,
        animation_duration=0,
        display_toolbar=False,
        layout={"width": "100%", **layout},
    )
