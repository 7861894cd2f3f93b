"""What a scheduler will do to the learning rate, found by playing it on a copy."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

_STEPS = 100_000
"""How far it is played, over all parameter groups: about a tenth of a second."""
_CLEARLY = 0.05


def schedulers_in(scheduler: Any) -> Iterator[Any]:
    """Yield a scheduler, and those that it runs one after another or wraps."""
    seen: set[int] = set()
    ahead = [scheduler]
    while ahead:
        value = ahead.pop()
        if id(value) in seen or not _is_scheduler(value):
            continue
        seen.add(id(value))
        yield value
        for part in vars(value).values():
            ahead += part if isinstance(part, (list, tuple)) else [part]


def note_on_peak(lr: float, scheduler: Any) -> str | None:
    """Say how high the learning rate will rise, if that is clearly not `lr`; otherwise `None`."""
    try:
        peak = _peak(scheduler)
    except Exception as error:  # noqa: BLE001 - it may be of any make
        return (
            f"The {type(scheduler).__name__} could not be tried out ({type(error).__name__}), so "
            f"it is not known whether its schedule reaches the pick, {lr:.2e}."
        )
    if peak is None or abs(peak / lr - 1) <= _CLEARLY:
        return None
    return (
        f"From here on, the largest learning rate of the {type(scheduler).__name__} is {peak:.2e}, "
        f"not the pick, {lr:.2e}. If that is not what you want, make a new scheduler with the pick."
    )


def _peak(scheduler: Any) -> float | None:
    """Return the largest learning rate from here on; `None` if it still rises at the end."""
    stages: dict[int, Any] = {}
    act = _stepper(_twin(scheduler, stages))
    groups = [group for stage in stages.values() for group in getattr(stage, "param_groups", ())]
    if not groups:
        return None
    peak, at, steps = max(float(group["lr"]) for group in groups), -1, _STEPS // (10 + len(groups))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(steps):
            try:
                act(i)
            except Exception:
                if not i:
                    raise
                break  # it was made for this many steps
            rate = max(float(group["lr"]) for group in groups)
            if rate > peak:
                peak, at = rate, i
    return None if at == steps - 1 else peak


def _is_scheduler(value: Any) -> bool:
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return False
    return callable(getattr(value, "step", None)) and not hasattr(value, "param_groups")


class _Stage:
    """What a scheduler needs of an optimizer: parameter groups, here without parameters."""

    def __init__(self, optimizer: Any) -> None:
        self.param_groups = [
            {key: _copied(value) for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        self.defaults = dict(getattr(optimizer, "defaults", {}))
        self.step_was_skipped = False

    def step(self) -> None:
        """Be there: some schedulers look whether it has been called."""


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else copy.copy(value)


def _twin(value: Any, twins: dict[int, Any]) -> Any:
    """Copy a scheduler as far as it changes itself, with a stage in place of each optimizer."""
    if id(value) in twins:
        return twins[id(value)]
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)([_twin(part, twins) for part in value])
    if isinstance(value, (dict, set)):
        return copy.copy(value)
    if hasattr(value, "param_groups") and not isinstance(value, type):
        twins[id(value)] = _Stage(value)
    elif _is_scheduler(value):
        twins[id(value)] = twin = copy.copy(value)
        for name, part in list(vars(twin).items()):
            vars(twin)[name] = _twin(part, twins)
    elif isinstance(value, Tensor):
        return _copied(value)
    return twins.get(id(value), value)


def _stepper(scheduler: Any) -> Callable[[int], object]:
    """Return a function that takes the i-th step, whatever its methods ask for."""
    methods = [getattr(scheduler, name, None) for name in ("step", "step_update")]
    calls = [(method, _asked(method)) for method in methods if callable(method)]

    def act(i: int) -> None:
        for method, asked in calls:  # a metric that never gets better; else the number of the step
            method(*(0.0 if name.startswith("metric") else i for name in asked))

    return act


def _asked(method: Any) -> list[str]:
    parameters = inspect.signature(method).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
