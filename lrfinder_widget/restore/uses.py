"""What a training step uses besides model and optimizer, and nobody has named.

A function reaches objects as variables of the code around it, as global variables, as the object of
a bound method, and as arguments of a partial; the functions of yours that it calls do, too. What is
found and holds training state is put back like what is named in ``preserve``.
"""

from __future__ import annotations

import dis
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data.dataloader import _BaseDataLoaderIter

from .contents import ATOMS, Restore, attributes_of, holds_finder, is_machinery
from .data_state import GENERATORS, is_data
from .memory import bytes_of
from .tensors import parts_of

_MOST = 500  # objects and functions that are looked at
_FEW = 64  # a list of models is looked through, a list of samples is not
_LARGE_BYTES = 4 * 2**20  # of a tensor that is no parameter: it may be the data
_LIBRARIES = ("site-packages", "dist-packages", sysconfig.get_paths()["stdlib"], "<frozen")
_STATE = (Tensor, np.ndarray, nn.Module, Optimizer, *GENERATORS)


class MadeOfParts:
    """A step that says itself what it uses."""

    parts: list[Any]


@dataclass
class Uses:
    """What a step uses, sorted by what is done about it.

    Attributes
    ----------
    objects : list
        Modules, optimizers, and whatever else holds tensors: put back whole.
    data : list
        Loaders, data sets and random generators: put back as those of the run.
    counters : list of callable
        Each puts back the numbers of an object that holds no tensors. Its lists may be your notes
        of what happened, and its flags may be set by another cell: those stay.
    watched : list of (object, callable)
        What cannot be put back; the callable returns a sentence if the object has changed.
    """

    objects: list[Any] = field(default_factory=list)
    data: list[Any] = field(default_factory=list)
    counters: list[Restore] = field(default_factory=list)
    watched: list[tuple[Any, Callable[[], str | None]]] = field(default_factory=list)


def uses_of(step: Callable[..., Any], *more: Callable[..., Any]) -> Uses:
    """Find what a step uses, and more functions that are called with it; changes nothing."""
    uses, roots = Uses(), [step, *more]
    seen: dict[int, Any] = {}
    ahead: deque[tuple[str, Any]] = deque([("step", step)])
    ahead.extend(("metric", function) for function in more)
    while ahead and len(seen) < _MOST:
        name, value = ahead.popleft()
        if isinstance(value, (*ATOMS, ModuleType)) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, MadeOfParts):
            ahead.extend((name, part) for part in value.parts)
        elif (
            parts := _parts_of_callable(value, root=any(value is root for root in roots))
        ) is not None:
            ahead.extend(parts)
        elif isinstance(value, (list, tuple, set, deque)) or (
            isinstance(value, dict) and not any(isinstance(v, _STATE) for v in value.values())
        ):
            items = value.values() if isinstance(value, dict) else value
            if len(value) <= _FEW:
                ahead.extend((name, item) for item in items)
        elif not isinstance(value, nn.Module) and holds_finder(value):
            # Its attributes count as variables: what they hold is put back, they are not.
            held = (attributes_of(value) or {}).items()
            ahead.extend((key, part) for key, part in held if not key.startswith("_"))
        else:
            _sort(name, value, uses)
            call = getattr(type(value), "__call__", None)  # noqa: B004 - its function, if any
            if not isinstance(value, nn.Module) and isinstance(call, FunctionType):
                ahead.append((name, call))
    return uses


def _parts_of_callable(value: Any, *, root: bool) -> Iterator[tuple[str, Any]] | None:
    """Return what a function uses, by name; `None` for what is no function, method or partial."""
    if isinstance(value, MethodType):
        return iter([(value.__func__.__name__, value.__self__), ("", value.__func__)])
    if isinstance(value, partial):
        arguments = [*value.args, *value.keywords.values()]
        return iter([("", value.func), *(("", argument) for argument in arguments)])
    if isinstance(value, FunctionType):
        inner = getattr(value, "_torchdynamo_orig_callable", None)
        if inner is not None:  # compiled
            return iter([("", inner)])
        followed = root or not any(part in value.__code__.co_filename for part in _LIBRARIES)
        return _variables(value) if followed else iter(())
    return None


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the variables from outside that a function uses, with its defaults."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in _globals_in(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield function.__name__, default


