"""Losses on their way from the device to Python, without ever waiting for the device to be idle.

Reading a number from an accelerator waits until all the work queued before it is done, and then
nothing is queued: the device idles while Python prepares the next step. So the loss is copied to
pinned host memory behind the step that made it, and read a few steps later, when it has arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

IN_FLIGHT = 4
"""Steps that may be queued beyond the one last read: enough to keep a device busy, and Stop is
answered within them."""

End = TypeVar("End")
Steps: TypeAlias = Iterator[tuple[float, "float | Tensor"]]


class Arrival(Protocol):
    """A number on its way."""

    def ready(self) -> bool:
        """Say whether it has arrived, without waiting."""

    def value(self) -> float:
        """Wait for it if need be, and return it."""


def read_back(
    steps: Generator[tuple[float, float | Tensor], None, End],
    send: Callable[[Tensor], Arrival],
    limit: int = IN_FLIGHT,
) -> Generator[tuple[float, float], None, End]:
    """Yield ``(lr, loss)`` in order, each when its loss has arrived.

    What goes wrong in a step is raised only after the losses of all steps before it have been
    yielded: whoever ends the run at one of those never hears of it, as in a run that blocks.

    Parameters
    ----------
    steps : generator of (float, float or Tensor)
        Trains a step at a time. A float is already here.
    send : callable
        Sets a scalar tensor on its way.
    limit : int
        Steps in flight, at most.
    """
    flying: deque[tuple[float, Arrival]] = deque()
    failure: BaseException | None = None
    try:
        while True:
            try:
                lr, loss = next(steps)
            except StopIteration as stop:
                end: End = stop.value
                break
            except Exception as error:  # noqa: BLE001 - raised below, in its turn
                failure = error
                break
            if isinstance(loss, float) and not flying:
                yield lr, loss
                continue
            flying.append((lr, _Here(loss) if isinstance(loss, float) else send(loss)))
            while flying and (len(flying) >= limit or flying[0][1].ready()):
                lr, arrival = flying.popleft()
                yield lr, arrival.value()
        while flying:
            lr, arrival = flying.popleft()
            yield lr, arrival.value()
        if failure is not None:
            raise failure
        return end
    finally:
        failure = None  # its traceback holds this frame, and with it a step's memory


class _Here:
    """A number that has arrived already, behind some that have not."""

    def __init__(self, loss: float) -> None:
        self._loss = loss

    def ready(self) -> bool:
        return True

    def value(self) -> float:
        return self._loss


class Sender:
    """Sets scalars of an accelerator on their way, through pinned memory that is used again."""

    def __init__(self, limit: int = IN_FLIGHT) -> None:
        self._free: deque[_Copy] = deque()
        self._limit = limit

    def __call__(self, loss: Tensor) -> Arrival:
        """Queue the copy behind the step that made `loss`."""
        # One more than are in flight: the oldest has been read when its memory is used again.
        copy = self._free.popleft() if len(self._free) > self._limit else _Copy(loss)
        self._free.append(copy)
        copy.send(loss)
        return copy


class _Copy:
    def __init__(self, loss: Tensor) -> None:
        self._host = torch.empty((), dtype=loss.dtype, pin_memory=True)
        self._event: Any = torch.get_device_module(loss.device).Event()

    def send(self, loss: Tensor) -> None:
        if self._host.dtype != loss.dtype:
            self._host = torch.empty((), dtype=loss.dtype, pin_memory=True)
        self._host.copy_(loss.detach().reshape(()), non_blocking=True)
        self._event.record(torch.get_device_module(loss.device).current_stream(loss.device))

    def ready(self) -> bool:
        return bool(self._event.query())

    def value(self) -> float:
        self._event.synchronize()
        return float(self._host.item())


def can_fly(loss: Tensor) -> bool:
    """Say whether the device of `loss` has events and pinned memory; others are read at once."""
    return loss.is_cuda or loss.is_xpu  # asked at each step; `device.type` makes a string
