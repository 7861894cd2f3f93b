"""An endless stream of batches that leaves the user's own epoch alone."""

from __future__ import annotations

import copy
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class Exhausted(Exception):
    """The data is used up and cannot be restarted."""


class Batches:
    """An endless stream of batches: restarts the loader when it is exhausted.

    Parameters
    ----------
    source : iterable
        Restarted each time it is exhausted, unless it is its own iterator.
    device : torch.device or None
        The device to which the tensors of each batch are moved; `None` leaves them where they are.
    """

    def __init__(self, source: Iterable[Any], device: torch.device | None) -> None:
        self._source = _private(source)
        if device is not None and device.type == "cpu" and not torch.accelerator.is_available():
            device = None  # no batch can be on any other device
        self.device = device
        self._iterator: Iterator[Any] | None = None

    def open(self) -> None:
        """Start iterating; a loader with workers starts them here."""
        try:
            self._iterator = iter(self._source)
        except BaseException as error:
            _end_workers_of(error)
            raise

    def take(self) -> Any:
        """Return the next batch, on the device.

        Raises
        ------
        Exhausted
            If there is none left and a restart yields nothing.
        """
        assert self._iterator is not None
        try:
            batch = next(self._iterator)
        except StopIteration:
            if self._iterator is self._source:
                raise Exhausted from None
            self.open()
            try:
                batch = next(self._iterator)
            except StopIteration:
                raise Exhausted from None
        return batch if self.device is None else move(batch, self.device)

    def close(self) -> None:
        """Drop the iterator and end its worker processes."""
        iterator, self._iterator = self._iterator, None
        if iterator is None or iterator is self._source:  # a one-shot iterator is the user's
            return
        if hasattr(iterator, "_shutdown_workers"):
            _shut_down(iterator)
        elif hasattr(iterator, "close"):
            iterator.close()


def check_batches(batches: object) -> None:
    """Reject what cannot be a source of batches, before anything runs.

    Raises
    ------
    TypeError
        If `batches` is a bare `Dataset`, is not iterable, or is a single batch.
    """
    what = f"batches must be an iterable of batches, usually a DataLoader; got {_kind(batches)}."
    if isinstance(batches, Dataset):
        raise TypeError(f"{what} Wrap it: DataLoader({_kind(batches)}(…), batch_size=…).")
    if isinstance(batches, (str, bytes, Mapping, Tensor)):
        raise TypeError(f"{what} For a single batch, pass a list: [batch].")
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise TypeError(what)


def move(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch to `device`, in nested containers too; keep all else as it is.

    A copy to a CUDA or Intel device does not block: the work that needs it is queued behind it. On
    others it does: on Apple's, the source may be gone before it is read.
    """
    if isinstance(batch, Tensor):
        if batch.device == device:  # `to` checks this too, but takes four times as long
            return batch
        return batch.to(device, non_blocking=device.type in ("cuda", "xpu"))
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(move(item, device) for item in batch))
    if type(batch) in (list, tuple):
        return type(batch)([move(item, device) for item in batch])
    if type(batch) is dict:
        return {key: move(item, device) for key, item in batch.items()}
    if callable(getattr(batch, "to", None)):  # packed sequences, tokenizer output, graphs
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: move(item, device) for key, item in batch.items()}
    return batch


def _kind(value: object) -> str:
    return type(value).__name__


def _private(source: Any) -> Any:
    """Copy a `DataLoader` shallowly, so that its own iterator and workers stay as they are."""
    if not isinstance(source, DataLoader) or type(source).__iter__ is not DataLoader.__iter__:
        return source
    loader = copy.copy(source)
    object.__setattr__(loader, "_iterator", None)
    if loader.num_workers:
        loader.worker_init_fn = _IgnoreInterrupt(loader.worker_init_fn)
    return loader


class _IgnoreInterrupt:
    """Keep workers alive when a notebook sends an interrupt to the whole process group.

    The main process decides what an interrupt means. This is a class at module level, so that it
    can be pickled for spawned workers.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.inner is not None:
            self.inner(worker_id)


def _end_workers_of(error: BaseException) -> None:
    """End the workers of a loader's iterator that failed during its construction.

    Only the frames of the traceback refer to it, so keeping the traceback would keep the workers.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        half_made = frame.f_locals.get("self")
        if hasattr(half_made, "_shutdown_workers"):
            with suppress(AttributeError):  # it ends them, then misses attributes not yet set
                _shut_down(half_made)


def _shut_down(iterator: Any, grace_s: float = 0.3) -> None:
    """Shut down a loader's workers, and terminate those that take longer than `grace_s`."""

    def terminate() -> None:
        for worker in iterator._workers:
            with suppress(ValueError):  # it has been closed in the meantime
                if worker.is_alive():
                    worker.terminate()

    timer = threading.Timer(grace_s, terminate)
    timer.daemon = True
    timer.start()
    try:
        iterator._shutdown_workers()
    finally:
        timer.cancel()
