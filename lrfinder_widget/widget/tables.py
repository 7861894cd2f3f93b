"""What goes in and out of a finder: curves of others, pictures and tables of its own."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import TYPE_CHECKING

import torch

from lrfinder_widget.curve.loss_curve import LossCurve

from .lines import ShownRun
from .number import format_lr
from .picture import Picture
from .session import Runs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = ["run", "lr", "loss", "smoothed", "baseline"]


class Export(Runs):
    """Runs that can be shown beside others, and taken away."""

    @property
    def lr(self) -> float | None:
        """The pick; `None` while there is none."""
        raise NotImplementedError

    @property
    def code(self) -> str | None:
        """The pick as a line of code, so that the notebook can be run again without the widget."""
        if self.lr is None:
            return None
        return f"{self._name or 'lr'} = {format_lr(self.lr)}  # {self._about()}"

    _name: str | None = "lr"

    def _about(self) -> str:
        """Say what a pick comes from, in a comment's words."""
        return f"LR range test, {self._what()}, {dt.date.today().isoformat()}"

    def _where(self) -> str | None:
        """Name the device; a model that was forgotten on the CPU is worth a word."""
        device = self._sweep.device
        if device is None:
            return None
        if device.type == "cpu" and torch.accelerator.is_available():
            return f"cpu, though there is a {torch.accelerator.current_accelerator()} device"
        return str(device)

    def _what(self) -> str:
        """Say what is tested, as far as it tells runs apart."""
        return ", ".join(self._sweep.words)

    def add(self, curve: LossCurve, name: str | None = None) -> None:
        """Show another curve on the chart, such as that of another finder.

        Parameters
        ----------
        curve : LossCurve
            The other curve.
        name : str, optional
            What to call it; it can be edited in the widget.

        Raises
        ------
        TypeError
            If it is no `LossCurve`.
        RuntimeError
            If the finder is closed.
        """
        if not isinstance(curve, LossCurve):
            raise TypeError(f"curve must be a LossCurve, as finder.curve is; got {curve!r}.")
        if self._closed:
            raise RuntimeError("this LRFinder is closed; make a new one.")
        self._keep(curve, name)

    def _keep(self, curve: LossCurve, name: str | None) -> None:
        """Keep a curve on the chart, beside the latest."""
        raise NotImplementedError

    def _runs(self) -> list[tuple[str, LossCurve]]:
        """Return the runs on the chart, with their names."""
        raise NotImplementedError

    def _current(self) -> tuple[ShownRun, list[ShownRun]]:
        """Return the current run, and what is shown beside it."""
        raise NotImplementedError

    def snapshot(self) -> Picture:
        """Return a static picture of the chart: the last line of a cell shows and saves it."""
        run, beside = self._current()
        return Picture(run, self.lr, log=self._sweep.mode == "exp", beside=beside)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the latest run by Matplotlib, with the pick, if there is one.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without one, in a new figure.
        """
        ax = self.curve.plot(ax)
        if self.lr is not None:
            ax.axvline(self.lr, color="black", label=f"lr = {format_lr(self.lr)}")
            ax.legend()
        return ax

    def _contents(self, ending: str) -> str:
        """Return what a file of that ending would hold; of a bitmap, as the SVG to draw."""
        if ending in ("svg", "png"):
            return self.snapshot()._repr_svg_()
        return self.to_csv() if ending == "csv" else self.to_json()

    def to_csv(self) -> str:
        """Return a table of the runs on the chart: their names, and the columns of `to_dataframe`.

        The baseline is empty for a run that has none.
        """
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(_COLUMNS)
        for name, curve in self._runs():
            start = [""] * len(curve) if curve.baseline is None else curve.baseline.tolist()
            columns = (curve.lrs.tolist(), curve.losses.tolist(), curve.smooth().tolist(), start)
            writer.writerows([name, *row] for row in zip(*columns, strict=True))
        return table.getvalue()

    def to_json(self) -> str:
        """Return the pick and the runs on the chart, with their names, as `LossCurve.to_json`."""
        runs = [{"name": name, **json.loads(curve.to_json())} for name, curve in self._runs()]
        return json.dumps({"lr": self.lr, "runs": runs}, allow_nan=False)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame of all runs.

        Its columns: ``run``, from 1, ``lr``, ``loss``, ``smoothed`` and ``baseline``, which is nan
        for a run that has none.
        """
        import pandas as pd

        frames = [curve.to_dataframe().assign(run=i) for i, curve in enumerate(self.curves, 1)]
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        return frame.reindex(columns=_COLUMNS)
