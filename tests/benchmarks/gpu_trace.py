"""What torch's profiler says of a run: when the device works, and when the processor waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

GAP_US = 5.0  # shorter ones lie between any two kernels
WAITS = ("Synchronize", "Memcpy")  # of CUDA, of ROCm and of Intel's


@dataclass(frozen=True)
class Trace:
    """Times in µs, of the whole run."""

    busy: float
    idle: float
    waits: float

    @classmethod
    def of(cls, act: Callable[[], object]) -> Trace:
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        elif torch.xpu.is_available():
            activities.append(ProfilerActivity.XPU)
        with profile(activities=activities) as seen, record_function("measured"):
            act()
        return cls.read(seen.events())

    @classmethod
    def read(cls, events: Any) -> Trace:
        device, host = [], []
        for event in events:
            if event.device_type == DeviceType.CPU:
                host.append(event)
            elif not event.is_user_annotation:  # of the device: the mark of `measured`
                device.append((event.time_range.start, event.time_range.end))
        whole = next(event.time_range for event in host if event.name == "measured")
        waits = sum(
            event.time_range.elapsed_us()
            for event in host
            if whole.start <= event.time_range.start <= whole.end  # not the profiler's own
            and event.name.startswith(("cuda", "hip", "ur", "ze"))
            and any(name in event.name for name in WAITS)
        )
        return cls(*busy_and_idle(device), waits)


def busy_and_idle(spans: list[tuple[float, float]]) -> tuple[float, float]:
    """Return for how long any of the spans lasts, and how long the gaps between them are."""
    busy = idle = 0.0
    until: float | None = None
    for start, end in sorted(spans):
        if until is not None and start - until > GAP_US:
            idle += start - until
        busy += max(0.0, end - (start if until is None else max(start, until)))
        until = end if until is None else max(end, until)
    return busy, idle
