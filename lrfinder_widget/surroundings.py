"""What torch keeps per thread, carried from the thread that starts a run to the one that runs it.

A cell under ``torch.autocast`` or ``torch.set_default_device`` means it for the test that it starts
as well; a new thread knows nothing of either. Gradients are always on: the test trains.
"""

from __future__ import annotations

import threading
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
        self._kind = device.type
        self._asked: int | None = None  # the thread that was last asked for its default device
        self._default_is_here = False
        self._default = torch.get_default_device()
        kind = device.type
        self._autocast = torch.is_autocast_enabled(kind)
        self._dtype = torch.get_autocast_dtype(kind) if self._autocast else None

    def are_here(self) -> bool:
        """Say whether the calling thread has them already, as it mostly does."""
        kind, index = self._kind, self._device.index
        if not (
            torch.is_grad_enabled()
            and torch.is_autocast_enabled(kind) == self._autocast
            and (index is None or torch.get_device_module(kind).current_device() == index)
        ):
            return False
        if self._asked != threading.get_ident():
            # Far dearer to ask for than the rest, so only when the thread is another.
            self._asked = threading.get_ident()
            self._default_is_here = torch.get_default_device() == self._default
        return self._default_is_here

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
