"""What the page gets of a metric: a line, limits and a name, and nothing where there is none."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from support import classes, linear
from torch import nn
from widget_support import WAIT_S

from lrfinder_widget import LossCurve, LRFinder
from lrfinder_widget.widget.lines import ShownRun
from lrfinder_widget.widget.metric import ShownMetric, metric_points
from lrfinder_widget.widget.picture import Picture

nan = math.nan


def of(values: Any, name: str = "accuracy") -> LossCurve:
    n = len(values)
    return LossCurve(np.geomspace(1e-3, 1, n), [1.0] * n, metric=values, metric_name=name)


def finder_of(**options: Any) -> LRFinder:
    torch.manual_seed(0)
    model = linear()
    x, y = classes().tensors
    batches = list(zip(x.split(16), y.split(16), strict=True))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"num_iter": 20, "start_lr": 1e-3, "end_lr": 1.0, "stop": None, "namespace": {}}
    return LRFinder(model, optimizer, batches, nn.CrossEntropyLoss(), **{**given, **options})


def y_of(line: dict[str, bytes]) -> list[float]:
    return np.frombuffer(line["y"], "<f8").tolist()


def test_a_curve_without_one_costs_no_byte() -> None:
    assert ShownMetric().of(LossCurve([1.0], [1.0])) == {}
    finder = finder_of().start().wait(WAIT_S)
    assert "metric" not in finder.chart
    finder._repr_mimebundle_()
    assert not any("metric" in part or part.startswith("z") for part in finder.figure)


def test_the_page_gets_it_live_and_a_figure_with_an_axis_for_it() -> None:
    finder = finder_of(metric="accuracy")
    finder._repr_mimebundle_()
    assert "z_axis" not in finder.figure
    finder.start().wait(WAIT_S)
    shown = finder.chart["metric"]
    assert finder.curve.metric is not None
    assert y_of(shown["line"]) == finder.curve.metric.tolist()
    assert shown["name"] == "accuracy"
    low, high = shown["y"]
    assert low < min(finder.curve.metric) <= max(finder.curve.metric) < high
    assert {"z", "z_axis", "metric"} <= set(finder.figure)
    first = finder.figure
    finder.start().wait(WAIT_S)
    assert finder.figure == first  # it is made once
    finder.close()


def test_a_gap_is_one_nan_and_no_line_ends_in_one() -> None:
    lrs, values = metric_points(of([nan, 1.0, nan, math.inf, nan, 2.0, 3.0, nan, nan]))
    assert str(values.tolist()) == str([1.0, nan, 2.0, 3.0])
    assert (np.diff(lrs) > 0).all()
    assert metric_points(of([nan, nan]))[0].tolist() == []
    long = of([nan if i % 1000 == 500 else float(i) for i in range(5000)])
    lrs, values = metric_points(long)
    assert len(lrs) < 500
    assert np.isnan(values).sum() == 5


def test_once_there_is_one_its_axis_stays() -> None:
    shown = ShownMetric()
    assert shown.of(of([0.5, 0.5]))["y"] == [0.475, 0.525]
    empty = shown.of(LossCurve([], []))
    assert (empty["name"], empty["y"], y_of(empty["line"])) == ("accuracy", None, [])


def test_tables_have_it() -> None:
    finder = finder_of(metric="accuracy").start().wait(WAIT_S)
    rows = list(csv.DictReader(io.StringIO(finder.to_csv())))
    assert [float(row["metric"]) for row in rows] == finder.curve.metric.tolist()  # type: ignore[union-attr]
    assert "metric" in finder.to_dataframe()
    assert '"metric_name": "accuracy"' in finder.to_json()
    assert finder.report()["metric"]["name"] == "accuracy"


def test_a_step_of_your_own_is_refused_with_one() -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="step=training_step"):
        LRFinder(model, optimizer, [1], step=lambda batch: 1.0, metric="accuracy")


def test_a_picture_shows_it_and_escapes_its_name() -> None:
    curve = of([0.1, nan, nan, 0.5, 0.9], "<b>")
    svg = Picture(ShownRun("", 0, curve), None, log=True)._repr_svg_()
    assert "&lt;b&gt;</text>" in svg
    assert "<b>" not in svg
    assert "nan" not in svg
    lines = re.findall(r'points="([^"]*)" fill="none" stroke="#7b1fa2"', svg)
    assert [len(points.split()) for points in lines] == [1, 2]
    plain = Picture(ShownRun("", 0, LossCurve(curve.lrs, curve.losses)), None, log=True)
    assert "#7b1fa2" not in plain._repr_svg_()
