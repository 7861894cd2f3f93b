"""The runs on the chart, and the colours and dashes that distinguish their lines."""

from __future__ import annotations

from dataclasses import dataclass

from lrfinder_widget.curve.loss_curve import LossCurve

# As in js/src/lines.ts. The palette of Okabe and Ito, made for colour blindness; the blue close to
# that of the current run comes last.
_COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#0072b2")
_DASHES = {"solid": "", "dashed": "8 4", "dash_dotted": "8 3 2 3", "dotted": "2 6"}
_STYLES = ("solid", "dashed", "dash_dotted")

START = -1
"""The line number of the starting weights; trial runs count from 0."""


@dataclass(eq=False)
class ShownRun:
    """One run on the chart."""

    name: str
    style: int  # the number of its line, which gives its colour and dashes
    curve: LossCurve
    shown: bool = True


def _look(i: int) -> tuple[str, str]:
    if i == START:
        return "var(--jp-ui-font-color2, #757575)", "dotted"
    again = i // len(_COLOURS)  # with other dashes
    return _COLOURS[i % len(_COLOURS)], _STYLES[(i + again) % len(_STYLES)]


def stroke(i: int) -> str:
    """Return colour and dashes of the i-th line as SVG attributes."""
    colour, dashes = _look(i)
    return f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{_DASHES[dashes]}"'
