"""An endless stream of batches that leaves the user's own epoch alone."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from .private_loader import PrivateLoaders
from .source_parts import cannot_import, reachable, start_method
from .workers import let_go, runs_on, threads_of

_DEEP = 20  # pipelines of many stages, looked through only if a thread has ended


class Exhausted(Exception):
    """The data is used up and cannot be restarted."""


class Batches:
    """An endless stream of batches: restarts the loader when it is exhausted.

    Parameters
    ----------
    source : iterable
        Restarted each time it is exhausted. It is used up if that yields nothing.
    device : torch.device or None
        The device to which the tensors of each batch are moved; `None` leaves them where they are.

    Attributes
    ----------
    unrestored : list of str
        Once closed and put back: one sentence for each thing that the run has moved on for good.
    """

    def __init__(self, source: Iterable[Any], device: torch.device | None) -> None:
        self._source = source
        self._running = threading.enumerate()
        self._loaders = PrivateLoaders(source)
        if device is not None and device.type == "cpu" and not torch.accelerator.is_available():
            device = None  # no batch can be on any other device
        self.device = device
        # Whoever refills a batch must not do so before it is copied; these do not.
        self._wait = not isinstance(source, (DataLoader, list, tuple))
        self._iterator: Iterator[Any] | None = None
        self._moved: list[str] = []

    def open(self) -> None:
        """Start iterating; a loader with workers starts them here."""
        self._iterator = self._loaders.begin()

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
            batch = self._first_again()
        except BaseException as error:
            let_go(error)
            raise
        return batch if self.device is None else move(batch, self.device, self._wait)

    def _first_again(self) -> Any:
        self.open()
        assert self._iterator is not None
        try:
            return next(self._iterator)
        except StopIteration:
            raise Exhausted from None

    def close(self) -> None:
        """Drop the iterator, and end the worker processes that the run has started."""
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            self._moved = self._loaders.unrestored()
        threads = threads_of(iterator)
        self._loaders.close(iterator)
        del iterator  # with it, many a loader ends its threads
        self._moved += [
            f"{kind} has a thread that still loads ahead: the batches that it has taken do not "
            "come again."
            for kind, thread in threads
            if runs_on(thread)
        ]

    @property
    def unrestored(self) -> list[str]:
        """Say what the run has moved on for good, once the attributes are put back."""
        ended = {id(thread) for thread in self._running if not thread.is_alive()}
        if not ended:
            return self._moved
        sentences = {
            f"{type(holder).__name__} loaded ahead in a thread that the test has ended: an epoch "
            "under way ends there. The next one is whole.": None
            for holder, _, part in reachable(self._source, _DEEP)
            if id(part) in ended
        }
        return [*self._moved, *sentences]


def check_batches(batches: object) -> None:
    """Reject what cannot be a source of batches, before anything runs.

    Raises
    ------
    TypeError
        If `batches` is a bare map-style `Dataset`, is not iterable, or is a single batch.

    Warns
    -----
    UserWarning
        If the workers of a loader cannot import what is written in the notebook.
    """
    what = f"batches must be an iterable of batches, usually a DataLoader; got {_kind(batches)}."
    if isinstance(batches, Dataset) and not isinstance(batches, IterableDataset):
        raise TypeError(f"{what} Wrap it: DataLoader({_kind(batches)}(…), batch_size=…).")
    if isinstance(batches, (str, bytes, Mapping, Tensor)):
        raise TypeError(f"{what} For a single batch, pass a list: [batch].")
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise TypeError(what)
    for part in (batches, *(part for _, _, part in reachable(batches))):
        if issubclass(type(part), DataLoader) and (name := cannot_import(part)):
            warnings.warn(
                f"the workers of this {_kind(part)} are started by {start_method(part)!r}, so they "
                f"import what they need; they cannot import {name}, which is written in the "
                "notebook. The test loads its batches without workers; your own loop would fail. "
                f"Put {name} in a .py file and import it from there.",
                stacklevel=4,
            )


def can_begin_again(batches: Any) -> bool:
    """Return whether `batches` can be iterated more than once, as far as can be told beforehand.

    An iterator can if its `__iter__` does more than return the iterator itself.
    """
    if not isinstance(batches, Iterator):
        return True
    code = getattr(type(batches).__iter__, "__code__", None)
    return code is not None and code.co_code != Iterator.__iter__.__code__.co_code


def move(batch: Any, device: torch.device, wait: bool = False) -> Any:
    """Move the tensors of a batch to `device`, in nested containers too; keep all else as it is.

    A copy to a CUDA or Intel device does not block, unless it is to `wait`: the work that needs it
    is queued behind it. On others it does: on Apple's, the source may be gone before it is read.
    """
    if isinstance(batch, Tensor):
        if batch.device == device:  # `to` checks this too, but takes four times as long
            return batch
        return batch.to(device, non_blocking=not wait and device.type in ("cuda", "xpu"))
    if type(batch) in (list, tuple):
        return type(batch)([move(item, device, wait) for item in batch])
    if type(batch) is dict:
        return {key: move(item, device, wait) for key, item in batch.items()}
    if callable(getattr(batch, "to", None)):  # packed sequences, tokenizer output, graphs
        return batch.to(device)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(move(item, device, wait) for item in batch))
    if isinstance(batch, Mapping):
        return {key: move(item, device, wait) for key, item in batch.items()}
    return batch


def _kind(value: object) -> str:
    return type(value).__name__
