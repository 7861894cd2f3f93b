"""The runs that are kept on the chart beside the latest: names, shown or hidden, removable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets

from .chart import close_tree
from .curve import LossCurve
from .styles import swatch

_MOST = 12  # more could not be told apart, and each costs a row


@dataclass(eq=False)
class Kept:
    """One of them."""

    curve: LossCurve
    name: str
    style: int  # which colour and dashes
    shown: bool = True


class Legend:
    """One row for each: a sample of its line, whether it is shown, its name, a way to remove it.

    Parameters
    ----------
    lock : threading.RLock
        The view's, as clicks may come on any thread.
    changed : callable
        Called when somebody hides, shows or removes one.
    """

    def __init__(self, lock: threading.RLock, changed: Callable[[], object]) -> None:
        self._lock = lock
        self.kept: list[Kept] = []
        self.box = ipywidgets.VBox([], layout={"width": "100%"})
        self._changed = changed
        self._rows: dict[int, Any] = {}
        self._styles = 0

    def add(self, curve: LossCurve, name: str) -> None:
        """Keep a curve; the oldest goes when there are too many. Under the lock."""
        one = Kept(curve, name, self._styles)
        self._styles += 1
        self.kept = [*self.kept, one]
        self._rows[id(one)] = self._row(one)
        for oldest in self.kept[:-_MOST]:
            self._drop(oldest)
        self._lay_out()

    def _row(self, one: Kept) -> Any:
        sample = ipywidgets.HTML(swatch(one.style))
        shown = ipywidgets.Checkbox(
            value=one.shown,
            indent=False,
            description="show",
            layout={"width": "70px"},
        )
        name = ipywidgets.Text(
            one.name,
            continuous_update=False,
            layout={"flex": "0 1 260px"},
            placeholder="name of this run",
        )
        remove = ipywidgets.Button(
            icon="trash", tooltip=f"Remove {one.name} from the chart", layout={"width": "40px"}
        )

        def show(change: Any) -> None:
            one.shown = bool(change["new"])
            self._changed()

        def rename(change: Any) -> None:
            one.name = str(change["new"])
            remove.tooltip = f"Remove {one.name} from the chart"

        def drop(_: Any) -> None:
            with self._lock:
                self._drop(one)
                self._lay_out()
                self._changed()

        shown.observe(show, "value")
        name.observe(rename, "value")
        remove.on_click(drop)
        return ipywidgets.Box(
            [sample, shown, name, remove], layout={"align_items": "center", "width": "100%"}
        )

    def _drop(self, one: Kept) -> None:
        self.kept = [other for other in self.kept if other is not one]
        row = self._rows.pop(id(one), None)
        if row is not None:
            close_tree(row)

    def _lay_out(self) -> None:
        self.box.children = [self._rows[id(one)] for one in self.kept]
