"""Argument checks. Their errors say what is wrong, what was given and what to do."""

from __future__ import annotations

import reprlib
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.trial import Rate
from lrfinder_widget.data.describe import describe
from lrfinder_widget.restore.contents import ATOMS, attributes_of, slots_state
from lrfinder_widget.restore.random_state import state_of
from lrfinder_widget.restore.sharded import shards_of
from lrfinder_widget.restore.tensors import has_plain_values

MOST_LRS = 100  # of trial runs


def check_kind(name: str, value: object, kind: type, what: str) -> None:
    """Reject a value of another type.

    Raises
    ------
    TypeError
        If `value` is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {what}; got {type(value).__name__}.")


def check_optimizer(optimizer: object) -> None:
    """Reject what is no optimizer of torch.

    Raises
    ------
    TypeError
        If it is not an instance of `torch.optim.Optimizer`.
    """
    if isinstance(optimizer, Optimizer):
        return
    kind = type(optimizer)
    what = f"optimizer must be a torch.optim.Optimizer; got {kind.__name__}."
    if isinstance(optimizer, (list, tuple)):
        what += (
            " Pass the one whose learning rate you are looking for, the others in preserve=[…], "
            "and step=your_function, where step(batch) trains with all of them."
        )
    elif isinstance(optimizer, type):
        what += f" Create it: {optimizer.__name__}(model.parameters(), lr=…)."
    elif inner := _optimizer_in(optimizer):
        what += f" It holds one in its attribute {inner}: pass that."
    elif hasattr(optimizer, "step") and hasattr(optimizer, "zero_grad"):
        what = (
            f"optimizer must be a torch.optim.Optimizer; got a {kind.__module__}."
            f"{kind.__qualname__}, which is another class. Make one of torch for the test, such as "
            "torch.optim.AdamW(model.parameters(), lr=…)."
        )
    raise TypeError(what)


def _optimizer_in(value: object) -> str | None:
    attributes = getattr(value, "__dict__", {})
    return next((name for name, it in attributes.items() if isinstance(it, Optimizer)), None)


def check_preserve(preserve: Any) -> tuple[Any, ...]:
    """Return the objects to put back as a tuple.

    Raises
    ------
    TypeError
        If one of them has nothing that could be put back, such as a number or a class.
    """
    if not isinstance(preserve, Iterable) or isinstance(preserve, (str, bytes, Mapping, Tensor)):
        raise TypeError(_ONE.format(kind=type(preserve).__name__))
    if hasattr(preserve, "state_dict"):
        raise TypeError(_ONE.format(kind=type(preserve).__name__))
    objects = tuple(preserve)
    for i, thing in enumerate(objects):
        if isinstance(thing, _NOTHING_TO_PUT_BACK) or not _has_state(thing):
            raise TypeError(
                "preserve takes objects whose state can change (a scaler, an averaged model, a "
                "scheduler, another optimizer, an object of your own); preserve["
                f"{i}] is a {type(thing).__name__}, which has none. Pass the object that holds it."
            )
    return objects


_ONE = (
    "preserve must be a list of objects; got {kind}. For a single object, write preserve=[object]."
)
_NOTHING_TO_PUT_BACK = (*ATOMS, FunctionType, MethodType, BuiltinFunctionType, ModuleType)


def _has_state(thing: object) -> bool:
    return (
        isinstance(thing, (Tensor, np.ndarray, dict, list, tuple, set, deque))
        or hasattr(thing, "state_dict")
        or state_of(thing) is not None
        or attributes_of(thing) is not None
        or slots_state(thing) is not None
    )


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
                "train. If a library keeps the weights elsewhere and loads them for each forward "
                "pass, load the model without that offloading. If there are none yet, allocate "
                "them, for example with model.to_empty(device=…), and initialise them. If your "
                "step calls this model with parameters kept elsewhere, as torch.func does, pass "
                "those as the model: nn.ParameterList(parameters)."
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
            f"nn.CrossEntropyLoss(), or None; got {describe(criterion)}."
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
        raise TypeError(f"step must be a function step(batch) -> loss; got {describe(step)}.")
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
    own = {id(parameter) for parameter in (*model.parameters(), *shards_of(model))}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        after = any(hasattr(p, "to_local") for p in model.parameters())
        raise ValueError(
            "the optimizer has none of the model's parameters, so no step could change the "
            "loss. Create it from this model"
            f"{', after it is sharded' if after else ''}: …(model.parameters(), lr=…)."
        )


def check_trainable(model: nn.Module, optimizer: Optimizer) -> None:
    """Reject an optimizer that holds only frozen parameters of the model.

    Raises
    ------
    ValueError
        If none of its parameters requires a gradient.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    own = {id(parameter) for parameter in (*model.parameters(), *shards_of(model))}
    if any(p.requires_grad for p in held) or not any(id(p) in own for p in held):
        return
    which = "every parameter of the model" if len(held) == len(own) else "all that it holds"
    raise ValueError(
        f"the optimizer has nothing to train: {which} is frozen (requires_grad is False for "
        f"{len(held)} of {len(held)}). Unfreeze what is to be trained, for example with "
        "model.requires_grad_(), or create the optimizer from the parameters that are trained."
    )


