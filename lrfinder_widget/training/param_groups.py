"""Sets the learning rates of an optimizer's parameter groups, for one step or permanently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lrfinder_widget.data.describe import describe

from .checks import check_optimizer
from .schedule import schedulers_in

_TARGETS = ("max_lr", "initial_lr", "lr")  # a pick replaces the first of these in each group
_IN_GROUPS = ("lr", "initial_lr", "max_lr", "min_lr")
_IN_SCHEDULERS = ("base_lrs", "max_lrs", "_last_lr", "base_values")
_OF_WARM_UPS = ("warmup_lr_init", "warmup_steps")  # beside `base_values`: start, and rise per step


class LearningRate:
    """Sets one learning rate on all groups of an optimizer and keeps their ratios.

    The ratios are those of the groups' learning rates when this object is created. If all of these
    are zero, as at the start of a warm-up, the ratios of ``initial_lr`` are used, or, without that,
    equal ones. The group with the largest learning rate gets exactly the number that is set.

    Raises
    ------
    ValueError
        If a group has no learning rate.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._groups = optimizer.param_groups
        if not all(isinstance(group.get("lr"), (Real, Tensor)) for group in self._groups):
            raise ValueError(
                "every parameter group of the optimizer needs a learning rate, either a number or "
                f"a tensor; got {[group.get('lr') for group in self._groups]!r}. There is nothing "
                "to test for an optimizer that sets its own learning rate."
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
        """Replace a float, but fill a tensor in place, so that nothing is recompiled."""
        for group, ratio in self._floats:
            group["lr"] = lr * ratio
        if self._tensors:
            self._fill(lr)

    def _fill(self, lr: float) -> None:
        filled = set()  # one tensor may serve several groups
        for group, ratio in self._tensors:
            tensor = group["lr"]
            if id(tensor) not in filled:
                filled.add(id(tensor))
                tensor.detach().fill_(lr * ratio)


def set_each(optimizer: Optimizer, lrs: Sequence[float]) -> None:
    """Set a learning rate on each group; a tensor is filled in place."""
    for group, lr in zip(optimizer.param_groups, lrs, strict=True):
        if isinstance(group["lr"], Tensor):
            group["lr"].detach().fill_(lr)
        else:
            group["lr"] = lr


def apply_lr(lr: float, optimizer: Optimizer, scheduler: Any = None) -> Callable[[], None]:
    """Set a learning rate on an optimizer, and on the schedule that it follows.

    The groups keep their ratios, and the largest gets `lr`: as the peak of a schedule that has one
    (``max_lr``), as the initial rate of a schedule (``initial_lr``), or, without a schedule, as its
    current rate. All other learning rates are scaled by the same factor, so that a schedule
    continues from where it is.

    Parameters
    ----------
    lr : float
        The learning rate.
    optimizer : torch.optim.Optimizer
        Changed in place; a learning rate that is a tensor is filled.
    scheduler : torch.optim.lr_scheduler.LRScheduler, optional
        Its base rates are changed as well, and those of the schedulers that it is made of.

    Returns
    -------
    callable
        Puts the earlier rates back.

    Raises
    ------
    TypeError
        If one of them is no optimizer or no scheduler; then nothing has been changed.
    """
    _check(optimizer, scheduler)
    groups = optimizer.param_groups
    schedulers = list(schedulers_in(scheduler))
    peaks = [vars(each).get("max_lrs") for each in schedulers]  # those of a cycle
    targets = next((each for each in peaks if isinstance(each, list)), None)
    if targets is None:
        targets = [next(group[key] for key in _TARGETS if key in group) for group in groups]
    largest = max(map(float, targets))

    def changed(rate: Any) -> float:
        # Exact for the largest, whatever rounding the division would have added.
        return lr if largest <= 0 or float(rate) == largest else float(rate) * (lr / largest)

    undo: list[Callable[[], None]] = []
    for group in groups:
        undo += [_replace(group, key, changed(group[key])) for key in _IN_GROUPS if key in group]
    for each in map(vars, schedulers):
        for name in (*_IN_SCHEDULERS, *(_OF_WARM_UPS if "base_values" in each else ())):
            rates = each.get(name)
            if isinstance(rates, list):
                undo += [_replace(rates, i, changed(rate)) for i, rate in enumerate(rates)]
            elif rates is not None:
                undo.append(_replace(each, name, changed(rates)))

    def put_back() -> None:
        for act in reversed(undo):
            act()

    return put_back


def _check(optimizer: Any, scheduler: Any) -> None:
    if not hasattr(optimizer, "param_groups"):  # others than torch's have them, too
        check_optimizer(optimizer)
    if scheduler is not None and next(schedulers_in(scheduler), None) is None:
        raise TypeError(
            "scheduler must be an object with a method step() that changes the learning rate, such "
            f"as those of torch.optim.lr_scheduler; got {describe(scheduler)}."
        )


def _replace(container: Any, key: Any, value: float) -> Callable[[], None]:
    old = container[key]
    if isinstance(old, Tensor):
        before = old.detach().clone()
        old.detach().fill_(value)

        def put_back() -> None:
            old.detach().copy_(before)
    else:
        container[key] = value

        def put_back() -> None:
            container[key] = old

    return put_back
