"""What the textbook step says about a model, a criterion or a batch that does not fit it.

Where the step's own call is wrong, it raises an error of its own. An exception that comes from
inside the user's code is left as it is, and gets a note of what it was called with.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from lrfinder_widget.data.describe import describe, keys_of

MISSING: Any = object()
"""Stands for an output that there is not yet."""


class Returned(NamedTuple):
    """What is known of an output that is not kept."""

    kind: type
    text: str

    @classmethod
    def of(cls, output: Any) -> Returned | None:
        """Describe an output, if there is one."""
        return None if output is MISSING else cls(type(output), describe(output))

    def a(self, kind: type) -> bool:
        """Return whether the output was one of these."""
        return issubclass(self.kind, kind)


_CALLER = nn.Module.__module__
_STEP = "pass step=your_function, where step(batch) trains once and returns the loss."


def check_calls(model: nn.Module, criterion: Callable[..., Any]) -> None:
    """Reject a model or a criterion that cannot be called as the textbook step does.

    Raises
    ------
    TypeError
        If the model does not take one input, or the criterion does not take output and target.
    """
    # Hooks may change the arguments.
    if not model._forward_pre_hooks and (takes := _misfit(model, [None], {})):
        raise TypeError(
            "with a criterion, the model is called with one input, as in model(inputs) for a batch "
            f"(inputs, target, …), but {takes}. For another call {_STEP}"
        )
    if takes := _misfit(criterion, [None, None], {}):
        raise TypeError(
            f"criterion is called as criterion(output, target), but {takes}. Wrap it in a function "
            f"of output and target, or {_STEP}"
        )


def check_takes_two(name: str, function: Callable[..., Any]) -> None:
    """Reject a function that cannot be called with output and target.

    Raises
    ------
    TypeError
        If its signature is known, and it does not take two arguments.
    """
    if takes := _misfit(function, [None, None], {}):
        raise TypeError(
            f"{name} is called as {name}(output, target), but {takes}. Wrap it in a function of "
            "output and target."
        )


def fits(criterion: object, batch: object) -> bool:
    """Return whether the textbook step can take a batch."""
    if criterion is None:
        return isinstance(batch, Mapping)
    return isinstance(batch, (tuple, list)) and len(batch) >= 2


def check_listed(criterion: object, batches: Any, name: str = "batches") -> None:
    """Reject a list or tuple whose first item is no batch, so that no step has to find out.

    Raises
    ------
    TypeError
        If its first item does not fit the textbook step.
    """
    if type(batches) in (list, tuple) and batches and not fits(criterion, batches[0]):
        text = batch_misfit(criterion, batches[0], name)
        if fits(criterion, batches):
            text += " If this is a single batch (inputs, target), pass it in a list: [batch]."
        raise TypeError(text)


def batch_misfit(criterion: object, batch: object, name: str = "batches") -> str:
    """Return what is wrong with a batch that the textbook step cannot take."""
    what = f"{name} yielded {describe(batch)}, which does not fit"
    if criterion is None:
        return (
            f"{what} criterion=None. Without a criterion, a batch must be a mapping, and "
            "model(**batch).loss is its loss. Batches of the form (inputs, target, …) need a "
            f"criterion. For anything else {_STEP}"
        )
    text = (
        f"{what} criterion(output, target). With a criterion, a batch must be a tuple or list of "
        "inputs and target."
    )
    if isinstance(batch, Mapping):
        text += " A mapping needs no criterion, if model(**batch).loss is its loss."
    return f"{text} For anything else, such as inputs without a target, {_STEP}"


def explain_criterion(
    error: Exception, criterion: Callable[..., Any], batch: Sequence[Any], returned: Returned | None
) -> None:
    """Add a note to the exception of ``criterion(model(batch[0]), batch[1])``.

    Raises
    ------
    TypeError
        Instead, if a loss of torch was given something else than a tensor.
    """
    given = f"The batch is {describe(batch)}, and the model was given batch[0]"
    if returned is None:
        error.add_note(f"{given}. For another call {_STEP}")
    elif isinstance(error, TypeError) and _is_of_torch(criterion) and not returned.a(Tensor):
        raise TypeError(
            f"the model returned {returned.text}, but the criterion {_name(criterion)} needs a "
            "tensor. Pass a criterion that takes this output, such as "
            f"lambda output, target: your_criterion(output[0], target), or {_STEP}"
        ) from error
    else:
        error.add_note(f"{given}; the criterion was given {returned.text}, and batch[1].")


def explain_mapping(
    error: Exception, model: nn.Module, batch: Mapping[str, Any], returned: Returned | None
) -> None:
    """Add a note to the exception of ``model(**batch).loss``.

    Raises
    ------
    TypeError
        Instead, if the model does not take these keys, or if its output has no loss.
    """
    keys = keys_of(batch)
    if returned is None:
        if _is_of_the_call(error) and (takes := _misfit(model, [], batch)):
            raise TypeError(
                "without a criterion, the model is called as model(**batch), but the batch has "
                f"the keys {keys}, and {takes}. Change the keys where the batches are made. A "
                f"dataset that yields single samples needs a DataLoader. For anything else {_STEP}"
            ) from error
    elif returned.a(Mapping) or not hasattr(returned.kind, "loss"):
        labels = "" if returned.a(Tensor) or returned.a(tuple) else f" {_labels(batch)}"
        raise TypeError(
            "without a criterion, the loss is model(**batch).loss, but the model returned "
            f"{returned.text}.{labels} For another output {_STEP}"
        ) from error
    error.add_note(f"The model was called as model(**batch) with the keys {keys}.")


def explain_loss(error: Exception, loss: Any, criterion: object, batch: Any) -> None:
    """Add a note to the exception of ``loss.backward()``.

    Raises
    ------
    TypeError, ValueError
        Instead, if the loss is not a tensor with one element.
    """
    giver = "the model's output has the loss" if criterion is None else "the criterion returned"
    what = f"the loss must be a tensor with one element; {giver} {describe(loss)}. "
    if isinstance(loss, Tensor):
        if loss.numel() != 1:
            raise ValueError(f"{what}Reduce it, for example with reduction='mean'.") from None
        if not loss.requires_grad:
            error.add_note(
                "The loss has no gradient: it was detached, made from a number, or computed "
                "without gradients."
            )
        return
    if loss is None and criterion is None:
        what += _labels(batch)
    elif loss is None:
        what += "Does the function end with `return loss`?"
    elif isinstance(loss, (tuple, list, Mapping)):
        what += f"Return the one to train on, such as their sum, or {_STEP}"
    else:
        what += "Return the tensor itself: a number has no gradient."
    raise TypeError(what) from None


def _labels(batch: Any) -> str:
    return (
        "Many models return a loss only if the batch has labels; this batch has the keys "
        f"{keys_of(batch)}."
    )


def _misfit(function: Any, given: Sequence[Any], named: Mapping[str, Any]) -> str | None:
    """Return what a function takes, if that is known and does not fit this call."""
    target = function
    if isinstance(function, nn.Module):
        if type(function).__call__ is not nn.Module.__call__:
            return None
        target = function.forward
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # compiled code has none
        return None
    try:
        signature.bind(*given, **named)
    except TypeError:
        return f"{_name(function)} takes ({', '.join(signature.parameters)})"
    return None


def _is_of_the_call(error: Exception) -> bool:
    """Return whether a call of a module failed at its arguments, before any code of its own."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, TypeError) and frames[-1].f_globals["__name__"] == _CALLER


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__


def _is_of_torch(criterion: Any) -> bool:
    module = getattr(criterion, "__module__", None) or ""
    return f"{module}.".startswith("torch.")
