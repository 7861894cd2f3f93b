"""A metric on its way: in lines of a folder, from workers, and checked on arrival."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from remote_support import Place, parts
from torch import Tensor

from lrfinder_widget import LossCurve, LRFinder, follow, publish, range_test, sweep
from lrfinder_widget.curve.diagnosis import StepDiagnosis
from lrfinder_widget.curve.measured import MeasuredPoint
from lrfinder_widget.curve.points import Recorder
from lrfinder_widget.remote import lines
from lrfinder_widget.remote.checked import checked
from lrfinder_widget.remote.wire import Chunk, chunk_from_plain, chunk_to_plain

STEP = StepDiagnosis(1.5, 1e-3, 1e-4, math.inf, math.nan, "head", "conv.1")
PLAN: dict[str, Any] = {"num_iter": 12, "start_lr": 1e-4, "end_lr": 1.0}


def right(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(1) == target).float().mean()


def all_of(point: Any) -> str:
    return repr((point, point.diagnosis, point.metric, point.metric_name))


@pytest.mark.parametrize("value", [0.5, math.nan, -math.inf])
@pytest.mark.parametrize("step", [None, STEP])
def test_a_point_travels_both_ways(value: float, step: Any) -> None:
    point = MeasuredPoint(1e-3, 2.0, step, value, "accuracy")
    line = lines.decoded(lines.encoded(lines.from_item(point)))
    assert all_of(lines.to_item(line)) == all_of(point)
    chunk = chunk_from_plain(chunk_to_plain(Chunk(0, [point])))
    assert all_of(chunk.items[0]) == all_of(point)
    assert [all_of(item) for item in checked([point])] == [all_of(point)]


@pytest.mark.parametrize(
    "metric",
    [None, 0.5, [], [0.5], [0.5, 1], ["a", "b"], [None, "b"], [True, "b"], [0.5, "b", 1], "ab"],
)
def test_what_is_none_is_refused(metric: Any) -> None:
    for item in ([1e-3, 1.0, None, metric], [1e-3, 1.0, None, [0.5, "a"], 1]):
        with pytest.raises(ValueError, match=r"no |worker sent"):
            lines.to_item(item)
        with pytest.raises(ValueError, match=r"no |worker sent"):
            chunk_from_plain({**chunk_to_plain(Chunk(0, [])), "items": [item]})


def test_a_name_from_elsewhere_is_cut_and_shown_as_text() -> None:
    recorder = Recorder()
    recorder.take(lines.to_item([1e-3, 1.0, None, [0.5, "<b>" * 999]]))
    assert recorder.curves[0].metric_name == "<b>" * 8


def given(**options: Any) -> dict[str, Any]:
    return {**parts(), **PLAN, "stop": None, **options}


def test_a_published_run_is_followed_with_it(tmp_path: Path) -> None:
    expected = range_test(**given(metric="accuracy"))
    published = publish(sweep(**given(metric="accuracy")), tmp_path)
    assert published.metric is not None
    assert published.metric.tolist() == expected.metric.tolist()  # type: ignore[union-attr]
    finder = LRFinder.watch(follow(tmp_path), namespace={}).start().wait(20)
    assert finder.curve.metric.tolist() == published.metric.tolist()  # type: ignore[union-attr]
    assert finder.curve.metric_name == finder.chart["metric"]["name"] == "accuracy"


def remote(monkeypatch: pytest.MonkeyPatch, setup: Any, count: int = 1, **options: Any) -> LRFinder:
    places = [Place(i) for i in range(count)]
    monkeypatch.setattr("lrfinder_widget.widget.elsewhere.places", lambda on, workers: places)
    return LRFinder.remote(setup, on=None, namespace={}, **{**PLAN, **options})


def four() -> Any:
    return tuple(parts().values())


@pytest.mark.parametrize("setup", [parts, four])
@pytest.mark.parametrize("metric", ["accuracy", right])
def test_a_worker_measures_what_is_sent_to_it(
    monkeypatch: pytest.MonkeyPatch, setup: Any, metric: Any
) -> None:
    curve = remote(monkeypatch, setup, metric=metric).start().wait(60).curve
    expected = range_test(**{**parts(), **PLAN}, metric=metric)
    assert curve.losses.tolist() == expected.losses.tolist()
    assert curve.metric.tolist() == expected.metric.tolist()  # type: ignore[union-attr]
    assert curve.metric_name == expected.metric_name


def test_a_worker_measures_what_its_setup_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def setup() -> dict[str, Any]:
        return parts(metric=right)

    assert remote(monkeypatch, setup).start().wait(60).curve.metric_name == "right"
    finder = remote(monkeypatch, setup, metric="accuracy").start().wait(60)
    assert finder.curve.metric_name == "accuracy"


def test_varied_tests_on_workers_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = remote(monkeypatch, parts, 2, metric="accuracy")
    finder.vary(momentum=[0.0, 0.9]).wait(60)
    variation = finder.variation
    assert variation is not None
    curves: list[LossCurve] = list(variation.curves.values())
    assert [curve.metric_name for curve in curves] == ["accuracy"] * 2


def test_an_error_of_the_metric_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(output: Tensor, target: Tensor) -> Any:
        raise ArithmeticError("here")

    finder = remote(monkeypatch, parts, metric=bad).start()
    with pytest.raises(ArithmeticError, match="here") as raised:
        finder.wait(60)
    assert "This came from the metric bad." in raised.value.__notes__


def test_what_cannot_be_sent_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = (i for i in range(3))

    def bad(output: Tensor, target: Tensor) -> float:
        return float(next(generator))

    with pytest.raises(TypeError, match="metric cannot be sent to a worker"):
        remote(monkeypatch, parts, metric=bad)
    with pytest.raises(ValueError, match="metric must be"):
        remote(monkeypatch, parts, metric="f1")
    assert torch.is_grad_enabled()
