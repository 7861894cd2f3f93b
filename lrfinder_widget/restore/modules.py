"""What modules are besides their parts: their class, and what a wrapper of torch's own shows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from .contents import Restore
from .sharded import is_sharded

# These wrappers keep counters that must stay in step with state outside Python.
_OPAQUE = ("torch.nn.parallel", "torch.distributed", "torch._dynamo")


def module_state(module: nn.Module) -> tuple[Restore, Iterable[Any]]:
    """Return a function that puts back what a module itself is, and what it holds."""
    if isinstance(module, torch.jit.ScriptModule):  # its attributes live in C++
        held = (*module.parameters(), *module.buffers(), *module.children())
        return partial(setattr, module, "training", module.training), held
    attributes, kind = vars(module), type(module)
    # The class of a sharded module is made by torch, but its attributes are the user's.
    if kind.__module__.startswith(_OPAQUE) and not is_sharded(module):
        own = vars(nn.Module()).keys()
        saved = {key: attributes[key] for key in own if key in attributes}
        return partial(attributes.update, saved), saved.values()
    return partial(_set_class, module, kind), [attributes]


def _set_class(module: nn.Module, kind: type[nn.Module]) -> None:
    if type(module) is not kind:  # a lazy module changes it when it is initialised
        module.__class__ = kind
