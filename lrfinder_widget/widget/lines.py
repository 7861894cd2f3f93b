"""How lines are told apart: by colour and by dashes, in bqplot and in the samples beside names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lrfinder_widget.curve.loss_curve import LossCurve

CURRENT = "var(--jp-brand-color1, #1976d2)"
# Okabe and Ito's colours, which most eyes can tell; the one like the current run's comes last.
_COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#0072b2")
_DASHES = {"solid": "", "dashed": "8 4", "dash_dotted": "8 3 2 3", "dotted": "2 6"}
_STYLES = ("solid", "dashed", "dash_dotted")

START = -1
"""The number of the line of the starting weights, beside those of trial runs."""


@dataclass(eq=False)
class ShownRun:
    """One run on the chart."""

    name: str
    style: int  # which colour and dashes it has behind another
    curve: LossCurve
    shown: bool = True


def line_style(i: int) -> dict[str, Any]:
    """Return the traits of bqplot's `Lines` for the i-th line."""
    colour, style = _look(i)
    return {"colors": [colour], "line_style": style}


def _look(i: int) -> tuple[str, str]:
    if i == START:
        return "var(--jp-ui-font-color2, #757575)", "dotted"
    return _COLOURS[i % len(_COLOURS)], _STYLES[i % len(_STYLES)]


def stroke(i: int | None) -> str:
    """Return the i-th line's colour and dashes as attributes of SVG; those of the current run."""
    if i is None:
        return f'stroke="{CURRENT}" stroke-width="3.5"'
    colour, style = _look(i)
    return f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{_DASHES[style]}"'


def swatch(i: int | None) -> str:
    """Return a sample of the i-th line as HTML, or of the current run's."""
    line = f'<line x1="0" x2="30" y1="5" y2="5" {stroke(i)}/>'
    return f'<svg width="30" height="10" aria-hidden="true">{line}</svg>'
