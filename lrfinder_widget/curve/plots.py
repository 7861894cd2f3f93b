"""Plots with Matplotlib, which is imported only when one is drawn, and may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Array
from .smoothing import moving_average

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curve(
    ax: Axes | None,
    lrs: Array,
    losses: Array,
    smoothed: Array,
    before_turn: Array,
    candidate: tuple[str, float, float, float] | None,
    metric: tuple[str, Array] | None = None,
) -> Axes:
    """Draw raw and smoothed losses, and a candidate with its band.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Where to draw; None draws in a new figure.
    lrs, losses, smoothed : ndarray of float64, shape (n,)
        The losses may hold nan and infinities.
    before_turn : ndarray of float64, shape (m,)
        The smoothed losses that the plot has to show; what follows may leave it.
    candidate : (str, float, float, float) or None
        What to call it, its learning rate, and the ends of the band around it.
    metric : (str, ndarray of float64, shape (n,)) or None
        Its name and its values, drawn on an axis of their own.
    """
    ax = ax or _new_axes()
    ax.plot(lrs, losses, ".-", color="C0", alpha=0.3, label="loss")
    ax.plot(lrs, smoothed, color="C0", label="smoothed")
    if candidate is not None:
        name, lr, low, high = candidate
        ax.axvspan(low, high, color="C1", alpha=0.15, linewidth=0)
        ax.axvline(lr, color="C1", label=f"{name} {lr:.2e}")
    if len(before_turn) > 1 and np.ptp(before_turn) > 0:
        low, high = before_turn.min(), before_turn.max()
        ax.set_ylim(low - 0.3 * (high - low), high + 0.5 * (high - low))
    steps = np.diff(lrs)
    if len(steps) and steps[-1] > 2 * steps[0]:  # not evenly spaced, as on a linear scale
        ax.set_xscale("log")
    ax.set(xlabel="learning rate", ylabel="loss")
    if metric is not None:
        _draw_metric(ax, lrs, *metric)
    ax.legend()
    return ax


def _draw_metric(ax: Axes, lrs: Array, name: str, values: Array) -> None:
    """Draw a metric on an axis to the right."""
    name = name.replace("$", r"\$").lstrip("_")  # no formula, and in the legend
    style: Any = {"color": "C2", "linewidth": 1}
    beside = ax.twinx()
    beside.plot(lrs, np.where(np.isfinite(values), values, np.nan), **style)
    beside.set_ylabel(name)
    ax.plot([], [], label=name, **style)  # for the legend


def draw_trials(
    ax: Axes | None,
    trials: Iterable[tuple[str, Array, Mapping[int, float]]],
    baseline: Array | None,
) -> Axes:
    """Draw the losses of trial runs, each averaged over a twentieth of its steps.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Where to draw; None draws in a new figure.
    trials : iterable of (str, ndarray of float64, mapping of int to float)
        Learning rates, losses, and held-out losses by the number of steps taken, which may be
        missing; in the order of the legend.
    baseline : ndarray of float64 or None
        The losses of the starting weights, if they were taken; drawn as a dotted line.
    """
    ax = ax or _new_axes()
    starts, shown, title = [], [np.zeros(0)], "learning rate"

    def draw(losses: Array, **style: Any) -> Any:
        return ax.plot(moving_average(losses, max(1, len(losses) // 20)), **style)[0]

    if baseline is not None:
        draw(baseline, label="starting weights", color="0.5", linestyle=":")
    for name, losses, held_out in trials:
        line = draw(losses, label=name)
        starts += losses[:1].tolist()
        shown.append(losses[np.isfinite(losses)])
        if held_out:
            steps, means = list(held_out), np.array(list(held_out.values()))
            ax.plot(steps, means, "o:", color=line.get_color(), label=f"_{name}, held out")
            shown.append(means[np.isfinite(means)])
            starts += means[:1].tolist()
            title = "learning rate (dots: held out)"
    everything = np.concatenate(shown)
    if len(everything):  # an explosion may leave the plot
        start, low = float(np.median(starts)), float(everything.min())
        ax.set_ylim(low - 0.05 * (start - low), start + 0.3 * (start - low))
    ax.set(xlabel="step", ylabel="loss")
    ax.legend(title=title)
    return ax


def draw_lines(
    ax: Axes | None, lines: Iterable[tuple[str, Array, Array, float | None]], *, title: str
) -> Axes:
    """Draw smoothed curves side by side, each with its candidate as a dot.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Where to draw; None draws in a new figure.
    lines : iterable of (str, ndarray, ndarray, float or None)
        Name, learning rates, smoothed losses and candidate of each.
    title : str
        What the names are values of.
    """
    ax = ax or _new_axes()
    shown = [np.zeros(0)]
    for name, lrs, smoothed, candidate in lines:
        line = ax.plot(lrs, smoothed, label=name)[0]
        if candidate is not None:
            at = np.interp(np.log(candidate), np.log(lrs), smoothed)
            ax.plot([candidate], [at], "o", color=line.get_color())
        shown.append(smoothed[np.isfinite(smoothed)])
    starts, lowest = ([float(f(y)) for y in shown if len(y)] for f in (lambda y: y[0], np.min))
    if starts and max(starts) > min(lowest):  # a blow-up may leave the plot
        height = max(starts) - min(lowest)
        ax.set_ylim(min(lowest) - 0.05 * height, max(starts) + 0.3 * height)
    ax.set(xlabel="learning rate", ylabel="loss", xscale="log")
    ax.legend(title=title)
    return ax


def draw_heat_map(
    ax: Axes | None,
    cells: Array,
    labels: tuple[list[str], list[str]],
    names: tuple[str, ...],
    title: str,
    *,
    log: bool,
) -> Axes:
    """Draw a number for each pair of values, as a colour and in figures.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Where to draw; None draws in a new figure.
    cells : ndarray of float64, shape (n, m)
        nan where there is none.
    labels : (list of str, list of str)
        The values of the rows and of the columns.
    names : tuple of str
        What they are values of.
    title : str
        What is shown.
    log : bool
        Whether the colours follow its logarithm.
    """
    ax = ax or _new_axes()
    image = ax.imshow(np.log10(cells) if log else cells, aspect="auto", cmap="viridis")
    low, high = image.get_clim()
    for (i, j), value in np.ndenumerate(cells):
        shade = (np.log10(value) if log else value) if np.isfinite(value) else low
        text = f"{value:.2g}" if np.isfinite(value) else "–"
        dark = shade < (low + high) / 2
        ax.text(j, i, text, ha="center", va="center", color="white" if dark else "black")
    ax.set_yticks(range(len(labels[0])), labels[0])
    ax.set_xticks(range(len(labels[1])), labels[1])
    ax.set(ylabel=names[0], xlabel=names[1], title=title)
    return ax


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "plot() needs Matplotlib, which is not installed: pip install matplotlib. "
            "A finder's snapshot() works without it."
        ) from error
    return plt.subplots()[1]
