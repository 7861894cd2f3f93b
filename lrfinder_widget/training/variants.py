"""What is trained where another setting is varied: a task for each value, and what is set on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import NO_BUDGET, Budget
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import RunPoints
from lrfinder_widget.curve.variation import Value
from lrfinder_widget.data.anew import loader_anew, why_not_anew
from lrfinder_widget.data.batches import can_begin_again
from lrfinder_widget.data.describe import describe
from lrfinder_widget.restore.random_state import random_states
from lrfinder_widget.runs.jobs import one_by_one
from lrfinder_widget.runs.varied_runs import Settings, VariedJob, VariedRuns

from .checks import check_kind
from .held_out import Train
from .settings import set_values
from .sweep_run import SweepRun
from .task import TrainingTask
from .thread_state import ThreadState

Make: TypeAlias = Callable[[list[nn.Parameter]], Optimizer]
MakeBatches: TypeAlias = Callable[[int], Iterable[Any]]

USUAL: Mapping[str, Make] = {
    "SGD": partial(torch.optim.SGD, momentum=0.9),
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}
"""Those that the page offers. The learning rate is set in the test."""


class Variants:
    """A task for each test of `vary`, made and checked before any of them begins.

    Parameters
    ----------
    task : TrainingTask
        What is trained without any change.
    settings : mapping of str to sequence
        The values of each setting, see `check_settings`.
    optimizers : mapping of str to callable, optional
        The functions of the values of ``optimizer``.
    make_batches : callable, optional
        Returns the batches of a size, where they are no `DataLoader` that can be made anew.

    Raises
    ------
    TypeError, ValueError
        If a setting cannot be varied.
    """

    def __init__(
        self,
        task: TrainingTask,
        settings: Settings,
        *,
        optimizers: Mapping[str, Make] | None = None,
        make_batches: MakeBatches | None = None,
    ) -> None:
        self._settings = settings
        parameters = [p for group in task.optimizer.param_groups for p in group["params"]]
        makes = optimizers or {}
        names, sizes = settings.get("optimizer", ()), settings.get("batch_size", ())
        _check_make_batches(make_batches, sizes)
        random = random_states()  # that the user's functions may draw from
        try:
            made = {name: _made(str(name), makes[str(name)], parameters) for name in names}
            loaders = {size: _loader(task.batches, int(size), make_batches) for size in sizes}
        finally:
            for put_back in random:
                put_back()
        self._tasks: dict[tuple[Value | None, Value | None], TrainingTask] = {(None, None): task}
        if made or loaders:
            self._tasks = {
                (name, size): task.replaced(made.get(name), loaders.get(size))  # type: ignore[arg-type]
                for name, size in itertools.product(made or [None], loaders or [None])
            }
        for each in self._tasks.values():
            _check_again(each.batches)
            each.check_trainable()
        self.budgets()  # raises what an optimizer lacks

    def budgets(self) -> list[Budget]:
        """Return what the optimizer of each test shows of the training, in the order of the tests.

        Raises
        ------
        ValueError
            If an optimizer lacks a setting.
        """
        found = []
        for values in itertools.product(*self._settings.values()):
            chosen = dict(zip(self._settings, values, strict=True))
            task = self._task(chosen)
            groups = [dict(group) for group in task.optimizer.param_groups]
            set_values(task.optimizer, groups, chosen)
            found.append(task.budget(NO_BUDGET, groups))
        return found

    def run(self, job: VariedJob, thread_state: ThreadState) -> SweepRun:
        """Return the run of one test."""
        task = self._task(job.chosen)

        def around(train: Train, _device: torch.device | None) -> Train:
            # Inside the run: whatever becomes of it, its restore puts the groups back.
            set_values(task.optimizer, task.optimizer.param_groups, job.chosen)
            return train

        run = SweepRun.of(task, job.plan, around=around, thread_state=thread_state)
        run.baseline.asked_for = True
        return run

    def _task(self, chosen: Mapping[str, Value]) -> TrainingTask:
        return self._tasks[chosen.get("optimizer"), chosen.get("batch_size")]


def varied(
    task: TrainingTask,
    settings: Settings,
    plan: SweepPlan,
    planned: Budget,
    thread_state: ThreadState,
    **makes: Any,
) -> tuple[VariedRuns, RunPoints]:
    """Return tests with other settings varied, one after another, and their points.

    Parameters
    ----------
    task, settings, plan, planned
        See `VariedRuns` and `Variants`.
    thread_state : ThreadState
        The state in which to run the steps.
    **makes
        ``optimizers`` and ``make_batches``, see `Variants`.

    Raises
    ------
    TypeError, ValueError
        If a setting cannot be varied.
    """
    if plan.diagnose:  # all optimizers hold the same parameters
        task.check_diagnosable()
    variants, runs = Variants(task, settings, **makes), VariedRuns(settings, plan, planned)
    runs.learn(variants.budgets())
    points = one_by_one(runs, lambda job: variants.run(job, thread_state))
    return runs, RunPoints(points, runs.unrestored)


def named(optimizers: Any) -> dict[str, Make] | None:
    """Return the functions that make optimizers by their names; None if there are none.

    Raises
    ------
    TypeError, ValueError
        If one of them cannot be called, or two have the same name.
    """
    if optimizers is None:
        return None
    if not isinstance(optimizers, Iterable) or isinstance(optimizers, str):
        raise TypeError(_MAKES.format(describe(optimizers)))
    if isinstance(optimizers, Mapping):
        pairs = [(str(name), make) for name, make in optimizers.items()]
    else:
        pairs = [(getattr(make, "__name__", type(make).__name__), make) for make in optimizers]
    for _, make in pairs:
        if not callable(make):
            raise TypeError(_MAKES.format(describe(make)))
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(
            f"optimizers must have different names; got {names}. Pass a dict, which names them."
        )
    return dict(pairs)


_MAKES = (
    "optimizers must be a list or a dict of functions of the parameters that return an optimizer, "
    "such as [torch.optim.SGD, torch.optim.Adam]; got {}."
)


def _made(name: str, make: Make, parameters: list[nn.Parameter]) -> Optimizer:
    with _noting(f"the function of optimizers that is named {name}"):
        made = make(parameters)
    check_kind(f"what {name}(parameters) returns", made, Optimizer, "a torch.optim.Optimizer")
    return made


def _check_make_batches(make: Any, sizes: Sequence[Value]) -> None:
    if make is None:
        return
    if not callable(make):
        raise TypeError(
            "make_batches must be a function of the batch size that returns batches; got "
            f"{describe(make)}."
        )
    if not sizes:
        raise ValueError("make_batches makes the batches of batch_size=[…], which is not given.")


def _loader(batches: Any, size: int, make: MakeBatches | None) -> Iterable[Any]:
    if make is not None:
        with _noting(f"make_batches({size})"):
            made = make(size)
        if made is None:
            raise TypeError(f"make_batches({size}) returned None: it must return the batches.")
        return made
    if why := why_not_anew(batches):
        raise ValueError(f"{why} Pass make_batches=…, a function of the batch size.")
    return loader_anew(batches, size)


@contextmanager
def _noting(what: str) -> Iterator[None]:
    """Note on an exception of a user's function which one it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"This came from {what}.")
        raise


def _check_again(batches: Any) -> None:
    if not can_begin_again(batches):
        raise ValueError(
            "each test trains on the same batches, so these must be iterable more than once; got "
            f"{describe(batches)}, which the first test would use up. Pass a DataLoader or a list."
        )
