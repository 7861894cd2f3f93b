"""What a source of batches is made of, and what of it worker processes cannot import."""

from __future__ import annotations

import functools
import multiprocessing
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

LEVELS = 3
MOST_ITEMS = 64
"""Longer lists and dictionaries hold samples, not parts of a loader."""

MOST_OBJECTS = 5000

_DATA = (Tensor, np.ndarray, int, float, str, bytes, type(None))
_WHOLE = (nn.Module, type, ModuleType, FunctionType, BuiltinFunctionType, _BaseDataLoaderIter)

_IMPORT = ("forkserver", "spawn")
_SENT = ("dataset", "collate_fn", "worker_init_fn")
_DEEP = 6


def reachable(source: Any, levels: int = LEVELS) -> Iterator[tuple[Any, Any, Any]]:
    """Yield ``(holder, key, part)`` for all parts within `levels` of the source, nearest first."""
    seen = {id(source)}
    holders = [source]
    for _ in range(levels):
        below: list[Any] = []
        for holder in holders:
            for key, part in parts_of(holder).items():
                if issubclass(type(part), _DATA):
                    continue
                yield holder, key, part
                if id(part) not in seen and len(seen) < MOST_OBJECTS:
                    seen.add(id(part))
                    below.append(part)
        holders = below


def parts_of(value: Any) -> dict[Any, Any]:
    """Return the attributes or items of an object by their name or index; runs none of its code."""
    kind = type(value)
    if issubclass(kind, _DATA + _WHOLE):
        return {}
    if kind in (list, tuple):
        return dict(enumerate(value)) if len(value) <= MOST_ITEMS else {}
    if kind is dict:
        return dict(value) if len(value) <= MOST_ITEMS else {}
    try:
        return dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:
        return {}


def cannot_import(loader: DataLoader[Any]) -> str | None:
    """Return the name of something that the loader's workers need and cannot import, if any.

    Workers that are not forked import what they need. `multiprocessing` runs the file of a script
    again in each of them, but a notebook is no such file.
    """
    if not loader.num_workers or _can_run_main_again() or start_method(loader) not in _IMPORT:
        return None
    for _, _, part in reachable([getattr(loader, name) for name in _SENT], _DEEP):
        for thing in (part, *_inside(part)):
            named: Any = thing if isinstance(thing, (type, FunctionType)) else type(thing)
            if getattr(named, "__module__", None) == "__main__":
                return str(named.__name__)
    return None


def start_method(loader: DataLoader[Any]) -> str:
    """Return how the loader starts its workers: "fork", "forkserver" or "spawn"."""
    context = loader.multiprocessing_context
    if context is not None:
        return str(context.get_start_method())
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or multiprocessing.get_all_start_methods()[0]  # the first is the default


def _inside(part: Any) -> tuple[Any, ...]:
    if isinstance(part, functools.partial):
        return part.func, *part.args, *part.keywords.values()
    return (part.__self__,) if isinstance(part, MethodType) else ()


def _can_run_main_again() -> bool:
    main = sys.modules["__main__"]
    return getattr(main, "__spec__", None) is not None or hasattr(main, "__file__")
