"""All runs as tables."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from widget_support import POINTS, finished

from lrfinder_widget import LossCurve


def test_all_runs_in_one_frame(make: Any) -> None:
    finder = make(namespace={})
    columns = ["run", "lr", "loss", "smoothed", "baseline"]
    assert finder.to_dataframe().columns.tolist() == columns
    finished(finder)
    finished(finder)
    frame = finder.to_dataframe()
    assert frame.columns.tolist() == columns
    assert frame["run"].value_counts().to_dict() == {1: POINTS, 2: POINTS}
    assert frame["loss"][:POINTS].tolist() == finder.curves[0].losses.tolist()


def test_a_baseline_is_in_the_tables_too(make: Any) -> None:
    finder = finished(make(namespace={}))
    start = np.linspace(2.0, 3.0, POINTS)
    finder.add(LossCurve(finder.curve.lrs, start - 1.0, baseline=start), name="with one")
    rows = csv.DictReader(io.StringIO(finder.to_csv()))
    baselines: dict[str, list[str]] = {}
    for row in rows:
        baselines.setdefault(row["run"], []).append(row["baseline"])
    assert [float(loss) for loss in baselines.pop("with one")] == start.tolist()
    assert list(baselines.values()) == [[""] * POINTS]
