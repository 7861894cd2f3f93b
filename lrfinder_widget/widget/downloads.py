"""Files of what is shown, handed to the browser, which saves them where it saves downloads."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from .factory import WidgetFactory
from .marker import LRMarker

_NAME = "lr-range-test"
_KINDS = {
    "svg": ("image/svg+xml", "The chart as a picture that can be scaled"),
    "png": ("image/png", "The chart as a picture of pixels"),
    "csv": ("text/csv", "All runs as a table"),
    "json": ("application/json", "All runs, to the bit"),
}


class Downloads:
    """A row of buttons, folded away until somebody asks for it.

    Parameters
    ----------
    marker : LRMarker
        The way into the page.
    contents : callable
        Returns what a file with the given ending holds; of ``"png"``, as SVG, which the page draws.
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
            tooltip="The chart as a picture, the runs as a table",
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
