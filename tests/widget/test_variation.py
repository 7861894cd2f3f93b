"""Tests with a setting varied, in the widget: by code, from the boxes; stopped, failed, closed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support import adamw, batchnorm_dropout, loader, picture, sgd_momentum, train
from torch import nn
from widget_support import WAIT_S, Gate, click, fill, finished, in_thread, points, problem

from lrfinder_widget import LRFinder, State, vary
from lrfinder_widget.widget.variation import MOST_TESTS

CE = nn.CrossEntropyLoss()
RANGE: dict[str, Any] = {"start_lr": 1e-4, "end_lr": 1.0, "num_iter": 30}


def parts(make: Any = sgd_momentum) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    return model, make(model), loader()


@pytest.fixture
def trained() -> Iterator[Any]:
    """Make finders that train a small model, which has been trained for a few steps."""
    made: list[LRFinder] = []

    def make(criterion: Any = CE, optimizer: Any = sgd_momentum, **options: Any) -> LRFinder:
        model, made_for_it, batches = parts(optimizer)
        train(model, made_for_it, batches, 5)
        given = {"namespace": {}, **RANGE, **options}
        made.append(LRFinder(model, made_for_it, batches, criterion, **given))
        return made[-1]

    yield make
    for finder in made:
        in_thread(finder.close)()


def state_of(finder: LRFinder) -> Any:
    task = finder._session.source.task
    return picture(task.model, task.optimizer)


def table(finder: LRFinder) -> list[list[str]]:
    """The rows of the table, without its head."""
    rows: list[list[str]] = finder.varied["table"][1:]
    assert len(rows) == len(finder.varied["lines"])
    return rows


def candidates(finder: LRFinder) -> list[str]:
    return [row[finder.varied["heads"]].removesuffix(", weak") for row in table(finder)]


def written(lrs: list[float | None]) -> list[str]:
    return ["none" if lr is None else f"{lr:.2e}" for lr in lrs]


class Held:
    """A criterion that waits in the test with weight decay 0.1, or raises an error there."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.left, self.error = 7, error
        self.group: dict[str, Any] = {}  # of the optimizer
        self.asked, self.go_on = threading.Event(), threading.Event()

    def __call__(self, output: Any, target: Any) -> Any:
        self.left -= self.group["weight_decay"] == 0.1
        if self.left == 0:
            self.left = -1
            self.asked.set()
            if self.error is not None:
                raise self.error
            assert self.go_on.wait(WAIT_S)
        return CE(output, target)


def held_finder(trained: Any, held: Held) -> LRFinder:
    finder: LRFinder = trained(held)
    held.group = finder._session.source.task.optimizer.param_groups[0]
    return finder


# -- by code --------------------------------------------------------------------------------------

GIVEN: list[dict[str, Any]] = [
    {"weight_decay": [0.0, 0.1]},
    {"momentum": [0.0, 0.9], "batch_size": [4, 16]},
    {"optimizers": {"Adam": torch.optim.Adam, "rms": torch.optim.RMSprop}},
]


@pytest.mark.parametrize("given", GIVEN, ids=" and ".join)
def test_the_tests_are_those_of_vary_and_everything_is_put_back(trained: Any, given: Any) -> None:
    finder = trained(repeats=2)
    assert (finder.variation, finder.varied) == (None, {})
    before = state_of(finder)
    assert finder.vary(**given).wait(WAIT_S) is finder
    assert state_of(finder) == before
    task = finder._session.source.task
    expected = vary(task.model, task.optimizer, task.batches, CE, repeats=2, **given, **RANGE)
    found = finder.variation
    assert (found.names, found.curves) == (expected.names, expected.curves)
    assert found.rows == expected.rows
    assert candidates(finder) == written([row["lr"] for row in found.rows])
    assert finder.varied["text"].endswith("Everything has been restored.")
    assert ("a larger batch sees more" in finder.varied["text"]) is ("batch_size" in given)


def test_the_range_is_that_of_the_boxes(trained: Any) -> None:
    finder = trained(stop=None)
    fill(finder, num_iter="40", mode="linear", end_lr="1e-2")
    finder.vary(weight_decay=[0.0, 0.1]).wait(WAIT_S)
    assert {len(curve) for curve in finder.variation.curves.values()} == {40}
    assert (finder.varied["x"], finder.varied["x_log"]) == ([1e-4, 1e-2], False)


