"""The learning rates of an optimizer's parameter groups: set for a step, or applied for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

_MEANT = ("max_lr", "initial_lr", "lr")  # which of them a picked learning rate is meant for
_IN_GROUPS = ("lr", "initial_lr", "max_lr", "min_lr")
_IN_SCHEDULERS = ("base_lrs", "max_lrs", "_last_lr")


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


def apply_lr(lr: float, optimizer: Optimizer, scheduler: Any = None) -> Callable[[], None]:
    """Set a learning rate on an optimizer, and on the schedule that it follows.

    The groups keep their ratios, and the largest gets `lr`: as the peak of a schedule that has one
    (``max_lr``), as the rate that a schedule started from (``initial_lr``), or, without a schedule,
    as its rate now. Everything else that is a learning rate is changed by the same factor, so that
    a schedule goes on from where it is.

    Parameters
    ----------
    lr : float
        The learning rate.
    optimizer : torch.optim.Optimizer
        Changed in place; a tensor is filled.
    scheduler : torch.optim.lr_scheduler.LRScheduler, optional
        Its base rates are changed as well.

    Returns
    -------
    callable
        Puts back what was there.
    """
    groups = optimizer.param_groups
    meant = getattr(scheduler, "max_lrs", None)  # the peaks of a cycle, where that keeps them
    if not isinstance(meant, list):
        meant = [next(group[key] for key in _MEANT if key in group) for group in groups]
    largest = max(map(float, meant))

    def changed(rate: Any) -> float:
        # Exact for the largest, whatever the division would have made of it.
        return lr if largest <= 0 or float(rate) == largest else float(rate) * (lr / largest)

    undo: list[Callable[[], None]] = []
    for group in groups:
        undo += [_replace(group, key, changed(group[key])) for key in _IN_GROUPS if key in group]
    for name in _IN_SCHEDULERS:
        rates = getattr(scheduler, name, None)
        if isinstance(rates, list):
            undo += [_replace(rates, i, changed(rate)) for i, rate in enumerate(rates)]

    def put_back() -> None:
        for act in reversed(undo):
            act()

    return put_back


def _replace(container: Any, key: Any, value: float) -> Callable[[], None]:
    held = container[key]
    if isinstance(held, Tensor):
        before = held.detach().clone()
        held.detach().fill_(value)

        def put_back() -> None:
            held.detach().copy_(before)
    else:
        container[key] = value

        def put_back() -> None:
            container[key] = held

    return put_back
