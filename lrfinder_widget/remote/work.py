"""On the worker: builds what is trained, then runs one test or trial at a time when asked to.

Each call returns plain values, an exception of the user's code as one of them: engines differ in
how they hand on what is raised.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import platform
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from lrfinder_widget.curve.budget import NO_BUDGET
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Item
from lrfinder_widget.runs.jobs import Found
from lrfinder_widget.runs.trial_runs import TrialJob
from lrfinder_widget.runs.varied_runs import VariedJob
from lrfinder_widget.training.checks import check_lrs
from lrfinder_widget.training.held_out import HeldOut
from lrfinder_widget.training.ladder import ladder
from lrfinder_widget.training.source import about_task
from lrfinder_widget.training.sweep_run import SweepRun
from lrfinder_widget.training.task import TrainingTask
from lrfinder_widget.training.trials import check_trials, trial_run
from lrfinder_widget.training.variants import Variants

from .wire import (
    Chunk,
    Plain,
    about_to_plain,
    budgets_to_plain,
    chunk_to_plain,
    error_to_plain,
    items_to_plain,
)

_TAKES = inspect.signature(TrainingTask).parameters

# In this process: two runs would draw from each other's random numbers.
_under_way: weakref.WeakSet[Work] = weakref.WeakSet()


def versions() -> dict[str, str]:
    """Return the versions of what a run depends on."""
    return {
        "Python": platform.python_version(),
        "torch": str(torch.__version__),
        "lrfinder_widget": sys.modules["lrfinder_widget"].__version__,
    }


def _answered(act: Callable[..., Plain | None]) -> Callable[..., Plain]:
    """Let a method return what it raises, and let it be called by one thread at a time."""

    @functools.wraps(act)
    def answer(self: Work, *args: Any) -> Plain:
        try:
            with self._lock:
                return act(self, *args) or {}
        except BaseException as error:  # noqa: BLE001 - raised in the notebook
            return {"error": error_to_plain(error)}

    return answer


class Work:
    """What is kept on a worker. No code of the user's runs when it is made.

    An engine that has made it anew, on another worker, gets ``{"lost": True}`` where a run or what
    it needs is not known here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._task: TrainingTask | None = None
        self._held_out: HeldOut | None = None
        self._variants: Variants | None = None
        self._id = 0  # of the run under way; they are counted from 1
        self._latest = 0
        self._ended: tuple[int, Plain] = (0, {})  # the last run, and what to say of it
        self._found: Found = {}
        self._count = 0

    @_answered
    def hello(self) -> Plain:
        """Tell where this is, and the versions there."""
        return {"host": platform.node(), "pid": os.getpid(), "versions": versions()}

    @_answered
    def build(self, setup: bytes, seed: int) -> Plain:
        """Call the user's `setup`, with the same random numbers everywhere."""
        self._alone()
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        self._task = task = _task(pickle.loads(setup)())
        self._variants = None
        rungs = None
        with suppress(Exception):  # it is only offered
            rungs = ladder(task.model, task.optimizer)
        about = about_task(task, task.budget(NO_BUDGET))
        return about_to_plain(about, rungs, batch_losses=task.has_batch_losses)

    @_answered
    def judge(self, held_out: bytes | None) -> Plain | None:
        """Take the held-out batches of trial runs, and how they are evaluated."""
        if self._task is None:
            return {"lost": True}
        batches, evaluate = (None, None) if held_out is None else pickle.loads(held_out)
        self._held_out = check_trials(self._task, batches, evaluate)
        return None

    @_answered
    def vary(self, given: bytes) -> Plain:
        """Take what is varied in tests; tell what the optimizer of each shows."""
        if self._task is None:
            return {"lost": True}
        settings, makes = pickle.loads(given)
        self._variants = Variants(self._task, settings, **makes)
        return budgets_to_plain(self._variants.budgets())

    @_answered
    def begin(self, run: int, what: SweepPlan | TrialJob | VariedJob) -> Plain | None:
        """Begin a run; `take` asks for its points."""
        if self._task is None or (isinstance(what, VariedJob) and self._variants is None):
            return {"lost": True}
        if run <= self._latest:  # closed before it began: calls may overtake each other
            return None
        self._latest = run
        self._end(self._id, "stopped")
        self._alone()
        task, self._found = self._task, {}
        if isinstance(what, SweepPlan):
            self._run = SweepRun.of(task, what)
            self._run.baseline.asked_for = True
        elif isinstance(what, VariedJob):
            assert self._variants is not None
            self._run = self._variants.run(what, task.thread_state())
        else:
            if what.kind == "trial":
                check_lrs([what.lr], task.optimizer)
            state = task.thread_state()
            self._run = trial_run(task, what, self._held_out, self._found, state)
        self._items, self._id, self._count = self._run.items(), run, 0
        _under_way.add(self)
        return None

    @_answered
    def take(self, run: int, seconds: float) -> Plain:
        """Return what comes within so many seconds, at least one item, and how it has ended."""
        if run == self._ended[0]:  # asked for before its end was known
            return self._ended[1]
        if run != self._id:
            return {"lost": True}
        until, before = time.monotonic() + seconds, self._count
        items: list[Item] = []
        try:
            while not items or time.monotonic() < until:
                items.append(next(self._items))
                self._count += 1
            told = chunk_to_plain(Chunk(before, [], held_out=self._found))
        except StopIteration as end:
            told = self._end(run, end.value)
        except BaseException as error:  # noqa: BLE001 - raised in the notebook
            told = self._end(run, "failed") | {"error": error_to_plain(error)}
            self._ended = run, told
        return told | {"start": before, "items": items_to_plain(items)}

    @_answered
    def close(self, run: int) -> Plain:
        """End a run if it is under way, and put everything back."""
        if run == self._id:
            return self._end(run, "stopped")
        if run > self._latest:
            self._latest, self._ended = run, (run, chunk_to_plain(Chunk(0, [], "stopped")))
        return self._ended[1]

    @_answered
    def drop(self) -> Plain:
        """Put everything back, and let go of it."""
        self._task = self._held_out = self._variants = None
        return self._end(self._id, "stopped")

    def _end(self, run: int, reason: Any) -> Plain:
        if not self._id:
            return {}
        self._id = 0
        try:
            self._items.close()  # restores
        finally:
            _under_way.discard(self)
            end = Chunk(self._count, [], reason, self._run.unrestored, self._found)
            self._ended = run, chunk_to_plain(end)
            del self._items, self._run
        return self._ended[1]

    def _alone(self) -> None:
        if any(other is not self for other in list(_under_way)):
            raise RuntimeError(
                f"another finder's run is in progress in the same process on {platform.node()}, "
                "and each would draw from the other's random numbers: stop that one, use more "
                "workers, or, if its notebook is gone, restart this one."
            )


