"""Trial runs: which of a few learning rates actually trains best, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.comparison import Comparison, Trial
from lrfinder_widget.curve.plan import check_count
from lrfinder_widget.curve.points import Points

from .sweep_run import SweepRun
from .task import TrainingTask
from .thread_state import ThreadState

TrialPoints: TypeAlias = Generator[tuple[float, float] | float, None, None]
"""A point ``(lr, loss)``, or a loss at the starting weights."""


def compare(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    criterion: Callable[..., Tensor] | None = None,
    *,
    lrs: Iterable[float],
    steps: int = 500,
    schedule: Callable[[int], float] | None = None,
    halving: bool = False,
    **options: Any,
) -> Comparison:
    """Train for a few hundred steps with each of a few learning rates, and rank them.

    Each trial starts from the same weights and uses the same batches, in the same order, with the
    same random numbers; only the learning rate differs. At the end the losses of the starting
    weights on these batches are measured, without training, to show whether training helped. That
    takes about a third of a trial's time, and is skipped with a custom ``step``, with
    ``val_batches`` and with several processes. Everything is put back, as by `sweep`. Blocks until
    all trials have ended.

    Parameters
    ----------
    model, optimizer, batches, criterion
        As for `sweep`, but `batches` must be iterable more than once.
    lrs : iterable of float
        The learning rates to try: positive, finite and each given once.
    steps : int, default 500
        Optimizer steps of each trial, at least 10; `LRFinder.compare` takes 200 by default.
    schedule : callable, optional
        ``schedule(i)`` returns the factor on the learning rate at step ``i``, counted from 0, as
        for `torch.optim.lr_scheduler.LambdaLR`. Without it, the learning rate is constant.
    halving : bool, default False
        Start with short trials of all learning rates, then restart the better half from the
        beginning with twice as many steps, until the last two run all `steps` (successive halving,
        Jamieson and Talwalkar, arXiv:1502.07943). Worth it for half a dozen learning rates or more.
    **options
        As for `sweep`: ``step``, ``accumulate``, ``val_batches``, ``preserve``, ``device``.

    Returns
    -------
    Comparison
        The losses of each trial, and their ranking.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before anything is touched.
    BaseException
        Whatever your model, loss or data raised, or an interrupt, once everything is put back.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> data = [(torch.ones(8, 3), torch.ones(8, 1))]
    >>> compare(model, optimizer, data, nn.MSELoss(), lrs=[1e-4, 1e-2], steps=50).winner
    0.01
    """
    for name in ("start_lr", "end_lr", "num_iter", "mode", "stop", "repeats"):
        if name in options:
            raise TypeError(
                f"compare takes no {name}: it takes lrs and the steps for each of them."
            )
    task = TrainingTask(model, optimizer, batches, criterion, **options)
    trials = Trials(task, lrs, steps, schedule=schedule, halving=halving)
    with closing(trials.points()) as points:
        for _ in points:
            pass
    return trials.comparison


class Trials:
    """The validated arguments of `compare`; `points` runs the trials, one after another.

    Parameters
    ----------
    task : TrainingTask
        What to train, on which batches, and what to put back.
    lrs, steps, schedule, halving
        As for `compare`, with the same errors.
    """

    def __init__(
        self,
        task: TrainingTask,
        lrs: Iterable[float],
        steps: int,
        *,
        schedule: Callable[[int], float] | None = None,
        halving: bool = False,
    ) -> None:
        self.lrs = _check_lrs(lrs)
        self.steps = check_count("steps", steps, at_least=10)
        if schedule is not None and not callable(schedule):
            raise TypeError(f"schedule must be a function schedule(i) -> factor; got {schedule!r}.")
        if isinstance(task.batches, Iterator):
            raise ValueError(
                "trial runs train with each learning rate on the same batches, so batches must be "
                f"iterable more than once; got a {type(task.batches).__name__}, which the first "
                "trial would use up. Pass a DataLoader or a list."
            )
        self._factors = [1.0 if schedule is None else float(schedule(i)) for i in range(self.steps)]
        self._halving = halving
        task.check_trainable()
        self._task = task
        self._trials: dict[float, Trial] = {}
        self._running: tuple[float, list[float]] = (0.0, [])
        self._baseline: NDArray[np.float64] | None = None

    @property
    def comparison(self) -> Comparison:
        """The results of the trials so far; may be read from any thread."""
        trials = dict(self._trials)
        lr, losses = self._running
        if losses:
            trials[lr] = Trial(lr, np.array(losses.copy()), completed=False)
        return Comparison(list(trials.values()), self._baseline)

    def points(self) -> TrialPoints:
        """Run the trials and yield each loss together with its learning rate.

        The losses at the starting weights follow, as single numbers.
        """
        return self._points(self._task.thread_state())

    def _points(self, thread_state: ThreadState) -> TrialPoints:
        left = list(self.lrs)
        for steps in self._rounds():
            for lr in left:
                yield from self._run(lr, steps, thread_state)
            better = [lr for lr in self.comparison.ranking if self._trials[lr].completed]
            left = [lr for lr in better if lr in left][: max(2, (len(left) + 1) // 2)]
        if self.comparison.winner is not None:
            yield from self._at_the_start(thread_state)

    def _rounds(self) -> list[int]:
        """Return the number of steps of a trial in each round; it doubles from round to round."""
        halvings = 0
        while self._halving and len(self.lrs) > 2 ** (halvings + 1):
            halvings += 1
        return [max(10, self.steps >> left) for left in reversed(range(halvings + 1))]

    def _run(self, lr: float, steps: int, thread_state: ThreadState) -> TrialPoints:
        lrs = [lr * factor for factor in self._factors[:steps]]
        run = SweepRun(
            self._task, lrs, stop=_has_exploded, check_effect=False, thread_state=thread_state
        )
        losses: list[float] = []
        reason = "stopped"
        self._running = (lr, losses)
        try:
            with closing(cast(Points, run.items())) as points:
                while True:
                    try:
                        _, loss = next(points)
                    except StopIteration as end:
                        reason = end.value
                        return
                    losses.append(loss)
                    yield lr, loss
        finally:
            self._trials[lr] = Trial(lr, np.array(losses), reason == "completed")
            self._running = (lr, [])

    def _at_the_start(self, thread_state: ThreadState) -> TrialPoints:
        if not self._task.has_batch_losses:
            return
        lrs = self.lrs[:1] * self.steps  # nothing is trained, so any learning rate will do
        run = SweepRun(self._task, lrs, stop=None, train=False, thread_state=thread_state)
        losses: list[float] = []
        with closing(cast(Points, run.items())) as points:
            for _, loss in points:
                losses.append(loss)
                yield loss
        if len(losses) == self.steps and np.isfinite(losses).all():
            self._baseline = np.array(losses)


def _has_exploded(losses: NDArray[np.float64]) -> bool:
    """Return whether a trial is so far above its start that it will not recover in time."""
    if len(losses) < 25 or len(losses) % 5:
        return False
    noise = float(np.median(np.abs(np.diff(losses[:20]))))
    return bool(np.median(losses[-5:]) > np.median(losses[:5]) + 100 * noise)


def _check_lrs(lrs: Any) -> list[float]:
    try:
        checked = [float(lr) for lr in lrs]
    except (TypeError, ValueError):
        checked = []
    positive = all(np.isfinite(lr) and lr > 0 for lr in checked)
    if not checked or not positive or len(set(checked)) < len(checked):
        raise ValueError(f"lrs must be a list of positive learning rates, each once; got {lrs!r}.")
    return checked
