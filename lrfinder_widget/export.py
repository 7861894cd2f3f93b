"""What goes in and out of a finder: curves of others, pictures and tables of its own."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from .curve import LossCurve
from .runs import Runs
from .static_view import Picture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Export(Runs):
    """Runs that can be shown beside others, and taken away."""

    @property
    def lr(self) -> float | None:
        """The pick; `None` while there is none."""
        raise NotImplementedError

    @property
    def code(self) -> str | None:
        """The pick as a line of code, so that the notebook can be run again without the widget."""
        return (
            None if self.lr is None else f"{self._name or 'lr'} = {self.lr:.2e}  # {self._about()}"
        )

    _name: str | None = "lr"

    def _about(self) -> str:
        """Say what a pick comes from, in a comment's words."""
        sweep = self._sweep
        parts = ["LR range test", type(sweep.optimizer).__name__]
        size = getattr(sweep.batches, "batch_size", None)
        if isinstance(size, int):
            parts.append(f"batch {size}")
        return ", ".join([*parts, dt.date.today().isoformat()])

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

    def snapshot(self) -> Picture:
        """Return a static picture of the latest run: the last line of a cell shows and saves it."""
        return Picture(self.curve, self.lr, log=self._sweep.mode == "exp")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the latest run by Matplotlib, with the pick, if there is one.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without one, in a new figure.
        """
        ax = self.curve.plot(ax)
        if self.lr is not None:
            ax.axvline(self.lr, color="black", label=f"lr = {self.lr:.2e}")
            ax.legend()
        return ax

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame of all runs: ``run``, from 1, ``lr``, ``loss`` and ``smoothed``."""
        import pandas as pd

        frames = [curve.to_dataframe().assign(run=i) for i, curve in enumerate(self.curves, 1)]
        columns = ["run", "lr", "loss", "smoothed"]
        return (
            pd.concat(frames, ignore_index=True)[columns]
            if frames
            else pd.DataFrame(columns=columns)
        )
