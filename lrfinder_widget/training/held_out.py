"""Evaluates a model on held-out batches in the middle of a run, without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrfinder_widget.data.batches import move
from lrfinder_widget.data.describe import describe
from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.runs.jobs import Found

from .baseline import eager
from .checks import check_val_batches
from .distributed import several_ranks
from .misfits import check_listed
from .step import TrainingStep
from .task import TrainingTask

Train: TypeAlias = Callable[[Any], Any]
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
        if isinstance(task.step, TrainingStep) and evaluate is None:
            check_listed(task.step.criterion, self._batches, "held_out")
        self._task = task
        self._evaluate = evaluate

    def watch(
        self, train: Train, device: torch.device | None, after: Collection[int], found: Found
    ) -> Train:
        """Return a function that trains, and that evaluates after some numbers of steps.

        Parameters
        ----------
        train : callable
            Trains on a batch and returns the loss.
        device : torch.device or None
            Where to move the held-out batches; None leaves them where they are.
        after : collection of int
            The numbers of steps.
        found : dict
            Gets the losses of the held-out batches, or the single number of `evaluate`, by the
            number of steps.
        """
        evaluate, taken = self._on(device), 0

        def train_and_evaluate(batch: Any) -> Any:
            nonlocal taken
            loss = train(batch)
            taken += 1
            if taken in after:
                found[taken] = evaluate()
            return loss

        return train_and_evaluate

    def _on(self, device: torch.device | None) -> Callable[[], NDArray[np.float64]]:
        batches = [b if device is None else move(b, device) for b in self._batches]

        def losses() -> NDArray[np.float64]:
            model = self._task.model
            optimizer: Any = self._task.optimizer
            # Schedule-free optimizers train at one point and evaluate at another.
            averages = hasattr(optimizer, "eval") and hasattr(optimizer, "train")
            objects = [thing for thing in self._task.preserved() if isinstance(thing, nn.Module)]
            # Flags, buffers, plain attributes, generators: whatever a forward pass may change.
            snapshot = Snapshot(
                [*objects, *([optimizer] if averages else [])], data=[self._task.batches]
            )
            try:
                if averages:
                    optimizer.eval()
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


def _as_number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"evaluate must return the loss as a single number; got {describe(value)}."
        ) from None
