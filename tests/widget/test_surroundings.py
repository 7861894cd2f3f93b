"""What surrounds a run: the cell that it prints under, seeds of other cells, a click's thread."""

from __future__ import annotations

import itertools
import random
import threading
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from support import linear, loader
from widget_support import WAIT_S, Gate, Shell, click, fill, in_thread

import lrfinder_widget.widget.surroundings
from lrfinder_widget import LRFinder, State, range_test, training_step
from lrfinder_widget.training.thread_state import ThreadState


def draws() -> list[float]:
    return [torch.rand(()).item(), np.random.rand(), random.random()]


def seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


# -- seeds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [False, True], ids=["test", "trials"])
def test_a_seed_that_the_next_cell_sets_is_still_set_after_the_run(
    make: Any, gate: Gate, trials: bool
) -> None:
    seeded(42)
    expected = draws()

    def step(batch: Any) -> float:
        draws()
        return gate(batch)

    seeded(1)
    finder = make(step, namespace={})
    if trials:
        finder.compare([1e-3, 1e-2], steps=10)
    else:
        finder.start()
    gate.wait_until_asked()
    seeded(42)
    gate.let_all()
    finder.wait(WAIT_S)
    assert draws() == expected


def test_the_seeds_of_the_steps_themselves_are_put_back(make: Any, gate: Gate) -> None:
    def step(batch: Any) -> float:
        seeded(7)
        return gate(batch)

    gate.let_all()
    finder = make(step, namespace={})
    seeded(1)
    expected = draws()
    seeded(1)
    finder.start().wait(WAIT_S)
    assert draws() == expected


# -- where a step prints --------------------------------------------------------------------------


class Printing(Shell):
    """A shell that sends what a thread prints to a cell, as that of ipykernel does."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def set_thread_parent(self, parent: Any) -> None:
        self.local.parent = parent

    def where(self) -> str | None:
        """Name the cell under which the calling thread prints."""
        parent = getattr(self.local, "parent", self.parent)
        return parent["metadata"].get("cellId")

    def request(self, cell: str, kind: str = "execute_request", *, asks: bool = True) -> None:
        self.parent = {
            "metadata": {"cellId": cell},
            "header": {"msg_type": kind, "msg_id": f"{cell}'s"},
            "content": {"allow_stdin": asks},
        }


@pytest.fixture
def printing(monkeypatch: pytest.MonkeyPatch) -> Printing:
    shell = Printing()
    monkeypatch.setattr(lrfinder_widget.widget.surroundings, "notebook_shell", lambda: shell)
    return shell


class Observed(Gate):
    """A step that notes under which cell it would print."""

    def __init__(self, shell: Printing) -> None:
        super().__init__()
        self._shell = shell
        self.cells: list[str | None] = []

    def __call__(self, batch: Any) -> float:
        loss = super().__call__(batch)
        self.cells.append(self._shell.where())
        return loss


@pytest.mark.parametrize("how", ["start", "compare", "click"])
def test_a_run_prints_under_its_cell_whatever_is_run_meanwhile(
    make: Any, printing: Printing, how: str
) -> None:
    step = Observed(printing)
    printing.request("made it")
    finder = make(step, namespace={})
    if how == "click":
        printing.request("no cell", "comm_msg")
        in_thread(lambda: click(finder, "start"))()
    else:
        printing.request("started it")
        finder.start() if how == "start" else finder.compare([1e-3], steps=20)
    step.wait_until_asked()
    printing.request("the next")
    step.let_all()
    finder.wait(WAIT_S)
    assert set(step.cells) == {"made it" if how == "click" else "started it"}
    assert printing.where() == "the next"  # in this thread nothing has changed


def test_where_nothing_comes_late_under_a_cell_all_goes_under_the_one_that_runs(
    make: Any, printing: Printing
) -> None:
    """A program that executes a notebook drops what comes for a cell that is over."""
    step = Observed(printing)
    printing.request("started it", asks=False)
    finder = make(step, namespace={}).start()
    step.wait_until_asked()
    printing.request("the next", asks=False)
    step.let_all()
    finder.wait(WAIT_S)
    assert set(step.cells) == {"the next"}


def test_a_shell_that_cannot_tell_threads_apart_is_no_trouble(make: Any, shell: Shell) -> None:
    shell.parent = {"header": {"msg_type": "execute_request"}, "content": {"allow_stdin": True}}
    assert make(namespace={}).start().wait(WAIT_S).state is State.FINISHED


# -- the thread of a click ------------------------------------------------------------------------


@pytest.mark.parametrize("button", ["start", "try"])
def test_a_click_finds_torchs_state_of_the_cell_that_made_the_finder(
    make: Any, button: str
) -> None:
    seen: set[Any] = set()
    losses = itertools.count(1)

    def step(batch: Any) -> float:
        seen.add(torch.empty(0).device.type)
        return 1 / next(losses)

    model = linear()
    torch.set_default_device("meta")
    try:
        finder = make(step, model=model, namespace={})
    finally:
        torch.set_default_device(None)
    fill(finder, trial_lrs="1e-3", trial_steps="10")
    threads = in_thread(lambda: (click(finder, button), torch.empty(0).device.type))
    assert threads() == (None, "cpu")  # the thread of the click has its own state again
    finder.wait(WAIT_S)
    assert seen == {"meta"}


@pytest.mark.parametrize("kind", ["test", "trials"])
def test_the_thread_of_a_run_is_given_torchs_state_once_and_not_at_each_step(
    make: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[ThreadState] = []
    apply = ThreadState.applied

    def counted(state: ThreadState) -> Any:
        applied.append(state)
        return apply(state)

    monkeypatch.setattr(ThreadState, "applied", counted)
    seen: set[str] = set()
    losses = itertools.count(1)

    def step(batch: Any) -> float:
        seen.add(torch.empty(0).device.type)
        return 1 / next(losses)

    finder = make(step, model=linear(), namespace={})
    with torch.device("meta"):
        finder.start() if kind == "test" else finder.compare([1e-3], steps=10)
    finder.wait(WAIT_S)
    assert seen == {"meta"}
    assert len(applied) == 1


@pytest.mark.parametrize("outside", [False, True], ids=["in the step", "in the cell, too"])
def test_a_run_in_a_thread_casts_the_weights_of_each_step_not_of_the_first(outside: bool) -> None:
    def arguments() -> dict[str, Any]:
        torch.manual_seed(0)
        model = linear()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        criterion = torch.nn.CrossEntropyLoss()
        step = training_step(model, optimizer, criterion, autocast=torch.bfloat16)
        return {"model": model, "optimizer": optimizer, "batches": loader(), "step": step}

    with torch.autocast("cpu", torch.bfloat16) if outside else nullcontext():
        blocking = range_test(**arguments(), num_iter=20)
        finder = LRFinder(**arguments(), num_iter=20, namespace={})
        finder.start().wait(WAIT_S)
    assert finder.curve.losses.tolist() == blocking.losses.tolist()
