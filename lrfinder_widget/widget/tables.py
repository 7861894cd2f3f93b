"""The runs of a finder as a pandas data frame, as CSV and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from lrfinder_widget.curve.diagnosis import Diagnosis
from lrfinder_widget.curve.loss_curve import LossCurve

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["run", "lr", "loss", "smoothed", "baseline"]
_MORE = ["metric", *(field.name for field in fields(Diagnosis))]


def to_dataframe(curves: Sequence[LossCurve]) -> pd.DataFrame:
    """Return a data frame of some runs, numbered from 1; what is missing is nan."""
    return _joined(curve.to_dataframe().assign(run=i) for i, curve in enumerate(curves, 1))


def to_csv(runs: Iterable[tuple[str, LossCurve]]) -> str:
    """Return the same columns as CSV, with the runs' names; what is missing is an empty cell."""
    frame = _joined(curve.to_dataframe().assign(run=name) for name, curve in runs)
    for column in frame.columns.difference(_COLUMNS[:-1]):
        frame[column] = frame[column].astype(object).where(frame[column].notna(), "")
    # Line ends as in RFC 4180.
    text: str = frame.to_csv(index=False, na_rep="nan", lineterminator="\r\n")
    return text


def to_json(lr: float | None, runs: Iterable[tuple[str, LossCurve]]) -> str:
    """Return a pick and some runs with their names, each as `LossCurve.to_json`."""
    named = [{"name": name, **json.loads(curve.to_json())} for name, curve in runs]
    return json.dumps({"lr": lr, "runs": named}, allow_nan=False)


def _joined(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    several = [frame for frame in frames if len(frame)]
    frame = pd.concat(several, ignore_index=True) if several else pd.DataFrame()
    return frame.reindex(columns=[*_COLUMNS, *(name for name in _MORE if name in frame)])
