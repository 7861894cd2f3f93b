"""The baseline of a curve: the losses of its batches at the starting weights.

It is measured after a run whose losses alone show no clear fall, and only on batches that were
kept: a loader may not yield the same ones again.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.restore.contents import Restore
from lrfinder_widget.restore.random_state import random_states

from .read_back import Sender, as_loss, read_back
from .step import TrainingStep

MOST_BYTES = 256 * 2**20
_SMALL = (int, float, str, bytes, type(None))


class Baseline:
    """What a run keeps for its baseline: its losses and, as long as they are small, its batches.

    Parameters
    ----------
    possible : bool
        Whether this kind of run can have a baseline.
    """

    def __init__(self, *, possible: bool) -> None:
        self.asked_for = False
        self.losses: list[float] = []
        self._possible = possible
        self._batches: list[Any] = []
        self._random: list[Restore] = []
        self._copied = False
        self._room = 0.0
        self.begin()

    def begin(self) -> None:
        """Forget the previous repeat, if there was one, and start keeping the next one."""
        self.losses.clear()
        self._batches.clear()
        self._room = MOST_BYTES if self._possible else 0

    def keep(self, batch: Any) -> None:
        """Keep a batch that is about to be trained on, if it is small enough."""
        if self._room <= 0:
            return
        if not self._batches:
            self._random = random_states()  # so that dropout draws the same masks, if possible
            self._copied = any(map(_is_of_a_worker, _leaves(batch)))
        self._room -= _bytes(batch)
        if self._room <= 0:
            self.forget()
        else:
            self._batches.append(_copy_of(batch) if self._copied else batch)

    def forget(self) -> None:
        """Forget the batches, and keep no more of them."""
        self._room = 0
        self._batches.clear()

    def is_needed(self, lrs: Sequence[float], reason: Reason) -> bool:
        """Return whether the curve needs a baseline and all its batches have been kept."""
        if not self.losses or not self._batches:
            return False
        return LossCurve(lrs[: len(self.losses)], self.losses, reason).needs_baseline

    def measure(
        self,
        model: nn.Module,
        step: TrainingStep,
        entered: Callable[[], AbstractContextManager[None]],
    ) -> Iterator[float]:
        """Yield the losses of the batches that were kept, with the weights that the model now has.

        It ends early at a loss that is not finite or at an exception, and then the curve has no
        baseline. The run itself succeeded, and its measurements stay valid.

        Parameters
        ----------
        model, step
            What was trained, and how.
        entered : callable
            Returns a block in which a step of the run may be taken.
        """
        afterwards = random_states()  # the next repeat continues from there
        for put_back in self._random:  # as when the first batch was kept
            put_back()
        if not model.training:  # as in the run
            model.train()
        try:
            for _, loss in read_back(self._forward_passes(model, step, entered), Sender()):
                if not math.isfinite(loss):
                    return
                yield loss
        except Exception:  # noqa: BLE001 - whatever the user's code raises here
            return
        finally:
            for put_back in afterwards:
                put_back()

    def _forward_passes(
        self,
        model: nn.Module,
        step: TrainingStep,
        entered: Callable[[], AbstractContextManager[None]],
    ) -> Generator[tuple[float, float | Tensor], None, None]:
        loss_of, count = forward_only(model, step), step.accumulate
        for i in range(len(self.losses)):  # of the steps whose loss is known
            with entered():
                loss = as_loss(loss_of(self._batches[i * count : (i + 1) * count]))
            yield 0.0, loss


def forward_only(model: nn.Module, step: TrainingStep) -> Callable[[Sequence[Any]], Tensor]:
    """Return a function that computes the mean loss of batches as in training, without training."""
    if not any(map(_compiled_call, model.modules())):
        return step.loss

    def loss_of(batches: Sequence[Any]) -> Tensor:
        with eager(model):
            return step.loss(batches)

    return loss_of


@contextmanager
def eager(model: nn.Module) -> Iterator[None]:
    """Call what is compiled in a model as if it were not: without gradients, it compiles again.

    This is done on the modules. `torch.compiler.set_stance` would change the whole process, and
    with it what a cell has compiled and is using meanwhile.
    """
    calls = [(vars(m), *call) for m in model.modules() if (call := _compiled_call(m)) is not None]
    compiled = [(attributes, name, attributes[name]) for attributes, name, _ in calls]
    try:
        for attributes, name, uncompiled in calls:
            attributes[name] = uncompiled
        yield
    finally:
        for attributes, name, call in compiled:
            attributes[name] = call


def _compiled_call(module: nn.Module) -> tuple[str, Any] | None:
    """Return the attribute in which a module has its compiled call, and what to put there."""
    attributes = vars(module)
    if attributes.get("_compiled_call_impl") is not None:
        return "_compiled_call_impl", None
    modules = module._modules  # those of a ScriptModule are no dict
    inner = modules["_orig_mod"] if "_orig_mod" in modules else None  # noqa: SIM401
    return None if inner is None or "forward" not in attributes else ("forward", inner.__call__)


def untrained_step(model: nn.Module, step: TrainingStep) -> Callable[[Any], Tensor | float]:
    """Return a step that measures the loss without training; nan if the user's code raises."""
    loss_of, single = forward_only(model, step), step.accumulate == 1

    def measure(batch: Any) -> Tensor | float:
        try:
            return loss_of([batch] if single else batch)
        except Exception:  # noqa: BLE001 - whatever the user's code raises without gradients
            return math.nan

    return measure


def _is_of_a_worker(leaf: Any) -> bool:
    """Return whether it is in memory shared with a worker process: then it keeps a file open."""
    if not isinstance(leaf, Tensor) or leaf.device.type != "cpu":
        return False
    if _is_sparse(leaf):
        return any(map(_is_of_a_worker, _parts_of_sparse(leaf)))
    tensor: Any = leaf  # `is_shared` has no type annotation in torch
    return bool(tensor.is_shared())


def _copy_of(batch: Any) -> Any:
    sparse = [leaf for leaf in _leaves(batch) if isinstance(leaf, Tensor) and _is_sparse(leaf)]
    return copy.deepcopy(batch, {id(leaf): leaf.clone() for leaf in sparse})  # CSR has no deepcopy


def _is_sparse(tensor: Tensor) -> bool:
    return tensor.layout is not torch.strided


def _bytes(batch: Any) -> float:
    """Return the size of a batch, infinity if it is unknown; called at each step."""
    if isinstance(batch, (list, tuple)):
        size = 0.0
        for part in batch:  # a call for each tensor would take longer than all else here
            plain = type(part) is Tensor and part.layout is torch.strided
            size += part.nbytes if plain else _bytes(part)
        return size
    if isinstance(batch, Tensor):
        if batch.layout is torch.strided:
            return batch.nbytes
        return sum(map(_bytes, _parts_of_sparse(batch))) or math.inf
    if isinstance(batch, _SMALL):
        return 0
    return sum(map(_bytes, batch.values())) if isinstance(batch, Mapping) else math.inf


def _parts_of_sparse(tensor: Any) -> list[Tensor]:
    """Return the strided tensors that a sparse one consists of; none for other layouts."""
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return []


def _leaves(batch: Any) -> Iterator[Any]:
    """Yield what is nested in lists, tuples and mappings."""
    if isinstance(batch, Mapping):
        batch = batch.values()
    elif not isinstance(batch, (list, tuple)):
        yield batch
        return
    for part in batch:
        yield from _leaves(part)
