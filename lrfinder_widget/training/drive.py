"""Whether the learning rate drives anything: an early step, taken once more at another rate.

Some optimizers ignore the rate that they are given, and so does a step that uses another optimizer
or that was captured with a fixed rate. The loss falls all the same as training goes on, and draws a
curve that looks like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.restore.tensors import is_allocated, parts_of
from lrfinder_widget.restore.uses import Uses

from .guard import Guard
from .param_groups import LearningRate
from .task import TrainingTask

Act: TypeAlias = Callable[[Any], Any]

FACTOR = 1e5
TRIES = 16
"""How many steps may move no weight, as where gradients are accumulated, before it gives up."""


class Drive:
    """Watches the first steps of a run, until it is known whether the learning rate has an effect.

    The first step that moves a weight is only watched: some optimizers, Rprop for one, read the
    rate there and never again. For the next one, the optimizer's update is first tried at its rate
    and at `FACTOR` times that, with the same gradients, and taken back. If weights move without any
    call of the optimizer's `step`, a whole step is taken once more instead, on a copy of its batch.
    Either way everything is then as if the step had been taken once.

    What cannot be copied, compared or repeated leaves the question open, and so does a closure.

    Parameters
    ----------
    task : TrainingTask
        What is trained.
    set_lr : LearningRate
        Sets the learning rate of a step.
    guard : Guard
        Hears of each update.
    watch : bool
        Otherwise nothing is watched.

    Attributes
    ----------
    no_effect : bool
        Whether the weights moved to the same values, bit for bit, at both rates.
    """

    def __init__(
        self, task: TrainingTask, set_lr: LearningRate, guard: Guard, *, watch: bool
    ) -> None:
        self.no_effect = False
        self._task = task
        self._set_lr = set_lr
        self._guard = guard
        self._lr = 0.0
        self._left = TRIES + 1
        # Unbound: a run must not wait for the garbage collector to let go of its model and data.
        self._take: Callable[[Drive, Any], Any] = Drive._look
        self._rates: list[float] = []  # of the groups, as they were set for this step
        self._weights = _Weights(task.optimizer)
        self._done = not (watch and self._weights.note())

    def steps(self, lrs: Iterable[float], watched: Act, plain: Act) -> Iterator[tuple[float, Act]]:
        """Yield each learning rate with the function that takes its step.

        That is `watched`, which calls `step`, and then `plain`. It ends early if the learning rate
        turns out to have no effect.
        """
        ahead = iter(lrs)
        while not self._done and (lr := next(ahead, None)) is not None:
            self._lr = lr
            yield lr, watched
        self._weights.forget()
        if not self.no_effect:
            yield from zip(ahead, repeat(plain))

    def step(self, batch: Any) -> Any:
        """Take the task's step on a batch and return its loss; learn from it what it shows."""
        self._left -= 1
        self._rates = self._rates_now()
        try:
            return self._take(self, batch)
        except BaseException:
            self._weights.forget()  # a kept traceback must not keep a copy of the model
            raise
        finally:
            self._guard.before_update = None
            self._done = self._done or not self._left

    # -- until a step has moved a weight ----------------------------------------------------------

    def _look(self, batch: Any) -> Any:
        """Take a step; if it moves a weight, choose how the next one is tried."""
        calls: list[tuple[bool, bool]] = []

        def hear(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if self._is_ours(optimizer):
                calls.append((self._rates_now() == self._rates, _has_closure(args, kwargs)))

        self._hear_by(hear)
        loss = self._task.step(batch)
        moved = self._weights.have_moved()
        if moved:
            by_update = bool(calls) and all(at_our_rate for at_our_rate, _ in calls)
            self._take = Drive._try_update if by_update else Drive._take_twice
            self._left = TRIES
            closure = any(closure for _, closure in calls)  # it may do more than a step may
            moved = None if closure or not self._weights.note() else True
        self._done = moved is None
        return loss

    def _hear_by(self, hear: Callable[[Optimizer, Any, Any], None]) -> None:
        # The guard is called in the middle of compiled code, too.
        self._guard.before_update = torch.compiler.disable(hear)  # type: ignore[no-untyped-call]

    def _is_ours(self, optimizer: Any) -> bool:
        """Return whether it is the task's optimizer, or what that wraps or is wrapped by."""
        groups = getattr(optimizer, "param_groups", None)
        return groups is self._task.optimizer.param_groups

    def _has_graph(self) -> bool:
        """Return whether a gradient has a graph of its own, which can be used only once."""
        groups = self._task.optimizer.param_groups
        gradients = (p.grad for group in groups for p in group["params"])
        return any(grad is not None and grad.requires_grad for grad in gradients)

    def _rates_now(self) -> list[float]:
        return [float(group["lr"]) for group in self._task.optimizer.param_groups]

    # -- a step that calls the optimizer ----------------------------------------------------------

    def _try_update(self, batch: Any) -> Any:
        self._hear_by(self._compare_updates)
        return self._task.step(batch)

    def _compare_updates(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Update at the rate of the step and at the higher one, and take both back."""
        if not self._is_ours(optimizer):
            return
        self._guard.before_update = None  # the first of a step only, and none of these updates
        closed = _has_closure(args, kwargs) or self._has_graph()
        before = None if closed else _state_of([optimizer])
        if before is None:
            self._done = True
            return

        def moved(lr: float, updates: int) -> bool | None:
            try:
                self._set_lr(lr)
                for _ in range(updates):
                    optimizer.step(*args[1:], **kwargs)
                return self._weights.have_moved()
            except Exception:  # noqa: BLE001 - whatever an optimizer raises at such a rate
                return None

        try:
            # Twice, because some read the rate at the end, for the next update: ASGD does.
            for updates in (1, 2):
                at_more = moved(self._lr * FACTOR, updates)
                if at_more is False and updates == 1:
                    return  # another step may show more
                self._done = True
                if at_more is None or not self._weights.note():
                    return
                before.restore()
                if moved(self._lr, updates) is not False:
                    return
                before.restore()
            self.no_effect = True
        finally:
            before.restore()
            del before, moved  # a kept traceback must not keep a copy of the model

    # -- any other step ---------------------------------------------------------------------------

    def _take_twice(self, batch: Any) -> Any:
        """Take a step; if it moves a weight, take it once more at the higher rate."""
        before = after = None
        try:
            objects, uses = self._task.preserved(), self._task.uses()
            copied = _copy_of(batch)
            before = None if self._has_graph() else _state_of(objects, uses, self._task)
            loss = self._task.step(batch)
            moved = self._weights.have_moved()
            if before is None or not copied or not moved:
                self._done = before is None or not copied or moved is None
                return loss
            self._done = True
            after = _state_of(objects, uses, self._task) if self._weights.note() else None
            if after is None:
                return loss
            if isinstance(loss, Tensor):
                loss = loss.detach().clone()  # the next call may write into its memory
            try:
                before.restore()
                self._set_lr(self._lr * FACTOR)
                self.no_effect = self._stays(*copied)
            finally:
                after.restore()
            return loss
        finally:
            del before, after

    def _stays(self, batch: Any) -> bool:
        try:
            self._task.step(batch)
        except Exception:  # noqa: BLE001 - whatever the user's code raises at such a rate
            return False
        return self._weights.have_moved() is False


def _has_closure(args: Any, kwargs: Any) -> bool:
    return any(map(callable, (*args[1:], *kwargs.values())))


def _state_of(
    objects: list[Any], uses: Uses | None = None, task: TrainingTask | None = None
) -> Snapshot | None:
    """Copy all that a step changes; `None` if that is impossible, or there is no room beside it."""
    try:
        frozen = None if task is None else task.frozen
        state = Snapshot(objects, uses=uses, gradients=True, frozen=frozen)
    except Exception:  # noqa: BLE001 - whatever a copy of the user's objects raises
        return None
    return state if state.is_beside else None


def _copy_of(batch: Any) -> list[Any]:
    """Return a list of a copy; of nothing, if the batch cannot be copied."""
    try:
        return [copy.deepcopy(batch)]
    except Exception:  # noqa: BLE001 - not everything can be copied
        return []


class _Weights:
    """A copy of the weights that an optimizer holds, to see whether they move."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._held = [p for group in optimizer.param_groups for p in group["params"]]
        self._copies: list[Tensor] = []

    def note(self) -> bool:
        """Copy them; return whether that was possible."""
        self.forget()  # first, as there may be no room for two
        try:
            with torch.no_grad():
                self._copies = [tensor.clone() for tensor in self._tensors()]
        except Exception:  # noqa: BLE001 - some kinds of tensors cannot be copied
            return False
        return True

    def have_moved(self) -> bool | None:
        """Return whether any of them has another value; `None` if they cannot be compared."""
        try:
            with torch.no_grad():
                now = list(self._tensors())
                if len(now) != len(self._copies):  # lazy ones have become what they are
                    return True
                return not all(map(torch.equal, now, self._copies))
        except Exception:  # noqa: BLE001 - some kinds of tensors cannot be compared
            return None

    def forget(self) -> None:
        """Drop the copy."""
        self._copies = []

    def _tensors(self) -> Iterator[Tensor]:
        for parameter in self._held:
            if parameter.requires_grad and not isinstance(parameter, UninitializedParameter):
                for part in parts_of(parameter.detach()):
                    if not is_allocated(part):  # reading it would end the process
                        raise ValueError
                    yield part
