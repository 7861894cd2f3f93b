"""The values of many tensors, copied out together and copied back together.

Tensors are copied once (one multi-tensor copy out, one back), on their own device if it has room,
otherwise to host memory, never to disk.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

UNINITIALIZED = (UninitializedParameter, UninitializedBuffer)

_USUAL = (Tensor, Parameter, Buffer)


def inner_tensors(tensor: Tensor) -> list[Tensor] | None:
    """Return the tensors of which a tensor subclass is made; `None` for a tensor with values.

    Quantised weights and optimizer states are such tensors: their own memory is empty.

    Raises
    ------
    TypeError
        If the subclass does not say what it is made of.
    """
    made_of_others: Any = tensor
    if type(tensor) in _USUAL or not is_traceable_wrapper_subclass(made_of_others):
        return None
    try:
        names, _ = made_of_others.__tensor_flatten__()
        return [getattr(tensor, name) for name in names]
    except Exception as error:
        raise _uncopyable(tensor) from error


def _uncopyable(tensor: Tensor) -> TypeError:
    return TypeError(
        f"a tensor of type {type(tensor).__name__} cannot be copied, so it could not be put back "
        "after the LR range test. Run the test without it, for example with a standard optimizer "
        "or before the model is quantised, or define __tensor_flatten__ on the type."
    )


def is_leaf(tensor: Tensor) -> bool:
    """Return whether a tensor is a leaf of autograd's graph, and so may have a gradient."""
    try:
        return tensor.is_leaf
    except RuntimeError:  # a view made without gradients, whose base has changed since
        return False


class Values:
    """The values of many tensors; `restore` writes them back into the same memory."""

    def __init__(self, tensors: list[Tensor]) -> None:
        # The object, its memory at the start, and the size of that memory.
        self._aliases: list[tuple[Tensor, Tensor, int]] = []
        self._together: dict[torch.device, tuple[list[Tensor], list[Tensor]]] = {}
        self._singly: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            by_device: dict[torch.device, list[Tensor]] = defaultdict(list)
            for tensor in tensors:
                try:
                    if tensor.layout is not torch.strided or _is_special(tensor):
                        self._singly.append((tensor, tensor.detach().clone()))
                        continue
                    alias = tensor.data  # shares the memory, survives `tensor.data = …`
                    self._aliases.append((tensor, alias, alias.untyped_storage().nbytes()))
                except (NotImplementedError, RuntimeError, TypeError) as error:
                    if type(tensor) in _USUAL:
                        raise
                    raise _uncopyable(tensor) from error
                by_device[tensor.device].append(_without_overlap(alias))
            for device, memory in by_device.items():
                where = place_for(memory, device)
                copies = [torch.empty_like(m, device=where) for m in memory]
                torch._foreach_copy_(copies, memory)
                self._together[device] = (memory, copies)

    @property
    def are_beside(self) -> bool:
        """Whether all copies are on the device of their tensors, as it had room for them."""
        together = self._together.items()
        return all(copies[0].device == device for device, (_, copies) in together)

    def restore(self) -> None:
        """Write the values back, into the memory in which each tensor was at first."""
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


def has_values(tensor: Tensor) -> bool:
    """Return whether there is anything to copy."""
    lazy = isinstance(tensor, UNINITIALIZED)
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


def place_for(tensors: list[Tensor], device: torch.device) -> torch.device:
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
