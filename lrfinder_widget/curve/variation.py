"""The same LR range test with one or two other settings varied: curves, a table, a heat map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from .loss_curve import LossCurve
from .plots import draw_heat_map, draw_lines

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Value: TypeAlias = float | int | str
Column: TypeAlias = Literal["lr", "turns_up_after", "lowest_loss"]
_TITLES: dict[Column, str] = {
    "lr": "candidate learning rate",
    "turns_up_after": "learning rate where the loss turns up",
    "lowest_loss": "lowest loss",
}


@dataclass(frozen=True, eq=False)
class Variation:
    """The curves of `vary`.

    Attributes
    ----------
    names : tuple of str
        What was varied: one setting, or two.
    curves : mapping of tuple to LossCurve
        The curve for each combination of values, in the order of the tests.
    """

    names: tuple[str, ...]
    curves: Mapping[tuple[Value, ...], LossCurve]

    def __repr__(self) -> str:
        n, what = len(self.curves), " and ".join(self.names)
        return f"<Variation of {what}: {n} LR range test{'s' if n != 1 else ''}>"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for each test: the values, and what its curve shows.

        ``lr``, ``low``, ``high`` and ``weak`` are those of the suggestion, ``lowest_loss`` that of
        the smoothed curve before it turns up, after the learning rate ``turns_up_after``; None
        where there is none. ``reason`` says why the test ended.
        """
        return [
            {**dict(zip(self.names, values, strict=True)), **row_of(curve)}
            for values, curve in self.curves.items()
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame of `rows`."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def plot(self, ax: Axes | None = None, *, of: Column = "lr") -> Axes:
        """Draw the smoothed curves side by side or, of two settings, a heat map, with Matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default, in a new figure.
        of : {"lr", "turns_up_after", "lowest_loss"}, default "lr"
            What the colours of a heat map show.

        Raises
        ------
        ValueError
            If `of` is unknown, or there is no curve yet.
        """
        if of not in get_args(Column):
            raise ValueError(f"of must be one of {get_args(Column)}; got {of!r}.")
        if not self.curves:
            raise ValueError("there is nothing to draw: no test has come to its end.")
        if len(self.names) == 1:
            lines = [
                (str(value), curve.lrs, curve.smooth(), curve.suggestion.lr)
                for (value,), curve in self.curves.items()
            ]
            return draw_lines(ax, lines, title=self.names[0])
        first, second = (list(dict.fromkeys(values)) for values in zip(*self.curves, strict=True))
        cells = np.full((len(first), len(second)), np.nan)
        for (one, other), row in zip(self.curves, self.rows, strict=True):
            if row[of] is not None:
                cells[first.index(one), second.index(other)] = row[of]
        labels = list(map(str, first)), list(map(str, second))
        return draw_heat_map(ax, cells, labels, self.names, _TITLES[of], log=of != "lowest_loss")


def row_of(curve: LossCurve) -> dict[str, Any]:
    """Return what a curve shows, see `Variation.rows`."""
    found, seen = curve.suggestion, curve.report()["seen"]
    return {
        "lr": found.lr,
        "low": found.low,
        "high": found.high,
        "weak": found.weak,
        "lowest_loss": seen["lowest_loss"],
        "turns_up_after": seen["turns_up_after"],
        "reason": curve.reason,
    }
