"""The baseline of a curve: the losses of its batches at the starting weights.

It is taken after a run whose losses alone show no clear fall, and only of batches that were kept: a
loader may not give the same ones again.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from lrfinder_widget.curve.loss_curve import LossCurve, Reason

from .guard import Guard
from .random_state import Restore, random_states
from .read_back import Sender, read_back
from .step import TrainingStep, as_loss
from .thread_state import Surroundings

Item: TypeAlias = tuple[float, float] | Reason | float
"""A point, the reason for the end of a repeat, or a loss of the baseline."""

MOST_BYTES = 256 * 2**20
_SMALL = (int, float, str, bytes, type(None))


class Baseline:
    """What a run leaves for its baseline: the points and, while they are small, the batches.

    Parameters
    ----------
    possible : bool
        Whether the run is of a kind that can have one.
    """

    def __init__(self, possible: bool) -> None:
        self.points: list[tuple[float, float]] = []
        self.asked_for = False
        self._possible = possible
        self._batches: list[Any] = []
        self._random: list[Restore] = []
        self._copied = False
        self._room = 0.0
        self.begin()

    def begin(self) -> None:
        """Forget the run before, if there was one, and keep what the next one leaves."""
        self.points.clear()
        self._batches.clear()
        self._room = MOST_BYTES if self._possible else 0

    def keep(self, batch: Any) -> None:
        """Keep a batch that is about to be trained on, if it is small enough."""
        if not self.asked_for or self._room <= 0:
            return
        if not self._batches:
            self._random = random_states()  # so that dropout draws the same masks, if it can
            self._copied = any(map(_is_of_a_worker, _leaves(batch)))
        self._room -= _bytes(batch)
        if self._room <= 0:
            self.let_go()
        else:
            self._batches.append(copy.deepcopy(batch) if self._copied else batch)

    def let_go(self) -> None:
        """Forget the batches, and keep no more."""
        self._room = 0
        self._batches.clear()

    def is_needed(self, reason: Reason) -> bool:
        """Say whether the curve needs it, and all its batches are there."""
        if not self.points or not self._batches:
            return False
        lrs, losses = zip(*self.points, strict=True)
        return LossCurve(lrs, losses, reason).needs_baseline

    def losses(
        self, model: nn.Module, step: Any, surroundings: Surroundings, guard: Guard
    ) -> Iterator[float]:
        """Yield the loss of each step's batches; the model has its starting weights.

        It ends early at a loss that is not finite, and at an exception, so that the curve has no
        baseline: the run itself has gone well, and what it has measured stands.
        """
        afterwards = random_states()  # the next repeat goes on from there
        for put_back in self._random:
            put_back()
        if not model.training:  # as in the run
            model.train()
        passes = self._forward(model, step, surroundings, guard)
        try:
            for _, loss in read_back(passes, Sender()):
                if not math.isfinite(loss):
                    return
                yield loss
        except Exception:  # noqa: BLE001 - whatever the user's code raises here
            return
        finally:
            for put_back in afterwards:
                put_back()

    def _forward(
        self, model: nn.Module, step: TrainingStep, surroundings: Surroundings, guard: Guard
    ) -> Generator[tuple[float, float | Tensor], None, None]:
        loss_of, count = _forward_only(model, step), step.accumulate
        for i, (lr, _) in enumerate(self.points):
            batches = self._batches[i * count : (i + 1) * count]
            guard.owner = threading.get_ident()  # whoever asks for the next loss
            with nullcontext() if surroundings.are_here() else surroundings.entered():
                loss = as_loss(loss_of(batches))
            yield lr, loss


def _forward_only(model: nn.Module, step: TrainingStep) -> Callable[[Sequence[Any]], Tensor]:
    """Compose what returns the mean loss of some batches as in training, and trains nothing."""
    if not (hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None)):
        return step.loss

    def in_eager_mode(batches: Sequence[Any]) -> Tensor:
        with torch.compiler.set_stance("force_eager"):  # without gradients, it would be compiled
            return step.loss(batches)

    return in_eager_mode


def untrained_step(model: nn.Module, step: TrainingStep) -> Callable[[Any], Tensor | float]:
    """Compose a step that measures the loss and trains nothing; nan if your code raises in it."""
    loss_of, single = _forward_only(model, step), step.accumulate == 1

    def measure(batch: Any) -> Tensor | float:
        try:
            return loss_of([batch] if single else batch)
        except Exception:  # noqa: BLE001 - whatever the user's code raises without gradients
            return math.nan

    return measure


class SweepRun(Generator[Item, None, Reason]):
    """A generator of points that can be asked, before the first, for a baseline after the last."""

    def __init__(self, items: Generator[Item, None, Reason], baseline: Baseline) -> None:
        self._items = items
        self._baseline = baseline

    def __iter__(self) -> Generator[Item, None, Reason]:
        """Give the generator itself: whoever loops over it pays for no detour."""
        return self._items

    def ask_for_baseline(self) -> None:
        """Say that whoever takes the points knows what the single numbers after them are."""
        self._baseline.asked_for = True

    def send(self, value: None) -> Item:
        """Go on, as with any generator."""
        return self._items.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in it, as with any generator."""
        return self._items.throw(*error)

    def close(self) -> None:
        """End it, which puts everything back."""
        self._items.close()


def _is_of_a_worker(leaf: Any) -> bool:
    """Say whether it lies in memory that a worker process shares: then it holds a file open."""
    tensor: Any = leaf  # torch does not say the type of `is_shared`
    return isinstance(leaf, Tensor) and leaf.device.type == "cpu" and bool(tensor.is_shared())


def _bytes(batch: Any) -> float:
    """Return how large a batch is, infinity if nobody knows; asked at each step."""
    if isinstance(batch, Tensor):
        return batch.nbytes
    if isinstance(batch, (list, tuple)):
        return sum(map(_bytes, batch))
    if isinstance(batch, _SMALL):
        return 0
    return sum(map(_bytes, batch.values())) if isinstance(batch, Mapping) else math.inf


def _leaves(batch: Any) -> Iterator[Any]:
    """Go through what is nested in lists, tuples and mappings."""
    if isinstance(batch, Mapping):
        batch = batch.values()
    elif not isinstance(batch, (list, tuple)):
        yield batch
        return
    for part in batch:
        yield from _leaves(part)
