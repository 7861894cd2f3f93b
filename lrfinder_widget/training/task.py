"""What a run trains: the user's model, optimizer, data and step, validated once, never changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.data.batches import check_batches
from lrfinder_widget.data.describe import describe
from lrfinder_widget.restore.sharded import check_sharded
from lrfinder_widget.restore.uses import Uses, uses_of

from .checks import (
    check_criterion,
    check_diagnosable,
    check_kind,
    check_optimizer,
    check_preserve,
    check_shared,
    check_step,
    check_trainable,
    check_val_batches,
    check_values,
    warn_of_factor,
)
from .distributed import several_ranks
from .family import cautions_for, family_of, was_trained
from .metric import Metric, metric_of
from .misfits import check_listed
from .param_groups import LearningRate
from .step import TrainingStep, model_device
from .thread_state import ThreadState, current_device

StopRule: TypeAlias = Callable[[NDArray[np.float64]], bool]
Stop: TypeAlias = Literal["divergence"] | StopRule | None


class TrainingTask:
    """The validated arguments of `sweep` that say what to train.

    Takes the arguments of `sweep` except the plan, with the same meaning and the same errors.

    Attributes
    ----------
    model, optimizer, batches, stop, val_batches
        As given.
    step : callable
        The user's own step, or the textbook step.
    measure : Measure or None
        What measures the metric, if there is one.
    summary : str
        The optimizer and the batch size, for a comment in code.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        batches: Iterable[Any],
        criterion: Callable[..., Tensor] | None = None,
        *,
        step: Callable[[Any], Any] | None = None,
        stop: Stop = "divergence",
        accumulate: int = 1,
        val_batches: Sequence[Any] | None = None,
        preserve: Iterable[Any] = (),
        device: torch.device | str | None = None,
        metric: Metric = None,
    ) -> None:
        self._criterion = criterion
        self._given: dict[str, Any] = {"step": step, "accumulate": accumulate, "metric": metric}
        check_kind("model", model, nn.Module, "a torch.nn.Module")
        check_sharded(model)
        check_values(model)
        check_optimizer(optimizer)
        check_batches(batches)
        if step is None:
            check_criterion(criterion)
            check_listed(criterion, batches)
            check_listed(criterion, val_batches, "val_batches")
            check_shared(model, optimizer)
            step = TrainingStep(model, optimizer, criterion, accumulate=accumulate)
        else:
            check_step(step, criterion, accumulate, val_batches)
        self.measure = metric_of(metric, step, textbook=isinstance(step, TrainingStep))
        if not (stop is None or stop == "divergence" or callable(stop)):
            raise ValueError(
                'stop must be "divergence", None, or a function stop(losses); got '
                f"{repr(stop) if isinstance(stop, str) else describe(stop)}."
            )
        LearningRate(optimizer)  # raises now rather than when the run starts
        warn_of_factor(optimizer, stacklevel=3)
        self.model = model
        self.optimizer = optimizer
        self.batches = batches
        self.step = step
        self.stop = stop
        self.val_batches = check_val_batches(val_batches)
        self._preserve = check_preserve(preserve)
        self._device = None if device is None else torch.device(device)
        size = getattr(batches, "batch_size", None)
        batch = f", batch {size}" if isinstance(size, int) else ""
        self.summary = f"{type(optimizer).__name__}{batch}"

    @property
    def device(self) -> torch.device | None:
        """The device to which batches are moved; `None` if they are left where they are."""
        if self._device is None and isinstance(self.step, TrainingStep):
            return model_device(self.model)
        return self._device

    @property
    def has_batch_losses(self) -> bool:
        """Whether the loss of each point is that of its own training batch, in this process."""
        return isinstance(self.step, TrainingStep) and not self.val_batches and not several_ranks()

    def budget(self, planned: Budget, groups: Sequence[dict[str, Any]] | None = None) -> Budget:
        """Return the budget of a planned training with what the optimizer and the model show.

        With `groups`, as if these were the optimizer's.
        """
        return replace(
            planned,
            family=family_of(self.optimizer, groups),
            cautions=cautions_for(self.model, self.optimizer),
            trained=was_trained(self.model),
        )

    @property
    def why_no_other_optimizer(self) -> str:
        """Why its optimizer cannot be replaced; an empty string if it can."""
        if self._given["step"] is None:
            return ""
        return "optimizers cannot be varied with a step of your own, which updates by its own one."

    def replaced(
        self, optimizer: Optimizer | None = None, batches: Iterable[Any] | None = None
    ) -> TrainingTask:
        """Return a task with another optimizer or other batches, and all else the same.

        Raises
        ------
        TypeError, ValueError
            If these cannot be used, as for `sweep`, or a step of the user's own goes with the
            optimizer.
        """
        if optimizer is not None and (why := self.why_no_other_optimizer):
            raise ValueError(why)
        return TrainingTask(
            self.model,
            self.optimizer if optimizer is None else optimizer,
            self.batches if batches is None else batches,
            self._criterion,
            stop=self.stop,
            val_batches=self.val_batches,
            preserve=self._preserve,
            device=self._device,
            **self._given,
        )

    @property
    def epoch_steps(self) -> int | None:
        """The optimizer steps of an epoch, if the batches have a length."""
        batches: Any = self.batches
        if isinstance(batches, DataLoader):  # it may note that its length was asked for
            batches = copy.copy(batches)
        steps = 0
        with suppress(Exception):  # whatever the user's code raises here
            steps = len(batches) // getattr(self.step, "accumulate", 1)
        return steps if steps > 0 else None

    def thread_state(self, *, shared: bool = True) -> ThreadState:
        """Read the calling thread's state; `shared` if other code may run there between points."""
        return ThreadState(model_device(self.model), shared=shared)

    def preserved(self) -> list[Any]:
        """Return the objects that a run puts back."""
        step = self.step
        parts = step.parts if isinstance(step, TrainingStep) else [step]
        return [
            self.model,
            self.optimizer,
            *(part for part in parts if hasattr(part, "load_state_dict")),
            *self._preserve,
        ]

    def devices(self) -> set[torch.device]:
        """Return the devices of the model, and the current one; none without an accelerator."""
        if not torch.accelerator.is_available():
            return set()
        tensors = (*self.model.parameters(), *self.model.buffers())
        current = current_device()
        return {t.device for t in tensors} | (set() if current is None else {current})

    def frozen(self) -> dict[int, str]:
        """Return the ids and names of the parameters that the package's own step does not change.

        None if the step is the user's own, or if layers are switched between training and
        evaluation, as some of them change frozen weights then.
        """
        step = self.step
        if not isinstance(step, TrainingStep) or self.val_batches or not self.model.training:
            return {}
        changed = {
            id(p)
            for thing in (*self.preserved(), *self.uses().objects)
            if isinstance(thing, Optimizer)
            for group in thing.param_groups
            for p in group["params"]
        }
        named = (thing for thing in self._preserve if isinstance(thing, nn.Module))
        changed |= {id(p) for module in named for p in module.parameters()}
        parts = (self.model, *step.parts, *self._metrics())
        modules = (thing for thing in parts if isinstance(thing, nn.Module))
        return {
            id(p): name
            for module in modules
            for name, p in module.named_parameters()
            if not p.requires_grad and id(p) not in changed
        }

    def uses(self) -> Uses:
        """Find what the step uses besides; a run puts it back, too."""
        return uses_of(self.step, *self._metrics())

    def _metrics(self) -> list[Any]:
        return [] if self.measure is None else [self.measure.function]

    def check_trainable(self) -> None:
        """Raise a ValueError if all that the optimizer holds is frozen now."""
        check_trainable(self.model, self.optimizer)

    def check_diagnosable(self) -> None:
        """Raise a ValueError if the gradients and the updates of its steps cannot be measured."""
        check_diagnosable(self.optimizer, several=several_ranks())

    def parameters(self) -> list[Tensor]:
        """Return the parameters of everything that a run changes and puts back."""
        parameters: list[Tensor] = []
        for thing in (*self.preserved(), *self.uses().objects):
            if isinstance(thing, nn.Module):
                parameters += thing.parameters()
            elif isinstance(thing, Optimizer):
                parameters += [p for group in thing.param_groups for p in group["params"]]
        return parameters


def check_options(function: str, options: Iterable[str]) -> None:
    """Reject the first option that a `TrainingTask` does not take, in the name of `function`.

    Raises
    ------
    TypeError
        If there is one.
    """
    known = [
        p.name for p in signature(TrainingTask).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    for name in options:
        if name not in known:
            raise TypeError(
                f"{function}() takes no {name}. Besides the arguments in its signature, it takes "
                f"{', '.join(known)}."
            )
