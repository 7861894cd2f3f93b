"""Frozen parameters, which may be many times as large as what is trained.

Those of a large model are not copied if nothing known to us changes them. They are compared instead
when all is put back, so that a change is at least said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor
from torch.nn.parameter import Parameter

from .memory import bytes_of
from .tensors import inner_tensors, parts_of

_LARGE = 64 * 2**20  # bytes; fewer are copied in any case
_NAMES = 3
_CHANGED = (
    "The run changes what is frozen in a large model, and was compared, not copied: {which}. It is "
    "put back if you pass preserve=[model]."
)


def to_compare(
    frozen: Callable[[], dict[int, str]], flags: Iterable[tuple[Tensor, bool]]
) -> dict[int, str]:
    """Return the ids and names of those to compare; none if all that is frozen is small.

    Parameters
    ----------
    frozen : callable
        Returns the ids and names of the parameters that nothing known to us changes.
    flags : iterable of (Tensor, bool)
        What has been found, and whether it requires a gradient.
    """
    still = [p for p, trains in flags if not trains and isinstance(p, Parameter)]
    if bytes_of(part for tensor in still for part in parts_of(tensor)) < _LARGE:
        return {}
    names = frozen()
    ahead: list[Tensor] = [p for p in still if id(p) in names]
    while ahead:  # what they are made of, if they are quantised
        tensor = ahead.pop()
        inner = inner_tensors(tensor) or []
        names |= {id(part): names[id(tensor)] for part in inner}
        ahead += inner
    return names


def changed(names: Sequence[str]) -> list[str]:
    """Return the sentence that says so, if any have changed."""
    if not names:
        return []
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - _NAMES} more" if len(each) > _NAMES else ""
    which = ", ".join(each[:_NAMES]) + more
    return [_CHANGED.format(which=which)]
