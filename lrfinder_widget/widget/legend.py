"""The runs on the chart: each can be named, hidden and removed; one is the current run."""

from __future__ import annotations

from lrfinder_widget.curve.loss_curve import LossCurve

from .lines import ShownRun

_MAX_RUNS = 13  # more lines could not be told apart, and each run takes a row
_LONGEST = 200  # characters of a name


class Legend:
    """The runs that are shown, in the order in which they were added; under the view's lock.

    The current run is drawn with its points, band and candidates. It is the latest run until
    another is chosen, and always during a run.
    """

    def __init__(self) -> None:
        self._all: list[ShownRun] = []
        self._styles = 0
        self.latest = self.current = ShownRun("", -1, LossCurve([], []))

    def begin(self, name: str) -> None:
        """Add a new run and make it the current run."""
        if not len(self.latest.curve):  # it has no point
            self._drop(self.latest)
        self.latest = self.current = self._add(self._free(name), LossCurve([], []))

    def name_latest(self, name: str) -> None:
        """Name the latest run, if what it runs was not known yet when it began."""
        if name and not self.latest.name:
            self.latest.name = self._free(name)

    def add(self, curve: LossCurve, name: str | None) -> None:
        """Add a curve, drawn behind the current run."""
        self._add(name or self._free("added"), curve)

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

    @property
    def listed(self) -> list[ShownRun]:
        """The runs that need a row each: none if the latest is the only one."""
        return [] if self._all == [self.latest] else list(self._all)

    def find(self, key: int) -> ShownRun | None:
        """Return the run with this key, if it is still there."""
        return next((run for run in self._all if run.style == key), None)

    def rename(self, run: ShownRun, name: str) -> None:
        """Name a run."""
        run.name = name[:_LONGEST]

    def remove(self, run: ShownRun) -> None:
        """Remove a run from the chart, unless it is the latest."""
        if run is not self.latest:
            self._drop(run)

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

    def _drop(self, run: ShownRun) -> None:
        if run in self._all:
            self._all.remove(run)
        if run is self.current:
            self.current = self.latest
