"""Argument checks. Their errors say what is wrong, what was given and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer


def check_kind(name: str, value: object, kind: type, what: str) -> None:
    """Reject a value of another type.

    Raises
    ------
    TypeError
        If `value` is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what}; got {type(value).__name__}.")


def check_preserve(preserve: Any) -> tuple[Any, ...]:
    """Return the objects to put back as a tuple.

    Raises
    ------
    TypeError
        If one of them has no ``state_dict`` and ``load_state_dict``.
    """
    if not isinstance(preserve, Iterable) or hasattr(preserve, "state_dict"):
        raise TypeError(
            f"preserve must be a list of objects; got {type(preserve).__name__}. "
            "For a single object, write preserve=[object]."
        )
    objects = tuple(preserve)
    for thing in objects:
        if not (hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict")):
            raise TypeError(
                "preserve takes objects that have state_dict and load_state_dict (a scaler, an "
                "averaged model, a scheduler, another optimizer); got an object of type "
                f"{type(thing).__name__}."
            )
    return objects


def check_values(model: nn.Module) -> None:
    """Reject a model whose parameters have no values.

    Raises
    ------
    ValueError
        If a parameter is on the meta device.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise ValueError(
                f"{name} of the model is on the meta device: it has a shape, but no values to "
                "train. Allocate it first, for example with model.to_empty(device=…), and "
                "initialise it."
            )


def check_criterion(criterion: object) -> None:
    """Reject a criterion that cannot be called.

    Raises
    ------
    TypeError
        If `criterion` is neither callable nor `None`.
    """
    if criterion is not None and (not callable(criterion) or isinstance(criterion, type)):
        raise TypeError(
            "criterion must be a function criterion(output, target) -> loss, such as "
            f"nn.CrossEntropyLoss(), or None; got {criterion!r}."
        )


def check_step(step: object, criterion: object, accumulate: object, val_batches: object) -> None:
    """Reject a custom step that cannot be called, or that comes with arguments it replaces.

    Raises
    ------
    TypeError
        If `step` is not callable, or `criterion` is given too.
    ValueError
        If `accumulate` or `val_batches` is given too.
    """
    if not callable(step):
        raise TypeError(f"step must be a function step(batch) -> loss; got {step!r}.")
    if criterion is not None:
        raise TypeError(
            "pass either criterion or step, not both: criterion(output, target) for the textbook "
            "step, or step(batch) -> loss for your own."
        )
    for name, given in (("accumulate", accumulate != 1), ("val_batches", val_batches is not None)):
        if given:
            raise ValueError(
                f"{name} works only with criterion, not with step: your own step decides what it "
                "trains on and which loss it returns."
            )


def check_shared(model: nn.Module, optimizer: Optimizer) -> None:
    """Reject an optimizer that was created for another model.

    Raises
    ------
    ValueError
        If they have no parameter in common.
    """
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "the optimizer has none of the model's parameters, so no step could change the "
            "loss. Create it from this model: …(model.parameters(), lr=…)."
        )


def check_trainable(model: nn.Module, optimizer: Optimizer) -> None:
    """Reject an optimizer that holds only frozen parameters of the model.

    Raises
    ------
    ValueError
        If none of its parameters requires a gradient.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    own = {id(parameter) for parameter in model.parameters()}
    if any(p.requires_grad for p in held) or not any(id(p) in own for p in held):
        return
    which = "every parameter of the model" if len(held) == len(own) else "all that it holds"
    raise ValueError(
        f"the optimizer has nothing to train: {which} is frozen (requires_grad is False for "
        f"{len(held)} of {len(held)}). Unfreeze what is to be trained, for example with "
        "model.requires_grad_(), or create the optimizer from the parameters that are trained."
    )


def warn_of_factor(optimizer: Optimizer, stacklevel: int) -> None:
    """Warn if the learning rate is only a factor on a step size that the optimizer estimates.

    Prodigy and D-Adaptation keep the estimate in their groups, as ``d``, beside the count of steps.
    Adafactor has a constant of that name.
    """
    if all("d" in group and ("k" in group or "step" in group) for group in optimizer.param_groups):
        warnings.warn(
            f"{type(optimizer).__name__} estimates its own step size, d, and lr is a factor on it, "
            "usually 1. The LR range test shows that factor: read a suggestion near 1 as a "
            "confirmation, and any other with care, as the estimate grows during the test, too.",
            stacklevel=stacklevel + 1,
        )


def check_val_batches(val_batches: Any) -> list[Any] | None:
    """Return the validation batches as a list, without iterating over a loader.

    Raises
    ------
    TypeError
        If they are not a list or tuple: reading a loader here would advance its random state.
    ValueError
        If there are none.
    """
    if val_batches is None:
        return None
    if not isinstance(val_batches, (list, tuple)):
        raise TypeError(
            "val_batches must be a list of a few fixed batches, such as "
            f"list(itertools.islice(val_loader, 4)); got {type(val_batches).__name__}."
        )
    if not val_batches:
        raise ValueError("val_batches must contain at least one batch; got none.")
    return list(val_batches)
