"""One run of an LR range test: checked arguments, training, and everything put back."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from .arguments import (
    check_criterion,
    check_kind,
    check_preserve,
    check_shared,
    check_step,
    check_val_batches,
)
from .batches import Batches, Exhausted, check_batches, move
from .curve import Divergence, Reason
from .learning_rate import LearningRate, Mode, learning_rates
from .preserve import Snapshot
from .step import TrainingStep, as_number, model_device

StopRule: TypeAlias = Callable[[NDArray[np.float64]], bool]
Points: TypeAlias = Generator[tuple[float, float], None, Reason]


class Sweep:
    """The checked arguments of a `sweep`; each call of `points` is one run with them.

    Takes what `sweep` takes, with the same meaning and the same errors.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        batches: Iterable[Any],
        criterion: Callable[..., Tensor] | None = None,
        *,
        step: Callable[[Any], Any] | None = None,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_iter: int = 100,
        mode: Mode = "exp",
        stop: Literal["divergence"] | StopRule | None = "divergence",
        accumulate: int = 1,
        val_batches: Sequence[Any] | None = None,
        preserve: Iterable[Any] = (),
        device: torch.device | str | None = None,
    ) -> None:
        check_kind("model", model, nn.Module, "a torch.nn.Module")
        check_kind("optimizer", optimizer, Optimizer, "a torch.optim.Optimizer")
        check_batches(batches)
        if step is None:
            check_criterion(criterion)
            check_shared(model, optimizer)
            step = TrainingStep(model, optimizer, criterion, accumulate=accumulate)
        else:
            check_step(step, criterion, accumulate, val_batches)
        if not (stop is None or stop == "divergence" or callable(stop)):
            raise ValueError(
                f'stop must be "divergence", None, or a function stop(losses); got {stop!r}.'
            )
        LearningRate(optimizer)  # raises now what would stop it at the start
        self.model = model
        self.optimizer = optimizer
        self.mode: Mode = mode
        self.ladder = learning_rates(start_lr, end_lr, num_iter, mode)
        self._batches = batches
        self._step = step
        self._stop = stop
        self._val_batches = check_val_batches(val_batches)
        self._preserve = check_preserve(preserve)
        self._device = None if device is None else torch.device(device)

    @property
    def device(self) -> torch.device | None:
        """Where batches are moved; `None` where they are left as they are."""
        if self._device is None and isinstance(self._step, TrainingStep):
            return model_device(self.model)
        return self._device

    def points(self, opened: threading.Event | None = None) -> Points:
        """Run once. `opened` is set when the data has been opened, or at the latest at the end."""
        opened = opened or threading.Event()
        snapshot = Snapshot(self._preserved(), data=[self._batches])
        batches = Batches(self._batches, self.device)
        try:
            snapshot.set_gradients_aside()
            batches.open()
            opened.set()
            return (yield from self._train(batches))
        finally:
            opened.set()
            try:
                batches.close()
            finally:
                snapshot.restore()

    def _preserved(self) -> list[Any]:
        step = self._step
        own = step.parts if isinstance(step, TrainingStep) else [step]
        return [
            self.model,
            self.optimizer,
            *(part for part in own if hasattr(part, "load_state_dict")),
            *self._preserve,
        ]

    def _train(self, batches: Batches) -> Points:
        if isinstance(self._step, TrainingStep) and not self.model.training:
            self.model.train()
        set_lr = LearningRate(self.optimizer)
        measure = self._measure(batches)
        ended = self._end_rule()
        first = True
        for lr in self.ladder:
            set_lr(lr)
            try:
                loss = measure()
            except Exhausted:
                if first:
                    raise ValueError(
                        "batches yielded nothing: there is no data to train on. "
                        "Check the loader (an iterator can be used only once)."
                    ) from None
                return "exhausted"
            yield lr, loss
            first = False
            if not math.isfinite(loss):
                return "non-finite"
            if reason := ended(loss):
                return reason
        return "completed"

    def _measure(self, batches: Batches) -> Callable[[], float]:
        """Compose what happens at one learning rate: data in, training, the loss out."""
        step = self._step
        count = step.accumulate if isinstance(step, TrainingStep) else 1

        def train() -> float:
            batch = batches.take() if count == 1 else [batches.take() for _ in range(count)]
            if torch.is_grad_enabled():
                return as_number(step(batch))
            with torch.enable_grad():  # a blocking call may come from under no_grad
                return as_number(step(batch))

        if self._val_batches is None or not isinstance(step, TrainingStep):
            return train
        validate, device = step.validate, self.device
        held = [b if device is None else move(b, device) for b in self._val_batches]

        def train_and_validate() -> float:
            train()
            return validate(held)

        return train_and_validate

    def _end_rule(self) -> Callable[[float], Reason | None]:
        if self._stop is None:
            return lambda loss: None
        if callable(self._stop):
            return _StopRule(self._stop, len(self.ladder))
        diverged = Divergence()
        return lambda loss: "diverged" if diverged(loss) else None


class _StopRule:
    """The user's own rule, shown the raw losses so far."""

    def __init__(self, stop: StopRule, num_iter: int) -> None:
        self._stop = stop
        self._losses = np.empty(num_iter)
        self._count = 0

    def __call__(self, loss: float) -> Reason | None:
        self._losses[self._count] = loss
        self._count += 1
        so_far = self._losses[: self._count]
        so_far.flags.writeable = False
        return "stop-rule" if self._stop(so_far) else None
