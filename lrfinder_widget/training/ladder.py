"""A ladder of learning rates around what is known, for where no curve shows a candidate.

A trained model's loss hardly falls in an LR range test. Then trial runs are the way on, and this
says with which learning rates: a few that others have trained with, from low to high.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from lrfinder_widget.runs.ladder import Ladder

_CLOSEST = 1 / 3  # in decades
_OWN = ("max_lr", "initial_lr", "lr")  # the first of these that a group has
_SGD, _MUON, _ANY = 0.1, 0.02, 1e-3
_ADAPTER = ("lora", "adapter")


def ladder(model: nn.Module, optimizer: Optimizer) -> Ladder:
    """Return the learning rates that are worth trying around what is known.

    These are the optimizer's own rate, and a tenth and a hundredth of the rate that such an
    optimizer usually trains with from scratch; ten times as much for adapters, such as those of
    peft. `next_rung` goes on from the best of them.

    Parameters
    ----------
    model : torch.nn.Module
        It is not changed.
    optimizer : torch.optim.Optimizer
        It is not changed.
    """
    own, usual, adapters = _own_lr(optimizer), usual_lr(optimizer), has_adapters(model)
    times = 10 if adapters else 1
    lrs = [own] if own > 0 else []
    for lr in (usual / 10 * times, usual / 100 * times):
        if all(abs(math.log10(lr / other)) >= _CLOSEST for other in lrs):
            lrs.append(float(f"{lr:.3g}"))
    parts = [f"the optimizer's own {own:.1e}"] if own > 0 else []
    parts.append(f"a tenth and a hundredth of the {usual:.1e} that is usual from scratch")
    if adapters:
        parts[-1] = f"ten times {parts[-1]}, as for adapters"
    what = f"a ladder of learning rates from {' and '.join(parts)}"
    return Ladder(tuple(sorted(lrs)), f"{what}, each with a short warm-up and a decay")


def _own_lr(optimizer: Optimizer) -> float:
    """Return the largest learning rate of the groups, at the peak or the start of a schedule."""
    groups = optimizer.param_groups
    return max(float(next(group[key] for key in _OWN if key in group)) for group in groups)


def usual_lr(optimizer: Optimizer) -> float:
    """Return the learning rate that such an optimizer usually trains with from scratch.

    By the settings of the group with the largest learning rate: 0.02 for Muon, or 1e-3 if it is
    scaled to that of AdamW; 0.1 for SGD. For others, the default of its class, or 1e-3.
    """
    group = max(optimizer.param_groups, key=lambda group: float(group["lr"]))
    if "ns_steps" in group or group.get("use_muon"):
        return _ANY if group.get("adjust_lr_fn") == "match_rms_adamw" else _MUON
    if "dampening" in group:
        return _SGD
    wrapped = [inner for inner in vars(optimizer).values() if isinstance(inner, Optimizer)]
    for one in (optimizer, *wrapped):
        default = _default(type(one))
        if default is not None:
            return default
    return _ANY


def _default(kind: type) -> float | None:
    try:
        parameter = inspect.signature(kind).parameters.get("lr")
    except (TypeError, ValueError):  # it has no signature
        return None
    lr: Any = None if parameter is None else parameter.default
    is_number = isinstance(lr, (int, float)) and not isinstance(lr, bool)
    return float(lr) if is_number and 0 < lr < math.inf else None


def has_adapters(model: nn.Module) -> bool:
    """Return whether most of the model is frozen and, by the names, it is adapters that train."""
    sized = [(name, p) for name, p in model.named_parameters() if not is_lazy(p)]
    frozen = sum(p.numel() for _, p in sized if not p.requires_grad)
    trained = [(name, p.numel()) for name, p in sized if p.requires_grad]
    if frozen <= sum(n for _, n in trained):
        return False
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}

    def is_adapter(name: str) -> bool:
        words = f"{name} {kinds.get(name.rpartition('.')[0], '')}".lower()
        return any(word in words for word in _ADAPTER)

    return any(is_adapter(name) for name, _ in trained)
