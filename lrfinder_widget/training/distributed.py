"""Distributed training: all ranks see the same loss and end together; each restores itself.

At each step every rank takes part in the same two small collectives, on a process group of their
own: before the step the ranks agree whether to continue, after it they average the loss. A rank
that leaves announces it in whichever of the two the others are in or will reach next, so that no
rank waits for one that is gone. The exception is a rank that fails inside one of the model's own
collectives: the others wait there until it times out, as they would in training.

A rank may be paused, and the others wait for it with patience. They hear of a process that is gone,
as its connections are closed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed as dist

from lrfinder_widget.data.batches import Exhausted

from .read_back import as_loss

GO_ON, ENDED, EXHAUSTED, FAILED = 0.0, 1.0, 2.0, 3.0  # the most severe answer wins
_FAREWELL = timedelta(seconds=10)
_PATIENCE = timedelta(days=1)  # a pause on one rank is waited for by the others, maybe over night
_TURN = timedelta(seconds=1)


class EndedElsewhere(Exception):
    """Another rank has ended the run: it was stopped, met its stop rule, or did all its steps."""


def several_ranks() -> bool:
    """Return whether this process is one of several in `torch.distributed`."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class Averaged(Protocol):
    """What else is averaged: a value of each step, which is taken, and the mean put back."""

    def take(self) -> float:
        """Return the value of the step."""

    def put(self, value: float) -> None:
        """Take the mean over the ranks instead."""


class Ranks:
    """The ranks of one run: each rank creates one of these, at the same time, and enters it.

    The collectives run on the host, with gloo. So with a model on an accelerator the loss is read
    at each step: a decision that several ranks take together cannot lag behind.
    """

    def __init__(self) -> None:
        self._group: Any = dist.new_group(backend="gloo")
        self._begun = False  # this rank has had data
        self._announced = False  # all ranks know that this one is ending

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failed = kind is not None and kind is not GeneratorExit
        try:
            if not self._announced:
                self._sum_or_max([FAILED if failed else ENDED], dist.ReduceOp.MAX, failed=failed)
        finally:
            dist.destroy_process_group(self._group)

    def loading(self, load: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap `load` so that all ranks agree on each step before it is taken.

        Raises
        ------
        Exhausted
            From the returned function, if this rank or another has no data left.
        EndedElsewhere
            From the returned function, if another rank has ended.
        RuntimeError
            From the returned function, if another rank has failed.
        """

        def load_and_agree() -> Any:
            try:
                batch = load()
            except Exhausted:
                self._agree(EXHAUSTED if self._begun else FAILED)
                raise
            self._begun = True
            verdict = self._agree(GO_ON)
            if verdict == EXHAUSTED:
                raise Exhausted
            if verdict == ENDED:
                raise EndedElsewhere
            return batch

        return load_and_agree

    def training(
        self, train: Callable[[Any], Any], meter: Averaged | None = None
    ) -> Callable[[Any], float]:
        """Wrap `train` so that it returns the mean loss of all ranks, identical bit for bit.

        So it is with the metric, if there is one.

        Raises
        ------
        RuntimeError
            From the returned function, if the step of another rank has failed.
        """

        def train_and_average(batch: Any) -> float:
            try:
                loss = float(as_loss(train(batch)))
            except BaseException:
                self._fail_the_step()
                raise
            metric = 0.0 if meter is None else meter.take()
            totals = self._sum_or_max([loss, metric, 0.0], dist.ReduceOp.SUM)
            *means, failures = (total / dist.get_world_size(self._group) for total in totals)
            if failures:
                self._announced = True
                raise _failed_elsewhere()
            if meter is not None:
                meter.put(means[1])
            return means[0]

        return train_and_average

    def _fail_the_step(self) -> None:
        self._announced = True
        self._sum_or_max([0.0, 0.0, 1.0], dist.ReduceOp.SUM, failed=True)

    def _agree(self, answer: float) -> float:
        try:
            (verdict,) = self._sum_or_max([answer], dist.ReduceOp.MAX)
        except KeyboardInterrupt:  # too late to answer otherwise
            self._fail_the_step()
            raise
        self._announced = verdict != GO_ON
        if verdict == FAILED != answer:
            raise _failed_elsewhere()
        return verdict

    def _sum_or_max(self, values: list[float], how: Any, *, failed: bool = False) -> list[float]:
        vector = torch.tensor(values, dtype=torch.float64, device="cpu")
        options = dist.AllreduceOptions()
        options.reduceOp = how
        options.timeout = _FAREWELL if failed else _PATIENCE
        try:
            _wait_for(self._group.allreduce([vector], options))
        except RuntimeError as error:
            if not failed:  # else the others may be stuck in the middle of a step
                error.add_note(_GONE)
                raise
        result: list[float] = vector.tolist()
        return result


_GONE = (
    "The LR range test waited for the other ranks: one of them has ended or cannot be reached. On "
    "this rank everything has been put back."
)


def _wait_for(work: Any) -> None:
    """Wait in short turns: an interrupt is heard after each of them only."""
    while not work.is_completed():
        with suppress(RuntimeError):  # the end of the turn, or a failure
            work.wait(_TURN)
    work.wait()  # raises the failure, if there was one


def _failed_elsewhere() -> RuntimeError:
    return RuntimeError(
        "the LR range test failed on another rank; see the error there. On this rank everything "
        "has been put back."
    )
