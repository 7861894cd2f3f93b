"""The snapshot of everything a training step can change, and its exact restore.

``load_state_dict`` is not exact: it aliases tensors, fills empty optimizer state, and omits
non-persistent buffers, gradients, flags and hooks. So the snapshot walks the objects themselves,
and the restore writes every value back *into the same object*: identities, ties, views, and
references held elsewhere (by a compiled graph, by a scheduler) stay valid.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .contents import (
    ATOMS,
    Restore,
    attributes_of,
    dict_state,
    is_machinery,
    items_state,
    notes_state,
    own_attributes,
    put_attributes_back,
    slots_state,
)
from .data_state import data_states, is_data
from .frozen import changed, to_compare
from .modules import module_state
from .own_state import OwnState, one_line
from .random_state import random_states, state_of
from .sharded import Shards
from .tensors import UNINITIALIZED, Values, Wrappers, has_values, is_leaf, parts_of
from .uses import Uses

# The walk ignores these: they are immutable, or nothing that a training step changes in place.
_IGNORED = (*ATOMS, FunctionType, MethodType, BuiltinFunctionType, ModuleType)

_MOST_PLAIN = 20_000  # objects of classes that nothing is known about


class Snapshot:
    """A copy of everything that training may change; `restore` puts it back, any number of times.

    Taking the snapshot changes nothing.

    Parameters
    ----------
    objects : iterable
        Modules, optimizers, and any other objects. Those with ``state_dict`` and
        ``load_state_dict`` are put back by these too, all by their attributes.
    data : iterable
        Loaders and datasets whose state to put back, with their random generators.
    uses : Uses, optional
        What the step uses besides those.
    gradients : bool
        Whether the values of those set aside may change too, as a captured step writes into them.
    frozen : callable, optional
        Returns the ids and names of frozen parameters that nothing known to us changes. Those of a
        large model are compared, not copied.
    on_host : bool
        Whether all copies go to the host, whatever room there is elsewhere.

    Attributes
    ----------
    unrestored : list of str
        After a restore, one sentence for each thing that is seen to differ from what it was.
    values : Values
        The copies of all tensors.

    Raises
    ------
    TypeError
        If a tensor is of a type that cannot be copied.
    """

    def __init__(
        self,
        objects: Iterable[Any],
        data: Iterable[Any] = (),
        uses: Uses | None = None,
        *,
        gradients: bool = False,
        frozen: Callable[[], dict[int, str]] | None = None,
        on_host: bool = False,
    ) -> None:
        self.unrestored: list[str] = []
        self._seen: dict[int, object] = {}  # id -> object; the reference keeps the id unique
        self._tensors: list[Tensor] = []
        self._wrappers = Wrappers()  # tensors made of others
        self._shards = Shards()
        self._hung: list[tuple[dict[str, Any], dict[str, Any]]] = []  # attributes of tensors
        self._containers: list[Restore] = []
        self._loads: list[OwnState] = []
        objects, uses = list(objects), uses or Uses()
        for thing in (*objects, *uses.objects):
            for module in thing.modules() if isinstance(thing, nn.Module) else ():
                self._shards.add(module)
        self._data = [*data, *uses.data]
        self._plain = 0
        self._unnamed = False  # what is walked has been found, not named: it may hold your notes
        self._later: list[Any] = []  # modules and optimizers in it: they hold none
        self._stack: list[Any] = []
        for thing in objects:
            self._add(thing, load=True)
        self._unnamed = True
        for thing in uses.objects:
            self._add(thing, load=False)
        self._unnamed = False
        self._stack += self._later
        self._walk()
        self._containers += uses.counters
        self._watched = [ask for thing, ask in uses.watched if id(thing) not in self._seen]
        leaves = [t for t in (*self._tensors, *self._wrappers.tensors) if is_leaf(t)]
        self._flags = [(p, p.requires_grad) for p in leaves]
        self._grads = [(p, p.grad) for p in leaves]
        self._lazy = [(p, type(p), p.data) for p in self._tensors if isinstance(p, UNINITIALIZED)]
        held = [part for _, g in self._grads if g is not None for part in parts_of(g)]
        copied = held if gradients or self._sees_shared_gradients() else []
        self._compared = {} if frozen is None else to_compare(frozen, self._flags)
        self.values = Values(
            [t for t in (*self._tensors, *copied) if has_values(t)],
            compared=self._compared,
            aside=held,
            on_host=on_host,
        )
        self._random = [*random_states(), *data_states(self._data, self._seen)]

    @property
    def is_beside(self) -> bool:
        """Whether all copies are on the device of their tensors, as it had room for them."""
        return self.values.are_beside

    def set_gradients_aside(self) -> None:
        """Take the gradients off the parameters: the objects are kept, so they need no copy."""
        for parameter, _ in self._grads:
            parameter.grad = None
        self._shards.set_aside()

    def restore(self, *, random: bool = True) -> None:
        """Put everything back; if interrupted, start over, and raise the interrupt at the end.

        Parameters
        ----------
        random : bool
            Whether to put the random state and that of the data back as well.

        Raises
        ------
        BaseException
            The interrupt, or the first part's error, once every other part is done.
        """
        interruption: BaseException | None = None
        while True:
            try:
                self._restore_once(self._random if random else ())
                break
            except KeyboardInterrupt as error:  # every part is idempotent, so start over
                interruption = error
        if interruption is not None:
            raise interruption

    def _restore_once(self, random: Iterable[Restore]) -> None:
        failure: Exception | None = None
        self.unrestored.clear()
        parts: list[Restore] = [self._shards.reset, *self._loads, *self._containers]
        parts += [self._restore_tensors, self._shards.put_back, *random]
        for part in parts:
            try:
                part()
            except Exception as error:  # noqa: BLE001 - the other parts must still be restored
                failure = failure or error
                self.unrestored.append(_failed(part, error))
        if failure is not None:
            raise failure
        self.unrestored += [
            f"After its own load_state_dict(), {load} still differs from what it was."
            for load in self._loads
            if load.differs()
        ]
        self.unrestored += [sentence for ask in self._watched if (sentence := ask()) is not None]
        self.unrestored += changed([self._compared[id(t)] for t in self.values.changed()])

    def _restore_tensors(self) -> None:
        for attributes, saved in self._hung:
            if attributes or saved:
                put_attributes_back(attributes, saved)
        for parameter, _ in self._grads:
            parameter.grad = None  # before the data, as a gradient's shape must match
        tensor: Any
        for tensor, kind, data in self._lazy:
            if type(tensor) is not kind:
                tensor.data = data
                tensor.__class__ = kind
        self.values.restore()
        self._wrappers.restore()
        for tensor, requires_grad in self._flags:
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
        for parameter, grad in self._grads:
            parameter.grad = grad
        torch.clear_autocast_cache()  # it may still hold casts of the weights during the run

    def _sees_shared_gradients(self) -> bool:
        """Return whether gradients may lie in memory to which a run continues to write.

        Data parallelism may keep them in its own memory, and CUDA graphs in that of their capture.
        """
        modules = (vars(thing) for thing in self._seen.values() if isinstance(thing, nn.Module))
        return any(
            attributes.get("gradient_as_bucket_view")
            or getattr(attributes.get("forward"), "__module__", None) == "torch.cuda.graphs"
            for attributes in modules
        )

    # -- the walk ---------------------------------------------------------------------------------

    def _add(self, thing: Any, *, load: bool) -> None:
        if is_data(thing):
            self._data.append(thing)
        elif isinstance(thing, (nn.Module, Optimizer, Tensor, np.ndarray)) or _is_container(thing):
            self._visit(thing)
        elif id(thing) not in self._seen:
            self._seen[id(thing)] = thing
            if load and hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict"):
                # Some state may be out of the walk's reach, so do both: load the object's own
                # state, then restore its attributes, which brings the original objects back.
                self._loads.append(OwnState(thing))
            if (put_back := state_of(thing)) is not None:
                self._containers.append(put_back)
            else:
                self._visit_attributes(thing)
        self._walk()

    def _walk(self) -> None:
        while self._stack:
            self._record(self._stack.pop())

    def _visit(self, value: Any) -> None:
        if not isinstance(value, _IGNORED) and id(value) not in self._seen:
            self._seen[id(value)] = value
            self._stack.append(value)

    def _record(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self._record_tensor(value)
        elif self._unnamed and isinstance(value, (nn.Module, Optimizer)):
            self._later.append(value)
        elif isinstance(value, nn.Module):
            self._record_module(value)
        elif isinstance(value, Optimizer):  # inside another that wraps it
            self._visit(vars(value))
        elif _is_container(value):
            self._record_container(value)
        else:
            self._record_other(value)

    def _record_other(self, value: Any) -> None:
        if isinstance(value, np.ndarray):
            if not value.dtype.hasobject and value.flags.writeable:
                self._containers.append(partial(np.copyto, value, value.copy()))
        elif (put_back := state_of(value)) is not None:
            self._containers.append(put_back)
        elif is_data(value):
            del self._seen[id(value)]  # it is not put back here
            self._data.append(value)
        elif self._plain < _MOST_PLAIN and not is_machinery(value):
            self._plain += 1
            self._visit_attributes(value)

    def _record_tensor(self, tensor: Tensor) -> None:
        attributes = vars(tensor)
        saved = own_attributes(attributes) if attributes else {}
        self._hung.append((attributes, saved))
        inner = self._wrappers.note(tensor)
        if inner is None:
            self._tensors.append(tensor)
        for item in (*saved.values(), *(inner or ())):
            self._visit(item)

    def _record_container(self, value: Any) -> None:
        if isinstance(value, dict):
            saved, put_back = dict_state(value)
            self._containers.append(put_back)
            items: Iterable[Any] = saved.values()
        elif isinstance(value, (tuple, frozenset)):
            items = value
        else:
            notes = self._unnamed and isinstance(value, list)
            items, put_back = notes_state(value) if notes else items_state(value)
            self._containers.append(put_back)
        for item in items:
            self._visit(item)
        if type(value) not in _CONTAINERS:
            self._visit_attributes(value)

    def _visit_attributes(self, thing: Any) -> None:
        if (attributes := attributes_of(thing)) is not None:
            self._visit(attributes)
        if (slots := slots_state(thing)) is not None:
            saved, put_back = slots
            self._containers.append(put_back)
            for item in saved.values():
                self._visit(item)

    def _record_module(self, module: nn.Module) -> None:
        self._shards.add(module)
        put_back, held = module_state(module)
        self._containers.append(put_back)
        for item in held:
            self._visit(item)


_CONTAINERS = (dict, OrderedDict, defaultdict, list, deque, set, tuple, frozenset, torch.Size)


def _is_container(value: Any) -> bool:
    return isinstance(value, (dict, list, deque, set, tuple, frozenset))


def _failed(part: Restore, error: Exception) -> str:
    what = f"The state of {part}" if isinstance(part, OwnState) else "A part of the state"
    return f"{what} could not be put back: {one_line(error)}."
