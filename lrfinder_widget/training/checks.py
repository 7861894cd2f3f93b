"""Argument checks. Their errors say what is wrong, what was given and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

from torch import nn
from torch.optim import Optimizer

from .describe import describe


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
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "the optimizer has none of the model's parameters, so no step could change the "
            "loss. Create it from this model: …(model.parameters(), lr=…)."
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
