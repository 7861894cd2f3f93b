"""A metric beside the loss: of the same forward passes, and without any effect on the test."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lrfinder_widget.data.describe import describe
from lrfinder_widget.restore.random_state import random_states

from .misfits import check_takes_two
from .read_back import Arrival, Sender, can_fly

MetricFunction: TypeAlias = Callable[[Any, Any], "Tensor | float"]
Metric: TypeAlias = Literal["accuracy"] | MetricFunction | None

Act: TypeAlias = Callable[[Any], Any]

UNNAMED = "metric"
"""What a metric without a name is called."""

IGNORED = -100
"""The class index of targets that do not count, unless the criterion has another one."""


def check_metric(metric: object) -> None:
    """Reject what is no metric.

    Raises
    ------
    TypeError, ValueError
        If it is neither None, ``"accuracy"`` nor a function of output and target.
    """
    if metric is None or (isinstance(metric, str) and metric == "accuracy"):
        return
    if isinstance(metric, str) or not callable(metric) or isinstance(metric, type):
        kind = ValueError if isinstance(metric, str) else TypeError
        given = repr(metric) if isinstance(metric, str) else describe(metric)
        raise kind(
            'metric must be "accuracy", a function metric(output, target) -> number, or None; got '
            f"{given}."
        )
    check_takes_two("metric", metric)


def metric_of(metric: Metric, step: Any, *, textbook: bool) -> Measure | None:
    """Return what measures a metric in the forward passes of a step; None without a metric.

    Only the `textbook` step shows them.

    Raises
    ------
    TypeError, ValueError
        If it is none, or cannot be measured there.
    """
    check_metric(metric)
    if metric is None:
        return None
    if not textbook:
        raise ValueError(
            "metric works only with criterion, or with step=training_step(…): a step of your own "
            "shows no output. Leave it out, and keep what you need in your step."
        )
    if metric != "accuracy":
        return Measure(metric, name_of(metric), draws=True)
    if step.criterion is None:
        raise ValueError(
            'metric="accuracy" needs batches (inputs, target, …) and a criterion. Without a '
            "criterion, pass a function metric(output, batch), such as one that compares "
            'output.logits.argmax(-1) with batch["labels"].'
        )
    ignored = getattr(step.criterion, "ignore_index", IGNORED)
    ignored = ignored if type(ignored) is int else IGNORED
    return Measure(partial(accuracy, ignored=ignored), "accuracy", draws=False)


def name_of(metric: Any) -> str:
    """Return what to call a metric."""
    while isinstance(metric, partial):
        metric = metric.func
    name = getattr(metric, "__name__", type(metric).__name__)
    return UNNAMED if name == "<lambda>" else str(name)


def accuracy(output: Any, target: Any, *, ignored: int = IGNORED) -> Tensor:
    """Return the share of targets that have the class with the largest output, in dimension 1.

    Parameters
    ----------
    output : Tensor, shape (N, C, …) or (C,)
        A score for each class.
    target : Tensor
        Class indices, of the shape of `output` without the classes; or, of the same shape, the
        probability of each class, whose largest counts.
    ignored : int
        The index of targets that do not count. If none counts, the share is nan.

    Raises
    ------
    TypeError, ValueError
        If they are not of that form.
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        raise TypeError(
            f'metric="accuracy" needs an output and a target that are tensors; got '
            f"{describe(output)}, and {describe(target)}. {_PASS}"
        )
    dim = 1 if output.dim() > 1 else 0
    without = (*output.shape[:dim], *output.shape[dim + 1 :])
    scores = output.shape[dim] if output.dim() else 0
    if scores < 2 or output.dim() == 1 == target.dim():
        raise ValueError(
            'metric="accuracy" needs a score for each class, in dimension 1 of the output; got '
            f"{describe(output)}. For a single logit, pass a function such as\n"
            "    def accuracy(output, target):\n"
            "        return ((output > 0) == (target > 0.5)).float().mean()"
        )
    chosen = output.argmax(dim)
    if target.shape == output.shape:
        return (chosen == target.argmax(dim)).float().mean()
    if target.shape != without or target.is_floating_point():
        raise ValueError(
            'metric="accuracy" needs class indices, of the shape of the output without dimension 1 '
            f"({without}), or a probability for each class; got {describe(target)} for "
            f"{describe(output)}. {_PASS}"
        )
    # Sums, as to select what counts would wait for the device.
    counts = target != ignored
    return ((chosen == target) & counts).sum() / counts.sum()


_PASS = "For anything else, pass a function metric(output, target) -> number."


