"""Private copies of a user's loaders, so that their own iterators and workers stay as they are."""

from __future__ import annotations

import inspect
import io
import weakref
from collections.abc import Iterator
from contextlib import suppress
from types import GeneratorType, MemberDescriptorType
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from .source_parts import LEVELS, MOST_OBJECTS, cannot_import, parts_of, reachable
from .workers import Grace, IgnoreInterrupt, recording, shut_down

_CONTAINERS = (list, dict)


class PrivateLoaders:
    """A source of batches, with a private copy of each `DataLoader` in it.

    A copy is shallow: it shares the dataset, the samplers and their generators. What holds a
    loader (a wrapper, a list) is copied likewise, up to the source. An iterator that a holder keeps
    for life is begun anew for the copy, if the loader that made it is known. No object's own code
    runs for a copy, as ``copy.copy`` would call it.

    Parameters
    ----------
    source : iterable
        What the user passed.

    Attributes
    ----------
    source : iterable
        The private source; the user's own if there is no loader in it.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()  # the iterators of the copies
        self._copies: dict[int, tuple[Any, Any]] = {}  # id -> an object and its copy
        self._plain: dict[int, int] = {}  # id -> levels in which there is no loader
        self._late: list[tuple[Any, Any, Any, Any]] = []  # copy, key, user's iterator, its loader
        found = list(reachable(source))
        parts = (source, *(part for _, _, part in found))
        self._loaders = [part for part in parts if issubclass(type(part), DataLoader)]
        if self._loaders:
            # Most sources are a loader with no other in it: then there is nothing to look for.
            plain = len(found) < MOST_OBJECTS and not any(
                issubclass(type(part), (DataLoader, _BaseDataLoaderIter)) for _, _, part in found
            )
            self.source = self._private(source, 0 if plain else LEVELS)
        late = {id(iterator) for _, _, iterator, _ in self._late}
        self._held = [
            (holder, key, part)
            for holder, key, part in found
            if _keeps_a_position(part) and id(part) not in late and not _is_reset(holder, key)
        ]

    def begin(self) -> Any:
        """Return an iterator over the private source; a loader with workers starts them here."""
        begun: dict[int, Any] = {}
        while self._late:
            copy, key, iterator, loader = self._late.pop()
            if id(iterator) not in begun:
                begun[id(iterator)] = self._copies[id(loader)][1]._get_iterator()
            _items_of(copy)[key] = begun[id(iterator)]
        return iter(self.source)

    def close(self, iterator: Any) -> None:
        """End `iterator`, and the workers of every iterator that the copies have made.

        The user's own iterators are left as they are.
        """
        making = [made for made in self._made if hasattr(made, "_shutdown_workers")]
        is_users = iterator is self.source or any(iterator is part for _, _, part in self._held)
        with Grace(making):
            try:
                if not is_users and hasattr(iterator, "close"):
                    iterator.close()
            finally:
                shut_down(making)

    def unrestored(self) -> list[str]:
        """Say which iterators in the source the run has moved on; before the attributes go back.

        If the source itself is a one-shot iterator, it is used up, as its user knows.
        """
        sentences = []
        for holder, key, iterator in self._held:
            if _is_untouched(iterator):
                continue
            _, used = self._copies.get(id(holder), (None, holder))
            if parts_of(used).get(key) is iterator:  # an epoch of its own would replace it
                sentences.append(
                    f"{_named(holder, key)} is an iterator that is kept for life: the batches that "
                    "the test took from it do not come again."
                )
        return sentences

    # -- the copies -------------------------------------------------------------------------------

    def _private(self, value: Any, levels: int) -> Any:
        """Return a copy of `value` if it is a loader or has one within `levels`, else `value`."""
        if id(value) in self._copies:
            return self._copies[id(value)][1]
        if self._plain.get(id(value), -1) >= levels:
            return value
        parts = parts_of(value)
        is_loader = issubclass(type(value), DataLoader)
        if not is_loader and not (levels and parts):
            return value
        # In the meantime it counts as plain: what only refers back to it is no wrapper of it.
        before = self._plain.get(id(value), -1)
        self._plain[id(value)] = LEVELS
        late = self._late_parts(value, parts) if levels else {}
        changed = dict.fromkeys(late)
        for key, part in parts.items() if levels else ():
            private = self._private(part, levels - 1)
            if private is not part:
                changed[key] = private
        self._plain[id(value)] = max(before, levels)
        if not (is_loader or changed):
            return value
        try:
            copy = _shallow_copy(value, {**parts, **changed})
        except TypeError:  # it derives from a type that is not written in Python
            return value
        self._copies[id(value)] = value, copy
        self._late += [(copy, key, parts[key], loader) for key, loader in late.items()]
        if is_loader:
            self._make_private(copy)
        return copy

    def _late_parts(self, value: Any, parts: dict[Any, Any]) -> dict[Any, Any]:
        """Return the loaders of the iterators that `value` keeps, by the iterators' keys."""
        late = {}
        for key, part in parts.items():
            if issubclass(type(part), _BaseDataLoaderIter) and not _is_reset(value, key):
                late[key] = self._maker_of(part)
        if isinstance(value, tuple):  # nothing can be put into it later
            return {}
        return {key: loader for key, loader in late.items() if loader is not None}

    def _maker_of(self, iterator: Any) -> Any:
        """Return the loader that made this iterator, `None` if it is not among those found."""
        for loader in self._loaders:
            same_data = iterator._dataset is loader.dataset
            if same_data and iterator._index_sampler is loader._index_sampler:
                return loader
        return None

    def _make_private(self, loader: Any) -> None:
        """Take away from a copy what belongs to the user's loader."""
        own = vars(loader)
        if own.get("_iterator") is not None:
            own["_iterator"] = None
            # Some loaders keep a flag about an iterator that they have begun in advance.
            own.update({name: False for name in own if own[name] is True and _is_of_iterator(name)})
        if own.get("num_workers"):
            if cannot_import(loader):
                alone = {"num_workers": 0, "persistent_workers": False, "timeout": 0}
                own.update(alone, prefetch_factor=None)
            else:
                own["worker_init_fn"] = IgnoreInterrupt(own.get("worker_init_fn"))
        own["_get_iterator"] = recording(loader, self._made)


