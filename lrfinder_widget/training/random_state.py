"""Every random state that a training step draws from: read it now, put it back later."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

Restore: TypeAlias = Callable[[], object]

_ATOMS = (Tensor, np.ndarray, int, float, str, bytes, type(None))


def random_states(data: Iterable[Any] = ()) -> list[Restore]:
    """Read every random state there is; each of the functions returned puts one back.

    Parameters
    ----------
    data : iterable
        Loaders and datasets; the generators that they hold as attributes are found too, and the
        numbers from which loaders and samplers seed them.
    """
    restores: list[Restore] = [
        partial(torch.set_rng_state, torch.get_rng_state()),
        partial(np.random.set_state, np.random.get_state(legacy=False)),
        partial(random.setstate, random.getstate()),
        *_accelerator_states(),
    ]
    for source in data:
        restores += _generators_of(source)
    return restores


def _accelerator_states() -> list[Restore]:
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None:
        return []
    module: Any = torch.get_device_module(accelerator)
    if accelerator.type == "mps":
        state = module.get_rng_state()
        return [lambda: module.set_rng_state(state)]
    if not module.is_initialized():  # nothing on it yet, so nothing of ours will draw from it
        return []
    return [
        partial(module.set_rng_state, module.get_rng_state(i), i)
        for i in range(module.device_count())
    ]


def _generators_of(source: Any, depth: int = 4) -> list[Restore]:
    """Find the generators that a loader, its samplers and its dataset hold as attributes."""
    restores: list[Restore] = []
    seen: set[int] = set()
    ahead = [(source, depth)]
    while ahead:
        value, depth = ahead.pop()
        if isinstance(value, _ATOMS) or id(value) in seen:
            continue
        seen.add(id(value))
        restores += _counters_of(value)
        restore = state_of(value)
        if restore is not None:
            restores.append(restore)
        elif depth:
            ahead += [(part, depth - 1) for part in _parts(value)]
    return restores


def _counters_of(value: Any) -> list[Restore]:
    """Read the numbers that a loader or a sampler keeps: the epoch, from which it may seed itself.

    Accelerate's do, and count up when an epoch ends.
    """
    if not isinstance(value, (DataLoader, Sampler)):
        return []
    held = vars(value)
    return [partial(held.__setitem__, k, v) for k, v in held.items() if isinstance(v, int)]


def state_of(value: Any) -> Restore | None:
    """Read the state of a generator; the function returned puts it back, `None` if it is none."""
    if isinstance(value, torch.Generator):
        return partial(value.set_state, value.get_state())
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        return partial(setattr, bits, "state", copy.deepcopy(bits.state))
    if isinstance(value, np.random.RandomState):
        return partial(value.set_state, value.get_state(legacy=False))
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    return None


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple)):
        return value if len(value) <= 64 else ()  # a list of transforms, not the samples
    return list(getattr(value, "__dict__", {}).values())
