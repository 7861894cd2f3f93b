"""The state that an object tells by ``state_dict``, and how to give it back."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .memory import place_for

_LARGE = 65_536  # elements; a larger tensor is not compared, as it would take time


class OwnState:
    """The state of an object as it was; calling it loads that state again.

    Parameters
    ----------
    thing : object
        Has ``state_dict`` and ``load_state_dict``.
    """

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        try:
            state = thing.state_dict()
            tensors = list(_tensors_in(state))
            devices = {tensor.device for tensor in tensors}
            places = {d: place_for([t for t in tensors if t.device == d], d) for d in devices}
            self._saved = _copied(state, lambda tensor: places[tensor.device])
            copies = _tensors_in(self._saved)
            self._devices = {id(t): was.device for t, was in zip(copies, tensors, strict=True)}
        except Exception as error:
            error.add_note(f"This came from reading the state_dict() of {self}.")
            raise

    def __call__(self) -> None:
        """Load the state."""
        try:
            self._thing.load_state_dict(_copied(self._saved, self._device_of))
        except Exception as error:
            _note_once(error, f"This came from load_state_dict() of {self}, to put it back.")
            raise

    def _device_of(self, saved: Tensor) -> torch.device:
        return self._devices[id(saved)]

    def __str__(self) -> str:
        return f"the {type(self._thing).__name__} in preserve"

    def differs(self) -> bool:
        """Return whether the object now tells another state; no, if it does not tell."""
        try:
            return not _equal(self._thing.state_dict(), self._saved)
        except Exception:  # noqa: BLE001 - it has been put back, and this is only a question
            return False


def _note_once(error: Exception, note: str) -> None:
    if note not in getattr(error, "__notes__", ()):  # a restore may be repeated
        error.add_note(note)


def one_line(error: BaseException) -> str:
    """Describe an error in a line, even one that cannot describe itself."""
    bare = "".join(traceback.format_exception_only(type(error), error)).strip()
    return bare.partition("\n")[0]


def _copied(state: Any, device: Callable[[Tensor], torch.device]) -> Any:
    """Copy a state deeply, each tensor to a device; torch refuses to copy one with a history."""
    copies = {
        id(t): t.detach().to(device(t), copy=True).requires_grad_(t.requires_grad)
        for t in _tensors_in(state)
    }
    return copy.deepcopy(state, copies)


def _tensors_in(state: Any) -> Iterator[Tensor]:
    if type(state) is Tensor:
        yield state
    elif isinstance(state, Mapping):
        for part in state.values():
            yield from _tensors_in(part)
    elif isinstance(state, (list, tuple)):
        for part in state:
            yield from _tensors_in(part)


def _equal(a: Any, b: Any) -> bool:
    """Compare two states as far as that is cheap and certain; anything else counts as equal."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.numel() > _LARGE or a.layout is not torch.strided:
            return True
        b = b.to(a.device)
        return bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype.hasobject or a.tobytes() == b.tobytes()
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    plain = (int, float, complex, str, bytes, type(None))
    if isinstance(a, plain) and isinstance(b, plain):
        return a == b or (a != a and b != b)
    return isinstance(a, plain) == isinstance(b, plain)
