"""One trial run: a run with one learning rate that is also evaluated on held-out batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrfinder_widget.curve.trial import Rate

from .baseline import eager
from .batches import move
from .checks import check_val_batches
from .distributed import several_ranks
from .snapshot import Snapshot
from .step import TrainingStep, describe
from .sweep_run import SweepRun
from .task import Stop, TrainingTask
from .thread_state import ThreadState

Evaluate: TypeAlias = Callable[[nn.Module, Sequence[Any]], float]
Rates: TypeAlias = Iterable[float | Sequence[float]] | Literal["ladder"]
"""What to try: numbers, one number for each parameter group, or what is known of the optimizer."""


class HeldOut:
    """Held-out batches, and how to evaluate the model on them. An evaluation changes nothing.

    Parameters
    ----------
    task : TrainingTask
        Whose model to evaluate.
    batches : sequence
        The held-out batches.
    evaluate : callable, optional
        ``evaluate(model, batches) -> float``; by default the loss of the textbook step.

    Raises
    ------
    TypeError, ValueError
        For arguments that cannot work.
    """

    def __init__(self, task: TrainingTask, batches: Any, evaluate: Evaluate | None) -> None:
        self._batches = check_val_batches(batches, "held_out") or []
        if evaluate is not None and not callable(evaluate):
            raise TypeError(
                f"evaluate must be a function evaluate(model, batches) -> loss; got {evaluate!r}."
            )
        if evaluate is None and not isinstance(task.step, TrainingStep):
            raise ValueError(
                "with a step of your own, held_out needs evaluate=…, a function evaluate(model, "
                "batches) -> loss, as only your own code knows how to compute a loss without "
                "training."
            )
        if several_ranks():
            raise ValueError(
                "held_out works in a single process only: the processes of a distributed training "
                "could come to different rankings. Leave it out, or run the trials in one process."
            )
        self._task = task
        self._evaluate = evaluate

    def on(self, device: torch.device | None) -> Callable[[], NDArray[np.float64]]:
        """Move the batches to `device`, and return the function that evaluates on them.

        It returns the loss of each batch, or the single number of `evaluate`.
        """
        batches = [b if device is None else move(b, device) for b in self._batches]

        def losses() -> NDArray[np.float64]:
            model = self._task.model
            modules = [thing for thing in self._task.preserved() if isinstance(thing, nn.Module)]
            # Flags, buffers, plain attributes, generators: whatever a forward pass may change.
            snapshot = Snapshot(modules, data=[self._task.batches])
            try:
                model.eval()
                torch.clear_autocast_cache()  # the last step has changed the weights
                with eager(model), torch.no_grad():
                    found = self._losses(batches)
            finally:
                snapshot.restore()
            return found

        return losses

    def _losses(self, batches: list[Any]) -> NDArray[np.float64]:
        step: Any = self._task.step
        if self._evaluate is None:
            each = torch.stack([step.validate([batch]) for batch in batches])
            return np.array(each.tolist())
        return np.array([_as_number(self._evaluate(self._task.model, batches))])


class TrialRun(SweepRun):
    """One trial run; without training, it only evaluates the starting weights, once.

    Parameters
    ----------
    task : TrainingTask
        What to train and put back.
    lr : float or tuple of float
        The learning rate, or those of the parameter groups.
    factors : sequence of float
        What to multiply it by at each step.
    stop : callable or None
        When to end early.
    thread_state : ThreadState
        The state in which to run the steps.
    held_out : HeldOut, optional
        What to evaluate on.
    after : collection of int
        The numbers of steps after which to evaluate.
    train : bool
        As for `SweepRun`, without held-out batches.

    Attributes
    ----------
    evaluations : dict of int to ndarray of float64
        The losses of the held-out batches, by the number of steps.
    """

    def __init__(
        self,
        task: TrainingTask,
        lr: Rate,
        factors: Sequence[float],
        *,
        stop: Stop,
        thread_state: ThreadState,
        held_out: HeldOut | None = None,
        after: Collection[int] = (),
        train: bool = True,
    ) -> None:
        largest = max(lr) if isinstance(lr, tuple) else lr
        lrs = [largest * factor for factor in factors]
        super().__init__(task, lrs, stop=stop, train=train, thread_state=thread_state)
        self._of_groups = lr if isinstance(lr, tuple) else None
        self._held_out = held_out
        self._after = after
        self.evaluations: dict[int, NDArray[np.float64]] = {}

    def _steps(self) -> Any:
        # Here everything has been saved, and the ratios of the groups have not been read yet.
        for group, lr in zip(self.task.optimizer.param_groups, self._of_groups or (), strict=False):
            if isinstance(group["lr"], Tensor):
                group["lr"].detach().fill_(lr)
            else:
                group["lr"] = lr
        return super()._steps()

    def _training(self) -> Callable[[Any], Any]:
        if self._held_out is None:
            return super()._training()
        evaluate, taken = self._held_out.on(self._batches.device), 0
        if not self._trains:
            return lambda _: float(self.evaluations.setdefault(0, evaluate()).mean())
        train = super()._training()

        def train_and_evaluate(batch: Any) -> Any:
            nonlocal taken
            loss = train(batch)
            taken += 1
            if taken in self._after:
                self.evaluations[taken] = evaluate()
            return loss

        return train_and_evaluate


def _as_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"evaluate must return the loss as a single number; got {describe(value)}."
        ) from None
