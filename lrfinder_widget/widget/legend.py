"""The runs on the chart: each can be named, hidden and removed; one is the current run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipywidgets

from lrfinder_widget.curve.loss_curve import LossCurve

from .factory import WidgetFactory
from .lines import ShownRun, swatch

_MAX_RUNS = 13  # more lines could not be told apart, and each run takes a row


class Legend:
    """One row for each run, as soon as there are two.

    A row has a sample of the line, a checkbox to show it, the name of the run, a button that makes
    it the current run, and a button that removes it. The current run is drawn with its points, band
    and candidates. It is the latest run until another is chosen, and always during a run.

    Parameters
    ----------
    lock : threading.RLock
        The view's lock; clicks may arrive on any thread.
    changed : callable
        Called when a run is hidden, shown, removed or made the current run.
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
        self._rows: dict[ShownRun, _Row] = {}  # created when first laid out, being slow
        self._styles = 0
        self._busy = False
        self.latest = self.current = ShownRun("", -1, LossCurve([], []))

    def begin(self, name: str) -> None:
        """Add a new run and make it the current run; under the lock."""
        if not len(self.latest.curve):  # it has no point
            self._drop(self.latest)
        self.latest = self._add(self._free(name), LossCurve([], []))
        self.choose(self.latest)

    def add(self, curve: LossCurve, name: str | None) -> None:
        """Add a curve, drawn behind the current run; under the lock."""
        self._add(name or self._free("added"), curve)
        self._lay_out()

    @property
    def others(self) -> list[ShownRun]:
        """The runs that are drawn behind the current run."""
        return [run for run in self._all if run.shown and run is not self.current]

    @property
    def all(self) -> list[ShownRun]:
        """All runs on the chart, hidden ones too."""
        return list(self._all)

    @property
    def kept(self) -> list[ShownRun]:
        """All runs except the latest."""
        return [run for run in self._all if run is not self.latest]

    def choose(self, run: ShownRun) -> None:
        """Make a run the current run; under the lock."""
        self.current = run
        self._lay_out()

    def allow(self, *, choosing: bool) -> None:
        """Allow or forbid choosing another current run; under the lock."""
        if self._busy is choosing:
            self._busy = not choosing
            self._lay_out()

    def _add(self, name: str, curve: LossCurve) -> ShownRun:
        run = ShownRun(name, self._styles, curve)
        self._styles += 1
        self._all.append(run)
        for oldest in self.kept[: max(0, len(self._all) - _MAX_RUNS)]:
            self._drop(oldest)
        return run

    def _free(self, name: str) -> str:
        taken = {run.name for run in self._all}
        numbered = (f"{name} #{n}" for n in range(2, len(taken) + 3))
        return name if name not in taken else next(new for new in numbered if new not in taken)

    def _choose(self, run: ShownRun) -> None:
        with self._lock:
            if run in self._rows and not self._busy:
                self.choose(run)
        self._changed()

    def _remove(self, run: ShownRun) -> None:
        with self._lock:
            if run is self.latest or run not in self._rows:
                return
            self._drop(run)
            self._lay_out()
        self._changed()

    def _drop(self, run: ShownRun) -> None:
        if run in self._all:
            self._all.remove(run)
        if (row := self._rows.pop(run, None)) is not None:
            row.close()
        if run is self.current:
            self.current = self.latest

    def _lay_out(self) -> None:
        alone = self._all == [self.latest]
        self.box.children = [] if alone else [self._row(run).box for run in self._all]

    def _row(self, run: ShownRun) -> _Row:
        if run not in self._rows:
            self._rows[run] = _Row(
                run,
                show=self._changed,
                choose=lambda: self._choose(run),
                drop=lambda: self._remove(run),
                make=self._make,
            )
        row = self._rows[run]
        row.show(current=run is self.current, latest=run is self.latest, choosing=not self._busy)
        return row

    def close(self) -> None:
        """Close all rows, but keep the runs; under the lock."""
        for row in self._rows.values():
            row.close()
        self._rows.clear()
        self._changed = lambda: None
        del self.box, self._make


class _Row:
    def __init__(
        self,
        run: ShownRun,
        *,
        show: Callable[[], object],
        choose: Callable[[], object],
        drop: Callable[[], object],
        make: WidgetFactory,
    ) -> None:
        self._run = run
        self._sample = make(ipywidgets.HTML)
        self.shown = make(
            ipywidgets.Checkbox,
            value=run.shown,
            indent=False,
            description="show",
            layout={"width": "70px"},
        )
        self.name = make(
            ipywidgets.Text,
            run.name,
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
            run.shown = bool(change["new"])
            show()

        def rename(change: Any) -> None:
            run.name = str(change["new"])
            self._label()

        self.shown.observe(switch, "value")
        self.name.observe(rename, "value")
        self.choose.on_click(lambda _: choose())
        self.remove.on_click(lambda _: drop())

    def close(self) -> None:
        for part in (*self.box.children, self.box):
            part.close()

    def _label(self) -> None:
        self.choose.tooltip = (
            f"Make {self._run.name} the current run, with its points, band and candidates"
        )
        self.remove.tooltip = f"Remove {self._run.name} from the chart"

    def show(self, *, current: bool, latest: bool, choosing: bool) -> None:
        self._sample.value = swatch(None if current else self._run.style)
        self.shown.disabled = current
        self.choose.description = "current" if current else "choose"
        self.choose.icon = "check" if current else ""
        self.choose.disabled = current or not choosing
        self.remove.disabled = latest
