"""A seed that a cell sets during a run in the background is still set after it."""

from __future__ import annotations

import copy
import pickle
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo  # it replaces `torch.manual_seed`; the first optimizer imports it

from lrfinder_widget.restore.random_state import random_states
from lrfinder_widget.training.seeds import seeds_of_cells_kept

WAIT_S = 20.0
SEEDERS: dict[str, tuple[Any, str]] = {
    "torch": (torch, "manual_seed"),
    "numpy": (np.random, "seed"),
    "python": (random, "seed"),
}
FUNCTIONS = (torch.random.manual_seed, np.random.seed, random.seed)


def draws() -> list[float]:
    return [torch.rand(()).item(), np.random.rand(), random.random()]


def seeded(seed: int, *kinds: str) -> None:
    for kind in kinds or SEEDERS:
        module, name = SEEDERS[kind]
        getattr(module, name)(seed)


class Run:
    """What a run in the background does to the generators: it draws, and puts them back."""

    def __init__(self, act: Callable[[], object] = draws) -> None:
        self._act = act
        self._begun, self._go_on, self._done = (threading.Event() for _ in range(3))
        self._error: BaseException | None = None
        threading.Thread(target=self._work, daemon=True).start()
        assert self._begun.wait(WAIT_S)

    def _work(self) -> None:
        try:
            with seeds_of_cells_kept():
                before = random_states()
                try:
                    self._act()
                    self._begun.set()
                    self._go_on.wait(WAIT_S)
                    self._act()
                finally:
                    for put_back in before:
                        put_back()
        except BaseException as error:  # noqa: BLE001 - `end` raises it
            self._error = error
        self._done.set()

    def end(self) -> None:
        self._go_on.set()
        assert self._done.wait(WAIT_S)
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("seed", [1, 42], ids=["the same seed", "another seed"])
@pytest.mark.parametrize("kind", SEEDERS)
def test_a_seed_of_a_cell_outlives_the_run_and_what_the_run_draws(kind: str, seed: int) -> None:
    seeded(1)
    left = draws()
    seeded(seed, kind)
    after = dict(zip(SEEDERS, draws(), strict=True))
    seeded(1)
    again = dict(zip(SEEDERS, left, strict=True))
    expected = [after[k] if k == kind else again[k] for k in SEEDERS]
    run = Run()
    seeded(seed, kind)
    draws()  # these come again
    run.end()
    assert draws() == expected


def test_the_last_of_several_seeds_counts() -> None:
    seeded(7)
    expected = draws()
    run = Run()
    for seed in (5, 6, 7):
        seeded(seed)
    run.end()
    assert draws() == expected


def test_what_is_no_seed_is_refused_in_its_cell_alone() -> None:
    seeded(1)
    expected = draws()
    seeded(1)
    run = Run()
    with pytest.raises(ValueError, match="Seed"):
        np.random.seed(-1)
    run.end()
    assert draws() == expected


def test_what_the_run_itself_seeds_is_put_back() -> None:
    seeded(1)
    expected = draws()
    seeded(1)
    Run(lambda: seeded(9)).end()
    assert draws() == expected


def test_a_run_that_fails_keeps_a_seed_as_well() -> None:
    calls: list[int] = []

    def fail_later() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError

    seeded(3)
    expected = draws()
    run = Run(fail_later)
    seeded(3)
    with pytest.raises(ZeroDivisionError):
        run.end()
    assert draws() == expected


@pytest.mark.parametrize("first", [0, 1], ids=["in order", "out of order"])
def test_overlapping_runs_keep_the_seeds_set_during_each_and_leave_no_trace(first: int) -> None:
    seeded(3)
    expected = draws()
    before = torch.manual_seed, np.random.seed, random.seed  # torch's compiler changes one
    runs = [Run(), Run()]
    seeded(3)
    runs.pop(first).end()
    assert draws() == expected
    seeded(3)
    assert torch.manual_seed is not FUNCTIONS[0]
    runs.pop().end()
    assert draws() == expected
    assert (torch.manual_seed, np.random.seed, random.seed) == before


@pytest.mark.parametrize("index", range(3), ids=list(SEEDERS))
def test_a_watched_function_is_copied_and_pickled_as_itself(
    index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a loader's `worker_init_fn`, it goes to a worker that is spawned."""
    # Once torch's compiler is imported, another function has that name, which cannot be pickled.
    monkeypatch.setattr(torch, "manual_seed", torch.random.manual_seed)
    original: Any = FUNCTIONS[index]
    modules = [function.__module__ for function in FUNCTIONS]
    run = Run()
    watched: Any = (torch.manual_seed, np.random.seed, random.seed)[index]
    assert watched is not original
    assert watched.__name__ == original.__name__
    copies = [copy.deepcopy(watched), copy.deepcopy(original)]
    if index != 0:  # torch._dynamo's cannot be pickled, watched or not
        copies += [pickle.loads(pickle.dumps(function)) for function in (watched, original)]
    run.end()
    assert [function.__module__ for function in FUNCTIONS] == modules
    if index == 2:  # a method of a generator, which is copied with it
        assert [type(one) for one in copies] == [type(original)] * 4
    else:
        assert copies == [original] * len(copies)


@pytest.mark.parametrize("index", range(3), ids=list(SEEDERS))
def test_a_watched_function_that_somebody_keeps_still_seeds(index: int) -> None:
    run = Run()
    watched: Any = (torch.manual_seed, np.random.seed, random.seed)[index]
    run.end()
    watched(1)
    value = draws()[index]
    FUNCTIONS[index](1)
    assert draws()[index] == value


def test_whoever_replaces_a_function_during_a_run_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run()
    other = lambda seed: None  # noqa: E731
    monkeypatch.setattr(random, "seed", other)
    run.end()
    assert random.seed is other
