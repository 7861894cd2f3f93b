"""Where there is room for copies: on the device, on the host, or not at all."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

HOST = torch.device("cpu")

_SMALL = 256 * 2**20  # bytes; for less, the host is not asked, which takes longer than the copy
_MEMINFO = Path("/proc/meminfo")


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Return the size of tensors."""
    return sum(t.numel() * t.element_size() for t in tensors)


def is_scarce(device: torch.device) -> bool:
    """Return whether a device has memory of its own, which a training may fill."""
    return device.type not in ("cpu", "meta")


def place_for(
    tensors: list[Tensor], device: torch.device, aside: Iterable[Tensor] = ()
) -> torch.device:
    """Choose where to copy: the same device if enough of its memory stays free, else the host.

    Enough is a tenth, or what the training has used at its peak beyond what it uses now.

    Parameters
    ----------
    tensors : list of Tensor
        What to copy.
    device : torch.device
        Where it is.
    aside : iterable of Tensor
        What stays on the device as well during the run, while training would give it back.
    """
    module = torch.get_device_module(device) if is_scarce(device) else None
    if module is None or not hasattr(module, "mem_get_info"):
        return device
    try:
        free, total = module.mem_get_info(device)
    except RuntimeError:  # many of Intel's devices do not tell
        return device
    used = _told_by(module, "memory_allocated", device)
    # The driver does not know what torch holds and can hand out again.
    free += max(0, _told_by(module, "memory_reserved", device) - used)
    kept = max(total // 10, _told_by(module, "max_memory_allocated", device) - used)
    return device if bytes_of(tensors) + bytes_of(aside) < free - kept else HOST


def _told_by(module: Any, name: str, device: torch.device) -> int:
    ask = getattr(module, name, None)
    return 0 if ask is None else int(ask(device))


def check_host(needed: int) -> None:
    """Raise an error if the host has no room for copies.

    Without it, the system would end the process.

    Raises
    ------
    MemoryError
        If so many bytes are not available, as far as the system tells.
    """
    if needed < _SMALL:
        return
    available = _available()
    if available is not None and needed > available:
        raise MemoryError(
            "the LR range test copies what training changes, to put it back, and the host has no "
            f"room for it: the copies take {needed / 1e9:.1f} GB, and {available / 1e9:.1f} GB are "
            "available. Free some, for example by restarting other kernels, or test a smaller "
            "model."
        )


def _available() -> int | None:
    """Return the host's available memory in bytes; `None` if the system does not tell."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:  # not Linux
        return None
    kilobytes = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
    if "MemAvailable" not in kilobytes:
        return None
    return 1024 * (kilobytes["MemAvailable"] + kilobytes.get("SwapFree", 0))


def free_cached_memory(devices: Iterable[torch.device]) -> None:
    """Give back to the devices what torch keeps for itself, after an out-of-memory error."""
    gc.collect()  # a failed step may be part of a cycle
    for device in devices:
        module: Any = torch.get_device_module(device) if is_scarce(device) else None
        if hasattr(module, "empty_cache"):
            module.empty_cache()


def synchronize(devices: Iterable[torch.device]) -> None:
    """Wait until all work that is queued on the devices is done, on whatever stream it is."""
    for device in devices:
        if is_scarce(device):
            torch.accelerator.synchronize(device)