def check_diagnosable(optimizer: Optimizer, *, several: bool) -> None:
    """Reject weights whose norms would not be those of the whole.

    Raises
    ------
    ValueError
        If there are `several` processes, or a parameter has no values of its own.
    """
    if several:
        raise ValueError(
            "diagnose works in a single process only: others may hold a part of the gradients and "
            "of the weights. Leave it out, or run the LR range test in one process."
        )
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.requires_grad and not has_plain_values(parameter):
                raise ValueError(
                    "diagnose measures the norms of plain tensors only; the optimizer holds a "
                    f"{type(parameter).__name__} of layout {parameter.layout}. Leave it out, or "
                    "run the LR range test before the model is sharded or quantised."
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


def check_val_batches(val_batches: Any, name: str = "val_batches") -> list[Any] | None:
    """Return a few fixed batches as a list, without iterating over a loader.

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
            f"{name} must be a list of a few fixed batches, such as "
            f"list(itertools.islice(val_loader, 4)); got {type(val_batches).__name__}."
        )
    if not val_batches:
        raise ValueError(f"{name} must contain at least one batch; got none.")
    return list(val_batches)


def check_lrs(lrs: Any, optimizer: Optimizer | None) -> list[Rate]:
    """Return the learning rates of trial runs: numbers, or tuples with one for each group.

    Without an optimizer, whether the tuples are for its groups is not checked.

    Raises
    ------
    ValueError
        If they cannot be used.
    """
    try:
        given = () if isinstance(lrs, (str, bytes)) else lrs
        checked = [
            tuple(map(float, lr)) if isinstance(lr, (tuple, list)) else float(lr)
            for lr in islice(given, MOST_LRS + 1)  # an iterator may have no end
        ]
    except (TypeError, ValueError, OverflowError):
        checked = []
    each = [lr for rate in checked for lr in (rate if isinstance(rate, tuple) else [rate])]
    positive = all(np.isfinite(lr) and lr > 0 for lr in each)
    if not checked or not positive or len(set(checked)) < len(checked):
        raise ValueError(
            "lrs must be a list of positive learning rates, each once (a tuple has one for each "
            f'parameter group), or "ladder"; got {reprlib.repr(lrs)}.'
        )
    if len(checked) > MOST_LRS:
        raise ValueError(f"lrs must have at most {MOST_LRS} learning rates; got more.")
    if optimizer is None:
        return checked
    groups = optimizer.param_groups
    tuples = [rate for rate in checked if isinstance(rate, tuple)]
    for rate in tuples:
        if len(rate) != len(groups):
            raise ValueError(
                "a tuple in lrs must have one learning rate for each parameter group of the "
                f"optimizer, which has {len(groups)}; got {rate!r}."
            )
    tensors = [id(group["lr"]) for group in groups if isinstance(group["lr"], Tensor)]
    if tuples and len(set(tensors)) < len(tensors):
        raise ValueError(
            "parameter groups of the optimizer share one tensor as their learning rate, so lrs "
            "cannot have a number for each: give each group a tensor of its own, or a number."
        )
    return checked


def nothing_yielded(batches: Any) -> str:
    """Return what to tell the user whose data yields no batch at all."""
    text = "batches yielded nothing: there is no data to train on. "
    if isinstance(batches, Iterator):
        return f"{text}An iterator can be used only once: pass the loader itself."
    size, samples = getattr(batches, "batch_size", None), getattr(batches, "dataset", None)
    if (
        getattr(batches, "drop_last", False)
        and isinstance(size, int)
        and isinstance(samples, Sized)
    ):
        return (
            f"{text}The loader has drop_last=True, and its dataset has fewer samples "
            f"({len(samples)}) than batch_size ({size})."
        )
    return f"{text}Check {describe(batches)}."