def test_the_candidates_are_for_the_training_that_is_planned(make: Any) -> None:
    finder = make(namespace={})
    finder.vary(momentum=[0.0, 0.9]).wait(WAIT_S)
    found = []
    for steps in ("100", "100000"):
        fill(finder, train_steps=steps)
        curves = finder.variation.curves.values()
        assert {curve.budget.train_steps for curve in curves} == {int(steps)}
        found.append([row["lr"] for row in finder.variation.rows])
        assert candidates(finder) == written(found[-1])
        dots = [points(one["dot"])[0] for one in finder.varied["lines"]]
        assert dots == [[lr] for lr in found[-1]]
    assert all(b < a for a, b in zip(*found, strict=True))


def test_stop_keeps_what_is_complete_and_puts_everything_back(trained: Any) -> None:
    held = Held()
    finder = held_finder(trained, held)
    before = state_of(finder)
    finder.vary(weight_decay=[0.0, 0.1, 1.0])
    assert held.asked.wait(WAIT_S)
    finder._presenter.redraw()
    whole, running = table(finder)
    assert (whole[0], "running" in whole, running) == ("0", False, ["0.1", "running", "", ""])
    assert (
        "3 tests of at most 30 steps each, from the same start: 1 complete"
        in (finder.varied["text"])
    )
    asked = threading.Event()
    finder._session.varied_test.listen(lambda run: asked.set() if run.stopping else None)
    stopped = in_thread(finder.stop)
    assert asked.wait(WAIT_S)
    held.go_on.set()
    stopped()
    assert state_of(finder) == before
    assert finder._session.varied_test.state is State.STOPPED
    assert list(finder.variation.curves) == [(0.0,)]
    assert table(finder) == [whole]
    assert finder.varied["text"].startswith("Stopped: 1 of 3 tests are complete. The lowest loss")


@pytest.mark.parametrize("error", [ValueError("<b>boom</b>"), KeyboardInterrupt()])
def test_an_exception_keeps_what_is_complete_and_puts_everything_back(
    trained: Any, error: BaseException
) -> None:
    finder = held_finder(trained, Held(error))
    before = state_of(finder)
    with pytest.raises(type(error)) as caught:
        finder.vary(weight_decay=[0.0, 0.1]).wait(WAIT_S)
    assert caught.value is error
    assert "weight_decay=0.1" in error.__notes__[-1]
    assert state_of(finder) == before
    assert list(finder.variation.curves) == [(0.0,)]
    assert (finder.varied["state"], len(table(finder))) == ("failed", 1)
    assert "The tests failed; everything has been restored." in finder.varied["text"]
    assert str(error) in finder.varied["text"]


def test_close_puts_everything_back_and_keeps_the_curves(trained: Any) -> None:
    held = Held()
    finder = held_finder(trained, held)
    before, task = state_of(finder), finder._session.source.task
    finder.vary(weight_decay=[0.0, 0.1])
    assert held.asked.wait(WAIT_S)
    closed = in_thread(finder.close)
    asked = finder._session.varied_test
    while not asked.stopping:
        asked.join(0.01)
    held.go_on.set()
    closed()
    assert picture(task.model, task.optimizer) == before
    assert list(finder.variation.curves) == [(0.0,)]
    with pytest.raises(RuntimeError, match="closed"):
        finder.vary(weight_decay=[0.0])


