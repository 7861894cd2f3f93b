"""The public class: how it is made, displayed, applied and written as code."""

from __future__ import annotations

import datetime as dt
import gc
import pickle
from typing import Any

import pytest
import torch
from support import linear, loader, picture, sgd_momentum
from torch import nn
from widget_support import (
    DESCENT,
    WAIT_S,
    Gate,
    Script,
    Shell,
    click,
    finished,
    number_of_widgets,
    problem,
    written,
)

from lrfinder_widget import LRFinder, State


def test_before_the_first_start_there_is_nothing(make: Any) -> None:
    finder = make(namespace={})
    assert (finder.state, finder.reason, finder.exception) == (State.READY, None, None)
    assert (finder.lr, finder.curves, len(finder.curve)) == (None, [], 0)
    assert finder.suggestion.lr is None
    assert repr(finder) == "LRFinder(ready, 0 points, lr=None)"


def test_start_runs_in_the_background_and_returns_the_finder(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    assert finder.start() is finder
    assert (finder.state, finder.reason) == (State.RUNNING, None)
    gate.let_all()
    assert finder.wait(WAIT_S) is finder
    assert (finder.state, finder.reason) == (State.FINISHED, "completed")
    assert finder.curve.losses.tolist() == DESCENT
    assert finder.curves == [finder.curve]


def test_a_real_test_leaves_model_and_optimizer_as_they_were() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    finder = LRFinder(model, optimizer, loader(), nn.CrossEntropyLoss(), namespace={})
    before = picture(model, optimizer)
    finished(finder)
    assert picture(model, optimizer) == before
    assert len(finder.curve) > 50
    finder.close()


BAD_ARGUMENTS: list[dict[str, Any]] = [
    {"model": "resnet18"},
    {"start_lr": 0.0},
    {"start_lr": 1.0, "end_lr": 0.1},
    {"num_iter": 1},
    {"variable": "lambda"},
    {"variable": "print"},
    {"namespace": [("lr", 0.1)]},
    {"stop": "never"},
    {"step": None},
    {"preserve": [3]},
    {"train_steps": 0},
    {"train_steps": "long"},
    {"schedule": "cosine"},
]


@pytest.mark.parametrize("bad", BAD_ARGUMENTS, ids=repr)
def test_a_constructor_that_raises_leaves_no_trace(bad: dict[str, Any], shell: Shell) -> None:
    model = linear()
    before = number_of_widgets()
    options = {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "batches": [0],
        "criterion": "no function" if "step" in bad else None,
        "step": Script(DESCENT),
        **bad,
    }
    with pytest.raises((TypeError, ValueError)):
        LRFinder(**options)
    gc.collect()  # whatever a finalizer has to say is an error in this suite
    assert (number_of_widgets(), shell.listening, shell.user_ns) == (before, 0, {})


def test_a_finder_cannot_be_copied(make: Any) -> None:
    import copy

    finder = make(namespace={})
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(NotImplementedError):
            copied(finder)


def test_nor_be_sent_to_another_process(make: Any) -> None:
    with pytest.raises(TypeError, match=r"a LRFinder cannot be pickled.* such as its lr"):
        pickle.dumps(make(namespace={}))


def test_the_pick_as_code_says_where_it_comes_from(make: Any) -> None:
    model = linear()
    finder = LRFinder(model, sgd_momentum(model), loader(), nn.CrossEntropyLoss(), namespace={})
    assert finder.code is None
    assert (finder.picked["code"], finder.picked["about"]) == ("", "")
    finder.pick(0.00316)
    today = dt.date.today().isoformat()
    assert finder.code == f"lr = 3.16e-03  # LR range test, SGD, batch 8, {today}"
    assert finder.picked["code"] == finder.code  # what the page copies
    assert finder.picked["about"] == f"LR range test, SGD, batch 8, {today}"
    assert written(finder) == "lr = 3.16e-03"
    finder.close()
    namespace: dict[str, Any] = {}
    exec(finder.code, namespace)
    assert namespace["lr"] == 0.00316


# -- display ---------------------------------------------------------------------------------------


def test_hosts_without_the_widgets_show_what_to_install(make: Any) -> None:
    finder = make(namespace={})
    bundle, _ = finder._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert repr(finder) in bundle["text/plain"]
    assert "pip install ipywidgets bqplot anywidget" in bundle["text/plain"]


def test_a_display_after_the_run_carries_the_picture(make: Any) -> None:
    finder = make(namespace={})
    assert "image/svg+xml" not in finder._repr_mimebundle_()[0]
    finished(finder).pick(0.01)
    bundle, _ = finder._repr_mimebundle_()
    assert "lr = 1.00e-02" in bundle["image/svg+xml"]
    assert finder.snapshot()._repr_svg_() == bundle["image/svg+xml"]


def test_plot_shows_the_pick(make: Any) -> None:
    finder = finished(make(namespace={}))
    finder.pick(0.01)
    assert "lr = 1.00e-02" in [line.get_label() for line in finder.plot().get_lines()]


# -- apply -----------------------------------------------------------------------------------------


def test_apply_sets_the_pick_on_the_optimizer_and_a_second_click_takes_it_back(make: Any) -> None:
    finder = make(namespace={})
    optimizer = finder._session.source.task.optimizer

    def shown() -> tuple[float, bool]:
        return optimizer.param_groups[0]["lr"], finder.picked["applied"]

    assert finder.blocked["apply"] == "Pick a learning rate first."
    with pytest.raises(RuntimeError, match="nothing has been picked"):
        finder.apply()
    finder.pick(0.02)
    assert "apply" not in finder.blocked
    assert finder.picked["optimizer"] == "SGD"
    assert shown() == (0.1, False)  # a pick alone changes no optimizer
    click(finder, "apply")
    assert shown() == (0.02, True)
    click(finder, "apply")
    assert shown() == (0.1, False)
    click(finder, "apply")
    finder.pick(0.03)
    assert shown() == (0.02, False)  # the next click applies the new pick
    finder.apply()
    assert shown() == (0.03, True)


def test_apply_takes_another_optimizer_and_its_scheduler(make: Any) -> None:
    finder = make(namespace={})
    optimizer = torch.optim.SGD(linear().parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    finder.pick(0.02)
    finder.apply(optimizer, scheduler)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert finder._session.source.task.optimizer.param_groups[0]["lr"] == 0.1


def test_what_is_no_optimizer_and_what_is_no_schedule_is_named_before_anything_is_set(
    make: Any,
) -> None:
    finder = make(namespace={})
    optimizer = torch.optim.SGD(linear().parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    finder.pick(0.02)
    with pytest.raises(TypeError, match=r"got ExponentialLR\. It holds one .* optimizer"):
        finder.apply(scheduler)
    for wrong in ("cosine", 3, optimizer, torch.optim.lr_scheduler.ExponentialLR):
        with pytest.raises(TypeError, match=r"scheduler must be .* step\(\) that changes"):
            finder.apply(optimizer, wrong)
    assert optimizer.param_groups[0]["lr"] == 1.0
    assert not finder.picked["applied"]


def test_a_schedule_that_does_not_reach_the_pick_is_warned_of(make: Any) -> None:
    finder = make(namespace={})
    optimizer = torch.optim.SGD(linear().parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.5)
    finder.pick(0.02)
    with pytest.warns(UserWarning, match=r"LambdaLR is 1.00e-02, not the pick") as caught:
        finder.apply(optimizer, scheduler)
    assert caught[0].filename == __file__
    assert "LambdaLR is 1.00e-02, not the pick" in problem(finder)
    finder.pick(0.03)
    assert problem(finder) == ""


def test_during_a_run_the_optimizer_is_the_tests(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder.pick(0.02)
    finder.start()
    assert finder.blocked["apply"].startswith("A test is running")
    with pytest.raises(RuntimeError, match="is running; call stop"):
        finder.apply()
    gate.let_all()
    finder.wait(WAIT_S)
    finder.apply()
    assert finder._session.source.task.optimizer.param_groups[0]["lr"] == 0.02
