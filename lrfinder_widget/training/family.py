"""What kind of optimizer a task has, and what misleads a reading of its curve: told by traits."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import Family

_WITH_EPS = {"rho", "alpha", "lr_decay", "decay_rate"}


def family_of(optimizer: Optimizer) -> Family | None:
    """Return the kind of an optimizer; None if its parameter groups do not show it.

    Kinds differ in what they do to the size of a gradient. If the groups differ in kind, that of
    the group with the largest learning rate counts, since a candidate is that group's. A wrapper
    shows the groups of what it wraps.
    """
    group = max(optimizer.param_groups, key=_rates)
    if "ns_steps" in group or group.get("use_muon"):  # it orthogonalizes the update
        return "muon"
    divides = "eps" in group and not _WITH_EPS.isdisjoint(group)
    if divides or any(str(key).startswith("beta") for key in group):
        return "adaptive"
    if {"t0", "lambd"} <= set(group):  # averaged SGD
        return "sgd"
    # With a constant in a denominator, it does not take the gradient as it is, as LARS.
    if "momentum" in group and "eps" not in group:
        return "momentum" if group["momentum"] else "sgd"
    return None


def _rates(group: dict[str, Any]) -> tuple[float, float]:
    return float(group["lr"]), float(group.get("initial_lr", 0.0))  # a warm-up begins at zero


def cautions_for(model: nn.Module, optimizer: Optimizer) -> tuple[str, ...]:
    """Return a sentence for each trait of the training that is known to mislead a reading."""
    return tuple(
        sentence
        for sentence, there in (
            (_SCHEDULE_FREE, any("weight_lr_power" in group for group in optimizer.param_groups)),
            (_PRIVATE, all(hasattr(optimizer, n) for n in ("noise_multiplier", "max_grad_norm"))),
            (_FAKE_QUANTIZED, _has_fake_quantizers(model)),
        )
        if there
    )


def _has_fake_quantizers(model: nn.Module) -> bool:
    kinds = {type(module) for module in model.modules()}
    return any(base.__name__.startswith("FakeQuant") for kind in kinds for base in kind.__mro__)


# Measured on a few small tasks each, beside the same training without the trait.
_SCHEDULE_FREE = (
    "With a schedule-free optimizer, such a candidate tends to be 5 to 10 times too low."
)
_PRIVATE = "In differentially private training, such a candidate tends to be 3 times too high."
_FAKE_QUANTIZED = (
    "Fake quantizers hide where training diverges, so such a candidate tends to be 7 times too "
    "high."
)