def with_metric(setup: Callable[[], Any], metric: Any) -> Any:
    """Call the user's `setup`, and add a metric to what it returns."""
    parts = setup()
    if isinstance(parts, (tuple, list)) and len(parts) in (3, 4):
        parts = dict(zip(_TAKES, parts, strict=False))
    return {**parts, "metric": metric} if isinstance(parts, dict) else parts


def _task(parts: Any) -> TrainingTask:
    """Return the task of what `setup` has returned.

    Raises
    ------
    TypeError, ValueError
        If it is not what `LRFinder` takes.
    """
    if isinstance(parts, dict):
        if wrong := [repr(name) for name in parts if name not in _TAKES]:
            raise TypeError(
                f"setup() returned a dict with {', '.join(wrong)}; it may have "
                f"{', '.join(_TAKES)}. The range, and what else LRFinder.remote takes, is given "
                "to that."
            )
        needed = (name for name, one in _TAKES.items() if one.default is one.empty)
        if missing := [repr(name) for name in needed if name not in parts]:
            raise TypeError(f"setup() returned a dict without {', '.join(missing)}.")
        return TrainingTask(**parts)
    if isinstance(parts, (tuple, list)) and len(parts) in (3, 4):
        return TrainingTask(*parts)
    raise TypeError(
        "setup() must return (model, optimizer, batches, criterion), or a dict of what LRFinder "
        f"takes; got a {type(parts).__name__}."
    )
