"""Trial runs, one after another: the part of `compare` that runs in any thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray

from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.plan import check_count
from lrfinder_widget.curve.points import Points
from lrfinder_widget.curve.trial import Rate, Trial, clearly_above
from lrfinder_widget.data.batches import can_begin_again
from lrfinder_widget.data.describe import describe

from .checks import check_lrs
from .held_out import Evaluate, Found, HeldOut, Rates, Train
from .ladder import MOST_RUNGS, ladder, next_rung, warm_up_and_decay
from .param_groups import set_each
from .run_points import RunPoints
from .sweep_run import Around, SweepRun
from .task import TrainingTask
from .thread_state import ThreadState

TrialPoints: TypeAlias = Generator[tuple[float, float] | float, None, None]
"""A point ``(lr, loss)``, or a loss at the starting weights."""


class Trials:
    """The validated arguments of `compare`; `points` runs the trials, one after another.

    Parameters
    ----------
    task : TrainingTask
        What to train, on which batches, and what to put back.
    lrs, steps, schedule, halving, held_out, evaluate
        As for `compare`, with the same errors.

    Attributes
    ----------
    lrs : list of (float or tuple of float)
        The learning rates to try. To those of a ladder, others are added on the way.
    steps : int
        The steps of each trial.
    about : str
        What the learning rates are, if they are a ladder.
    unrestored : list of str
        One sentence for each thing that could not be put back after a trial.
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
        self.steps, self.about = check_count("steps", steps, at_least=10), ""
        if isinstance(lrs, str) and lrs == "ladder":
            rungs = ladder(task.model, task.optimizer)
            lrs, self.about, self.steps = rungs.lrs, rungs.reason, rungs.steps(self.steps)
            schedule = schedule or warm_up_and_decay(self.steps)
        self.lrs = check_lrs(lrs, task.optimizer)
        self._first = len(self.lrs)
        self._most = MOST_RUNGS if self.about else self._first
        if schedule is not None and not callable(schedule):
            raise TypeError(
                f"schedule must be a function schedule(i) -> factor; got {describe(schedule)}."
            )
        if evaluate is not None and held_out is None:
            raise ValueError("evaluate needs held_out=[…], the batches to evaluate on.")
        if not can_begin_again(task.batches):
            raise ValueError(
                "trial runs train with each learning rate on the same batches, so batches must be "
                f"iterable more than once; got a {type(task.batches).__name__}, which the first "
                "trial would use up. Pass a DataLoader or a list."
            )
        self._scheduled = schedule is not None
        self._factors = [1.0 if schedule is None else float(schedule(i)) for i in range(self.steps)]
        self._halving = halving
        self._held_out = None if held_out is None else HeldOut(task, held_out, evaluate)
        task.check_trainable()
        self._task = task
        self.unrestored: list[str] = []
        self._trials: dict[Rate, Trial] = {}
        self._running: tuple[Rate, list[float], Found] = (0.0, [], {})
        self._baseline: NDArray[np.float64] | None = None
        self._start: NDArray[np.float64] | None = None  # on the held-out batches
        self._done, self._seconds = 0, 0.0  # of trials that have ended

    @property
    def comparison(self) -> Comparison:
        """The results of the trials so far; may be read from any thread."""
        trials = dict(self._trials)
        lr, losses, found = self._running
        if losses:
            trials[lr] = _trial(lr, losses.copy(), found, completed=False)
        return Comparison(list(trials.values()), self._baseline, self._start, self._scheduled)

    @property
    def steps_in_all(self) -> int:
        """The steps of all trials together at most: some may explode, or a ladder end early."""
        left, steps = self._first, (self._most - self._first) * self.steps
        for each in self._rounds():
            steps += left * each
            left = max(2, (left + 1) // 2)
        return steps

    @property
    def seconds_per_step(self) -> float | None:
        """How long a step takes, with its share of evaluations; None before a trial has ended."""
        return self._seconds / self._done if self._done else None

    def points(self) -> RunPoints:
        """Run the trials and yield each loss together with its learning rate.

        Without held-out batches, the losses at the starting weights follow, as single numbers.
        """
        return RunPoints(self._points(self._task.thread_state()), self.unrestored)

    def _points(self, thread_state: ThreadState) -> TrialPoints:
        self._judge_the_start(thread_state)
        left = list(self.lrs)
        for steps in self._rounds():
            for lr in left:
                yield from self._run(lr, steps, thread_state)
            better = [lr for lr in self.comparison.ranking if self._trials[lr].completed]
            left = [lr for lr in better if lr in left][: max(2, (len(left) + 1) // 2)]
        while (rung := self._next_rung()) is not None:
            self.lrs.append(rung)
            yield from self._run(rung, self.steps, thread_state)
        if self._held_out is None and self.comparison.winner is not None:
            yield from self._at_the_start(thread_state)

    def _next_rung(self) -> float | None:
        if not self.about:
            return None
        lrs, best = [trial.largest for trial in self._trials.values()], self.comparison.winner
        if best == min(lrs) and self._is_as_at_the_start(self._trials[best]):
            return None  # still lower ones would be, too
        return next_rung(lrs, cast(float | None, best))

    def _is_as_at_the_start(self, trial: Trial) -> bool:
        start, end = self._start, trial.judged
        if start is None or end is None:
            return False
        return not clearly_above(start, end) and not clearly_above(end, start)

    def _rounds(self) -> list[int]:
        """Return the number of steps of a trial in each round; it doubles from round to round."""
        halvings = 0
        while self._halving and self._first > 2 ** (halvings + 1):
            halvings += 1
        return [max(10, self.steps >> left) for left in reversed(range(halvings + 1))]

    def _run(self, lr: Rate, steps: int, thread_state: ThreadState) -> TrialPoints:
        # In the middle of a decay, the loss says little about its end.
        after = {steps} if self._scheduled else {steps // 4, steps // 2, steps}
        losses: list[float] = []
        found: Found = {}

        def around(train: Train, device: torch.device | None) -> Train:
            if isinstance(lr, tuple):
                set_each(self._task.optimizer, lr)
            if self._held_out is None:
                return train
            return self._held_out.watch(train, device, after, found)

        lrs = [(max(lr) if isinstance(lr, tuple) else lr) * f for f in self._factors[:steps]]
        run = self._sweep_run(lrs, thread_state, around)
        reason, began = "stopped", time.monotonic()
        self._running = (lr, losses, found)
        try:
            with closing(cast(Points, run.items())) as points:
                while True:
                    try:
                        point = next(points)
                    except StopIteration as end:
                        reason = end.value
                        return
                    losses.append(point[1])
                    yield point
        finally:
            self._note(run)
            self._trials[lr] = _trial(lr, losses, found, completed=reason == "completed")
            self._running = (0.0, [], {})
            self._done += len(losses)
            self._seconds += time.monotonic() - began

    def _sweep_run(self, lrs: list[float], thread_state: ThreadState, around: Around) -> SweepRun:
        return SweepRun(
            self._task,
            lrs,
            stop=_has_exploded,
            around=around,
            check_effect=False,  # a test tells
            thread_state=thread_state,
        )

    def _judge_the_start(self, thread_state: ThreadState) -> None:
        """Evaluate the starting weights; lazy layers get those of the trials, as there."""
        held_out = self._held_out
        if held_out is None:
            return
        found: Found = {}

        def around(_: Train, device: torch.device | None) -> Train:
            return held_out.watch(lambda batch: 0.0, device, {1}, found)

        run = self._sweep_run([1.0], thread_state, around)
        try:
            with closing(run.items()) as points:
                for _ in points:
                    pass
        finally:
            self._note(run)
        self._start = found[1]

    def _at_the_start(self, thread_state: ThreadState) -> TrialPoints:
        if not self._task.has_batch_losses:
            return
        lrs = [1.0] * self.steps  # nothing is trained, so any learning rate will do
        run = SweepRun(self._task, lrs, stop=None, train=False, thread_state=thread_state)
        losses: list[float] = []
        try:
            with closing(cast(Points, run.items())) as points:
                for _, loss in points:
                    losses.append(loss)
                    yield loss
        finally:
            self._note(run)
        if len(losses) == self.steps and np.isfinite(losses).all():
            self._baseline = np.array(losses)

    def _note(self, run: SweepRun) -> None:
        """Note what a run could not put back, each sentence once."""
        self.unrestored += [said for said in run.unrestored if said not in self.unrestored]


def _trial(lr: Rate, losses: list[float], found: Found, *, completed: bool) -> Trial:
    # On an accelerator, steps run ahead of their losses; what came after the end does not count.
    held_out = {steps: each for steps, each in dict(found).items() if steps <= len(losses)}
    return Trial(lr, np.array(losses), completed, held_out)


def _has_exploded(losses: NDArray[np.float64]) -> bool:
    """Return whether a trial is so far above its start that it will not recover in time."""
    if len(losses) < 25 or len(losses) % 5:
        return False
    noise = float(np.median(np.abs(np.diff(losses[:20]))))
    return bool(np.median(losses[-5:]) > np.median(losses[:5]) + 100 * noise)
