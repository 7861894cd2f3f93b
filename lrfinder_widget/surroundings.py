"""What torch keeps per thread, carried from the thread that starts a run to the one that runs it.

A cell under ``torch.autocast`` or ``torch.set_default_device`` means it for the test that it starts
as well; a new thread knows nothing of either. Gradients are always on: the test trains.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

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
        self._home = threading.get_ident()
        self._asked: int | None = None  # the thread that was last asked for its default device
        self._default_is_here = False
        self._has_autocast = torch.amp.is_autocast_available(device.type)
        self._autocast = self._autocast_now()
        module: Any = None if device.index is None else torch.get_device_module(device.type)
        # A kind of device of which there is only one has no current one.
        self._module = module if hasattr(module, "current_device") else None

    def are_here(self) -> bool:
        """Say whether the calling thread has them already, as it mostly does."""
        if (
            not torch.is_grad_enabled()
            or torch.is_inference_mode_enabled()
            or self._autocast_now() != self._autocast
            or (self._module is not None and self._module.current_device() != self._device.index)
        ):
            return False
        thread = threading.get_ident()
        if thread != self._asked or thread == self._home:
            # Dearer to ask for than all the rest, and nobody changes it in a thread of our own.
            self._asked = thread
            self._default_is_here = torch.get_default_device() == self._default
        if self._autocast is not None:
            torch.clear_autocast_cache()  # or each step sees the weights of the first
        return self._default_is_here

    def _autocast_now(self) -> torch.dtype | None:
        kind = self._device.type
        on = self._has_autocast and torch.is_autocast_enabled(kind)
        return torch.get_autocast_dtype(kind) if on else None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Bring them about in the calling thread."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            if self._module is not None:
                stack.enter_context(self._module.device(self._device))
            if self._default != torch.get_default_device():
                stack.enter_context(self._default)
            if self._has_autocast:
                on = self._autocast is not None
                stack.enter_context(torch.autocast(self._device.type, self._autocast, enabled=on))
                torch.clear_autocast_cache()
            yield
