"""Keeps the seeds that cells set while a run is in the background.

A run draws from the generators of the process and puts them back at its end, so a seed that the
next cell sets would be undone. What the generators contain does not tell who has seeded them: a
dataset may do that too, for each sample. So the functions that seed are watched for the time of the
run, and what the main thread has asked of them is asked again at the end.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial, update_wrapper
from typing import Any, TypeAlias

import numpy as np
import torch

Seeds: TypeAlias = dict[str, Callable[[], object]]

_WATCHED: dict[str, tuple[Any, str]] = {
    "torch": (torch, "manual_seed"),
    "NumPy": (np.random, "seed"),
    "Python": (random, "seed"),
}

# A function is pickled by a name, which has to lead to itself (a loader's `worker_init_fn` may be
# one of these). NumPy's has a second name here. That of Python is a method, pickled with its
# generator; that of torch cannot be pickled once torch._dynamo, which any optimizer imports, has
# replaced it.
_ELSEWHERE = "numpy.random.mtrand"

_lock = threading.Lock()  # taken by runs alone: a worker process may seed, and inherits it as it is
_runs: list[Seeds] = []


@contextmanager
def seeds_of_cells_kept() -> Iterator[None]:
    """Set again at the end of the block the seeds that the main thread sets during it.

    For the thread of a run, around everything that it does and puts back.
    """
    seeds: Seeds = {}
    with _lock:
        _runs.append(seeds)
        if len(_runs) == 1:
            for kind, (module, name) in _WATCHED.items():
                watched = _Watched(kind, getattr(module, name))
                _rename(watched.function, module.__name__, _ELSEWHERE)
                setattr(module, name, watched)
    try:
        yield
    finally:
        for kind in _WATCHED:
            _seed_again(seeds, kind)
        with _lock:
            _runs[:] = [others for others in _runs if others is not seeds]
            if not _runs:
                for module, name in _WATCHED.values():
                    watched = getattr(module, name)
                    if isinstance(watched, _Watched):
                        setattr(module, name, watched.function)
                        _rename(watched.function, _ELSEWHERE, module.__name__)


def _seed_again(seeds: Seeds, kind: str) -> None:
    again = None
    while again is not seeds.get(kind):  # a cell may seed just now: it comes last
        again = seeds[kind]
        with suppress(Exception):  # it was no seed, as that cell has been told
            again()


class _Watched:
    """A function that seeds; each run under way gets to know its last call on the main thread."""

    def __init__(self, kind: str, function: Callable[..., object]) -> None:
        update_wrapper(self, function)
        self.kind = kind
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        if threading.current_thread() is threading.main_thread():
            # Before the call: a run that ends meanwhile must not miss it.
            for seeds in _runs.copy():
                seeds[self.kind] = partial(self.function, *args, **kwargs)
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self.function,)  # a copy or a pickle is the function itself


def _rename(function: Any, old: str, new: str) -> None:
    if {old, new} == {np.random.__name__, _ELSEWHERE} and function.__module__ == old:
        function.__module__ = new


def _same(function: Any) -> Any:
    return function
