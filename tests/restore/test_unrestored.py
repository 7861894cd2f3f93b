"""What could not be put back is said: in a warning, in the status line, and as `unrestored`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import torch
from support import linear, loader, sgd_momentum
from torch import nn

import lrfinder_widget.restore.own_state as own_state
from lrfinder_widget import LRFinder, RangeTest, State, compare, range_test, sweep

WAIT_S = 20.0
CE = nn.CrossEntropyLoss()
NOT_ALL = "Not everything has been restored. "


class Native:
    """Keeps its position where no walk can reach, like an object written in C++."""

    def __init__(self) -> None:
        position = 0

        def move() -> int:
            nonlocal position
            position += 1
            return position

        def tell() -> int:
            return position

        self.move, self.tell = move, tell

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.tell(), "scores": torch.tensor([float("nan")])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


DIFFERS = "After its own load_state_dict(), the Native in preserve still differs from what it was."


def setup() -> dict[str, Any]:
    model, native = linear(), Native()
    optimizer = sgd_momentum(model)

    def step(batch: Any) -> Any:
        native.move()
        optimizer.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return {
        "model": model,
        "optimizer": optimizer,
        "batches": loader(),
        "step": step,
        "preserve": [native],
    }


RUN = {"num_iter": 5, "end_lr": 1e-3}


def test_what_differs_after_a_range_test_is_warned_of_where_it_was_called() -> None:
    with pytest.warns(RuntimeWarning) as caught:
        range_test(**setup(), **RUN)
    assert [str(w.message) for w in caught] == [NOT_ALL + DIFFERS]
    assert caught[0].filename == __file__


def test_so_it_is_after_a_sweep() -> None:
    with pytest.warns(RuntimeWarning) as caught:
        for _ in sweep(**setup(), **RUN):
            pass
    assert [str(w.message) for w in caught] == [NOT_ALL + DIFFERS]
    assert caught[0].filename == __file__


def test_so_it_is_once_after_trials() -> None:
    with pytest.warns(RuntimeWarning) as caught:
        compare(**setup(), lrs=[1e-3, 1e-2], steps=10)
    assert [str(w.message) for w in caught] == [NOT_ALL + DIFFERS]
    assert caught[0].filename == __file__


@pytest.mark.timeout(60)
def test_a_run_in_the_background_tells_it_without_a_warning() -> None:
    test = RangeTest(sweep(**setup(), **RUN)).start().wait(WAIT_S)
    assert test.state is State.FINISHED
    assert test.unrestored == (DIFFERS,)


@pytest.mark.timeout(60)
def test_the_finder_and_its_status_line_say_it() -> None:
    finder = LRFinder(**setup(), **RUN, variable=None)
    assert finder.unrestored == ()
    finder.start().wait(WAIT_S)
    status = finder.status["text"]
    assert finder.unrestored == (DIFFERS,)
    assert NOT_ALL.strip() in status
    assert finder.status["unrestored"] == [DIFFERS]
    assert "Everything has been restored." not in status
    finder.compare([1e-3, 1e-2], steps=10).wait(WAIT_S)
    assert finder.unrestored == (DIFFERS,)
    assert NOT_ALL.strip() in finder.trials["text"]
    assert DIFFERS in finder.trials["text"]
    finder.close()
    assert finder.unrestored == (DIFFERS,)


@pytest.mark.timeout(60)
def test_nothing_is_said_if_all_is_as_it_was() -> None:
    model = linear()
    finder = LRFinder(model, sgd_momentum(model), loader(), CE, **RUN, variable=None)
    finder.start().wait(WAIT_S)
    assert finder.unrestored == ()
    assert "Everything has been restored." in finder.status["text"]
    assert finder.status["unrestored"] == []
    finder.close()


class Broken(Native):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise OSError("the disk is full")


FAILED = "The state of the Broken in preserve could not be put back: OSError: the disk is full."


@pytest.mark.timeout(60)
def test_a_restore_that_fails_is_not_called_a_restore() -> None:
    finder = LRFinder(**{**setup(), "preserve": [Broken()]}, **RUN, variable=None).start()
    with pytest.raises(OSError, match="disk is full"):
        finder.wait(WAIT_S)
    status = finder.status["text"]
    assert finder.unrestored == (FAILED,)
    assert f"Failed after 5 steps. {NOT_ALL}" in status
    assert "OSError: the disk is full" in status
    assert finder.status["unrestored"] == [FAILED]
    assert "; everything has been restored" not in status
    finder.close()


def test_the_error_of_a_restore_carries_a_note_of_what_is_left() -> None:
    with pytest.raises(OSError, match="disk is full") as caught:
        range_test(**{**setup(), "preserve": [Broken()]}, **RUN)
    assert NOT_ALL + FAILED in caught.value.__notes__


def test_a_sweep_closed_early_is_as_quiet_as_one_that_is_whole() -> None:
    model = linear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with closing(sweep(model, sgd_momentum(model), loader(), CE, **RUN)) as points:
            next(iter(points))


def test_a_large_tensor_that_the_step_changes_is_said_by_name() -> None:
    given, table = setup(), torch.zeros(2_000_000)
    train = given["step"]

    def step(batch: Any) -> Any:
        table.add_(1)
        return train(batch)

    del given["preserve"]
    with pytest.warns(RuntimeWarning, match=r"large tensor table in place.*preserve=\[table\]"):
        range_test(**{**given, "step": step}, **RUN)
    assert table[0] == 5
    range_test(**{**given, "step": step, "preserve": [table]}, **RUN)
    assert table[0] == 5


def endless(batches: Any) -> Iterator[Any]:
    while True:
        yield from batches


@pytest.mark.parametrize("kind", ["generator", "loader"])
def test_an_iterator_that_the_step_advances_is_said_by_name(kind: str) -> None:
    given = setup()
    train = given["step"]
    real: Any = endless(loader()) if kind == "generator" else iter(loader())

    def step(batch: Any) -> Any:
        next(real)
        return train(batch)

    del given["preserve"]
    with pytest.warns(RuntimeWarning, match="The iterator real that the step uses has moved on"):
        range_test(**{**given, "step": step}, **RUN)


class Tells(Native):
    """Is told what it has told."""

    def __init__(self) -> None:
        self.state = {"position": torch.zeros(3)}
        self.loaded: list[Any] = []

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loaded.append(state["position"])


def test_the_state_of_an_object_is_kept_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meta = torch.device("meta")
    monkeypatch.setattr(own_state, "place_for", lambda tensors, device: meta)
    kept = own_state.OwnState(Tells())
    assert kept._saved["position"].device == meta


def test_it_is_loaded_on_the_device_on_which_it_was() -> None:
    thing = Tells()
    kept = own_state.OwnState(thing)
    kept()
    assert thing.loaded[-1].tolist() == [0, 0, 0]
    kept._devices = {id(kept._saved["position"]): torch.device("meta")}
    kept()
    assert thing.loaded[-1].is_meta
