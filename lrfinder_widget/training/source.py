"""The runs of a finder that trains the notebook's own model."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import NO_BUDGET, Budget
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import RunPoints
from lrfinder_widget.runs.ladder import Ladder
from lrfinder_widget.runs.source import About
from lrfinder_widget.runs.varied_runs import Settings, VariedRuns

from .held_out import Evaluate, Rates
from .ladder import ladder
from .seeds import seeds_of_cells_kept
from .settings import settings_of
from .sweep_run import SweepRun
from .task import TrainingTask
from .thread_state import ThreadState
from .trials import Trials
from .variants import varied

RELEASED = "this LRFinder is closed; make a new one."


class TrainingSource:
    """Trains a task in the notebook's own process; a `RunSource`.

    Parameters
    ----------
    task : TrainingTask
        What to train.

    Attributes
    ----------
    about : About
        What the task is; read anew when a test begins, as the optimizer is.
    """

    waiting = ""

    def __init__(self, task: TrainingTask) -> None:
        self._task: TrainingTask | None = task
        self.cannot: Mapping[str, str] = {}
        self.about = about_task(task, NO_BUDGET)

    @property
    def task(self) -> TrainingTask:
        """What is trained.

        Raises
        ------
        RuntimeError
            If it has been released.
        """
        if self._task is None:
            raise RuntimeError(RELEASED)
        return self._task

    @property
    def optimizer(self) -> Optimizer:
        """The task's optimizer."""
        return self.task.optimizer

    def parameters(self) -> list[Tensor]:
        """Return the parameters that a run changes and puts back; none once released."""
        return [] if self._task is None else self._task.parameters()

    def thread_state(self) -> ThreadState:
        """Read torch's state of the calling thread."""
        return self.task.thread_state()

    def ladder(self) -> Ladder:
        """Return the rungs around the optimizer's own learning rate."""
        return ladder(self.task.model, self.task.optimizer)

    def begin(self, plan: SweepPlan, opened: threading.Event) -> RunPoints:
        """Create a run of a plan, with a baseline where its curve needs one.

        A loader may fork its worker processes, which is safer while other threads are idle:
        `opened` is set when it has.
        """
        task = self.task
        run = SweepRun.of(task, plan, opened=opened)
        points = run.points()
        points.ask_for_baseline()
        self.about = about_task(task, task.budget(NO_BUDGET))
        return self._in_a_thread(points)

    def begin_trials(
        self,
        lrs: Rates,
        steps: int,
        *,
        held_out: Sequence[Any] | None = None,
        evaluate: Evaluate | None = None,
    ) -> tuple[Trials, RunPoints]:
        """Create trial runs, one after another."""
        trials = Trials(self.task, lrs, steps, held_out=held_out, evaluate=evaluate)
        return trials, self._in_a_thread(trials.points())

    def begin_variation(
        self, settings: Settings, plan: SweepPlan, planned: Budget, **makes: Any
    ) -> tuple[VariedRuns, RunPoints]:
        """Create tests with other settings varied, one after another."""
        task = self.task
        runs, points = varied(task, settings, plan, planned, task.thread_state(), **makes)
        return runs, self._in_a_thread(points)

    def release(self) -> None:
        """Drop the model and all else that is trained."""
        self._task = None

    def _in_a_thread(self, points: RunPoints) -> RunPoints:
        items = _with_state(points, self.task.thread_state())
        return RunPoints(items, points.unrestored)


def _with_state(points: RunPoints, state: ThreadState) -> Generator[Any, None, Any]:
    """Yield the points of a run, in a thread of its own that has the state of the one it is of.

    It has that from the first step to the last, so no step has to see to it.
    """
    with seeds_of_cells_kept(), state.applied():
        return (yield from points)


def about_task(task: TrainingTask, budget: Budget) -> About:
    """Return what is known of a task."""
    optimizer, rates = task.optimizer, [group["lr"] for group in task.optimizer.param_groups]
    return About(
        summary=task.summary,
        optimizer=type(optimizer).__name__,
        several_rates=len(set(map(float, rates))) > 1,
        tensor_rates=any(isinstance(rate, Tensor) for rate in rates),
        device=_device(task),
        epoch_steps=task.epoch_steps,
        budget=budget,
        here=True,
        settings=settings_of(task),
    )


def _device(task: TrainingTask) -> str | None:
    """Name the device, with a note if a model may have been left on the CPU by mistake."""
    device = task.device
    if device is None:
        return None
    if device.type == "cpu" and torch.accelerator.is_available():
        return f"cpu, although a {torch.accelerator.current_accelerator()} device is available"
    return str(device)
