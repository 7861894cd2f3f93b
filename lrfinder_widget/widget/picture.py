"""A static SVG picture of the chart, for notebooks shown without a kernel."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import numpy as np

from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.loss_curve import LossCurve

from .drawing import loss_limits, round_ticks, thin_out, tick_labels
from .lines import ShownRun, stroke
from .metric import metric_limits, metric_points
from .number import format_lr

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 34, 70  # margins around the plot area, in pixels
_LINE, _MUTED, _METRIC = "#1976d2", "#616161", "#7b1fa2"  # on the picture's own white background


class Picture:
    """A static picture of an LR range test, saved with the notebook.

    Parameters
    ----------
    run : ShownRun
        The run to draw, with its points and its marker.
    lr : float or None
        The pick; with `None`, the candidate is drawn instead.
    log : bool
        Whether the learning-rate axis is logarithmic.
    beside : sequence of ShownRun
        Other runs, drawn as smoothed lines.
    """

    def __init__(
        self, run: ShownRun, lr: float | None, *, log: bool, beside: Sequence[ShownRun] = ()
    ) -> None:
        self._label = _label(run, lr)
        self._svg = _draw(run, lr, beside, log=log)

    def _repr_svg_(self) -> str:
        return self._svg

    def _repr_html_(self) -> str:
        # In a notebook that is not trusted, Jupyter shows SVG only inside an image.
        data = base64.b64encode(self._svg.encode()).decode()
        alt = html.escape(self._label)
        return f'<img width="{WIDTH}" alt="{alt}" src="data:image/svg+xml;base64,{data}">'

    def __repr__(self) -> str:
        return "<picture of an LR range test>"


class _Axes:
    """Converts learning rates and losses to pixels."""

    def __init__(
        self, lines: Sequence[tuple[Array, Array, Array]], *, log: bool, right: int
    ) -> None:
        self.width = WIDTH - LEFT - right
        self._scale = np.log10 if log else np.asarray
        self.start = min(float(lrs[0]) for lrs, *_ in lines)
        self.end = max(float(lrs[-1]) for lrs, *_ in lines)
        limits = [loss_limits(losses, smooth) for _, losses, smooth in lines]
        self.low, self.high = min(low for low, _ in limits), max(high for _, high in limits)

    def x(self, lr: Array | float) -> Array:
        start, end = self._scale(self.start), self._scale(self.end)
        return np.asarray(LEFT + (self._scale(lr) - start) / (end - start) * self.width)

    def y(self, loss: Array | float) -> Array:
        share = (np.asarray(loss) - self.low) / (self.high - self.low)
        return np.asarray(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))

    def points(self, lrs: Array, losses: Array) -> list[tuple[float, float]]:
        """Return the visible points, and those a little beyond the limits."""
        room = self.high - self.low
        x, y = thin_out(lrs, np.clip(losses, self.low - room, self.high + room))
        return list(zip(self.x(x).tolist(), self.y(y).tolist(), strict=True))

    def dots(self, lrs: Array, losses: Array) -> str:
        """Draw the points as one path, a fifth of the size of as many circles."""
        path = "".join(f"M{a:.1f},{b:.1f}h.01" for a, b in self.points(lrs, losses))
        style = f'stroke="{_LINE}" stroke-width="4" stroke-linecap="round" opacity="0.5"'
        return f'<path d="{path}" {style}/>'

    def line(self, lrs: Array, losses: Array, attributes: str) -> str:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in self.points(lrs, losses))
        return f'<polyline points="{path}" fill="none" {attributes}/>'


def _finite(curve: LossCurve) -> tuple[Array, Array, Array]:
    finite = np.isfinite(curve.losses)
    return curve.lrs[finite], curve.losses[finite], curve.smooth()[finite]


def _label(run: ShownRun, lr: float | None) -> str:
    about = run.curve.suggestion.reason if lr is None else f"lr = {format_lr(lr)}"
    return f"LR range test: {about}"


def _draw(run: ShownRun, lr: float | None, beside: Sequence[ShownRun], *, log: bool) -> str:
    suggestion = run.curve.suggestion
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    style = 'font-family="sans-serif" font-size="12" style="max-width: 100%; height: auto"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {style}>',
        f"<title>{html.escape(_label(run, lr))}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    main = _finite(run.curve)
    others = [(other, _finite(other.curve)) for other in beside]
    others = [(other, line) for other, line in others if len(line[0]) > 1]
    lines = [*([main] if len(main[0]) > 1 else []), *(line for _, line in others)]
    if lines:
        metric = metric_points(run.curve)
        beside_px = RIGHT if run.curve.metric is None else _right_of(metric[1])
        axes = _Axes(lines, log=log, right=beside_px)
        parts += _grid(axes, log=log)
        if suggestion.low is not None and suggestion.high is not None:
            left, right = axes.x(suggestion.low), axes.x(min(suggestion.high, axes.end))
            parts.append(
                f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" '
                f'height="{HEIGHT - TOP - BOTTOM}" fill="{_LINE}" opacity="0.12"/>'
            )
        parts.append(
            f'<clipPath id="lrf-plot"><rect x="{LEFT}" y="{TOP}" width="{axes.width}" '
            f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath><g clip-path="url(#lrf-plot)">'
        )
        parts += [axes.line(lrs, smooth, stroke(other.style)) for other, (lrs, _, smooth) in others]
        parts += _metric(axes, *metric)
        lrs, losses, smooth = main
        parts.append(axes.dots(lrs, losses))
        own = f'stroke="{_LINE}" stroke-width="2.5"'
        parts += [axes.line(lrs, smooth, own), "</g>"]
        if len(metric[0]):
            parts += _metric_axis(axes, str(run.curve.metric_name), metric[1])
        if others:
            named = [(run.name, own), *((other.name, stroke(other.style)) for other, _ in others)]
            parts += _names([(name, line) for name, line in named if name])
        at = suggestion.lr if lr is None else lr
        if at is not None and axes.start <= at <= axes.end:
            parts.append(_marker(axes, at, picked=lr is not None, candidate=suggestion.label))
    return "".join([*parts, _caption(suggestion.reason), "</svg>"])


def _marker(axes: _Axes, lr: float, *, picked: bool, candidate: str) -> str:
    at = float(axes.x(lr))
    line = 'stroke="black"' if picked else f'stroke="{_LINE}" stroke-dasharray="6 4"'
    weight = "bold" if picked else "normal"
    return (
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" {line} '
        f'stroke-width="2"/><text x="{at:.1f}" y="{TOP - 10}" '
        f'text-anchor="{"start" if at < WIDTH / 2 else "end"}" font-weight="{weight}">'
        f"{'lr =' if picked else candidate} {format_lr(lr)}</text>"
    )


def _names(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Draw a legend in the lower left, which curves rarely reach."""
    bottom = HEIGHT - BOTTOM - 10
    return [
        f'<g transform="translate({LEFT + 10} {bottom - 16 * i})">'
        f'<line x1="0" x2="30" y1="-4" y2="-4" {line}/>'
        f'<text x="38">{html.escape(name)}</text></g>'
        for i, (name, line) in enumerate(reversed(lines))
    ]


