"""Brings losses from the device to Python without ever letting the device run idle.

Reading a number from an accelerator waits until all the work queued before it is done. Then nothing
is queued, and the device idles while Python prepares the next step. So the loss is copied to pinned
host memory right behind the step that computed it, and read a few steps later, once it has arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from lrfinder_widget.data.describe import describe

IN_FLIGHT = 4
"""How many steps may be queued beyond the one last read: enough to keep a device busy, and few
enough for Stop to be answered soon."""

End = TypeVar("End")
Steps: TypeAlias = Iterator[tuple[float, "float | Tensor"]]


class Arrival(Protocol):
    """A number on its way."""

    def ready(self) -> bool:
        """Return whether it has arrived, without waiting."""

    def value(self) -> float:
        """Return it, waiting for it if necessary."""


def read_back(
    steps: Generator[tuple[float, float | Tensor], None, End],
    send: Callable[[Tensor], Arrival],
    limit: int = IN_FLIGHT,
) -> Generator[tuple[float, float], None, End]:
    """Yield ``(lr, loss)`` in order, each as soon as its loss has arrived.

    An exception in a step is raised only after the losses of all earlier steps have been yielded.
    A caller that ends the run at one of those never sees it, just as in a run that reads each loss
    at once.

    Parameters
    ----------
    steps : generator of (float, float or Tensor)
        Trains one step at a time. A float has already arrived.
    send : callable
        Starts the copy of a scalar tensor.
    limit : int
        The largest number of steps in flight.
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
            except Exception as error:  # noqa: BLE001 - raised below, when its turn comes
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
        failure = None  # its traceback refers to this frame, and so keeps a step's memory


class _Here:
    """A number that has already arrived, queued behind some that have not."""

    def __init__(self, loss: float) -> None:
        self._loss = loss

    def ready(self) -> bool:
        return True

    def value(self) -> float:
        return self._loss


class Sender:
    """Copies scalars, or small arrays, from an accelerator to pinned memory, which is reused."""

    def __init__(self, limit: int = IN_FLIGHT) -> None:
        self._free: deque[_Copy] = deque()
        self._limit = limit

    def __call__(self, loss: Tensor) -> _Copy:
        """Queue the copy behind the step that computed `loss`."""
        # One more than are in flight, so the oldest has been read before its memory is reused.
        copy = self._free.popleft() if len(self._free) > self._limit else _Copy(loss)
        self._free.append(copy)
        copy.send(loss)
        return copy


class _Copy:
    def __init__(self, loss: Tensor) -> None:
        self._prepare(loss)

    def _prepare(self, loss: Tensor) -> None:
        # On the host whatever `torch.set_default_device` says; an event belongs to one device.
        shape = tuple(loss.shape)
        self._host = torch.empty(shape, dtype=loss.dtype, pin_memory=True, device="cpu")
        self._kind = loss.dtype, loss.shape, loss.device
        self._event: Any = torch.get_device_module(loss.device).Event()

    def send(self, loss: Tensor) -> None:
        if self._kind != (loss.dtype, loss.shape, loss.device):
            self._prepare(loss)
        self._host.copy_(loss.detach(), non_blocking=True)
        self._event.record(torch.get_device_module(loss.device).current_stream(loss.device))

    def ready(self) -> bool:
        return bool(self._event.query())

    def value(self) -> float:
        self._event.synchronize()
        return float(self._host.item())

    def values(self) -> list[float]:
        """Return the numbers of an array of one dimension, waiting for them if necessary."""
        self._event.synchronize()
        numbers: list[float] = self._host.tolist()
        return numbers


def can_fly(loss: Tensor) -> bool:
    """Return whether the device of `loss` has events and pinned memory; others are read at once."""
    return loss.is_cuda or loss.is_xpu  # called at each step; `device.type` would make a string


def as_loss(loss: Any) -> float | Tensor:
    """Return a loss as a `float`, or as a detached tensor if reading it would block on its device.

    Raises
    ------
    ValueError
        If it is a tensor that does not have exactly one element.
    TypeError
        If it is not a number.
    """
    if isinstance(loss, Tensor):
        if hasattr(loss, "full_tensor"):  # a DTensor; each process may have a part of the sum
            loss = loss.full_tensor()
        if loss.numel() != 1:
            raise ValueError(
                f"the loss must be a single number; got a tensor of shape {tuple(loss.shape)}. "
                "Reduce it, for example with reduction='mean'."
            )
        return loss.detach() if can_fly(loss) else float(loss.item())
    try:
        return float(loss)
    except (TypeError, ValueError):
        raise TypeError(
            "the training step must return the loss as a number or a tensor with one element; "
            f"got {describe(loss)}. Does the function end with `return loss`?"
        ) from None
