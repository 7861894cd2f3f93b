"""What a curve keeps of a metric, and how it leaves one."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

from lrfinder_widget import LossCurve, RangeTest
from lrfinder_widget.curve.measured import MeasuredPoint
from lrfinder_widget.curve.points import Recorder

LRS = np.geomspace(1e-5, 1.0, 40)
LOSSES = 2.0 - np.tanh(np.log10(LRS) + 3.0) + 9.0 * LRS**2
VALUES = [math.nan, math.inf, *np.linspace(0.1, 0.9, 38)]


def measured(values: Any = VALUES, name: str = "accuracy") -> LossCurve:
    return LossCurve(LRS, LOSSES, metric=values, metric_name=name)


def points(values: Any, name: str = "accuracy") -> list[MeasuredPoint]:
    lrs = LRS[: len(values)]
    return [
        MeasuredPoint(lr, 1.0, None, value, name) for lr, value in zip(lrs, values, strict=True)
    ]


def curve_of(items: Any) -> LossCurve:
    recorder = Recorder()
    for item in items:
        recorder.take(item)
    recorder.end("completed")
    return LossCurve.median(recorder.curves)


def values(curve: LossCurve) -> list[float]:
    assert curve.metric is not None
    found: list[float] = curve.metric.tolist()
    return found


def test_it_is_read_only_and_float64() -> None:
    curve = measured([0] * 40)
    assert curve.metric is not None
    assert curve.metric.dtype == np.float64
    assert not curve.metric.flags.writeable
    assert curve.metric_name == "accuracy"


def test_a_point_keeps_it_when_it_is_copied() -> None:
    point = points([0.5])[0]
    for twin in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (twin, twin.metric, twin.metric_name) == (point, 0.5, "accuracy")


def test_a_curve_has_that_of_its_points_if_all_have_one() -> None:
    curve = curve_of(points([0.1, 0.2, 0.3]))
    assert (values(curve), curve.metric_name) == ([0.1, 0.2, 0.3], "accuracy")
    assert RangeTest(points([0.1, 0.2])).start().wait(10).curve == curve_of(points([0.1, 0.2]))
    for items in ([*points([0.1]), (1.0, 1.0)], [(1e-6, 1.0), *points([0.1])], []):
        curve = curve_of(items)
        assert (curve.metric, curve.metric_name) == (None, None)


def test_repeats_keep_theirs_and_the_median_is_pointwise() -> None:
    items = [*points([1, 2, 9]), "completed", *points([3, 1, 8]), "completed", *points([2, 3])]
    curve = curve_of(items)
    assert values(curve) == [2.0, 2.0]
    assert [values(one) for one in curve.repeats] == [[1, 2, 9], [3, 1, 8], [2, 3]]
    other = curve_of([*points([1, 2]), "completed", *points([3, 1], "f1")])
    assert (other.metric, other.metric_name) == (None, None)


def test_it_goes_through_json_pickle_and_copies() -> None:
    curve = measured()
    content = json.loads(curve.to_json())
    assert content["metric"][:2] == ["nan", "inf"]
    for twin in (
        LossCurve.from_json(curve.to_json()),
        pickle.loads(pickle.dumps(curve)),
        copy.deepcopy(curve),
    ):
        assert twin == curve
        assert twin.metric.tobytes() == curve.metric.tobytes()  # type: ignore[union-attr]
    old = {key: value for key, value in content.items() if not key.startswith("metric")}
    assert LossCurve.from_json(json.dumps(old)) == LossCurve(LRS, LOSSES)
    assert "metric" not in LossCurve(LRS, LOSSES).to_json()


def test_curves_with_another_metric_differ() -> None:
    plain = LossCurve(LRS, LOSSES)
    assert measured() == measured()
    assert measured() != plain
    assert measured() != measured(name="f1")
    assert measured() != measured([0.0] * 40)
    assert measured().suggestion == plain.suggestion


def test_tables_have_a_column_only_if_there_is_one() -> None:
    assert measured().to_dataframe().columns.tolist() == ["lr", "loss", "smoothed", "metric"]
    assert "metric" not in LossCurve(LRS, LOSSES).to_dataframe()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metric must have 40 values.*shape \(2,\)"):
        measured([1, 2])
    with pytest.raises(ValueError, match="metric_name needs a metric"):
        LossCurve(LRS, LOSSES, metric_name="accuracy")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("<b>", "<b>"),
        ("x" * 99, "x" * 24),
        ("a\nb\ud800", "a b"),
        ("", "metric"),
        (None, "metric"),
        (7, "7"),
    ],
)
def test_a_name_is_one_that_can_be_shown(given: Any, shown: str) -> None:
    assert measured(name=given).metric_name == shown


def test_a_report_says_what_it_was() -> None:
    report = measured().report()
    said = report["metric"]
    assert (said["name"], said["first"], said["last"]) == ("accuracy", 0.1, 0.9)
    assert (said["lowest_at"], said["highest_at"]) == (LRS[2], LRS[-1])
    row = r"| Metric accuracy | 0\.1 at first; lowest 0.1 at 1.80e-05, highest 0.9 at 1.00e+00 |"
    assert row in str(report)
    assert LossCurve(LRS, LOSSES).report()["metric"] is None
    assert "Metric" not in str(LossCurve(LRS, LOSSES).report())
    assert "Metric" not in str(measured([math.nan] * 40).report())
    assert r"\<b\>" in str(measured(name="<b>").report())
    json.dumps(report, allow_nan=False)


def test_a_plot_has_a_second_axis_to_the_right() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    ax = measured(name="$f$").plot()
    beside = [other for other in ax.figure.axes if other is not ax]
    assert [other.get_ylabel() for other in beside] == [r"\$f\$"]
    assert beside[0].yaxis.get_ticks_position() == "right"
    assert r"\$f\$" in [text.get_text() for text in ax.get_legend().get_texts()]
    ax.figure.canvas.draw()
    assert len(LossCurve(LRS, LOSSES).plot().figure.axes) == 1
    plt.close("all")
