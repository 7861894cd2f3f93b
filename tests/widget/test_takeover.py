"""Several finders: in one cell, in many, on one model."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
import torch
from support import linear
from torch import nn
from widget_support import POINTS, WAIT_S, Gate, Shell, finished, in_thread, while_held

from lrfinder_widget import LRFinder, State


def test_a_cell_that_runs_again_closes_its_earlier_finder(
    make: Any, shell: Shell, gate: Gate
) -> None:
    earlier = shell.run("a", lambda: make(gate).start())
    later = while_held(gate, earlier, lambda: shell.run("a", make))
    assert earlier.state is State.STOPPED  # and restored, before the constructor returned
    with pytest.raises(RuntimeError, match="is closed"):
        earlier.start()
    assert (later.state, shell.listening) == (State.READY, 1)


def test_the_restore_of_the_earlier_finder_comes_before_the_new_one_is_there(
    make: Any, shell: Shell, gate: Gate
) -> None:
    model = linear()
    before = [p.clone() for p in model.parameters()]

    def step(batch: Any) -> float:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        return gate(batch)

    def again() -> list[torch.Tensor]:
        make()
        return [p.detach().clone() for p in model.parameters()]

    earlier = shell.run("a", lambda: make(step, model=model).start())
    after = while_held(gate, earlier, lambda: shell.run("a", again))
    assert all(map(torch.equal, after, before))


def test_finders_of_other_cells_stay_open(make: Any, shell: Shell) -> None:
    one, other = shell.run("a", make), shell.run("b", make)
    shell.run("c", make)
    assert finished(one).state is finished(other).state is State.FINISHED
    assert shell.listening == 3


def test_two_finders_of_one_execution_live_side_by_side(make: Any, shell: Shell) -> None:
    pair = shell.run("a", lambda: (make(), make()))
    assert [finished(finder).state for finder in pair] == [State.FINISHED] * 2
    again = shell.run("a", lambda: (make(), make()))
    for finder in pair:
        with pytest.raises(RuntimeError, match="is closed"):
            finder.start()
    assert [finished(finder).state for finder in again] == [State.FINISHED] * 2


@pytest.mark.parametrize("parent", [None, {}, {"metadata": {}}, {"header": None}, "nothing"])
def test_where_the_front_end_does_not_name_the_cell_nothing_is_closed(
    make: Any, shell: Shell, parent: Any
) -> None:
    shell.parent = parent
    one, other = make(), make()
    assert [finished(finder).state for finder in (one, other)] == [State.FINISHED] * 2


def test_a_second_finder_on_the_same_model_stops_the_first_before_it_starts(make: Any) -> None:
    model, events = linear(), []
    before = [p.clone() for p in model.parameters()]
    gate = Gate()

    def spoil(batch: Any) -> float:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        return gate(batch)

    def look(batch: Any) -> float:
        events.append(all(map(torch.equal, model.parameters(), before)))
        return 1.0

    first = make(spoil, model=model, namespace={}).start()
    second = make(look, model=model, namespace={})
    assert while_held(gate, first, lambda: finished(second)) is second
    assert first.state is State.STOPPED
    assert events == [True] * POINTS


def test_a_finder_that_shares_a_layer_stops_the_other_too(make: Any, gate: Gate) -> None:
    body = linear()
    first = make(gate, model=body, namespace={}).start()
    second = make(model=nn.Sequential(body, nn.ReLU()), namespace={})
    assert while_held(gate, first, lambda: finished(second)) is second
    assert first.state is State.STOPPED


def test_a_finder_that_puts_the_model_back_as_well_stops_the_other(make: Any, gate: Gate) -> None:
    half = linear()
    first = make(gate, model=half, namespace={}).start()
    second = make(preserve=[half], namespace={})
    assert while_held(gate, first, lambda: finished(second)) is second
    assert first.state is State.STOPPED


def test_of_two_finders_on_one_model_that_start_at_once_one_waits_for_the_other(make: Any) -> None:
    model, inside, together = linear(), [], []

    def step(batch: Any) -> float:
        inside.append(1)
        together.append(len(inside))
        inside.pop()
        return 1.0

    finders = [make(step, model=model, namespace={}) for _ in range(4)]
    barrier = threading.Barrier(len(finders))

    def start(finder: LRFinder) -> None:
        barrier.wait(WAIT_S)
        finder.start()

    for ended in [in_thread(partial(start, finder)) for finder in finders]:
        ended()
    for finder in finders:
        finder._session.test.join(WAIT_S)
    assert set(together) == {1}
    assert {finder.state for finder in finders} <= {State.STOPPED, State.FINISHED}


def test_a_step_that_starts_its_own_finder_is_told_so(make: Any) -> None:
    finders: list[LRFinder] = []

    def step(batch: Any) -> float:
        finders[0].start()
        return 1.0

    finders.append(make(step, namespace={}))
    with pytest.raises(RuntimeError, match="running; call stop"):
        finished(finders[0])


def test_finders_on_other_models_run_side_by_side(make: Any) -> None:
    gates = [Gate(), Gate(), Gate()]
    finders = [make(gate, namespace={}).start() for gate in gates]
    for gate in gates:
        gate.wait_until_asked()
    assert [finder.state for finder in finders] == [State.RUNNING] * 3
    for gate in gates:
        gate.let_all()
    assert [finder.wait(WAIT_S).state for finder in finders] == [State.FINISHED] * 3


class Gone:
    """A cell that is no more, as marimo tells of one that has been deleted."""

    def has_run_again(self, _latest: Any) -> bool:
        return True


@pytest.mark.parametrize("kind", ["test", "trials", "variation"])
def test_a_run_ends_when_it_hears_that_its_cell_is_gone(
    make: Any, gate: Gate, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrfinder_widget.background.range_test.REFRESH_S", 0.0)
    finder = make(gate)
    if kind == "test":
        finder.start()
    elif kind == "trials":
        finder.compare([1e-3, 1e-2], 20)
    else:
        finder.vary(momentum=[0.0, 0.9])
    gate.wait_until_asked()
    finder._session.surroundings.cell = Gone()
    gate.let_all()
    finder._session.latest.join(WAIT_S)
    assert finder._session.latest.state is State.STOPPED
