"""The runs on the chart: names, shown or hidden, removable; one of them is the current one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from lrfinder_widget.curve.loss_curve import LossCurve

from .factory import WidgetFactory
from .lines import ShownRun, swatch

_MOST = 13  # more could not be told apart, and each costs a row


class Legend:
    """One row for each run, as soon as there are two.

    A row has a sample of its line, whether it is shown, its name, a way to make it the current run
    and a way to remove it. The current run is drawn in full and read; it is the latest until
    somebody chooses another, and always while a run goes on.

    Parameters
    ----------
    lock : threading.RLock
        The view's, as clicks may come on any thread.
    changed : callable
        Called when somebody hides, shows, removes or chooses one.
    make : WidgetFactory
        Makes the widgets.
    """

    def __init__(
        self, lock: threading.RLock, changed: Callable[[], object], make: WidgetFactory
    ) -> None:
        self._lock = lock
        self._make = make
        self.box = make(ipywidgets.VBox, [], layout={"width": "100%"})
        self._changed = changed
        self._all: list[ShownRun] = []
        self._rows: dict[ShownRun, _Row] = {}  # a row takes long to make: only those once laid out
        self._styles = 0
        self._busy = False
        self.latest = self.current = ShownRun("", -1, LossCurve([], []))

    def begin(self, name: str) -> None:
        """Make room for the curve of a new run, which is the current one; under the lock."""
        if not len(self.latest.curve):  # it came to nothing
            self._drop(self.latest)
        self.latest = self._add(self._free(name), LossCurve([], []))
        self.choose(self.latest)

    def add(self, curve: LossCurve, name: str | None) -> None:
        """Show a curve behind the current one; under the lock."""
        self._add(name or self._free("added"), curve)
        self._lay_out()

    @property
    def others(self) -> list[ShownRun]:
        """What is to be drawn behind the current run."""
        return [one for one in self._all if one.shown and one is not self.current]

    @property
    def all(self) -> list[ShownRun]:
        """Every run that has been begun or added."""
        return list(self._all)

    @property
    def kept(self) -> list[ShownRun]:
        """All runs but the latest."""
        return [one for one in self._all if one is not self.latest]

    def choose(self, one: ShownRun) -> None:
        """Make a run the current one; under the lock."""
        self.current = one
        self._lay_out()

    def allow(self, *, choosing: bool) -> None:
        """Say whether another run may be made the current one; under the lock."""
        if self._busy is choosing:
            self._busy = not choosing
            self._lay_out()

    def _add(self, name: str, curve: LossCurve) -> ShownRun:
        one = ShownRun(name, self._styles, curve)
        self._styles += 1
        self._all.append(one)
        for oldest in self.kept[: max(0, len(self._all) - _MOST)]:
            self._drop(oldest)
        return one

    def _free(self, name: str) -> str:
        taken = {one.name for one in self._all}
        numbered = (f"{name} #{n}" for n in range(2, len(taken) + 3))
        return name if name not in taken else next(new for new in numbered if new not in taken)

    def _choose(self, one: ShownRun) -> None:
        with self._lock:
            if one in self._rows and not self._busy:
                self.choose(one)
        self._changed()

    def _remove(self, one: ShownRun) -> None:
        with self._lock:
            if one is self.latest or one not in self._rows:
                return
            self._drop(one)
            self._lay_out()
        self._changed()

    def _drop(self, one: ShownRun) -> None:
        if one in self._all:
            self._all.remove(one)
        if (row := self._rows.pop(one, None)) is not None:
            row.close()
        if one is self.current:
            self.current = self.latest

    def _lay_out(self) -> None:
        alone = self._all == [self.latest]
        self.box.children = [] if alone else [self._row(one).box for one in self._all]

    def _row(self, one: ShownRun) -> _Row:
        if one not in self._rows:
            self._rows[one] = _Row(
                one,
                show=self._changed,
                choose=lambda: self._choose(one),
                drop=lambda: self._remove(one),
                make=self._make,
            )
        row = self._rows[one]
        row.show(current=one is self.current, latest=one is self.latest, choosing=not self._busy)
        return row

    def close(self) -> None:
        """Close and forget the rows, laid out or not; the runs are still there. Under the lock."""
        for row in self._rows.values():
            row.close()
        self._rows.clear()
        self._changed = lambda: None
        del self.box, self._make


class _Row:
    def __init__(
        self,
        one: ShownRun,
        *,
        show: Callable[[], object],
        choose: Callable[[], object],
        drop: Callable[[], object],
        make: WidgetFactory,
    ) -> None:
        self._one = one
        self._sample = make(ipywidgets.HTML)
        self.shown = make(
            ipywidgets.Checkbox,
            value=one.shown,
            indent=False,
            description="show",
            layout={"width": "70px"},
        )
        self.name = make(
            ipywidgets.Text,
            one.name,
            continuous_update=False,
            layout={"flex": "0 1 260px", "min_width": "60px"},
            placeholder="name of this run",
        )
        self.choose = make(ipywidgets.Button, layout={"width": "92px"})
        self.remove = make(ipywidgets.Button, icon="trash", layout={"width": "40px"})
        self.box = make(
            ipywidgets.Box,
            [self._sample, self.shown, self.name, self.choose, self.remove],
            layout={"align_items": "center", "width": "100%"},
        )
        self._label()

        def switch(change: Any) -> None:
            one.shown = bool(change["new"])
            show()

        def rename(change: Any) -> None:
            one.name = str(change["new"])
            self._label()

        self.shown.observe(switch, "value")
        self.name.observe(rename, "value")
        self.choose.on_click(lambda _: choose())
        self.remove.on_click(lambda _: drop())

    def close(self) -> None:
        for part in (*self.box.children, self.box):
            part.close()

    def _label(self) -> None:
        self.choose.tooltip = f"Make {self._one.name} the current run: its points, band, candidates"
        self.remove.tooltip = f"Remove {self._one.name} from the chart"

    def show(self, *, current: bool, latest: bool, choosing: bool) -> None:
        self._sample.value = swatch(None if current else self._one.style)
        self.shown.disabled = current
        self.choose.description = "current" if current else "choose"
        self.choose.icon = "check" if current else ""
        self.choose.disabled = current or not choosing
        self.remove.disabled = latest
