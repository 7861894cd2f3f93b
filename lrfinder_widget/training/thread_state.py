"""Torch's thread-local state, carried from the thread that starts a run to the one that runs it.

``torch.autocast`` and ``torch.set_default_device`` around a cell are meant for the test that it
starts as well, but a new thread has neither. Gradients are always enabled, as the test trains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import get_ident
from typing import Any

import torch


class ThreadState:
    """Read when created, in the starting thread; applied around each step, in the running one.

    Parameters
    ----------
    device : torch.device
        The model's device. It is made the current one; if it is the CPU, the accelerator's current
        device is.
    shared : bool, default True
        Whether other code may run in the starting thread between two steps, as around a generator.
        It may not if the caller waits until the run has ended.
    """

    def __init__(self, device: torch.device, *, shared: bool = True) -> None:
        self._device: Any = device if device.index is not None else current_device()
        self._kinds = _casting_kinds(device)
        self._default = _default_device()
        self._shared = get_ident() if shared else None
        self._settled: int | None = None  # the thread that is known to have this state
        self._autocast = self._autocast_now()
        self._casts = any(dtype is not None for dtype in self._autocast)
        module: Any = None if self._device is None else torch.get_device_module(self._device)
        # A type of device that exists only once has no current device.
        self._module = module if hasattr(module, "current_device") else None

    def at_hand(self) -> AbstractContextManager[None]:
        """Apply it inside the block if the calling thread, which may be a new one, needs it."""
        torch.get_num_threads()  # a new thread takes what was set only once it is asked for it
        return nullcontext() if self.is_current() else self.applied()

    def is_current(self) -> bool:
        """Return whether the calling thread already has this state, as it usually does.

        A thread in which other code may run between two points is checked each time. Any other is
        checked only until it has the state, as nothing else runs there that could change it.
        """
        if self._casts:
            torch.clear_autocast_cache()  # or each step would see the weights of the first
        thread = get_ident()
        if thread == self._settled:
            return True
        same = (
            torch.is_grad_enabled()
            and not torch.is_inference_mode_enabled()
            and self._autocast_now() == self._autocast
            and (self._module is None or self._module.current_device() == self._device.index)
            and _default_device() == self._default
        )
        if same and thread != self._shared:
            self._settled = thread
        return same

    def _autocast_now(self) -> list[torch.dtype | None]:
        kinds = self._kinds
        on = torch.is_autocast_enabled
        return [torch.get_autocast_dtype(kind) if on(kind) else None for kind in kinds]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply this state to the calling thread, inside the block."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            if self._module is not None:
                stack.enter_context(self._module.device(self._device))
            if self._default != _default_device():
                stack.enter_context(self._default)
            # Only where it differs: inside any autocast, even one that is off, torch keeps
            # the weights that one step has cast for the next.
            now = self._autocast_now()
            for kind, dtype, there in zip(self._kinds, self._autocast, now, strict=True):
                if dtype != there:
                    stack.enter_context(torch.autocast(kind, dtype, enabled=dtype is not None))
            torch.clear_autocast_cache()
            yield


def accelerator_kind() -> str | None:
    """Return the type of the accelerator's devices; `None` if there is none."""
    if not torch.accelerator.is_available():  # asked first: in torch 2.6, the next line raises
        return None
    accelerator = torch.accelerator.current_accelerator()
    return None if accelerator is None else accelerator.type


def _casting_kinds(device: torch.device) -> list[str]:
    """Return the types of devices on which a model may be cast; its first parameter is on one."""
    kinds = dict.fromkeys((device.type, "cpu", accelerator_kind()))
    return [kind for kind in kinds if kind and torch.amp.is_autocast_available(kind)]


def current_device() -> torch.device | None:
    """Return the accelerator's current device in this thread; `None` if none is in use."""
    kind = accelerator_kind()
    module: Any = None if kind is None else torch.get_device_module(kind)
    if kind is None or not hasattr(module, "current_device") or not module.is_initialized():
        return None
    return torch.device(kind, module.current_device())


def _default_device() -> torch.device:
    return torch.empty(0).device  # like `torch.get_default_device`, but five times faster
