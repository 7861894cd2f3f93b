"""Reads every random state that a training step may draw from, and puts it back later."""

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
    """Read every random state there is; each of the returned functions puts one back.

    Parameters
    ----------
    data : iterable
        Loaders and datasets. The generators among their attributes are included, and so are the
        numbers with which loaders and samplers seed them.
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
    if not torch.accelerator.is_available():  # asked first: in torch 2.6, the next line raises
        return []
    accelerator = torch.accelerator.current_accelerator()
    assert accelerator is not None
    module: Any = torch.get_device_module(accelerator)
    if accelerator.type == "mps":
        state = module.get_rng_state()
        return [lambda: module.set_rng_state(state)]
    if not module.is_initialized():  # nothing is on the device yet, so the run will not use it
        return []
    return [
        partial(module.set_rng_state, module.get_rng_state(i), i)
        for i in range(module.device_count())
    ]


def _generators_of(source: Any, depth: int = 4) -> list[Restore]:
    """Find the generators among the attributes of a loader, its samplers and its dataset."""
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
    """Read the integers of a loader or sampler: one may be the epoch, used as a seed.

    Accelerate's are seeded like that, and increment the epoch when it ends.
    """
    if not isinstance(value, (DataLoader, Sampler)):
        return []
    attributes = vars(value)
    return [
        partial(attributes.__setitem__, name, number)
        for name, number in attributes.items()
        if isinstance(number, int)
    ]


def state_of(value: Any) -> Restore | None:
    """Return a function that puts the state of a generator back; `None` for anything else."""
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