def test_nothing_else_runs_meanwhile_nor_does_it_begin_beside_anything(
    make: Any, gate: Gate
) -> None:
    finder = make(gate, namespace={})
    varied = "tests with a setting varied are in progress"
    for begin, message in [
        (lambda: finder.vary(momentum=[0.0, 0.9]), varied),
        (lambda: finder.compare([1e-3, 1e-2], steps=10), "trial runs are in progress"),
        (finder.start, "the LR range test is running"),
    ]:
        begin()
        gate.wait_until_asked()
        for other in (finder.start, lambda: finder.compare([1e-3]), finder.apply):
            with pytest.raises(RuntimeError, match=message):
                other()
        with pytest.raises(RuntimeError, match=message):
            finder.vary(momentum=[0.5])
        stopped = in_thread(finder.stop)
        while not finder._session.latest.stopping:
            finder._session.latest.join(0.01)
        gate.let()
        stopped()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ValueError, "got none"),
        ({"weight_decay": [-1]}, ValueError, "not negative"),
        ({"batch_size": [2]}, ValueError, "make_batches"),
        ({"optimizers": [torch.optim.Adam]}, ValueError, "step of your own"),
        ({"optimizers": [torch.optim.Adam] * 2}, ValueError, "different names"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_anything_begins(
    make: Any, given: dict[str, Any], error: Any, message: str
) -> None:
    finder = make(namespace={})
    with pytest.raises(error, match=message):
        finder.vary(**given)
    assert finder.variation is None
    assert not finder._session.varied_test.state.active


def test_a_one_shot_iterator_is_refused(trained: Any) -> None:
    model, optimizer, batches = parts()
    finder = LRFinder(model, optimizer, iter(batches), CE, namespace={})
    with pytest.raises(ValueError, match="iterable more than once"):
        finder.vary(momentum=[0.9])
    finder.close()


# -- from the boxes -------------------------------------------------------------------------------


def test_values_that_are_worth_trying_are_offered_around_those_of_the_training(
    trained: Any,
) -> None:
    finder = trained(optimizer=adamw)
    settings = {one.name: one.values for one in finder._session.source.about.settings}
    assert settings["weight_decay"] == pytest.approx((0.0, 1e-3, 1e-2, 1e-1))
    assert settings["momentum"] == (0.8, 0.9, 0.95)
    assert settings["batch_size"] == (4.0, 8.0, 16.0, 32.0)
    assert finder.settings["vary_values"] == "0, 0.001, 0.01, 0.1"
    fill(finder, vary="batch_size")
    assert finder.settings["vary_values"] == "4, 8, 16, 32"
    fill(finder, vary_values="8, 64")
    fill(finder, num_iter="20")
    assert finder.settings["vary_values"] == "8, 64"
    fill(finder, vary="momentum")  # what was typed is for another setting
    assert finder.settings["vary_values"] == "0.8, 0.9, 0.95"
    fill(finder, vary_values="")
    assert finder.settings["vary_values"] == "0.8, 0.9, 0.95"
    assert finder.settings["vary_2_values"] == ""
    fill(finder, vary_2="weight_decay")
    assert finder.settings["vary_2_values"] == "0, 0.001, 0.01, 0.1"
    assert finder.vary_cost == "at most 240 steps"


def test_a_click_runs_what_is_in_the_boxes_and_another_stops_it(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    fill(finder, vary="momentum", vary_values="0, 0.9")
    fill(finder, vary_2="weight_decay", vary_2_values="0; 1e-2;0.1")
    click(finder, "vary")
    gate.wait_until_asked()
    assert finder.varied["state"] == "running"
    fill(finder, vary_values="0.5")
    assert finder.settings["vary_values"] == "0, 0.9"  # not while it runs
    click(finder, "vary")
    gate.let_all()
    finder._session.varied_test.join(WAIT_S)
    assert finder.varied["state"] == "stopped"
    click(finder, "vary")
    finder.wait(WAIT_S)
    assert finder.varied["state"] == "finished"
    assert finder.varied["table"][0][:3] == ["weight decay", "momentum", "candidate"]
    assert [row[:2] for row in table(finder)] == [
        [a, b] for a in ("0", "0.01", "0.1") for b in ("0", "0.9")
    ]
    head, *rows = finder.varied["map"]
    assert head == [["", None], ["0", None], ["0.9", None]]
    assert [row[0] for row in rows] == [["0", None], ["0.01", None], ["0.1", None]]
    cells = [cell for row in rows for cell in row[1:]]
    assert [text for text, _ in cells] == [row[2] for row in table(finder)]
    assert all(share is None or 0 <= share <= 1 for _, share in cells)
    assert [one["style"] for one in finder.varied["lines"]] == list(range(6))
    for one in finder.varied["lines"]:
        x, y = points(one["line"])
        assert len(x) == len(y) > 0


def test_why_a_setting_cannot_be_varied_is_told_by_the_button(make: Any) -> None:
    finder = make(namespace={})
    assert "vary" not in finder.blocked
    fill(finder, vary="batch_size")
    assert re.fullmatch(
        r"The batch size cannot be varied: .*; got a list .*\.", finder.blocked["vary"]
    )
    click(finder, "vary")
    assert problem(finder) == finder.blocked["vary"]
    assert finder.variation is None
    fill(finder, vary="momentum", vary_2="batch_size")
    assert "vary" in finder.blocked
    fill(finder, vary_2="")
    assert "vary" not in finder.blocked
    click(finder, "vary")
    finder.wait(WAIT_S)
    assert finder.varied["state"] == "finished"
    assert problem(finder) == ""  # it was about another click


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({"vary_values": "much"}, "values of the weight decay must be numbers; got 'much'"),
        ({"vary_values": "-1"}, "a weight decay must be a number, finite and not negative"),
        ({"vary_values": "nan"}, "a weight decay must be a number"),
        ({"vary_values": "1, 1.0"}, "weight decay must have values, each given once"),
        ({"vary_values": ","}, "weight decay must have values"),
        ({"vary": "momentum", "vary_values": "1"}, "a momentum must be a number, below 1"),
        ({"vary_2": "weight_decay"}, "choose two different settings"),
        ({"vary_values": ", ".join(map(str, range(MOST_TESTS + 1)))}, "at most 16 values"),
        ({"num_iter": "few"}, "'points' must be a whole number"),
    ],
)
def test_what_cannot_work_is_told(make: Any, boxes: dict[str, str], message: str) -> None:
    finder = make(namespace={})
    fill(finder, **boxes)
    click(finder, "vary")
    assert message in problem(finder)
    assert finder.variation is None
    assert finder.vary_cost == ""