def _keeps_a_position(value: Any) -> bool:
    """Return whether it is an iterator whose position is not in attributes, which are put back."""
    if isinstance(value, io.IOBase):  # a file is one too, but data is rarely read like that
        return False
    if issubclass(type(value), _BaseDataLoaderIter):
        return True
    return issubclass(type(value), Iterator) and not hasattr(value, "__dict__")


def _is_untouched(iterator: Any) -> bool:
    is_generator = isinstance(iterator, GeneratorType)
    return is_generator and inspect.getgeneratorstate(iterator) == inspect.GEN_CREATED


def _is_reset(holder: Any, key: Any) -> bool:
    return key == "_iterator" and issubclass(type(holder), DataLoader)


def _is_of_iterator(name: str) -> bool:
    return name.startswith("_") and not {"iter", "iterator"}.isdisjoint(name.split("_"))


def _named(holder: Any, key: Any) -> str:
    kind = type(holder).__name__
    return f"{kind}.{key}" if isinstance(key, str) and kind != "dict" else f"{kind}[{key!r}]"


def _items_of(copy: Any) -> Any:
    return copy if type(copy) in _CONTAINERS else vars(copy)


def _shallow_copy(value: Any, parts: dict[Any, Any]) -> Any:
    kind: Any = type(value)
    if kind in (list, tuple):
        return kind(parts.values())
    if kind is dict:
        return parts
    base = kind
    if hasattr(kind, "__del__"):  # it would release what the user's object still needs
        attributes = {"__del__": _nothing, "__module__": kind.__module__}
        kind = type(kind.__name__, (kind,), attributes)
    copy = object.__new__(kind)
    vars(copy).update(parts)
    for slots in map(vars, base.__mro__):
        for slot in slots.values():
            if isinstance(slot, MemberDescriptorType):
                with suppress(AttributeError, TypeError):  # it is not set, or cannot be
                    slot.__set__(copy, slot.__get__(value))
    return copy


def _nothing(self: Any) -> None:
    pass
