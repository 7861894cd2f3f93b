"""How a finder is displayed in Jupyter: the page, and a bqplot figure that it draws on."""

from __future__ import annotations

import html
import threading
from pathlib import Path
from typing import Any

import ipywidgets

from .figure import Figure
from .page import Page
from .sentences import MISSING

_MANY_SUBSHELLS = 200


class JupyterDisplay:
    """The box of a finder, made when it is displayed for the first time.

    Parameters
    ----------
    page : Page
        The finder.
    lock : threading.RLock
        The view's lock.
    """

    def __init__(self, page: Page, lock: threading.RLock) -> None:
        self._page = page
        self._lock = lock
        self._figure: Figure | None = None
        self._box: Any = None
        self._missing: Any = None

    def box(self) -> Any:
        """Return the box, or the page alone if there is no bqplot."""
        with self._lock:
            if self._box is None:
                if not _can_show_bqplot():
                    return self._page
                try:
                    self._figure = self._made()
                except ImportError:
                    return self._page
                self._page.show(figure=self._figure.ids)
                self._missing = ipywidgets.HTML(_late(MISSING)).add_class("lrf-missing")
                self._box = ipywidgets.Box([self._page, self._figure.widget, self._missing])
                self._box.add_class("lrf-finder")
            return self._box

    def page_was_drawn(self) -> None:
        """Give the figure up if the pages open so far have nearly used up the kernel's subshells.

        A front end may open one for each model of each page; the kernel can hold about 250, and
        takes no message of a page that gets none. The next page draws the chart by itself.
        """
        with self._lock:
            if self._figure is not None and _subshells() >= _MANY_SUBSHELLS:
                self._page.show(figure={})
                self._box.children = (self._page,)
                self._close_all_but_box()

    def renew(self) -> None:
        """Make another figure if the scales of the axes have changed, or one has come."""
        if (old := self._figure) is None or old.kind == self._kind():
            return
        self._figure = self._made()
        self._page.show(figure=self._figure.ids)
        self._box.children = (self._page, self._figure.widget, self._missing)
        old.close()

    def _kind(self) -> tuple[bool, bool, str | None]:
        chart = self._page.chart
        return chart["x_log"], chart["y_log"], chart.get("metric", {}).get("name")

    def _made(self) -> Figure:
        log, log_loss, metric = self._kind()
        return Figure(log=log, log_loss=log_loss, metric=metric)

    def close(self) -> None:
        """Close all widgets but the page."""
        with self._lock:
            self._close_all_but_box()
            if self._box is not None:
                self._box.layout.close()
                self._box.close()
                self._box = None

    def _close_all_but_box(self) -> None:
        if self._figure is not None:
            self._figure.close()
            for part in (self._missing.style, self._missing.layout, self._missing):
                part.close()
            self._figure = self._missing = None


def _can_show_bqplot() -> bool:
    """Return whether a box with a figure shows anything.

    With ipywidgets 7 it does not if bqplot's JavaScript cannot be had, which comes from Jupyter's
    folders there; since ipywidgets 8, it shows its other children.
    """
    if not ipywidgets.__version__.startswith("7."):
        return True
    from jupyter_core.paths import jupyter_path  # ipywidgets 7 depends on it

    return any(Path(folder, "bqplot").exists() for folder in jupyter_path("nbextensions"))


def _subshells() -> int:
    return sum(thread.name.startswith("subshell-") for thread in threading.enumerate())


def _late(text: str) -> str:
    # The text is in the page from the start and becomes visible after a while, unless the page of
    # the finder is there by then: a missing package cannot report itself.
    return (
        "<style>@keyframes lrf-late { to { visibility: visible; max-height: 20em; } }"
        ".lrf-late { visibility: hidden; max-height: 0; animation: lrf-late 0s 6s forwards; }"
        "</style>"
        f'<div class="lrf-late">{html.escape(text)}</div>'
    )
