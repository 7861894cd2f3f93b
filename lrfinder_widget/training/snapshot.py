"""The snapshot of everything a training step can change, and its exact restore.

``load_state_dict`` is not exact: it aliases tensors, fills empty optimizer state, and omits
non-persistent buffers, gradients, flags and hooks. So the snapshot walks the objects themselves,
and the restore writes every value back *into the same object*: identities, ties, views, and
references held elsewhere (by a compiled graph, by a scheduler) stay valid.
"""

from __future__ import annotations

import copy
import operator
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.optim import Optimizer

from .random_state import random_states, state_of

_Restore = Callable[[], object]

# The walk ignores these: they are immutable, or nothing that a training step changes in place.
_ATOMS = (
    int,
    float,
    complex,
    bool,
    str,
    bytes,
    type(None),
    type,
    FunctionType,
    MethodType,
    BuiltinFunctionType,
    torch.dtype,
    torch.device,
)

_UNINITIALIZED = (UninitializedParameter, UninitializedBuffer)

# These wrappers keep counters that must stay in step with state outside Python.
_OPAQUE = ("torch.nn.parallel", "torch.distributed", "torch._dynamo")


class Snapshot:
    """A copy of everything that training may change; `restore` puts it back, any number of times.

    Taking the snapshot changes nothing. Tensors are copied once (one multi-tensor copy out, one
    back), on their own device if it has room, otherwise to host memory, never to disk.

    Parameters
    ----------
    objects : iterable
        Modules, optimizers, and other objects with ``state_dict`` and ``load_state_dict``.
    data : iterable
        Loaders and datasets whose own random generators to put back.
    gradients : bool
        Whether the gradients' values may change too: not where they are set aside.
    """

    def __init__(
        self, objects: Iterable[Any], data: Iterable[Any] = (), *, gradients: bool = False
    ) -> None:
        self._seen: dict[int, object] = {}  # id -> object; the reference keeps the id unique
        self._tensors: list[Tensor] = []
        self._containers: list[_Restore] = []
        self._loads: list[_Restore] = []
        self._stack: list[Any] = []
        for thing in objects:
            self._add(thing)
        self._flags = [(p, p.requires_grad) for p in self._tensors if p.is_leaf]
        self._grads = [(p, p.grad) for p in self._tensors if p.is_leaf]
        self._lazy = [(p, type(p), p.data) for p in self._tensors if isinstance(p, _UNINITIALIZED)]
        tensors = self._tensors + (
            # Data parallelism may keep gradients in its own memory, and continue to write there.
            [g for _, g in self._grads if g is not None]
            if gradients or self._sees_shared_gradients()
            else []
        )
        self._values = _Values([t for t in tensors if _has_values(t)])
        self._random = random_states(data)

    @property
    def is_beside(self) -> bool:
        """Whether all copies are on the device of their tensors, as it had room for them."""
        return self._values.are_beside

    def set_gradients_aside(self) -> None:
        """Take the gradients off the parameters: the objects are kept, so they need no copy."""
        for parameter, _ in self._grads:
            parameter.grad = None

    def restore(self, *, random: bool = True) -> None:
        """Put everything back; if interrupted, start over, and raise the interrupt at the end.

        Parameters
        ----------
        random : bool
            Whether to put the random state back as well.

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

    def _restore_once(self, random: Iterable[_Restore]) -> None:
        failure: Exception | None = None
        parts = (*self._loads, *self._containers, self._restore_tensors, *random)
        for part in parts:
            try:
                part()
            except Exception as error:  # noqa: BLE001 - the other parts must still be restored
                failure = failure or error
        if failure is not None:
            raise failure

    def _restore_tensors(self) -> None:
        for parameter, _ in self._grads:
            parameter.grad = None  # before the data, as a gradient's shape must match
        tensor: Any
        for tensor, kind, data in self._lazy:
            if type(tensor) is not kind:
                tensor.data = data
                tensor.__class__ = kind
        self._values.restore()
        for tensor, requires_grad in self._flags:
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
        for parameter, grad in self._grads:
            parameter.grad = grad
        torch.clear_autocast_cache()  # it may still hold casts of the weights during the run

    def _sees_shared_gradients(self) -> bool:
        modules = (thing for thing in self._seen.values() if isinstance(thing, nn.Module))
        return any(vars(module).get("gradient_as_bucket_view") for module in modules)

    # -- the walk ---------------------------------------------------------------------------------

    def _add(self, thing: Any) -> None:
        if isinstance(thing, nn.Module):
            self._visit(thing)
        elif isinstance(thing, Optimizer):
            self._visit(vars(thing))
        else:
            # Some state may be out of the walk's reach, so do both: load the object's own state,
            # then restore its attributes, which brings the original objects back.
            saved = copy.deepcopy(thing.state_dict())
            self._loads.append(lambda: thing.load_state_dict(copy.deepcopy(saved)))
            self._visit(getattr(thing, "__dict__", {}))
        while self._stack:
            self._record(self._stack.pop())

    def _visit(self, value: Any) -> None:
        if not isinstance(value, _ATOMS) and id(value) not in self._seen:
            self._seen[id(value)] = value
            self._stack.append(value)

    def _record(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self._tensors.append(value)
        elif isinstance(value, nn.Module):
            self._record_module(value)
        elif isinstance(value, Optimizer):  # inside another that wraps it
            self._visit(vars(value))
        else:
            self._record_container(value)

    def _record_container(self, value: Any) -> None:
        kind = type(value)
        if kind in (dict, OrderedDict, defaultdict):
            saved = dict(value)
            self._containers.append(lambda: _refill_dict(value, saved))
            for item in saved.values():
                self._visit(item)
        elif kind in (list, deque, set):
            items = list(value)
            self._containers.append(lambda: _refill(value, items))
            for item in items:
                self._visit(item)
        elif isinstance(value, tuple):
            for item in value:
                self._visit(item)
        elif isinstance(value, np.ndarray) and not value.dtype.hasobject and value.flags.writeable:
            array = value.copy()
            self._containers.append(lambda: np.copyto(value, array))
        elif (put_back := state_of(value)) is not None:
            self._containers.append(put_back)

    def _record_module(self, module: nn.Module) -> None:
        if isinstance(module, torch.jit.ScriptModule):  # its attributes live in C++
            training = module.training
            self._containers.append(lambda: setattr(module, "training", training))
            for item in (*module.parameters(), *module.buffers(), *module.children()):
                self._visit(item)
            return
        attributes = vars(module)
        if type(module).__module__.startswith(_OPAQUE):
            own = vars(nn.Module()).keys()
            saved = {key: attributes[key] for key in own if key in attributes}
            self._containers.append(lambda: attributes.update(saved))
            for item in saved.values():
                self._visit(item)
            return
        kind = type(module)  # a lazy module changes its class when it is initialised
        self._containers.append(lambda: _set_class(module, kind))
        self._visit(attributes)


def _set_class(module: nn.Module, kind: type[nn.Module]) -> None:
    if type(module) is not kind:
        module.__class__ = kind


def _refill_dict(target: dict[Any, Any], saved: dict[Any, Any]) -> None:
    if len(target) == len(saved) and all(map(operator.is_, target, saved)):
        for key, value in saved.items():  # never empty, as another thread may be reading it
            if target[key] is not value:
                target[key] = value
    else:
        target.clear()
        target.update(saved)


def _refill(target: Any, items: list[Any]) -> None:
    if len(target) == len(items) and all(map(operator.is_, target, items)):
        return
    target.clear()
    (target.update if isinstance(target, set) else target.extend)(items)


# -- tensors --------------------------------------------------------------------------------------


class _Values:
    """The values of many tensors, copied out together and copied back together."""

    def __init__(self, tensors: list[Tensor]) -> None:
        # The object, its memory at the start, and the size of that memory.
        self._aliases: list[tuple[Tensor, Tensor, int]] = []
        self._together: dict[torch.device, tuple[list[Tensor], list[Tensor]]] = {}
        self._singly: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            by_device: dict[torch.device, list[Tensor]] = defaultdict(list)
            for tensor in tensors:
                if tensor.layout is not torch.strided or _is_special(tensor):
                    self._singly.append((tensor, tensor.detach().clone()))
                    continue
                alias = tensor.data  # shares the memory, survives `tensor.data = …`
                self._aliases.append((tensor, alias, alias.untyped_storage().nbytes()))
                by_device[tensor.device].append(_without_overlap(alias))
            for device, memory in by_device.items():
                where = _place_for(memory, device)
                copies = [torch.empty_like(m, device=where) for m in memory]
                torch._foreach_copy_(copies, memory)
                self._together[device] = (memory, copies)

    @property
    def are_beside(self) -> bool:
        together = self._together.items()
        return all(copies[0].device == device for device, (_, copies) in together)

    def restore(self) -> None:
        with torch.no_grad():
            for tensor, alias, size in self._aliases:
                storage = alias.untyped_storage()
                if storage.nbytes() < size:  # freed, as some wrappers do between two steps
                    storage.resize_(size)
                if not _same_memory(tensor, alias):
                    tensor.data = alias
            for memory, copies in self._together.values():
                torch._foreach_copy_(memory, copies)
            for tensor, saved in self._singly:
                with torch.inference_mode(tensor.is_inference()):
                    tensor.copy_(saved)


def _is_special(tensor: Tensor) -> bool:
    return tensor.is_inference() or tensor.is_conj() or tensor.is_neg()


def _has_values(tensor: Tensor) -> bool:
    lazy = isinstance(tensor, _UNINITIALIZED)
    return not lazy and tensor.device.type != "meta" and is_allocated(tensor)


def is_allocated(tensor: Tensor) -> bool:
    """Return whether a tensor's memory is there: some wrappers free it between two steps."""
    strided = tensor.layout is torch.strided and not hasattr(tensor, "__tensor_flatten__")
    return not strided or tensor.numel() == 0 or tensor.untyped_storage().nbytes() > 0


def _same_memory(tensor: Tensor, alias: Tensor) -> bool:
    return (
        tensor.data_ptr() == alias.data_ptr()
        and tensor.shape == alias.shape
        and tensor.dtype == alias.dtype
        and tensor.stride() == alias.stride()
    )


def _without_overlap(tensor: Tensor) -> Tensor:
    """Return the memory under an expanded tensor, which itself cannot be written to."""
    if tensor.is_contiguous() or tensor.numel() == 0:
        return tensor
    reach = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.as_strided((reach,), (1,)) if reach < tensor.numel() else tensor


def _place_for(tensors: list[Tensor], device: torch.device) -> torch.device:
    """Choose where to copy: the same device if a tenth of its memory stays free, else the host."""
    module = torch.get_device_module(device) if device.type != "cpu" else None
    if module is None or not hasattr(module, "mem_get_info"):
        return device
    try:
        free, total = module.mem_get_info(device)
    except RuntimeError:  # many of Intel's devices do not tell
        return device
    needed = sum(t.numel() * t.element_size() for t in tensors)
    return device if needed < free - total // 10 else torch.device("cpu")
