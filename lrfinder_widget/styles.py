"""How lines are told apart: by colour and by dashes, in bqplot and in the samples beside names."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's colours, which most eyes can tell; the one like the latest run's comes last.
_COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#0072b2")
_DASHES = {"solid": "", "dashed": "8 4", "dotted": "2 4", "dash_dotted": "8 3 2 3"}
_STYLES = tuple(_DASHES)


def line_style(i: int) -> dict[str, Any]:
    """Return the traits of bqplot's `Lines` for the i-th line."""
    return {
        "colors": [_COLOURS[i % len(_COLOURS)]],
        "line_style": _STYLES[i % len(_STYLES)],
    }


def swatch(i: int) -> str:
    """Return a sample of the i-th line as HTML."""
    return (
        '<svg width="30" height="10" aria-hidden="true"><line x1="0" x2="30" y1="5" y2="5" '
        f'stroke="{_COLOURS[i % len(_COLOURS)]}" stroke-width="2.5" '
        f'stroke-dasharray="{_DASHES[_STYLES[i % len(_STYLES)]]}"/></svg>'
    )
