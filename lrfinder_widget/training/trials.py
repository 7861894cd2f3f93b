"""Trial runs, one after another: the part of `compare` that runs in any thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrfinder_widget.curve.points import RunPoints
from lrfinder_widget.data.batches import can_begin_again
from lrfinder_widget.data.describe import describe
from lrfinder_widget.runs.jobs import Found, one_by_one
from lrfinder_widget.runs.trial_runs import TrialJob, TrialRuns

from .checks import check_lrs
from .family import family_of
from .held_out import Evaluate, HeldOut, Rates, Train
from .ladder import ladder
from .param_groups import set_each
from .sweep_run import SweepRun
from .task import TrainingTask
from .thread_state import ThreadState


class Trials(TrialRuns):
    """The validated arguments of `compare`; `points` runs the trials, one after another.

    Parameters
    ----------
    task : TrainingTask
        What to train, on which batches, and what to put back.
    lrs, steps, schedule, halving, held_out, evaluate
        As for `compare`, with the same errors.
    """

    def __init__(
        self,
        task: TrainingTask,
        lrs: Rates,
        steps: int,
        *,
        schedule: Callable[[int], float] | None = None,
        halving: bool = False,
        held_out: Sequence[Any] | None = None,
        evaluate: Evaluate | None = None,
    ) -> None:
        if schedule is not None and not callable(schedule):
            raise TypeError(
                f"schedule must be a function schedule(i) -> factor; got {describe(schedule)}."
            )
        climbs = isinstance(lrs, str) and lrs == "ladder"
        super().__init__(
            [] if climbs else check_lrs(lrs, task.optimizer),
            steps,
            schedule=schedule,
            halving=halving,
            climbs=climbs,
            judged=held_out is not None,
        )
        if climbs:
            self.climb(ladder(task.model, task.optimizer))
        self._held_out = check_trials(task, held_out, evaluate)
        self._has_baseline = task.has_batch_losses
        self._family = family_of(task.optimizer)
        self._task = task

    def points(self) -> RunPoints:
        """Run the trials and yield each loss together with its learning rate.

        Without held-out batches, the losses at the starting weights follow, as single numbers.
        """
        task, held_out, state = self._task, self._held_out, self._task.thread_state()
        return RunPoints(
            one_by_one(self, lambda job: trial_run(task, job, held_out, self.found(job), state)),
            self.unrestored,
        )


def check_trials(
    task: TrainingTask, held_out: Sequence[Any] | None, evaluate: Evaluate | None
) -> HeldOut | None:
    """Return the held-out batches, checked, if there are any; check that trials can be run.

    Raises
    ------
    TypeError, ValueError
        If they cannot, or the arguments cannot be used.
    """
    if evaluate is not None and held_out is None:
        raise ValueError("evaluate needs held_out=[…], the batches to evaluate on.")
    if not can_begin_again(task.batches):
        raise ValueError(
            "trial runs train with each learning rate on the same batches, so batches must be "
            f"iterable more than once; got a {type(task.batches).__name__}, which the first "
            "trial would use up. Pass a DataLoader or a list."
        )
    task.check_trainable()
    return None if held_out is None else HeldOut(task, held_out, evaluate)


def trial_run(
    task: TrainingTask,
    job: TrialJob,
    held_out: HeldOut | None,
    found: Found,
    thread_state: ThreadState,
) -> SweepRun:
    """Return the run of one job; what it measures on the held-out batches is put into `found`."""
    if job.kind == "baseline":
        return SweepRun(task, job.lrs, stop=None, train=False, thread_state=thread_state)

    def around(train: Train, device: torch.device | None) -> Train:
        if isinstance(job.lr, tuple):
            set_each(task.optimizer, job.lr)
        if job.kind == "start":  # lazy layers get the weights of the trials, as there
            train = _no_training
        return train if held_out is None else held_out.watch(train, device, job.after, found)

    return SweepRun(
        task,
        job.lrs,
        stop=_has_exploded,
        around=around,
        check_effect=False,  # a test tells
        thread_state=thread_state,
    )


def _no_training(_batch: Any) -> float:
    return 0.0


def _has_exploded(losses: NDArray[np.float64]) -> bool:
    """Return whether a trial is so far above its start that it will not recover in time."""
    if len(losses) < 25 or len(losses) % 5:
        return False
    noise = float(np.median(np.abs(np.diff(losses[:20]))))
    return bool(np.median(losses[-5:]) > np.median(losses[:5]) + 100 * noise)
