"""What a diagnosis keeps, how it gets into a curve, and how it leaves one."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

from lrfinder_widget import LossCurve, RangeTest
from lrfinder_widget.curve.diagnosis import Diagnosis, StepDiagnosis
from lrfinder_widget.curve.measured import MeasuredPoint
from lrfinder_widget.curve.points import Recorder

NUMBERS = ["gradient_norm", "update_ratio", "update_ratio_min", "update_ratio_max", "critical_lr"]
NAMES = ["update_ratio_min_in", "update_ratio_max_in"]


def step(i: float, *, critical_lr: float = math.nan, low: str = "a", high: str = "b") -> Any:
    return StepDiagnosis(1.0 + i, 0.2 + i, 0.1 + i, 0.3 + i, critical_lr, low, high)


def points(n: int = 4) -> list[MeasuredPoint]:
    critical = [0.5, math.nan, math.nan, math.inf, 2.0]
    steps = [step(i, critical_lr=critical[i]) for i in range(n)]
    return [MeasuredPoint(10.0 ** (i - 5), 2.0 - i, one) for i, one in enumerate(steps)]


def curve_of(items: Any) -> LossCurve:
    recorder = Recorder()
    for item in items:
        recorder.take(item)
    recorder.end("completed")
    return LossCurve.median(recorder.curves)


def test_a_diagnosed_point_is_a_pair_with_one_more_thing() -> None:
    point = points()[0]
    lr, loss = point
    assert (lr, loss) == point == (1e-5, 2.0)
    assert point.diagnosis.gradient_norm == 1.0
    for twin in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert repr((twin, twin.diagnosis)) == repr((point, point.diagnosis))


def test_a_curve_has_the_diagnosis_of_its_points() -> None:
    diagnosis = curve_of(points()).diagnosis
    assert diagnosis is not None
    assert diagnosis.gradient_norm.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert diagnosis.critical_lr.tolist()[::3] == [0.5, math.inf]
    assert np.isnan(diagnosis.critical_lr[1:3]).all()
    assert diagnosis.update_ratio_min_in == ("a",) * 4
    assert not diagnosis.gradient_norm.flags.writeable


def test_points_of_which_some_have_none_make_a_curve_without() -> None:
    assert curve_of([*points(3), (1.0, 1.0)]).diagnosis is None
    assert curve_of([(1e-6, 1.0), *points(3)]).diagnosis is None
    assert curve_of([]).diagnosis is None


def test_a_run_in_the_background_keeps_it_too() -> None:
    curve = RangeTest(points()).start().wait(10).curve
    assert curve.diagnosis == curve_of(points()).diagnosis


def test_the_losses_are_read_as_without_it() -> None:
    curve, plain = curve_of(points()), curve_of([tuple(point) for point in points()])
    assert curve.losses.tobytes() == plain.losses.tobytes()
    assert curve != plain
    assert hash(curve) == hash(plain)


def test_it_leaves_a_curve_as_columns_and_as_json_and_comes_back() -> None:
    curve = curve_of(points())
    frame = curve.to_dataframe()
    assert frame.columns.tolist() == ["lr", "loss", "smoothed", *NUMBERS, *NAMES]
    assert frame["update_ratio"].tolist() == [0.2, 1.2, 2.2, 3.2]
    text = curve.to_json()
    assert json.loads(text)["diagnosis"]["critical_lr"] == [0.5, "nan", "nan", "inf"]
    assert LossCurve.from_json(text) == curve
    assert pickle.loads(pickle.dumps(curve)) == curve


def test_a_curve_without_it_is_as_ever_and_old_json_loads() -> None:
    plain = LossCurve([1e-3, 1e-2], [2.0, 1.0])
    assert "diagnosis" not in json.loads(plain.to_json())
    assert plain.to_dataframe().columns.tolist() == ["lr", "loss", "smoothed"]
    old = '{"lrs": [0.001, 0.01], "losses": [2, 1], "reason": "completed"}'
    assert LossCurve.from_json(old) == plain


def test_of_repeats_it_is_the_median_and_the_extremes_with_their_modules() -> None:
    def repeat(i: int, n: int, critical_lr: float) -> list[Any]:
        one = step(i, critical_lr=critical_lr, low=f"low {i}", high=f"high {i}")
        return [MeasuredPoint(10.0**-k, 1.0, one) for k in range(n, 0, -1)]

    nan = math.nan
    items = [*repeat(5, 3, 1.0), "completed", *repeat(1, 3, nan), "completed", *repeat(2, 3, 4.0)]
    curve = curve_of(items)
    assert [len(one.diagnosis or ()) for one in curve.repeats] == [3, 3, 3]
    diagnosis = curve.diagnosis
    assert diagnosis is not None
    assert diagnosis.gradient_norm.tolist() == [3.0] * 3
    assert diagnosis.critical_lr.tolist() == [2.5] * 3
    assert diagnosis.update_ratio_min.tolist() == [1.1] * 3
    assert diagnosis.update_ratio_max.tolist() == [5.3] * 3
    assert diagnosis.update_ratio_min_in == ("low 1",) * 3
    assert diagnosis.update_ratio_max_in == ("high 5",) * 3


def test_what_is_unknown_in_one_repeat_is_taken_from_the_others() -> None:
    unknown = StepDiagnosis(*[math.nan] * 5, "", "")
    both = Diagnosis.median([Diagnosis.of([unknown, unknown]), Diagnosis.of([step(1), unknown])])
    assert both.update_ratio_max.tolist()[0] == 1.3
    assert both.update_ratio_max_in[0] == "b"
    assert np.isnan(both.update_ratio_max[1])
    assert np.isnan(both.gradient_norm[1])


def test_a_diagnosis_that_does_not_fit_is_refused() -> None:
    diagnosis = Diagnosis.of([step(0), step(1)])
    with pytest.raises(ValueError, match="of 1 points; got 2"):
        LossCurve([1.0], [1.0], diagnosis=diagnosis)
    with pytest.raises(TypeError, match="diagnosis must be"):
        LossCurve([1.0], [1.0], diagnosis={"gradient_norm": [1.0]})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one value of each kind"):
        Diagnosis(*[[1.0]] * 5, ["a"], ["a", "b"])  # type: ignore[arg-type]
