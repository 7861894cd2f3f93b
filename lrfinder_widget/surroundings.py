"""What torch keeps per thread, carried from the thread that starts a run to the one that runs it.

A cell under ``torch.autocast`` or ``torch.set_default_device`` means it for the test that it starts
as well; a new thread knows nothing of either. Gradients are always on: the test trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


class Surroundings:
    """Read when made, in the starting thread; entered around each step, in the running one.

    Parameters
    ----------
    device : torch.device
        Where the model is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._default = torch.get_default_device()
        kind = device.type
        self._autocast = torch.is_autocast_enabled(kind)
        self._dtype = torch.get_autocast_dtype(kind) if self._autocast else None

    def are_here(self) -> bool:
        """Say whether the calling thread has them already, as it mostly does."""
        kind, index = self._device.type, self._device.index
        return (
            torch.is_grad_enabled()
            and torch.is_autocast_enabled(kind) == self._autocast
            and (index is None or torch.get_device_module(kind).current_device() == index)
            and torch.get_default_device() == self._default
        )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Bring them about in the calling thread."""
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            if self._device.index is not None:
                module = torch.get_device_module(self._device.type)
                stack.enter_context(module.device(self._device))
            if self._default != torch.get_default_device():
                stack.enter_context(self._default)
            stack.enter_context(
                torch.autocast(self._device.type, self._dtype, enabled=self._autocast)
            )
            yield
