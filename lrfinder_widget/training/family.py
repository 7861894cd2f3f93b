"""What kind of optimizer a task has, and what misleads a reading of its curve: told by traits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import Family

_BESIDE_EPS = {"rho", "alpha", "lr_decay", "decay_rate"}
_BY_NORM = ("trust", "max_unorm")  # how the names of keys begin


def family_of(
    optimizer: Optimizer, groups: Sequence[dict[str, Any]] | None = None
) -> Family | None:
    """Return the kind of an optimizer; None if neither its groups nor its name show it.

    Kinds differ in what they do to the size of a gradient. If the groups differ in kind, that of
    the group with the largest learning rate counts, since a candidate is that group's. A wrapper
    shows the groups of what it wraps. With `groups`, as if it had these.
    """
    group = max(optimizer.param_groups if groups is None else groups, key=_rates)
    names = [base.__name__.lower() for base in type(optimizer).__mro__]
    # Some classes of one package all have the same keys, so the name comes first.
    if group.get("use_muon", "ns_steps" in group or any("muon" in name for name in names)):
        return "muon"
    if any(re.match("sgd(?![a-z])", name) for name in names):
        return _sgd(group)
    divides = "eps" in group and not _BESIDE_EPS.isdisjoint(group)
    if divides or any(str(key).startswith("beta") for key in group):
        return "adaptive"
    if any(str(key).startswith(_BY_NORM) for key in group):  # LARS: relative to the weights
        return None
    if {"dampening", "nesterov"} <= set(group) or {"t0", "lambd"} <= set(group):  # averaged SGD
        return _sgd(group)
    return None


def _sgd(group: dict[str, Any]) -> Family:
    first = group.get("betas", (group.get("beta", 0.0),))[0]
    return "momentum" if group.get("momentum", first) else "sgd"


def _rates(group: dict[str, Any]) -> tuple[float, float]:
    return float(group["lr"]), float(group.get("initial_lr", 0.0))  # a warm-up begins at zero


def cautions_for(model: nn.Module, optimizer: Optimizer) -> tuple[str, ...]:
    """Return a sentence for each trait of the training that is known to mislead a reading."""
    return tuple(
        sentence
        for sentence, there in (
            (_SCHEDULE_FREE, _is_schedule_free(optimizer)),
            (_PRIVATE, all(hasattr(optimizer, n) for n in ("noise_multiplier", "max_grad_norm"))),
            (_FAKE_QUANTIZED, _has_fake_quantizers(model)),
        )
        if there
    )


def _is_schedule_free(optimizer: Optimizer) -> bool:
    """Return whether it weights an average of weights, which it swaps in for evaluation."""
    swaps = hasattr(optimizer, "train") and hasattr(optimizer, "eval")
    return swaps and any("weight_lr_power" in group for group in optimizer.param_groups)


def _has_fake_quantizers(model: nn.Module) -> bool:
    kinds = {type(module) for module in model.modules()}
    return any(base.__name__.startswith("FakeQuant") for kind in kinds for base in kind.__mro__)


# By what was seen on a few small tasks, beside the same training without the trait.
_SCHEDULE_FREE = (
    "With a schedule-free optimizer, such a candidate tends to be 5 to 10 times too low."
)
_PRIVATE = "In differentially private training, such a candidate tends to be 3 times too high."
_FAKE_QUANTIZED = (
    "Fake quantizers hide where training diverges, so such a candidate tends to be 7 times too "
    "high."
)
