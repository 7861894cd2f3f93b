"""What kind of optimizer a task has, and what matters for a reading of its curve: by traits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import Family

_BESIDE_EPS = {"rho", "alpha", "lr_decay", "decay_rate"}
_ADAM = {"adam", "adamw"}  # no part of a name: DAdaptAdam finds its own scale
_LAYER = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LAYERS, _ROWS, _COLUMNS = 20, 64, 1024  # as many are looked at, to take no time
_CLEARLY = 6.0  # standard errors; of 2,900 fresh layers, the farthest was 5.0 away
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
    by_layer = "grad_averaging" in group  # NovoGrad: its steps are relative to a layer's gradient
    if ({"betas", "eps", "amsgrad"} <= set(group) and not by_layer) or not _ADAM.isdisjoint(names):
        return "adam"
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


def was_trained(model: nn.Module) -> bool | None:
    """Return whether a model was trained before; None if its weights do not show it.

    A fresh normalization layer scales all channels alike and shifts them alike. Torch's linear
    layers and convolutions begin with weights of at most 1 / sqrt(fan in), which training soon
    exceeds. Where weights are larger, they were drawn in another way, or learned. Drawn ones are
    independent of each other in all the usual ways, so rows are alike in size, and columns too;
    learned ones are not.
    """
    modules = list(model.modules())
    scales = (pair for module in modules if (pair := _scale_and_shift(module)))
    for pair in islice(scales, _LAYERS):
        if all(bool((each != each[0]).any()) for each in pair):
            return True
    layers = (_values(module, "weight") for module in modules if isinstance(module, _LAYER))
    whole = (w.flatten(1) for w in layers if w is not None and w.dim() > 1)
    weights = list(islice(whole, _LAYERS))
    if not weights:
        return None
    if all(bool(w.abs().amax() <= 1.01 * w.shape[1] ** -0.5) for w in weights):
        return False
    return True if any(_differ(w[:, :_COLUMNS].square()) for w in weights) else None


def _scale_and_shift(module: nn.Module) -> list[Tensor]:
    """Return the scales of channels, and their shifts if there are any; empty if there are none."""
    if isinstance(module, (*_LAYER, nn.Embedding)):  # whose weights are flat where they are sharded
        return []
    scale, shift = _values(module, "weight"), _values(module, "bias")
    if scale is None or scale.dim() != 1 or len(scale) < 2:
        return []
    return [scale] if shift is None else [scale, shift]


def _values(module: nn.Module, name: str) -> Tensor | None:
    """Return the first rows of a parameter, if it has its values here, and they are floats."""
    found = dict(module._parameters.items()).get(name)  # a scripted module's is no dict
    if type(found) is not nn.Parameter or found.is_meta or not found.is_floating_point():
        return None
    return found.detach()[:_ROWS].float() if found.dim() and found.numel() else None


def _differ(squares: Tensor) -> bool:
    """Return whether the means of rows, or of columns, scatter more than if they were drawn."""
    variance = float(squares.var(correction=0))
    for along in (0, 1) if variance > 0 else ():
        means = squares.mean(along)
        means = means[means > 0]  # a row may have been set to zero
        n = len(means)
        if n > 1:
            scatter = float(means.var()) * squares.shape[along] / variance
            if scatter > 1 + _CLEARLY * (2 / (n - 1)) ** 0.5:
                return True
    return False


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
