"""What leaves a finder: pictures, tables, and code that runs without the widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrfinder_widget.curve.report import Report

from . import tables
from .code import ScheduleKind
from .number import format_lr
from .picture import Picture
from .presenter import Presenter
from .session import Session

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Exports:
    """The methods of `LRFinder` that give out what was measured and picked."""

    _session: Session
    _presenter: Presenter

    @property
    def code(self) -> str | None:
        """The pick as a line of code, for use without the widget; `None` while there is none."""
        return self._presenter.code

    def schedule_code(self, kind: ScheduleKind) -> str:
        """Return a schedule of the planned length as code, which runs where `optimizer` is defined.

        The peak is the pick or, without one, the candidate for that length and kind of schedule.

        Parameters
        ----------
        kind : {"warmup", "1cycle", "cosine", "wsd"}
            ``"warmup"``: a linear rise over a twentieth of the steps, then constant. ``"cosine"``:
            from the peak down to zero. ``"wsd"``: warm-up, stable, and a linear decay over the last
            fifth. ``"1cycle"``: `OneCycleLR` between the ends of the band, whatever was picked.

        Raises
        ------
        RuntimeError
            If the number of training steps is unknown, or there is no candidate where one is
            needed.
        ValueError
            If the kind is unknown.
        """
        return self._presenter.schedule_code(kind)

    def snapshot(self) -> Picture:
        """Return a static picture of the chart; as a cell's last line it is shown and saved."""
        return self._presenter.picture()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the latest test and the pick with Matplotlib, on `ax` or in a new figure."""
        ax, lr = self._session.curve.plot(ax), self._presenter.picker.lr
        if lr is not None:
            ax.axvline(lr, color="black", label=f"lr = {format_lr(lr)}")
            ax.legend()
        return ax

    def report(self) -> Report:
        """Return what was run, what was seen and what to do next, with the numbers behind it.

        About the latest test and the latest trial runs, for the training that is planned now.

        Returns
        -------
        Report
            A dictionary of plain values, whose text is a page of Markdown.
        """
        session = self._session
        run: dict[str, str | None] = {
            "about": self._presenter.about(),
            "state": session.test.state.value,
        }
        if session.test.reason is None:  # a curve always has one
            run["reason"] = None
        return session.curve.report(
            comparison=session.comparison,
            picked=self._presenter.picker.lr,
            run=run,
            unrestored=session.unrestored,
        )

    def to_csv(self) -> str:
        """Return the runs on the chart as CSV; columns as `to_dataframe`, but ``run`` is a name."""
        return tables.to_csv(self._presenter.runs())

    def to_json(self) -> str:
        """Return the pick and the named runs on the chart, each run as in `LossCurve.to_json`."""
        return self._presenter.to_json()

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas data frame of `curves`.

        Columns: ``run`` (from 1), ``lr``, ``loss``, ``smoothed``, ``baseline`` (nan if missing),
        ``metric`` and those of a `Diagnosis` if there is one.
        """
        return tables.to_dataframe(self._session.curves)