def _grid(axes: _Axes, *, log: bool) -> list[str]:
    first, last = np.ceil(np.log10(axes.start)), np.floor(np.log10(axes.end))
    decades = log and last > first
    ticks = 10.0 ** np.arange(first, last + 1) if decades else round_ticks(axes.start, axes.end)
    bottom = HEIGHT - BOTTOM
    parts = []
    for tick in ticks.tolist():
        at = float(axes.x(tick))
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}" stroke="#e0e0e0"/>'
            f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{_MUTED}">'
            f"{tick:.{0 if decades else 1}e}</text>"
        )
    up = round_ticks(axes.low, axes.high)
    for tick, label in zip(up.tolist(), tick_labels(up), strict=True):
        at = float(axes.y(tick))
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + axes.width}" y1="{at:.1f}" y2="{at:.1f}" '
            'stroke="#e0e0e0"/>'
            f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="{_MUTED}">'
            f"{label}</text>"
        )
    middle = LEFT + axes.width / 2
    parts.append(
        f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">learning rate</text>'
        f'<text x="16" y="{(TOP + bottom) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(TOP + bottom) / 2})">loss</text>'
    )
    return parts


def _metric(axes: _Axes, lrs: Array, values: Array) -> list[str]:
    """Draw a metric as a thin line, with a gap where it is unknown."""
    if not len(lrs):
        return []
    low, high = metric_limits(values)
    y = HEIGHT - BOTTOM - (values - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    pieces = np.split(np.arange(len(y)), np.flatnonzero(np.isnan(y)))
    x, known = axes.x(lrs), [[i for i in piece if not np.isnan(y[i])] for piece in pieces]
    paths = [" ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in piece) for piece in known]
    line = f'fill="none" stroke="{_METRIC}" stroke-width="1.25"'
    return [f'<polyline points="{path}" {line}/>' for path in paths]


def _metric_ticks(values: Array) -> dict[str, float]:
    """Return where the axis of a metric has which labels."""
    ticks = round_ticks(*metric_limits(values)) if len(values) else values
    return dict(zip(tick_labels(ticks), ticks.tolist(), strict=True))


def _right_of(values: Array) -> int:
    """Return the margin that the axis of a metric takes: its labels, and then its name."""
    return 33 + 8 * max([4, *map(len, _metric_ticks(values))])


def _metric_axis(axes: _Axes, name: str, values: Array) -> list[str]:
    low, high = metric_limits(values)
    right, tall = LEFT + axes.width, HEIGHT - TOP - BOTTOM
    ticks = [
        f'<text x="{right + 8}" y="{HEIGHT - BOTTOM - (tick - low) / (high - low) * tall + 4:.1f}" '
        f'fill="{_MUTED}">{label}</text>'
        for label, tick in _metric_ticks(values).items()
    ]
    at = f"{WIDTH - 8} {TOP + tall / 2}"
    said = (
        f'<text text-anchor="middle" fill="{_METRIC}" transform="translate({at}) rotate(-90)">'
        f"{html.escape(name)}</text>"
    )
    return [*ticks, said]


def _caption(reason: str, width: int = 115) -> str:
    """Draw the sentence under the chart, in up to two lines."""
    split = reason.rfind(" ", 0, width) if len(reason) > width else len(reason)
    lines = [reason[:split], reason[split:].strip()]
    return "".join(
        f'<text x="{LEFT}" y="{HEIGHT - 18 + 14 * i}" fill="{_MUTED}" font-size="11">'
        f"{html.escape(line)}</text>"
        for i, line in enumerate(lines)
        if line
    )
