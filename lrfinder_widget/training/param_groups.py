"""The ladder of learning rates, and how one of them is set on an optimizer's groups."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from .checks import check_count

Mode: TypeAlias = Literal["exp", "linear"]


def learning_rates(start_lr: float, end_lr: float, num_iter: int, mode: Mode) -> list[float]:
    """Compute the ladder of learning rates: `num_iter` of them, both ends exact."""
    if mode not in get_args(Mode):
        raise ValueError(f'mode must be "exp" or "linear"; got {mode!r}.')
    ends = []
    for name, value in (("start_lr", start_lr), ("end_lr", end_lr)):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"{name} must be a positive, finite number; got {value!r}.")
        ends.append(number)
    if ends[0] >= ends[1]:
        raise ValueError(
            f"start_lr must be below end_lr; got start_lr={start_lr!r}, end_lr={end_lr!r}."
        )
    count = check_count("num_iter", num_iter, at_least=2)
    spaced = np.geomspace if mode == "exp" else np.linspace
    ladder: list[float] = spaced(ends[0], ends[1], count).tolist()
    return ladder


class LearningRate:
    """Sets one learning rate on all groups of an optimizer, their ratios kept.

    The ratios are those of the groups' learning rates when this is made; where all of them are
    zero, as at the start of a warm-up, those of ``initial_lr``, else equal. The group with the
    largest gets exactly the number set.

    Raises
    ------
    ValueError
        If a group has no learning rate.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._groups = optimizer.param_groups
        if not all(isinstance(group.get("lr"), (int, float, Tensor)) for group in self._groups):
            raise ValueError(
                "every parameter group of the optimizer needs a learning rate, a number or a "
                f"tensor; got {[group.get('lr') for group in self._groups]!r}. An optimizer that "
                "sets its own learning rate has nothing to test."
            )
        bases = [float(group["lr"]) for group in self._groups]
        if not any(bases):
            bases = [float(group.get("initial_lr", 0.0)) for group in self._groups]
        largest = max(bases)
        ratios = [base / largest if largest > 0 else 1.0 for base in bases]
        self._floats: list[tuple[dict[str, Any], float]] = []
        self._tensors: list[tuple[dict[str, Any], float]] = []
        for group, ratio in zip(self._groups, ratios, strict=True):
            kind = self._tensors if isinstance(group["lr"], Tensor) else self._floats
            kind.append((group, ratio))

    def __call__(self, lr: float) -> None:
        """Set it: a float is replaced, a tensor filled in place, so that nothing recompiles."""
        for group, ratio in self._floats:
            group["lr"] = lr * ratio
        if self._tensors:
            self._fill(lr)

    def _fill(self, lr: float) -> None:
        filled = set()  # one tensor may serve several groups
        for group, ratio in self._tensors:
            held = group["lr"]
            if id(held) not in filled:
                filled.add(id(held))
                held.detach().fill_(lr * ratio)
