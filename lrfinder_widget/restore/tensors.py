"""The values of many tensors, copied out together and copied back together.

Tensors are copied once (a multi-tensor copy out, one back, for each device and type), on their own
device if it has room, otherwise to host memory, never to disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from .checksum import Checksums
from .memory import HOST, bytes_of, check_host, free_cached_memory, is_scarce, place_for

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
        held = [getattr(tensor, name) for name in names]
    except Exception as error:
        raise _uncopyable(tensor) from error
    return [part for part in held if isinstance(part, Tensor)]  # a DTensor has a mesh, too


def parts_of(tensor: Tensor) -> list[Tensor]:
    """Return the tensors in which a tensor has its values in this process: mostly itself."""
    inner = inner_tensors(tensor)
    return [tensor] if inner is None else [part for held in inner for part in parts_of(held)]


def has_plain_values(tensor: Tensor) -> bool:
    """Return whether a tensor has dense values of its own."""
    return tensor.layout is torch.strided and inner_tensors(tensor) is None


class Wrappers:
    """Tensors made of others, and which these were."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._parts: list[list[Tensor]] = []

    def note(self, tensor: Tensor) -> list[Tensor] | None:
        """Return what a tensor is made of, and note it; `None` if it has values of its own."""
        inner = inner_tensors(tensor)
        if inner is not None:
            self.tensors.append(tensor)
            self._parts.append(inner)
        return inner

    def restore(self) -> None:
        """Copy the values, once they are put back, into parts that have taken others' place.

        FSDP2 gives a shard other memory in the first pass of all, if it has to be padded, and goes
        on with that.
        """
        with torch.no_grad():
            for tensor, parts in zip(self.tensors, self._parts, strict=True):
                for part, was in zip(inner_tensors(tensor) or (), parts, strict=False):
                    if part is not was:
                        part.copy_(was)


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
    """The values of many tensors; `restore` writes them back into the same memory.

    Parameters
    ----------
    tensors : list of Tensor
        What to copy.
    compared : container of int
        The ids of those that are not copied, but compared.
    aside : iterable of Tensor
        What stays in memory as well, see `place_for`.
    on_host : bool
        Whether all copies go to the host, whatever room there is elsewhere.
    """

    def __init__(
        self,
        tensors: list[Tensor],
        *,
        compared: Container[int] = (),
        aside: Iterable[Tensor] = (),
        on_host: bool = False,
    ) -> None:
        # The object, its memory at the start, and the size of that memory.
        self._aliases: list[tuple[Tensor, Tensor, int]] = []
        self._together: list[tuple[list[Tensor], list[Tensor]]] = []  # of one device and type each
        self._singly: list[tuple[Tensor, Tensor]] = []
        self._checksums = Checksums()
        self._aside = list(aside)
        self._on_host = on_host
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
                    if type(tensor) in _USUAL or isinstance(error, torch.OutOfMemoryError):
                        raise
                    raise _uncopyable(tensor) from error
                memory = _without_overlap(alias)
                if id(tensor) in compared:
                    self._checksums.note(tensor, memory)
                else:
                    by_device[tensor.device].append(memory)
            for device, memories in by_device.items():
                self._copy(device, memories)

    def _copy(self, device: torch.device, memories: list[Tensor]) -> None:
        aside = [tensor for tensor in self._aside if tensor.device == device]
        place = HOST if self._on_host else place_for(memories, device, aside)
        together = self._copied(memories, place)
        if together is None:  # out of memory, which is not free before the exception is
            free_cached_memory([device])
            together = self._copied(memories, HOST)
            assert together is not None
        self._together += together

    def _copied(
        self, memories: list[Tensor], place: torch.device
    ) -> list[tuple[list[Tensor], list[Tensor]]] | None:
        """Copy tensors of one device to a place; `None` if that runs out of a device's memory."""
        if place == HOST:
            check_host(bytes_of(memories))
        # Tensors of several types would be copied one by one.
        by_type: dict[torch.dtype, list[Tensor]] = defaultdict(list)
        for memory in memories:
            by_type[memory.dtype].append(memory)
        together = []
        try:
            for of_a_type in by_type.values():
                copies = [torch.empty_like(memory, device=place) for memory in of_a_type]
                torch._foreach_copy_(copies, of_a_type)
                together.append((of_a_type, copies))
        except torch.OutOfMemoryError:
            if not is_scarce(place):
                raise
            return None
        return together

    @property
    def are_beside(self) -> bool:
        """Whether all copies are on the device of their tensors, as it had room for them."""
        return all(copies[0].device == memory[0].device for memory, copies in self._together)

    @property
    def in_the_way(self) -> set[torch.device]:
        """The devices on which copies take memory that a training may need."""
        return {copies[0].device for _, copies in self._together if is_scarce(copies[0].device)}

    def changed(self) -> list[Tensor]:
        """Return the tensors that are only compared and have changed."""
        return self._checksums.changed()

    def restore(self) -> None:
        """Write the values back, into the memory in which each tensor was at first."""
        with torch.no_grad():
            for tensor, alias, size in self._aliases:
                storage = alias.untyped_storage()
                if storage.nbytes() < size:  # freed, as some wrappers do between two steps
                    storage.resize_(size)
                if not _same_memory(tensor, alias):
                    tensor.data = alias
            for memory, copies in self._together:
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
