"""What else of a training a test can be varied by: set on parameter groups, and values to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any, TypeAlias

from torch.optim import Optimizer

from lrfinder_widget.curve.variation import Value
from lrfinder_widget.data.anew import why_not_anew
from lrfinder_widget.runs.varied_runs import Setting

from .task import TrainingTask

Group: TypeAlias = dict[str, Any]

_USUAL_DECAYS = (0.0, 1e-4, 1e-3, 1e-2)
_USUAL_MOMENTA, _USUAL_BETAS = (0.0, 0.9, 0.99), (0.8, 0.9, 0.95)


def set_values(optimizer: Optimizer, groups: Sequence[Group], chosen: Mapping[str, Value]) -> None:
    """Set weight decay and momentum on the groups of an optimizer, or on copies of them.

    Raises
    ------
    ValueError
        If the optimizer has none.
    """
    for name, set_ in (("weight_decay", _set_weight_decay), ("momentum", _set_momentum)):
        if name in chosen and not set_(groups, float(chosen[name])):
            raise ValueError(
                f"The {name.replace('_', ' ')} cannot be varied: {type(optimizer).__name__} has "
                "none in its parameter groups."
            )


def _set_weight_decay(groups: Sequence[Group], value: float) -> bool:
    if not all(isinstance(group.get("weight_decay"), Real) for group in groups):
        return False
    for group in _decayed(groups):
        group["weight_decay"] = value
    return True


def _decayed(groups: Sequence[Group]) -> Sequence[Group]:
    """Return the groups with weight decay: those without, as for biases, stay without."""
    return [group for group in groups if group["weight_decay"]] or groups


def _set_momentum(groups: Sequence[Group], value: float) -> bool:
    for group in groups:
        if isinstance(group.get("momentum"), Real):
            group["momentum"] = value
        elif isinstance(group.get("betas"), (tuple, list)):
            group["betas"] = (value, *group["betas"][1:])
        else:
            return False
    return True


# -- values to try --------------------------------------------------------------------------------


def settings_of(task: TrainingTask) -> tuple[Setting, ...]:
    """Return what a test of a task can be varied by, with values to try, or why it cannot be."""
    optimizer, groups = task.optimizer, task.optimizer.param_groups
    found = []
    for name, values in (("weight_decay", _decays), ("momentum", _momenta)):
        try:
            set_values(optimizer, [dict(group) for group in groups], {name: 0.0})
            found.append(Setting(name, values(groups)))
        except ValueError as error:
            found.append(Setting(name, why_not=str(error)))
    why = why_not_anew(task.batches)
    found.append(Setting("batch_size", () if why else _sizes(task.batches), why))
    return (*found, Setting("optimizer", why_not=task.why_no_other_optimizer))


def _decays(groups: Sequence[Group]) -> tuple[float, ...]:
    now = max(float(group["weight_decay"]) for group in _decayed(groups))
    return (0.0, now / 10, now, 10 * now) if now else _USUAL_DECAYS


def _momenta(groups: Sequence[Group]) -> tuple[float, ...]:
    now = [group["momentum"] if "momentum" in group else group["betas"][0] for group in groups]
    usual = _USUAL_MOMENTA if "momentum" in groups[0] else _USUAL_BETAS
    return tuple(sorted({*usual, float(max(now))}))


def _sizes(loader: Any) -> tuple[float, ...]:
    now, most = int(loader.batch_size), float("inf")
    with suppress(Exception):  # an iterable data set, or whatever the user's code raises
        most = max(now, len(loader.dataset))
    return tuple(float(size) for size in (now // 2, now, 2 * now, 4 * now) if 1 <= size <= most)