class Measure:
    """A metric, and how it is measured without an effect on anything else.

    Parameters
    ----------
    function : callable
        Of an output and a target.
    name : str
        What to call it.
    draws : bool
        Whether it may draw random numbers.
    """

    def __init__(self, function: MetricFunction, name: str, *, draws: bool) -> None:
        self.function = function
        self.name = name
        self._draws = draws

    def __str__(self) -> str:
        return "the metric" if self.name == UNNAMED else f"the metric {self.name}"

    def __call__(self, output: Any, target: Any) -> float | Tensor:
        """Return the metric as a `float`, or as a tensor if reading it would wait for its device.

        Raises
        ------
        TypeError, ValueError
            If the function returns no number, or has changed what it was given.
        """
        random = random_states() if self._draws else []
        before = _version(output), _version(target)
        try:
            with torch.no_grad(), _without_autocast():
                value = self.function(output, target)
        except Exception as error:
            error.add_note(f"This came from {self}.")
            raise
        finally:
            for put_back in random:
                put_back()
        if (_version(output), _version(target)) != before:
            raise ValueError(
                f"{self} has changed its output or target in place, on which the "
                "training goes on. Let it work on a copy, such as output.clone()."
            )
        return self._number(value)

    def _number(self, value: Any) -> float | Tensor:
        if hasattr(value, "full_tensor"):  # a DTensor
            value = value.full_tensor()
        if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
            number: Tensor = value.detach().reshape(())
            if not can_fly(number):
                return float(number.item())
            return number if number.dtype is torch.float64 else number.float()
        plain = isinstance(value, (Real, np.bool_)) or (
            isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"
        )
        try:
            if plain:
                return float(value)
        except OverflowError:
            pass
        raise TypeError(
            f"{self} must return a number, or a tensor with one element; it "
            f"returned {describe(value)}."
        )


def _version(tensor: Any) -> int | None:
    """Return a number that grows when a tensor is changed in place; None if there is none."""
    if not isinstance(tensor, Tensor) or tensor.is_inference():
        return None
    return tensor._version


def _without_autocast() -> ExitStack:
    """Return a block without `torch.autocast`: a metric is computed as after the training step."""
    stack = ExitStack()
    for kind in _KINDS:
        if torch.is_autocast_enabled(kind):
            stack.enter_context(torch.autocast(kind, enabled=False))
    return stack


_KINDS = [kind for kind in ("cpu", "cuda", "xpu", "mps") if torch.amp.is_autocast_available(kind)]


class Meter:
    """Measures a metric in the steps of one repeat of a run.

    Parameters
    ----------
    measure : Measure
        What to measure.
    step : TrainingStep
        Whose forward passes to look at, by its attribute `watch`.
    """

    def __init__(self, measure: Measure, step: Any) -> None:
        self.name = measure.name
        self._measure = measure
        self._step = step
        self._send = Sender()
        self._values: list[float | Tensor] = []  # of the step that is taken now
        self._left = 0  # of its forward passes
        self._flying: deque[float | Arrival] = deque()

    def around(self, act: Act, count: int) -> Act:
        """Return a function that acts, and measures the first `count` forward passes."""

        def act_and_measure(batch: Any) -> Any:
            self._values, self._left = [], count
            self._step.watch = self._look
            try:
                loss = act(batch)
            finally:
                self._step.watch = None
            value = self._mean()
            self._flying.append(self._send(value) if isinstance(value, Tensor) else value)
            return loss

        return act_and_measure

    def _look(self, output: Any, target: Any) -> None:
        if self._left:  # the first are those whose loss counts: LBFGS has more
            self._left -= 1
            self._values.append(self._measure(output, target))

    def _mean(self) -> float | Tensor:
        tensors = [value for value in self._values if isinstance(value, Tensor)]
        if len(tensors) == 1 == len(self._values):
            return tensors[0]
        if len({tensor.device for tensor in tensors}) == 1 and len(tensors) == len(self._values):
            return torch.stack(tensors).mean()
        return sum(map(float, self._values)) / len(self._values) if self._values else math.nan

    def take(self) -> float:
        """Return the value of the earliest step that has not been taken yet."""
        value = self._flying.popleft()
        return value if isinstance(value, float) else value.value()

    def put(self, value: float) -> None:
        """Let a value be taken instead, such as that of all ranks."""
        self._flying.append(value)


def measured(meter: Meter | None, act: Act, count: int) -> Act:
    """Return a function that acts, and measures as many forward passes if there is a meter."""
    return act if meter is None else meter.around(act, count)
