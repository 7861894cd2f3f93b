"""Display options: zoom, a logarithmic loss axis, smoothing. None of them starts a run."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from lrfinder_widget.curve.smoothing import SMOOTHING

from .factory import WidgetFactory

_CHECK = {"width": "180px"}
_MAX_SMOOTHING = 50  # per cent


class DisplayOptions:
    """A row of controls that can be changed at any time.

    Parameters
    ----------
    changed : callable
        Called when one of them changes.
    make : WidgetFactory
        Makes the widgets.
    """

    def __init__(self, changed: Callable[[], object], make: WidgetFactory) -> None:
        self.zoom = make(
            ipywidgets.Checkbox, description="zoom to the run", indent=False, layout=_CHECK
        )
        self.log_loss = make(
            ipywidgets.Checkbox,
            description="logarithmic loss axis",
            indent=False,
            layout={"width": "200px"},
        )
        self.smoothing = make(
            ipywidgets.BoundedIntText,
            value=round(100 * SMOOTHING),
            min=0,
            max=_MAX_SMOOTHING,
            step=5,
            description="smoothing %",
            tooltip="Percentage of the points that the line is smoothed over; "
            "candidates do not depend on it",
            layout={"width": "170px"},
            style={"description_width": "90px"},
        )
        self.row = make(
            ipywidgets.Box,
            [self.zoom, self.log_loss, self.smoothing],
            layout=ipywidgets.Layout(flex_flow="row wrap", width="100%", display="none"),
        )
        for control in (self.zoom, self.log_loss, self.smoothing):
            control.observe(lambda _: changed(), "value")

    @property
    def share(self) -> float:
        """The fraction of the points that each smoothed point is computed from."""
        percent = min(max(self.smoothing.value, 0), _MAX_SMOOTHING)  # the page may widen the range
        return float(percent) / 100
