"""A diagnosis travels with its point, by whatever way, and nothing else passes for one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from remote_support import Place, finder_on
from support import classes, linear
from torch import nn

from lrfinder_widget import LossCurve, follow, publish, range_test, sweep
from lrfinder_widget.curve.diagnosis import StepDiagnosis
from lrfinder_widget.curve.measured import MeasuredPoint
from lrfinder_widget.remote import lines
from lrfinder_widget.remote.checked import checked
from lrfinder_widget.remote.wire import Chunk, chunk_from_plain, chunk_to_plain

STEP = StepDiagnosis(1.5, 1e-3, 1e-4, math.inf, math.nan, "head", "conv.1")
POINT = MeasuredPoint(1e-3, math.nan, STEP)
WRONG: list[Any] = [
    [1e-3, 1.0, None],
    [1e-3, 1.0, []],
    [1e-3, 1.0, [1.0] * 5],
    [1e-3, 1.0, [1.0] * 7],
    [1e-3, 1.0, ["1"] * 5 + ["a", "b"]],
    [1e-3, 1.0, [1.0] * 4 + [True, "a", "b"]],
    [1e-3, 1.0, [1.0] * 5 + ["a", "b"], 1.0],
    [1e-3],
    [],
]


def both(point: Any) -> str:
    return repr((type(point), point, point.diagnosis))


def test_a_chunk_carries_it() -> None:
    told = chunk_to_plain(Chunk(0, [POINT, (1e-2, 2.0), "completed", POINT, 0.5]))
    items = chunk_from_plain(told).items
    assert items[1:3] == [(1e-2, 2.0), "completed"]
    assert type(items[1]) is tuple
    assert both(items[0]) == both(items[3]) == both(POINT)


def test_a_line_carries_it() -> None:
    line = lines.encoded(lines.from_item(POINT))
    assert both(lines.to_item(lines.decoded(line))) == both(POINT)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - in several words
        lines.to_item(wrong)
    with pytest.raises(ValueError):  # noqa: PT011 - in several words
        chunk_from_plain({"start": 0, "items": [wrong]})


def test_names_are_cut() -> None:
    step = STEP._replace(update_ratio_max_in="x" * 5000)
    point: Any = lines.to_item(lines.from_item(MeasuredPoint(1.0, 1.0, step)))
    assert point.diagnosis.update_ratio_max_in == "x" * 200


def test_points_that_are_checked_keep_it() -> None:
    (point,) = checked([POINT])
    assert both(point) == both(POINT)


def fresh() -> tuple[Any, ...]:
    torch.manual_seed(0)
    model = linear()
    x, y = classes().tensors
    batches = list(zip(x.split(16), y.split(16), strict=True))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), batches, nn.CrossEntropyLoss()


def test_a_published_run_is_followed_with_it(tmp_path: Path) -> None:
    plan = {"start_lr": 1e-3, "end_lr": 1.0, "num_iter": 20, "stop": None}
    expected = range_test(*fresh(), **plan, diagnose=True)
    published = publish(sweep(*fresh(), **plan, diagnose=True), tmp_path)
    assert published.diagnosis == expected.diagnosis != None  # noqa: E711 - compared as a whole
    followed = follow(tmp_path)
    points = list(followed.items())
    steps = [point.diagnosis for point in points if isinstance(point, MeasuredPoint)]
    assert LossCurve.from_json(published.to_json()) == published
    assert len(steps) == 20
    assert followed.about.plan is not None
    assert followed.about.plan.diagnose


def test_a_worker_is_told_to_diagnose() -> None:
    finder = finder_on(Place(), diagnose=True)
    assert finder.settings["diagnose"] is True
    curve = finder.start().wait(60).curve
    assert curve.diagnosis is not None
    assert len(json.loads(curve.to_json())["diagnosis"]["gradient_norm"]) == len(curve)
    finder.close()
