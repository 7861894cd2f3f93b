"""Downloads of the chart and of the runs on it."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from .factory import WidgetFactory
from .marker import LRMarker

_NAME = "lr-range-test"
_KINDS = {
    "svg": ("image/svg+xml", "The chart as a vector graphic"),
    "png": ("image/png", "The chart as a bitmap"),
    "csv": ("text/csv", "All runs as a table"),
    "json": ("application/json", "All runs in full precision"),
}


class Downloads:
    """A row of download buttons, hidden until it is toggled.

    Parameters
    ----------
    marker : LRMarker
        Passes the files to the page.
    contents : callable
        ``contents(ending)`` returns the text of a file; for ``"png"``, the SVG that the page
        rasterizes.
    make : WidgetFactory
        Makes the widgets.
    """

    def __init__(
        self, marker: LRMarker, contents: Callable[[str], str], make: WidgetFactory
    ) -> None:
        self.buttons = {
            ending: make(
                ipywidgets.Button,
                description=ending.upper(),
                icon="download",
                tooltip=what,
                layout={"width": "92px"},
            )
            for ending, (_, what) in _KINDS.items()
        }
        self.row = make(
            ipywidgets.Box,
            list(self.buttons.values()),
            layout=ipywidgets.Layout(flex_flow="row wrap", width="100%", display="none"),
        )
        self.toggle = make(
            ipywidgets.ToggleButton,
            description="Save",
            icon="save",
            tooltip="Save the chart as a picture, or the runs as a table",
            layout={"width": "84px"},
        )
        self.toggle.observe(lambda _: self._fold(), "value")
        for ending, button in self.buttons.items():
            button.on_click(
                lambda _, ending=ending: marker.download(
                    f"{_NAME}.{ending}", _KINDS[ending][0], contents(ending)
                )
            )

    def _fold(self) -> None:
        self.row.layout.display = "flex" if self.toggle.value else "none"
