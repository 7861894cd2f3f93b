"""Reads every random state that a training step may draw from, and puts it back later."""

from __future__ import annotations

import copy
import random
from functools import partial
from typing import Any

import numpy as np
import torch

from .contents import Restore


def random_states() -> list[Restore]:
    """Read the random states that all code shares; each of the returned functions puts one back."""
    return [
        partial(torch.set_rng_state, torch.get_rng_state()),
        partial(np.random.set_state, np.random.get_state(legacy=False)),
        partial(random.setstate, random.getstate()),
        *_accelerator_states(),
    ]


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