def _globals_in(code: CodeType) -> Iterator[str]:
    # Not all of `co_names`: these include the names of attributes.
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_in(constant)


def _sort(name: str, value: Any, uses: Uses) -> None:
    if isinstance(value, (nn.Module, Optimizer, dict)):
        uses.objects.append(value)
    elif isinstance(value, Tensor):
        parts = parts_of(value)
        if value.requires_grad or bytes_of(parts) <= _LARGE_BYTES:
            uses.objects.append(value)
        elif not value.is_inference():
            parts.append(value)  # of a DTensor, each counts changes of its own
            uses.watched.append((value, partial(_changed_tensor, name, parts, _versions(parts))))
    elif is_data(value) or isinstance(value, GENERATORS):
        uses.data.append(value)
    elif isinstance(value, _BaseDataLoaderIter) or _yields_data(value):
        uses.watched.append((value, partial(_moved_iterator, name, value, _position(value))))
    elif not isinstance(value, (np.ndarray, GeneratorType)) and not is_machinery(
        value
    ):  # data, or notes of yours
        _sort_plain(value, uses)


def _sort_plain(value: Any, uses: Uses) -> None:
    kind = type(value)
    if hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"):
        uses.data.append(value)
    elif _holds_state(value):
        uses.objects.append(value)
    elif (attributes := attributes_of(value)) is not None:
        uses.counters += [
            partial(attributes.__setitem__, key, number)
            for key, number in attributes.items()
            if type(number) in (int, float, complex)
        ]


def _holds_state(value: Any) -> bool:
    """Return whether an object holds tensors or the like, within other objects too."""
    seen: dict[int, Any] = {}
    ahead = deque([value])
    while ahead and len(seen) < _MOST:
        held = ahead.popleft()
        if isinstance(held, _STATE):
            return True
        if isinstance(held, (*ATOMS, ModuleType)) or id(held) in seen or is_data(held):
            continue
        seen[id(held)] = held
        if isinstance(held, dict):
            ahead.extend(held.values() if len(held) <= _FEW else ())
        elif isinstance(held, (list, tuple, set, deque)):
            ahead.extend(held if len(held) <= _FEW else list(held)[:_FEW])
        elif not is_machinery(held):
            ahead.extend((attributes_of(held) or {}).values())
    return False


def _yields_data(value: Any) -> bool:
    """Return whether it is a generator that works on data: a matter of what its variables hold."""
    if not isinstance(value, GeneratorType) or value.gi_frame is None:
        return False
    held = value.gi_frame.f_locals.values()
    return any(is_data(v) or isinstance(v, _BaseDataLoaderIter) or _holds_state(v) for v in held)


def _versions(tensors: list[Tensor]) -> list[int]:
    return [tensor._version for tensor in tensors]


def _changed_tensor(name: str, parts: list[Tensor], versions: list[int]) -> str | None:
    if _versions(parts) == versions:
        return None
    return (
        f"The step changes the large tensor {name} in place, which was not copied; it is put back "
        f"if you pass preserve=[{name}]."
    )


def _moved_iterator(name: str, iterator: Any, position: object) -> str | None:
    if _position(iterator) == position:
        return None
    return f"The iterator {name} that the step uses has moved on: what it yielded is gone."


def _position(iterator: Any) -> object:
    if isinstance(iterator, GeneratorType):
        frame = iterator.gi_frame
        return None if frame is None else (frame.f_lasti, [id(v) for v in frame.f_locals.values()])
    return iterator._num_yielded
