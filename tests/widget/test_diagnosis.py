"""What is shown of a diagnosis: a box turns it on, and the page gets lines, words and a table."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from support import classes, linear
from torch import nn
from widget_support import WAIT_S, Gate, fill, finished, page_sends

from lrfinder_widget import LossCurve, LRFinder
from lrfinder_widget.curve.diagnosis import Diagnosis, StepDiagnosis
from lrfinder_widget.widget.diagnosis import ShownDiagnosis, lines_of, shown_diagnosis

nan = math.nan
LRS = [1e-3, 1e-2, 1e-1, 1.0]


def of(*steps: tuple[Any, ...]) -> LossCurve:
    diagnosis = Diagnosis.of(StepDiagnosis(*step) for step in steps)
    losses = [2.0, 1.0, 0.1, 9.0]
    return LossCurve(LRS[: len(steps)], losses[: len(steps)], diagnosis=diagnosis)


USUAL = of(
    (2.0, 1e-4, 5e-5, 3e-4, nan, "head", "conv"),
    (0.5, 1e-3, 5e-4, 3e-3, 0.25, "head", "conv"),
    (1.0, 1e-2, 5e-3, 3e-2, nan, "<b>", "conv"),
    (9.0, 1e-1, 0.0, 3e-1, 0.5, "conv", "head"),
)


def y_of(line: dict[str, bytes]) -> list[float]:
    return np.frombuffer(line["y"], "<f8").tolist()


def finder_of(**options: Any) -> LRFinder:
    torch.manual_seed(0)
    model = linear()
    x, y = classes().tensors
    batches = list(zip(x.split(16), y.split(16), strict=True))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"num_iter": 20, "start_lr": 1e-3, "end_lr": 1.0, "stop": None, "namespace": {}}
    return LRFinder(model, optimizer, batches, nn.CrossEntropyLoss(), **{**given, **options})


# -- what is shown --------------------------------------------------------------------------------


def test_a_curve_without_one_shows_nothing() -> None:
    assert shown_diagnosis(LossCurve(LRS, [1.0] * 4)) == {}
    assert lines_of({}) == []


def test_lines_limits_words_and_a_table() -> None:
    shown = shown_diagnosis(USUAL)
    assert y_of(shown["gradient"]["lines"][0]) == [2.0, 0.5, 1.0, 9.0]
    low, middle, high = map(y_of, shown["update"]["lines"])
    assert (low, high) == ([5e-5, 5e-4, 5e-3], [3e-4, 3e-3, 3e-2, 3e-1])  # none at zero
    assert middle == [1e-4, 1e-3, 1e-2, 1e-1]
    bottom, top = shown["update"]["y"]
    assert 1e-5 < bottom < 5e-5
    assert 3e-1 < top < 1
    assert (shown["update"]["guide"], shown["update"]["marks"]) == (1e-3, [0.25, 0.5])
    gradient, update, critical, legend = shown["text"].split(". ")
    assert gradient == (
        "The norm of the gradient is 2 at first, 0.5 at its lowest, at 1.00e-02, and 9 at the "
        "last point"
    )
    assert update == (
        "The update of the middle module reaches a thousandth of its weights at 1.00e-02; where "
        "the loss is lowest, at 1.00e-01, it is 1.0e-02, from 5.0e-03 in module <b> to 3.0e-02 in "
        "module conv"
    )
    assert critical == (
        "A single step raises the loss of its own batch from somewhere between 2.50e-01 and "
        "5.00e-01 on (the critical learning rate, found at 2 points and marked on the axis): a "
        "limit for one step, and no candidate"
    )
    assert legend.startswith("The thick line of the update is the middle module")
    assert len(lines_of(shown)) == 4


def test_what_is_unknown_is_left_out_of_the_lines_and_told() -> None:
    shown = shown_diagnosis(of((nan, nan, nan, nan, nan, "", "")))
    assert (shown["gradient"]["y"], shown["update"]["marks"]) == (None, [])
    assert shown["text"].startswith("The gradient is not known: the step shows none to its optim")
    assert "critical" not in shown["text"]
    once = shown_diagnosis(of((1.0, 1e-3, 1e-3, 1e-3, 0.25, "a", "a")))["text"]
    assert "from 2.50e-01 on (the critical learning rate, found at 1 point and marked" in once
    exploded = shown_diagnosis(
        of((1.0, 1e-3, 1e-3, 1e-3, nan, "a", "a"), (math.inf,) * 5 + ("a", "a"))
    )
    assert y_of(exploded["gradient"]["lines"][0]) == [1.0]
    assert all(map(math.isfinite, exploded["gradient"]["y"] + exploded["update"]["y"]))
    json.dumps([exploded["text"], exploded["update"]["marks"]], allow_nan=False)


def test_the_guide_is_always_in_view() -> None:
    low, high = shown_diagnosis(of((1.0, 0.5, 0.4, 0.6, nan, "a", "a")))["update"]["y"]
    assert low < 1e-3 < 0.6 < high


def test_a_long_run_shows_no_more_points_than_can_be_seen() -> None:
    n = 5000
    diagnosis = Diagnosis.of([StepDiagnosis(1.0, 1e-3, 1e-3, 1e-3, nan, "a", "a")] * n)
    curve = LossCurve(np.geomspace(1e-5, 1.0, n), np.ones(n), diagnosis=diagnosis)
    shown = shown_diagnosis(curve)
    assert max(len(y_of(line)) for line in lines_of(shown)) <= 402


def test_it_is_made_once_for_a_curve() -> None:
    shown = ShownDiagnosis()
    assert shown.of(USUAL) is shown.of(USUAL)
    assert shown.of(LossCurve(LRS, [1.0] * 4)) == {}


# -- the finder -----------------------------------------------------------------------------------


def test_it_is_off_until_a_box_or_the_code_turns_it_on() -> None:
    finder = finder_of()
    assert finished(finder).curve.diagnosis is None
    assert finder.diagnosis == {}
    plain = finder.curve.losses
    fill(finder, diagnose=True)
    assert finder.settings["diagnose"] is True
    curve = finished(finder).curve
    assert curve.diagnosis is not None
    assert curve.losses.tobytes() == plain.tobytes()
    assert finder.diagnosis["text"] == shown_diagnosis(curve)["text"]
    fill(finder, diagnose=False)
    assert finished(finder).diagnosis == {}
    finder.close()
    other = finder_of(diagnose=True)
    assert other.settings["diagnose"] is True
    assert finished(other).curve.diagnosis is not None
    other.close()


@pytest.mark.parametrize("value", ["yes", 1, None, [True], {}])
def test_the_page_can_only_turn_it_on_or_off(value: Any) -> None:
    finder = finder_of()
    page_sends(finder, {"set": {"diagnose": value}})
    assert finder.settings["diagnose"] is False
    finder.close()


def test_it_cannot_be_turned_on_during_a_run(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    fill(finder, diagnose=True)
    assert finder.settings["diagnose"] is False
    gate.let_all()
    finder.wait(WAIT_S)


def test_an_earlier_run_that_is_chosen_shows_its_own() -> None:
    finder = finder_of(diagnose=True)
    finished(finder)
    first = finder.diagnosis
    fill(finder, diagnose=False)
    assert finished(finder).diagnosis == {}
    earlier = next(run["key"] for run in finder.runs if not run["latest"])
    page_sends(finder, {"run": earlier, "do": "choose"})
    assert finder.diagnosis == first != {}
    finder.close()


def test_the_numbers_are_in_every_table() -> None:
    finder = finder_of(diagnose=True)
    curve = finished(finder).curve
    finder.add(LossCurve([1e-3, 1.0], [2.0, 1.0]), name="plain")
    rows = list(csv.DictReader(io.StringIO(finder.to_csv())))
    diagnosed = [row for row in rows if row["run"] != "plain"]
    assert curve.diagnosis is not None
    assert [float(r["gradient_norm"]) for r in diagnosed] == curve.diagnosis.gradient_norm.tolist()
    assert {row["update_ratio_max_in"] for row in diagnosed} == {"Linear"}
    known = [row["critical_lr"] for row in diagnosed if row["critical_lr"]]
    assert [float(lr) for lr in known] == [lr for lr in curve.diagnosis.critical_lr if lr == lr]
    assert {row["gradient_norm"] for row in rows if row["run"] == "plain"} == {""}
    assert (
        finder.to_dataframe()["update_ratio"].tolist()[:20] == curve.diagnosis.update_ratio.tolist()
    )
    saved = next(r for r in json.loads(finder.to_json())["runs"] if r["name"] != "plain")
    assert LossCurve.from_json(json.dumps(saved)) == curve
    finder.close()


def test_what_cannot_be_diagnosed_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrfinder_widget.training.task.several_ranks", lambda: True)
    with pytest.raises(ValueError, match="single process"):
        finder_of(diagnose=True)
    finder = finder_of()
    fill(finder, diagnose=True)
    with pytest.raises(ValueError, match="single process"):
        finder.start()
    page_sends(finder, {"click": "start"})
    assert "single process" in finder.status["problem"]
    finder.close()
