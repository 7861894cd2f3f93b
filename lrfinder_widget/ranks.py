"""Several processes that train one model: one loss, one decision, and every one restores itself.

Two small collectives a step, on a group of their own: before it, whether all go on; after it, the
mean loss. A rank that ends early says so at the first, so that none waits in a step for another
that will never come.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

GO_ON, STOPPED, EXHAUSTED, FAILED = range(4)
_FAREWELL = timedelta(seconds=10)
_ELSEWHERE = (
    "the LR range test failed on another rank, see its own error; on this one everything is put "
    "back."
)


def several_ranks() -> bool:
    """Say whether this process is one of several in `torch.distributed`."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class Alone:
    """One process: nobody to ask."""

    def agree(self, code: int) -> int:
        """Return the gravest of all ranks' answers, this rank's being `code`.

        Raises
        ------
        RuntimeError
            If another rank failed.
        """
        return code

    def mean(self, loss: float | Tensor, *, failed: bool = False) -> float | Tensor:  # noqa: ARG002
        """Return the mean loss of all ranks, the same to the bit on each.

        Raises
        ------
        RuntimeError
            If another rank failed in its step.
        """
        return loss

    def close(self) -> None:
        """Part from the others."""


class Ranks(Alone):
    """The ranks of one run; every rank makes one, at the same time.

    Parameters
    ----------
    device : torch.device
        Where the loss is; with a backend of the CPU, such as gloo, it is read there first.
    """

    def __init__(self, device: torch.device) -> None:
        self._group: Any = dist.new_group()
        on_device = "nccl" in dist.get_backend(self._group)
        self._device = device if on_device else torch.device("cpu")

    def agree(self, code: int) -> int:
        """Tell the others how this rank goes on, and hear how they do."""
        vector = torch.tensor(float(code), device=self._device)
        dist.all_reduce(vector, dist.ReduceOp.MAX, group=self._group)
        gravest = int(vector.item())
        if gravest == FAILED and code != FAILED:
            raise RuntimeError(_ELSEWHERE)
        return gravest

    def mean(self, loss: float | Tensor, *, failed: bool = False) -> float | Tensor:
        """Average, the same to the bit on each rank."""
        vector = torch.zeros(2, device=self._device)
        vector[0] = loss
        vector[1] = failed
        work = dist.all_reduce(vector, group=self._group, async_op=True)
        if failed:
            # The others may be waiting for this rank in the middle of their step, and never come.
            with suppress(RuntimeError):
                work.wait(_FAREWELL)
            return loss
        work.wait()
        if vector[1].item():
            raise RuntimeError(_ELSEWHERE)
        mean = vector[0] / dist.get_world_size(self._group)
        return mean.item() if self._device.type == "cpu" else mean

    def close(self) -> None:
        """Give the group back."""
        dist.destroy_process_group(self._group)
