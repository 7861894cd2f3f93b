"""Descriptions of values for messages: their type and shape, never their contents."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor

_MOST_ITEMS, _MOST_KEYS = 4, 6


def describe(value: Any) -> str:
    """Describe a value by its type and shape; for a tuple or list, its first items as well."""
    if type(value) in (tuple, list) and value:
        items = [_describe(item) for item in value[:_MOST_ITEMS]]
        more = ["…"] if len(value) > _MOST_ITEMS else []
        return f"{_describe(value)} ({'; '.join(items + more)})"
    return _describe(value)


def keys_of(mapping: Any) -> str:
    """Return the first keys of a mapping, for a message."""
    first = islice(mapping.keys(), _MOST_KEYS + 1)  # as ** does; some iterate over their contents
    keys = [reprlib.repr(key) for key in first]
    return ", ".join(keys[:_MOST_KEYS] + ["…"] * (len(keys) > _MOST_KEYS)) or "none"


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    name = f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"
    try:
        if isinstance(value, Tensor):
            return f"a tensor of {_shape(value)}"
        if isinstance(value, np.ndarray):
            return f"a NumPy array of {_shape(value)}"
        if isinstance(value, Mapping):
            return f"{name} with keys {keys_of(value)}"
        if isinstance(value, (tuple, list)):
            return f"{name} of {len(value)}"
    except Exception:  # noqa: BLE001 - a message must not fail, whatever an object does when asked
        pass
    return name


def _shape(value: Any) -> str:
    return f"shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
