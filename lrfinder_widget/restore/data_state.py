"""The state of loaders, samplers, data sets and transforms, of whatever make.

Which order or augmentation comes next may be kept anywhere in them: in a random generator, in a
number such as the epoch, in a list that is shuffled in place. So everything that can be reached
from a loader is put back: generators by their state, attributes by reference, and what is small
enough by content. The samples themselves are neither copied nor looked through.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Container, Iterable, Iterator
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torch.utils.data.dataloader import _BaseDataLoaderIter

from .contents import (
    ATOMS,
    Restore,
    attributes_of,
    dict_state,
    is_machinery,
    items_state,
    notes_state,
    parts_of_callable,
    slots_state,
)
from .random_state import state_of

MOST_OBJECTS = 20_000
_FEW = 64  # a list of transforms is looked through, a list of samples is not
_MANY = 100_000  # references in a list; it takes a millisecond to note them
_ORDER_BYTES = 64 * 2**20  # of arrays that may be an order: copied as long as there is room

_PLAIN = frozenset((*ATOMS, ModuleType))
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
_CALLED = ("__getitem__", "__iter__", "__call__")
_LIBRARIES = ("torch.", "torchvision.", "numpy.")  # their functions draw from no generator of yours


def is_data(value: Any) -> bool:
    """Return whether it is a loader, a sampler or a data set, of any make that says so."""
    return isinstance(value, (DataLoader, Dataset, Sampler))


def data_states(sources: Iterable[Any], known: Container[int] = ()) -> list[Restore]:
    """Read the state of data sources; each of the returned functions puts a part of it back.

    Parameters
    ----------
    sources : iterable
        Loaders, data sets, generators, or anything else that yields batches.
    known : container of int
        The ids of objects that are put back otherwise.
    """
    return _Walk(known).from_(sources)


class _Walk:
    """Looks through objects breadth-first, so that what is near is found before what is far."""

    def __init__(self, known: Container[int]) -> None:
        self._known = known
        self._seen: dict[int, Any] = {}  # id -> object; the reference keeps the id unique
        self._ahead: deque[tuple[Any, bool]] = deque()
        self._restores: list[Restore] = []
        self._room = _ORDER_BYTES

    def from_(self, sources: Iterable[Any]) -> list[Restore]:
        self._enter(sources, sampler=False)
        while self._ahead and len(self._seen) < MOST_OBJECTS:
            value, sampler = self._ahead.popleft()
            if type(value) in _PLAIN or id(value) in self._seen or id(value) in self._known:
                continue
            self._seen[id(value)] = value
            self._look(value, sampler)
        return self._restores

    def _enter(self, values: Iterable[Any], *, sampler: bool) -> None:
        self._ahead.extend((value, sampler) for value in values)

    def _look(self, value: Any, sampler: bool) -> None:
        """Note the state of one object, and what it holds; `sampler` if it is part of one."""
        if isinstance(value, (Tensor, np.ndarray)):
            self._note_order(value, sampler)
        elif isinstance(value, (dict, list, deque, set, tuple, frozenset)):
            self._look_into(value, sampler)
        elif (put_back := state_of(value)) is not None:
            self._restores.append(put_back)
        elif (parts := parts_of_callable(value)) is not None:
            self._enter(parts, sampler=sampler)
            if isinstance(value, FunctionType):
                self._enter(_generators_named_in(value), sampler=sampler)
        elif not isinstance(value, (_BaseDataLoaderIter, type)) and not is_machinery(value):
            self._look_at_attributes(value, sampler)

    def _look_into(self, container: Any, sampler: bool) -> None:
        size = len(container)
        items: Iterable[Any]
        if isinstance(container, dict):
            if not sampler and size > _FEW:
                return
            saved, put_back = dict_state(container)
            self._restores.append(put_back)
            items = saved.values()
        elif isinstance(container, (tuple, frozenset)):
            items = container
        else:
            if not sampler and size > _MANY:
                return
            notes = not sampler and isinstance(container, list)
            items, put_back = notes_state(container) if notes else items_state(container)
            self._restores.append(put_back)
        if size <= _FEW or (sampler and isinstance(container, dict)):  # classes and their samples
            self._enter(items, sampler=sampler)

    def _look_at_attributes(self, value: Any, sampler: bool) -> None:
        kind = type(value)
        sampler = sampler or isinstance(value, Sampler)
        if (attributes := attributes_of(value)) is not None:
            saved, put_back = dict_state(attributes)
            self._restores.append(put_back)
            if isinstance(value, DataLoader):  # a sampler need not be one of torch's
                self._enter((saved.get("sampler"), saved.get("batch_sampler")), sampler=True)
            self._enter(saved.values(), sampler=sampler)
        if (slots := slots_state(value)) is not None:
            self._restores.append(slots[1])
            self._enter(slots[0].values(), sampler=sampler)
        if id(kind) not in self._seen and not kind.__module__.startswith(_LIBRARIES):
            self._seen[id(kind)] = kind
            methods = (getattr(kind, name, None) for name in _CALLED)
            self._enter((m for m in methods if isinstance(m, FunctionType)), sampler=False)
            own = (held for base in kind.__mro__[:-1] for held in vars(base).values())
            self._enter((held for held in own if isinstance(held, GENERATORS)), sampler=False)

    def _note_order(self, array: Any, sampler: bool) -> None:
        """Copy an array that may be shuffled in place: any of a sampler, or NumPy's of integers.

        The samples are not copied: they may be large, and nobody trains by changing them.
        """
        if not (sampler or _is_order(array)) or array.nbytes > self._room:
            return
        if isinstance(array, np.ndarray):
            if array.flags.writeable and not array.dtype.hasobject:
                self._room -= array.nbytes
                self._restores.append(partial(np.copyto, array, array.copy()))
        elif type(array) is Tensor and array.is_leaf and array.device.type != "meta":
            self._room -= array.nbytes
            self._restores.append(partial(_copy_back, array, array.detach().clone()))


def _is_order(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "iu"


def _copy_back(tensor: Tensor, saved: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(saved)


def _generators_named_in(function: FunctionType) -> Iterator[Any]:
    """Yield the random generators among the global variables that a function uses."""
    variables = function.__globals__
    for name in _names_in(function.__code__):
        if isinstance(value := variables.get(name), GENERATORS):
            yield value


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
