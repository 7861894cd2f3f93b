"""Looks at the steps of a run while they are taken: their gradients and their updates.

The losses are the same, to the bit, as without it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.diagnosis import StepDiagnosis
from lrfinder_widget.restore.snapshot import Snapshot

from .baseline import forward_only
from .critical_lr import CriticalLR
from .guard import Guard
from .norms import Norms, Sent
from .step import TrainingStep
from .task import TrainingTask

SEARCHES = 12
"""How often the critical learning rate is searched in a run, about."""
_RESOLVED = 16  # times the distance of two numbers: below, an update is mostly rounding


class Diagnoser:
    """Diagnoses the steps of one repeat of a run.

    Parameters
    ----------
    task : TrainingTask
        What is trained.
    guard : Guard
        Hears of each update.
    points : int
        The number of steps at most.
    """

    def __init__(self, task: TrainingTask, guard: Guard, points: int) -> None:
        self._norms = Norms(task.model, task.optimizer)
        self._critical_lr = CriticalLR(_loss_of(task), partial(_state_of, task))
        self._groups = task.optimizer.param_groups
        self._every = max(1, round(points / SEARCHES))
        self._taken = 0
        self._flying: deque[tuple[list[Sent], float]] = deque()
        # The guard is called in the middle of compiled code, too.
        guard.on_update = torch.compiler.disable(self._norms.hear)  # type: ignore[no-untyped-call]

    def around(self, train: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a function that trains, and looks at what that does."""
        norms = self._norms

        def train_and_look(batch: Any) -> Any:
            is_turn = self._taken % self._every == 0
            noted = self._critical_lr.note(batch) if is_turn else None
            self._taken += 1
            norms.begin()
            loss = train(batch)
            sent = norms.end(way_back=noted is not None)
            critical_lr = math.nan
            if noted is not None and norms.read(sent).step_size >= self._least():
                if isinstance(loss, Tensor):
                    loss = loss.detach().clone()  # the next pass may write into its memory
                lr = max(float(group["lr"]) for group in self._groups)
                critical_lr = self._critical_lr.find(noted, norms.weights, norms.way_back, lr)
            self._flying.append((sent, critical_lr))
            return loss

        return train_and_look

    def _least(self) -> float:
        """Return the smallest update, relative to the weights, whose direction is known."""
        return _RESOLVED * max(torch.finfo(tensor.dtype).eps for tensor in self._norms.weights)

    def take(self) -> StepDiagnosis:
        """Return the diagnosis of the earliest step that has not been taken yet."""
        sent, critical_lr = self._flying.popleft()
        gradient, weights, updates = self._norms.read(sent)
        each = zip(updates.tolist(), weights.tolist(), self._norms.modules, strict=True)
        ratios = sorted(  # plain Python: NumPy takes longer for a few modules
            (update / weight, name) for update, weight, name in each if weight > 0 and update >= 0
        )
        if not ratios:
            return StepDiagnosis(gradient, math.nan, math.nan, math.nan, critical_lr, "", "")
        (low, low_in), (high, high_in) = ratios[0], ratios[-1]
        last = len(ratios) - 1
        median = (ratios[last // 2][0] + ratios[(last + 1) // 2][0]) / 2
        return StepDiagnosis(gradient, median, low, high, critical_lr, low_in, high_in)

    def forget(self) -> None:
        """Drop the copy of the weights."""
        self._norms.forget()


def _loss_of(task: TrainingTask) -> Callable[[Any], Tensor] | None:
    """Return what computes the loss of a step without training; None of a step of the user's own.

    Only its own code would know.
    """
    step = task.step
    if not isinstance(step, TrainingStep):
        return None
    loss_of = forward_only(task.model, step)
    return loss_of if step.accumulate > 1 else lambda batch: loss_of([batch])


def _state_of(task: TrainingTask) -> Snapshot:
    """Copy the weights, and whatever else a forward pass may change."""
    uses = task.uses()
    used = [thing for thing in uses.objects if not isinstance(thing, Optimizer)]
    modules = [thing for thing in task.preserved() if isinstance(thing, nn.Module)]
    return Snapshot(modules, uses=replace(uses, objects=used), frozen=task.frozen)
