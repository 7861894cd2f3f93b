"""What objects hold, in containers and in attributes, and how to put that back where it was.

A function that puts something back writes into the same objects, and may be called any number of
times.
"""

from __future__ import annotations

import io
import operator
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.process import BaseProcess
from threading import Thread
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any, TypeAlias

import torch

Restore: TypeAlias = Callable[[], object]

# Immutable, or nothing that a training step changes in place.
ATOMS = (
    int,
    float,
    complex,
    bool,
    str,
    bytes,
    type(None),
    type,
    torch.dtype,
    torch.device,
)

# What they hold must stay in step with the interpreter, the system or the compiler.
_MACHINERY = (Thread, BaseProcess, io.IOBase)
_MACHINERY_OF = (
    "lrfinder_widget",
    "torch._",
    "torch.autograd",
    "torch.distributed",
    "torch.fx",
    "torch.jit",
    "torch.nn.parallel",
    "torch.utils.hooks",
)


def dict_state(target: dict[Any, Any]) -> tuple[dict[Any, Any], Restore]:
    """Return a copy of a dict, and a function that puts the same keys and values back into it.

    A subclass may give its methods another meaning, so its own are not called.
    """
    base: type[dict[Any, Any]] = OrderedDict if isinstance(target, OrderedDict) else dict
    saved = dict(target) if type(target) in (dict, OrderedDict) else dict(base.items(target))
    return saved, partial(_refill_dict, target, saved, base)


def _refill_dict(
    target: dict[Any, Any], saved: dict[Any, Any], base: type[dict[Any, Any]] = dict
) -> None:
    if len(target) == len(saved) and all(map(operator.is_, base.__iter__(target), saved)):
        if all(map(operator.is_, base.values(target), saved.values())):
            return
        for key, value in saved.items():  # never empty, as another thread may be reading it
            if base.__getitem__(target, key) is not value:
                base.__setitem__(target, key, value)
    else:
        base.clear(target)
        base.update(target, saved)


def items_state(target: Any) -> tuple[list[Any], Restore]:
    """Return what a list, deque or set holds, and a function that puts it back."""
    base: Any = next(kind for kind in (list, deque, set) if isinstance(target, kind))
    items = list(base.__iter__(target))
    return items, partial(_refill, target, items, base)


def _refill(target: Any, items: list[Any], base: Any) -> None:
    now = list(base.__iter__(target))
    if len(now) == len(items) and all(map(operator.is_, now, items)):
        return
    base.clear(target)
    (base.update if base is set else base.extend)(target, items)


def notes_state(target: list[Any]) -> tuple[list[Any], Restore]:
    """Like `items_state`, but numbers and records that were appended stay: they are notes."""
    items, put_back = items_state(target)

    def put_back_all_but_notes() -> None:
        now = list.__getitem__(target, slice(None))
        grown = len(now) > len(items) and all(map(operator.is_, now, items))
        if not (grown and all(map(_is_note, now[len(items) :]))):
            put_back()

    return items, put_back_all_but_notes


def _is_note(value: Any) -> bool:
    """Return whether it is made of numbers, strings and the like alone."""
    if isinstance(value, dict):
        return all(map(_is_note, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_note, value))
    return isinstance(value, ATOMS)


def slots_state(target: Any) -> tuple[dict[str, Any], Restore] | None:
    """Return the attributes of an object that are in slots; `None` if it has none."""
    names = [
        name
        for kind in type(target).__mro__
        for name in _names(vars(kind).get("__slots__", ()))
        if name not in ("__dict__", "__weakref__") and not name.startswith("__")
    ]
    if not names:
        return None
    saved = {name: getattr(target, name) for name in names if hasattr(target, name)}

    def put_back() -> None:
        for name in names:
            if name in saved:
                object.__setattr__(target, name, saved[name])
            elif hasattr(target, name):
                object.__delattr__(target, name)

    return saved, put_back


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def attributes_of(value: Any) -> dict[str, Any] | None:
    """Return the `__dict__` of an object itself; `None` if it has none."""
    attributes = getattr(value, "__dict__", None)
    return attributes if isinstance(attributes, dict) else None


def own_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Leave out the compiler's marks, which belong to the graphs that it keeps."""
    return {name: held for name, held in attributes.items() if not name.startswith("_dynamo")}


def put_attributes_back(attributes: dict[str, Any], saved: dict[str, Any]) -> None:
    """Take off a tensor what has been hung on it since, and put back what was there."""
    for name in own_attributes(attributes):
        if name not in saved:
            del attributes[name]
    attributes.update(saved)


def is_machinery(value: Any) -> bool:
    """Return whether an object belongs to Python, torch or this package, not to a training.

    Locks, threads, loggers, compiled code, and the widgets of a notebook: their attributes are
    neither read nor put back.
    """
    module = type(value).__module__
    return (
        isinstance(value, _MACHINERY)
        or (module.partition(".")[0] in sys.stdlib_module_names and type(value) not in _RECORDS)
        or module.startswith(_MACHINERY_OF)
        or hasattr(type(value), "class_traits")
        or holds_finder(value)
    )


def holds_finder(value: Any) -> bool:
    """Return whether a finder is among its attributes: then it is used while that runs."""
    held = (attributes_of(value) or {}).values()
    return any(type(part).__module__.startswith("lrfinder_widget") for part in list(held))


_RECORDS = (SimpleNamespace,)


def parts_of_callable(value: Any) -> Iterator[Any] | None:
    """Return what a function, a bound method or a partial holds; `None` for anything else."""
    if isinstance(value, FunctionType):
        return _parts_of_function(value)
    if isinstance(value, MethodType):
        return iter((value.__self__, value.__func__))
    if isinstance(value, partial):
        return iter((value.func, value.args, value.keywords))
    return None


def _parts_of_function(function: FunctionType) -> Iterator[Any]:
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