def test_usual_optimizers_are_offered_and_one_that_cannot_be_replaced_says_so(
    trained: Any,
) -> None:
    finder = trained()
    fill(finder, vary="optimizer")
    assert finder.settings["vary_values"] == "SGD, Adam, AdamW"
    fill(finder, vary_values="adam; SGD", vary_2="momentum", vary_2_values="0.5")
    click(finder, "vary")
    variation = finder.wait(WAIT_S).variation
    task = finder._session.source.task
    expected = vary(
        *(task.model, task.optimizer, task.batches, CE),
        optimizers={"Adam": torch.optim.Adam, "SGD": torch.optim.SGD},
        momentum=[0.5],
        **RANGE,
    )
    assert variation.curves == expected.curves
    assert [row[:2] for row in table(finder)] == [["0.5", "Adam"], ["0.5", "SGD"]]
    assert finder.varied["map"][0] == [["", None], ["Adam", None], ["SGD", None]]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("SGD, eval", "optimizers must be among SGD, Adam, AdamW; got 'eval'"),
        ("SGD, sgd", "optimizers must have values, each given once"),
    ],
)
def test_a_name_is_looked_up_and_nothing_else(trained: Any, typed: str, message: str) -> None:
    finder = trained()
    fill(finder, vary="optimizer", vary_values=typed)
    click(finder, "vary")
    assert message in problem(finder)
    assert finder.variation is None


def test_with_a_step_of_ones_own_no_optimizers_are_offered(make: Any) -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(model, optimizer, [1], step=lambda batch: 1.0, namespace={})
    fill(finder, vary="optimizer")
    assert finder.settings["vary_values"] == ""
    assert "step of your own" in finder.blocked["vary"]
    finder.close()


@pytest.mark.parametrize("typed", ["8.5", "1e400", "0"])
def test_a_batch_size_is_a_whole_number(trained: Any, typed: str) -> None:
    finder = trained()
    fill(finder, vary="batch_size", vary_values=typed)
    click(finder, "vary")
    assert "whole number" in problem(finder)


def test_no_loss_is_too_odd_to_be_shown(make: Any) -> None:
    for loss in (float("nan"), float("inf"), 1e308, 0.0):
        finder = finished(make(lambda batch, loss=loss: loss, namespace={}))
        finder.vary(momentum=[0.0, 0.9]).wait(WAIT_S)
        low, high = finder.varied["y"] or (0.0, 1.0)
        assert -float("inf") < low < high < float("inf")
        assert len(table(finder)) == 2
