"""One run: one learning rate per optimizer step, and everything put back however it ends."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import NO_BUDGET
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Items, Points
from lrfinder_widget.curve.reasons import NO_EFFECT
from lrfinder_widget.data.batches import Batches, Exhausted, move
from lrfinder_widget.restore.memory import free_cached_memory, synchronize
from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.restore.uses import Uses

from .baseline import Baseline, untrained_step
from .checks import nothing_yielded
from .diagnosis import Diagnoser
from .distributed import EndedElsewhere, Ranks, several_ranks
from .drive import Drive
from .guard import Guard, guarded
from .metric import Meter, measured
from .param_groups import LearningRate
from .read_back import IN_FLIGHT, Sender, as_loss, read_back
from .run_points import Attempt, SweepPoints, end_rule, note_on, warn_of, with_more, without_first
from .step import TrainingStep
from .task import Stop, TrainingTask
from .thread_state import ThreadState

Around: TypeAlias = Callable[[Callable[[Any], Any], "torch.device | None"], Callable[[Any], Any]]


class SweepRun:
    """One run of a task over some learning rates; it starts when the first point is requested.

    Parameters
    ----------
    task : TrainingTask
        What to train and put back.
    lrs : sequence of float
        The learning rate of each step, in order.
    stop : {"divergence"}, callable, or None
        When to end early.
    repeats : int
        How many times to go through `lrs`, from the same start but on different batches.
    train : bool
        Whether to train; otherwise the losses are measured at the starting weights only. An
        exception in the user's code then ends the run, as a loss that is not finite does.
    around : callable, optional
        ``around(train, device) -> train`` returns what to call on each batch, on `device`, instead
        of the function that trains; called before the optimizer's learning rates are read.
    check_effect : bool
        Whether to end the run early if the learning rate turns out to have no effect.
    diagnose, measure : bool
        Whether each point has a diagnosis; whether it has the task's metric, if there is one.
    thread_state : ThreadState, optional
        The state in which to run the steps; by default that of the thread that creates the run.
    opened : threading.Event, optional
        Set once the data has been opened, and at the end in any case. Only for a run in the
        background, where no interrupt can leave the event's lock locked.

    Raises
    ------
    ValueError
        If all that the optimizer holds is frozen, or its steps cannot be diagnosed.
    """

    # The parts of a run in progress.
    _guard: Guard
    _ranks: Ranks | None
    _batches: Batches
    _meter: Meter | None
    _taken = 0  # steps of a repeat, when one of them runs out of memory

    def __init__(
        self,
        task: TrainingTask,
        lrs: Sequence[float],
        *,
        stop: Stop,
        repeats: int = 1,
        train: bool = True,
        around: Around | None = None,
        check_effect: bool = True,
        diagnose: bool = False,
        measure: bool = False,
        thread_state: ThreadState | None = None,
        opened: threading.Event | None = None,
        warns: int = 0,
    ) -> None:
        if train:
            task.check_trainable()
        if diagnose:
            task.check_diagnosable()
        self.task = task
        self.unrestored: list[str] = []
        self.baseline = Baseline(possible=train and task.has_batch_losses)
        self._lrs = lrs
        self._stop = stop
        self._repeats = repeats
        self._trains = train
        self._around = around
        self._checks_effect = train and check_effect
        self._diagnoses = diagnose
        self._diagnoser: Diagnoser | None = None  # of the repeat in progress
        self._measure = task.measure if measure else None
        self._thread_state = thread_state or task.thread_state()
        self._opened = opened
        self.warns = warns

    @classmethod
    def of(cls, task: TrainingTask, plan: SweepPlan, **options: Any) -> SweepRun:
        """Return the LR range test that a plan describes."""
        planned: dict[str, Any] = {"repeats": plan.repeats, "diagnose": plan.diagnose}
        return cls(task, plan.lrs, stop=task.stop, measure=True, **planned, **options)

    def points(self) -> SweepPoints:
        """Return the points as a generator that can also measure a baseline on request."""
        return SweepPoints(self, self.task.budget(NO_BUDGET))

    def items(self) -> Items:
        """Run, and yield the points.

        Between two repeats it yields the reason why the earlier one ended. If a baseline was
        requested and the curve needs one, its losses follow the last point.
        """
        try:
            self._ranks = Ranks() if several_ranks() else None
            with self._ranks or nullcontext():  # announces the end, once all is put back
                objects, uses = self.task.preserved(), self.task.uses()
                both = {id(thing): thing for thing in (*objects, *uses.objects)}  # each once
                optimizers = [thing for thing in both.values() if isinstance(thing, Optimizer)]
                with guarded(self.task.model, optimizers) as self._guard:
                    reason = yield from self._restored(objects, uses)
            if self.warns:
                warn_of(self.unrestored, stacklevel=self.warns)
            return reason
        except Exception as error:
            if self.warns:
                note_on(error, self.unrestored)
            raise
        finally:
            if self._opened is not None:
                self._opened.set()

    def _restored(self, objects: list[Any], uses: Uses) -> Items:
        """Run, once more if the copies leave too little room on the device: then on the host."""
        reason = yield from self._attempt(objects, uses, on_host=False)
        if reason is None:
            free_cached_memory(self.task.devices())
            self.unrestored.clear()
            self.baseline.begin()
            again = self._attempt(objects, uses, on_host=True)
            reason = yield from without_first(self._taken, again)
            assert reason is not None
        return reason

    def _attempt(self, objects: list[Any], uses: Uses, *, on_host: bool) -> Attempt:
        """Run; return the reason of the end, or `None` if it is to begin again with more room."""
        devices = self.task.devices()
        synchronize(devices)  # a stream of the user's may still be writing to the weights
        first = True
        snapshot = Snapshot(
            objects,
            [self.task.batches],
            uses,
            gradients=not isinstance(self.task.step, TrainingStep),
            frozen=self.task.frozen,
            on_host=on_host,
        )
        self._batches = Batches(self.task.batches, self.task.device)
        # Plain try and finally, not ExitStack: an interrupt may come at any line of Python, and
        # these restore wherever it comes.
        try:
            snapshot.set_gradients_aside()
            with self._thread_state.at_hand():
                self._batches.open()
            if self._opened is not None:
                self._opened.set()
            for left in reversed(range(self._repeats)):
                first = left == self._repeats - 1
                # Not with several ranks, of which one might be unable to repeat its step.
                watch = first and self._checks_effect and not self._ranks and snapshot.is_beside
                steps = self._steps(watch=watch)
                with closing(steps):
                    reason = yield from self._judged(read_back(steps, Sender()))
                self._diagnoser = None
                if self.baseline.is_needed(self._lrs, reason):
                    snapshot.restore(random=False)
                    step: Any = self.task.step
                    yield from self.baseline.measure(self.task.model, step, self._entered)
                if reason == "no-effect" and not self.baseline.asked_for:
                    # Whoever makes a curve of the points reads it there.
                    warnings.warn(NO_EFFECT, stacklevel=5 if on_host else 4)
                if not left or reason in ("exhausted", "stopped", "no-effect"):
                    return reason
                yield reason
                self.baseline.begin()
                snapshot.restore(random=False)  # other batches, from the same start
                snapshot.set_gradients_aside()
            raise AssertionError  # there is at least one repeat
        except torch.OutOfMemoryError:
            early = first and self._taken <= IN_FLIGHT  # losses in flight are yielded before it
            # With several ranks, the others would have to begin again, too.
            if on_host or self._ranks or not (early and snapshot.values.in_the_way):
                raise
            return None
        finally:
            try:
                self._batches.close()
            finally:
                try:
                    snapshot.restore()
                except KeyboardInterrupt:  # it finishes by itself, unless it had not started yet
                    snapshot.restore()
                    raise
                finally:
                    self.unrestored += snapshot.unrestored
                    self.unrestored += getattr(self._batches, "unrestored", [])
                    del snapshot  # a kept traceback must not keep a copy of the model
                    self.baseline.forget()  # nor the batches
                    if self._diagnoser is not None:
                        self._diagnoser.forget()
                    synchronize(devices)  # so that whatever is queued next finds all put back

    def _judged(self, points: Points) -> Points:
        """Yield the points until one of them ends the run."""
        ended, early = end_rule(self._stop, len(self._lrs))
        plain = self._measure is None and not self._diagnoses
        while True:
            try:
                point = next(points)
            except StopIteration as end:
                reason: Reason = end.value
                return reason
            loss = point[1]
            if self.baseline.asked_for:
                self.baseline.losses.append(loss)
            yield point if plain else with_more(point, self._diagnoser, self._meter)
            if not math.isfinite(loss):
                return "non-finite"
            if ended(loss):
                return early

    def _steps(self, *, watch: bool) -> Generator[tuple[float, float | Tensor], None, Reason]:
        """Train one step per learning rate; `watch` whether the learning rate has an effect."""
        task, guard, state = self.task, self._guard, self._thread_state
        if isinstance(task.step, TrainingStep) and not task.model.training:
            task.model.train()
        self._meter = None if self._measure is None else Meter(self._measure, task.step)
        load, train = self._loading(), self._training(task.step)
        if self._around is not None:
            train = self._around(train, self._batches.device)
        set_lr = LearningRate(task.optimizer)
        drive = Drive(task, set_lr, guard, watch=watch)
        watched = self._training(drive.step)
        train, watched = self._diagnosed(train, watched)
        if self._ranks is not None:
            load, train = self._ranks.loading(load), self._ranks.training(train, self._meter)
        for taken, (lr, act) in enumerate(drive.steps(self._lrs, watched, train)):
            guard.owner = threading.get_ident()  # the thread that requests the next point
            set_lr(lr)
            try:
                if state.is_current():
                    loss = as_loss(act(load()))
                else:
                    with state.applied():
                        loss = as_loss(act(load()))
            except Exhausted:
                if taken:
                    return "exhausted"
                raise ValueError(nothing_yielded(task.batches)) from None
            except EndedElsewhere:
                return "stopped"
            except torch.OutOfMemoryError:
                self._taken = taken
                raise
            yield lr, loss
        return "no-effect" if drive.no_effect else "completed"

    def _loading(self) -> Callable[[], Any]:
        """Return the function that loads the batch of the next step, or its micro-batches."""
        take, keep = self._batches.take, self.baseline.keep

        def take_and_keep() -> Any:
            batch = take()
            keep(batch)
            return batch

        load = take_and_keep if self.baseline.asked_for else take
        step = self.task.step
        count = step.accumulate if isinstance(step, TrainingStep) else 1
        return load if count == 1 else lambda: [load() for _ in range(count)]

    def _training(self, act: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return the function that trains by `act` and returns the loss of the point."""
        task, step, device = self.task, self.task.step, self._batches.device
        if not isinstance(step, TrainingStep):
            return act
        if not self._trains:
            return untrained_step(task.model, step)
        if task.val_batches is None:
            return measured(self._meter, act, step.accumulate)
        validate = measured(self._meter, step.validate, len(task.val_batches))
        batches = [b if device is None else move(b, device) for b in task.val_batches]

        def train_and_validate(batch: Any) -> Any:
            act(batch)
            return validate(batches)

        return train_and_validate

    def _diagnosed(self, *trains: Callable[[Any], Any]) -> Sequence[Callable[[Any], Any]]:
        """Return functions that train as these do, and look at each step if that is wanted."""
        if not self._diagnoses:
            return trains
        self._diagnoser = diagnoser = Diagnoser(self.task, self._guard, len(self._lrs))
        return [diagnoser.around(train) for train in trains]

    def _entered(self) -> AbstractContextManager[None]:
        """Return a block in which the calling thread may use the model."""
        self._guard.owner = threading.get_ident()  # the thread that requests the next loss
        return self._thread_state.at_hand()
