"""One run of an LR range test: checked arguments, training, and everything put back."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.stop_rules import Divergence, OwnRule

from .baseline import Baseline, Item, SweepRun, untrained_step
from .batches import Batches, Exhausted, check_batches, move
from .checks import (
    check_count,
    check_criterion,
    check_kind,
    check_preserve,
    check_shared,
    check_step,
    check_val_batches,
    check_values,
)
from .distributed import EndedElsewhere, Ranks, check_sharded, several_ranks
from .guard import Guard, guarded
from .param_groups import LearningRate, Mode, learning_rates
from .read_back import Sender, read_back
from .snapshot import Snapshot
from .step import TrainingStep, as_loss, model_device
from .thread_state import Surroundings

StopRule: TypeAlias = Callable[[NDArray[np.float64]], bool]
Points: TypeAlias = Generator[tuple[float, float], None, Reason]
Items: TypeAlias = Generator[Item, None, Reason]

_GIVEN = {"model", "optimizer", "batches", "_step", "_stop", "_val_batches", "_preserve"}


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
        repeats: int = 1,
        preserve: Iterable[Any] = (),
        device: torch.device | str | None = None,
    ) -> None:
        check_kind("model", model, nn.Module, "a torch.nn.Module")
        check_sharded(model)
        check_values(model)
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
        self.set_up(start_lr, end_lr, num_iter, mode, repeats)
        self.batches = batches
        self._step = step
        self._stop = stop
        self._val_batches = check_val_batches(val_batches)
        self._preserve = check_preserve(preserve)
        self._device = None if device is None else torch.device(device)
        self._trains = True
        self._words: list[str] | None = None

    def set_up(
        self, start_lr: float, end_lr: float, num_iter: int, mode: Mode, repeats: int
    ) -> None:
        """Choose the ladder of the next run, and how many times it is gone through.

        Raises
        ------
        ValueError
            For arguments that cannot work; then the ladder stays as it is.
        """
        checked = check_count("repeats", repeats, at_least=1)
        self.ladder = learning_rates(start_lr, end_lr, num_iter, mode)
        self.mode, self.repeats = mode, checked

    @property
    def words(self) -> list[str]:
        """What it trains with, for a comment: the optimizer and the size of a batch."""
        if self._words is not None:
            return self._words
        size = getattr(self.batches, "batch_size", None)
        return [
            type(self.optimizer).__name__,
            *([f"batch {size}"] if isinstance(size, int) else []),
        ]

    def let_go(self) -> Sweep:
        """Return the same without what it was given: it can be read and not run."""
        # Not `copy.copy`: when Python ends with a finder still open, nothing can be imported.
        other = object.__new__(Sweep)
        vars(other).update({k: v for k, v in vars(self).items() if k not in _GIVEN})
        other._words = self.words
        return other

    def stopped_by(self, stop: StopRule) -> Sweep:
        """Return the same for a single run that is ended by another rule."""
        other = copy.copy(self)
        other.repeats, other._stop = 1, stop
        return other

    def untrained(self, steps: int) -> Sweep | None:
        """Return the same for a run that takes its losses at the starting weights; None if none.

        What raises in it ends it, as a loss that is not finite does.
        """
        if not self._can_have_baseline():
            return None
        other = copy.copy(self)
        other.ladder, other._stop, other._trains = self.ladder[:1] * steps, None, False
        return other

    @property
    def device(self) -> torch.device | None:
        """Where batches are moved; `None` where they are left as they are."""
        if self._device is None and isinstance(self._step, TrainingStep):
            return model_device(self.model)
        return self._device

    def surroundings(self, *, shared: bool = True) -> Surroundings:
        """Read what the calling thread has; `shared` if a cell may run there between two points."""
        return Surroundings(model_device(self.model), shared=shared)

    def points(
        self, opened: threading.Event | None = None, surroundings: Surroundings | None = None
    ) -> SweepRun:
        """Run once, when the generator is first asked.

        Yields the points; between two repeats the reason for which the earlier one ended, alone.
        Who asks for a baseline hears its losses after the last point, if that curve needs them.
        The surroundings are those of the calling thread, unless others are given.
        `opened` is set when the data has been opened, or at the latest at the end.
        """
        kept = Baseline(self._can_have_baseline())
        return SweepRun(self._points(surroundings or self.surroundings(), opened, kept), kept)

    def _can_have_baseline(self) -> bool:
        """Say whether each point is the loss of what it trains on, as this process sees it."""
        textbook = isinstance(self._step, TrainingStep) and not self._val_batches
        return textbook and not several_ranks()

    def _points(
        self, surroundings: Surroundings, opened: threading.Event | None, kept: Baseline
    ) -> Items:
        try:
            ranks = Ranks() if several_ranks() else None
            with ranks or nullcontext():  # tells the others of the end, once all is put back
                objects = self._preserved()
                optimizers = [thing for thing in objects if isinstance(thing, Optimizer)]
                with guarded(self.model, optimizers) as guard:
                    return (
                        yield from self._restored(objects, surroundings, guard, ranks, opened, kept)
                    )
        finally:
            if opened is not None:  # only in the background, where no interrupt can leave it locked
                opened.set()

    def _restored(
        self,
        objects: list[Any],
        surroundings: Surroundings,
        guard: Guard,
        ranks: Ranks | None,
        opened: threading.Event | None,
        kept: Baseline,
    ) -> Items:
        snapshot = Snapshot(objects, data=[self.batches])
        batches = Batches(self.batches, self.device, kept)
        # Plain try and finally, not ExitStack: an interrupt may come at any line of Python in
        # between, and these restore whatever it hits.
        try:
            snapshot.set_gradients_aside()
            with nullcontext() if surroundings.are_here() else surroundings.entered():
                batches.open()
            if opened is not None:
                opened.set()
            for left in reversed(range(self.repeats)):
                steps = self._steps(batches, surroundings, guard, ranks)
                with closing(steps):
                    reason = yield from self._judged(read_back(steps, Sender()), kept)
                if kept.is_needed(reason):
                    snapshot.restore(random=False)
                    yield from kept.losses(self.model, self._step, surroundings, guard)
                if not left or reason in ("exhausted", "stopped"):
                    return reason
                yield reason
                kept.begin()
                snapshot.restore(random=False)  # other batches, from the same start
                snapshot.set_gradients_aside()
            raise AssertionError  # there is at least one
        finally:
            try:
                batches.close()
            finally:
                try:
                    snapshot.restore()
                except KeyboardInterrupt:  # it goes on by itself, unless it had not begun yet
                    snapshot.restore()
                    raise
                finally:
                    del snapshot  # a kept traceback must not keep a copy of the model
                    kept.let_go()  # nor the batches

    def _preserved(self) -> list[Any]:
        step = self._step
        own = step.parts if isinstance(step, TrainingStep) else [step]
        return [
            self.model,
            self.optimizer,
            *(part for part in own if hasattr(part, "load_state_dict")),
            *self._preserve,
        ]

    def parameters(self) -> list[Tensor]:
        """Return the parameters of all that a run changes and puts back."""
        found: list[Tensor] = []
        for thing in self._preserved():
            if isinstance(thing, nn.Module):
                found += thing.parameters()
            elif isinstance(thing, Optimizer):
                found += [p for group in thing.param_groups for p in group["params"]]
        return found

    def _judged(self, points: Points, kept: Baseline) -> Points:
        """Pass the points on until one of them ends the run."""
        ended, early = self._end_rule()
        while True:
            try:
                point = next(points)
            except StopIteration as end:
                reason: Reason = end.value
                return reason
            if kept.asked_for:
                kept.points.append(point)
            yield point
            loss = point[1]
            if not math.isfinite(loss):
                return "non-finite"
            if ended(loss):
                return early

    def _steps(
        self, batches: Batches, surroundings: Surroundings, guard: Guard, ranks: Ranks | None
    ) -> Generator[tuple[float, float | Tensor], None, Reason]:
        """Train one step per learning rate."""
        if isinstance(self._step, TrainingStep) and not self.model.training:
            self.model.train()
        set_lr = LearningRate(self.optimizer)
        train, load = self._train(batches.device), self._loading(batches)
        if ranks is not None:
            train, load = ranks.training(train), ranks.loading(load)
        trained = False
        for lr in self.ladder:
            guard.owner = threading.get_ident()  # whoever asks for the next point
            set_lr(lr)
            try:
                if surroundings.are_here():
                    loss = as_loss(train(load()))
                else:
                    with surroundings.entered():
                        loss = as_loss(train(load()))
            except Exhausted:
                if trained:
                    return "exhausted"
                raise ValueError(
                    "batches yielded nothing: there is no data to train on. "
                    "Check the loader (an iterator can be used only once)."
                ) from None
            except EndedElsewhere:
                return "stopped"
            trained = True
            yield lr, loss
        return "completed"

    def _loading(self, batches: Batches) -> Callable[[], Any]:
        count = self._step.accumulate if isinstance(self._step, TrainingStep) else 1
        return batches.take if count == 1 else lambda: [batches.take() for _ in range(count)]

    def _train(self, device: torch.device | None) -> Callable[[Any], Any]:
        """Compose what is done with a batch; it returns the loss of the point."""
        step = self._step
        if not self._trains and isinstance(step, TrainingStep):
            return untrained_step(self.model, step)
        if self._val_batches is None or not isinstance(step, TrainingStep):
            return step
        validate = step.validate
        held = [b if device is None else move(b, device) for b in self._val_batches]

        def train_and_validate(batch: Any) -> Tensor:
            step(batch)
            return validate(held)

        return train_and_validate

    def _end_rule(self) -> tuple[Callable[[float], bool], Reason]:
        """Return what is asked about each loss, and the reason if it says yes."""
        if self._stop is None:
            return lambda loss: False, "completed"
        if callable(self._stop):
            return OwnRule(self._stop, len(self.ladder)), "stop-rule"
        return Divergence(), "diverged"
