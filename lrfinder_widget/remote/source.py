"""The runs of a finder whose model is on workers of a cluster."""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Item, RunPoints
from lrfinder_widget.runs.jobs import Jobs
from lrfinder_widget.runs.ladder import Ladder
from lrfinder_widget.runs.source import About, NoThreadState
from lrfinder_widget.runs.trial_runs import TrialRuns
from lrfinder_widget.runs.varied_runs import Settings, VariedRuns
from lrfinder_widget.training.checks import check_lrs, check_val_batches

from .places import Answer, Place
from .trials import RemoteJobs, RemoteTrials, RemoteVariedRuns
from .wire import Built, Chunk
from .worker import CHUNK_S, Waiting, Worker, WorkerRun

NO_ROOM_S = 10.0  # before it is said that there may be none
_POLL_S = 0.005
_NO_OPTIMIZER = (
    "The optimizer is on the worker: in code, apply(optimizer) sets the pick on one of yours."
)
_RELEASED = "this LRFinder is closed; make a new one."


class RemoteSource:
    """Trains on workers what the user's function builds there; a `RunSource`.

    Parameters
    ----------
    places : list of Place
        One for each worker. All are asked for at once, and kept from run to run.
    setup : callable
        Called on each worker; returns what `LRFinder` takes.

    Attributes
    ----------
    about : About
        What is known of it, as soon as a worker has set it up.
    waiting : str
        What the run under way is waiting for.

    Raises
    ------
    ImportError, TypeError
        If `setup` cannot be sent to a worker.
    """

    optimizer = None

    def __init__(self, places: Sequence[Place], setup: Callable[[], Any]) -> None:
        payload = pickled(setup, "setup()", "make it inside of setup()")
        seed = secrets.randbits(32)  # so that a setup that seeds nothing starts alike everywhere
        self.about, self.waiting = About(device="a worker"), ""
        self.cannot: Mapping[str, str] = {"apply": _NO_OPTIMIZER}
        self._built: Built | None = None
        self._workers = [Worker(place, payload, seed) for place in places]
        self._let_go = weakref.finalize(self, _kill, self._workers)
        self._let_go.atexit = False  # an engine ends them itself; and the network may be gone

    def parameters(self) -> list[Any]:
        """Return nothing: no run changes anything in this process."""
        return []

    def thread_state(self) -> NoThreadState:
        """Return a state that is none: nothing is trained in this process."""
        return NoThreadState()

    def ladder(self) -> Ladder | None:
        """Return the rungs around the optimizer's own learning rate, once it is known."""
        return None if self._built is None else self._built.ladder

    def begin(self, plan: SweepPlan, opened: threading.Event) -> RunPoints:
        """Create a run of a plan, on the first worker that is ready."""
        self._make()
        opened.set()  # nothing is forked here
        unrestored: list[str] = []
        return RunPoints(self._sweep(plan, unrestored), unrestored)

    def begin_trials(
        self, lrs: Any, steps: int, *, held_out: Sequence[Any] | None = None, evaluate: Any = None
    ) -> tuple[TrialRuns, RunPoints]:
        """Create trial runs, as many at once as there are workers."""
        climbs = isinstance(lrs, str) and lrs == "ladder"
        if evaluate is not None and held_out is None:
            raise ValueError("evaluate needs held_out=[…], the batches to evaluate on.")
        rates = [] if climbs else check_lrs(lrs, None)
        held_out = check_val_batches(held_out, "held_out")
        judged = held_out is not None
        trials = RemoteTrials(rates, steps, climbs=climbs, judged=judged)
        payload = None
        if judged:
            payload = pickled((held_out, evaluate), "held_out and evaluate", "leave them out")
        self._make()
        return trials, RunPoints(self._try(trials, "judge", payload), trials.unrestored)

    def begin_variation(
        self, settings: Settings, plan: SweepPlan, planned: Budget, **makes: Any
    ) -> tuple[VariedRuns, RunPoints]:
        """Create tests with other settings varied, as many at once as there are workers."""
        runs = RemoteVariedRuns(settings, plan, planned)
        what = "optimizers and make_batches"
        payload = pickled((settings, makes), what, "let them be functions that can be")
        self._make()
        return runs, RunPoints(self._try(runs, "vary", payload), runs.unrestored)

    def release(self) -> None:
        """Let the workers go."""
        self._let_go()

    def _make(self) -> None:
        if not self._let_go.alive:
            raise RuntimeError(_RELEASED)
        for worker in self._workers:
            worker.make()  # if it has been lost

    # -- in the thread of a run -------------------------------------------------------------------

    def _sweep(
        self, plan: SweepPlan, unrestored: list[str]
    ) -> Generator[Item | None, None, Reason]:
        with self._waited_for():
            worker = yield from self._one_that_is_ready()
        run = WorkerRun(worker, plan, linger_s=CHUNK_S)
        reason: Reason = "stopped"
        try:
            for chunk in run.chunks():
                self._go_on_setting_up()
                if chunk is None:
                    yield from _nothing_new()
                    continue
                yield from chunk.items
                unrestored += chunk.unrestored
                reason = chunk.reason or reason
            return reason
        finally:
            unrestored += run.end(run.ask_to_end())

    def _try(self, jobs: RemoteJobs, *prepare: Any) -> Waiting[Any]:
        """Run jobs; `prepare` is what to ask each worker first."""
        with self._waited_for():
            first = yield from self._one_that_is_ready()
        assert first.built is not None
        jobs.learn_of(first.built, (yield from first.ask(*prepare)))
        preparing: dict[Worker, Waiting[Any]] = {}
        prepared = {first}

        def is_ready(worker: Worker) -> bool:
            """Set a worker up for these jobs, bit by bit."""
            if worker in prepared or not self._is_usable(worker):
                return worker in prepared
            try:
                next(preparing.setdefault(worker, worker.ask(*prepare)))
            except StopIteration:
                prepared.add(worker)
            return worker in prepared

        for stage in jobs.stages():
            yield from self._side_by_side(jobs, stage, is_ready)

    def _side_by_side(
        self, jobs: RemoteJobs, stage: Sequence[Any], is_ready: Callable[[Worker], bool]
    ) -> Waiting[Any]:
        """Give each worker a job as soon as it is free; ask all before waiting for one."""
        left, busy = deque(stage), dict[Worker, _Busy]()
        try:
            while left or busy:
                for worker in self._workers:
                    if left and worker not in busy and is_ready(worker):
                        busy[worker] = _Busy(jobs, worker, left.popleft())
                anything = False
                for worker, job in list(busy.items()):
                    for chunk in job.chunks:
                        if chunk is None:
                            break
                        anything = True
                        yield from job.take(chunk)
                    else:
                        del busy[worker]
                        job.end(None)
                if not anything:
                    yield from _nothing_new()
        finally:
            asked = [(job, job.run.ask_to_end()) for job in busy.values()]
            for job, answer in asked:
                job.end(answer)

    def _one_that_is_ready(self) -> Waiting[Worker]:
        began = time.monotonic()
        while True:
            for worker in self._workers:
                if self._is_usable(worker):
                    assert worker.built is not None
                    if self._built is None:
                        self._built, self.about = worker.built, worker.built.about
                    return worker
            hosts = [worker.host for worker in self._workers if worker.host]
            if hosts:
                self.waiting = f"Setting up on {hosts[0]}."
            elif time.monotonic() - began > NO_ROOM_S:
                self.waiting = (
                    "No worker yet: it is still starting, or the cluster has no room for what `on` "
                    "asks for."
                )
            yield from _nothing_new()

    def _is_usable(self, worker: Worker) -> bool:
        """Go on setting up a worker; return whether it can be used beside the others."""
        if not worker.ready():
            return False
        # Two in one process would draw from each other's random numbers.
        beside = [other for other in self._workers if other is not worker and other.built]
        if any(other.process == worker.process for other in beside):
            worker.retire()
        return worker.built is not None

    def _go_on_setting_up(self) -> None:
        """Go on setting up the other workers during a test, for which they are not needed."""
        for worker in self._workers:
            with suppress(BaseException):  # it is told when the worker is needed
                worker.ready()

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        self.waiting = "Waiting for a worker."
        try:
            yield
        finally:
            self.waiting = ""


class _Busy:
    """A job that a worker is doing."""

    def __init__(self, jobs: RemoteJobs, worker: Worker, job: Any) -> None:
        self.run = WorkerRun(worker, job)
        self.chunks = self._chunks()
        self._jobs: Jobs[Any] = jobs
        self._job = job
        self._reason: Reason = "stopped"
        self._unrestored: list[str] = []
        self._jobs.begin(job)

    def _chunks(self) -> Iterator[Chunk | None]:
        try:
            yield from self.run.chunks()
        except Exception as error:
            self._jobs.note(self._job, error)
            raise

    def take(self, chunk: Chunk) -> Iterator[Any]:
        self._reason = chunk.reason or self._reason
        self._unrestored += chunk.unrestored
        self._jobs.found(self._job).update(chunk.held_out)
        shown = (self._jobs.take(self._job, item) for item in chunk.items)
        return (item for item in shown if item is not None)

    def end(self, asked: Answer | None) -> None:
        unrestored = [*self._unrestored, *self.run.end(asked)]
        self._jobs.end(self._job, self._reason, unrestored)


def pickled(value: Any, what: str, instead: str) -> bytes:
    """Return something of the user's as bytes.

    Raises
    ------
    ImportError
        If cloudpickle is missing.
    TypeError
        If it cannot be pickled: with Dask, a call with such an argument would never return.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise ImportError(
            "to send setup() to a worker takes cloudpickle: pip install cloudpickle, here and on "
            "the workers."
        ) from error
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise TypeError(f"{what} cannot be sent to a worker: {error}; {instead}.") from error


def _nothing_new() -> Generator[None, None, None]:
    yield
    time.sleep(_POLL_S)


def _kill(workers: list[Worker]) -> None:
    for worker in workers:
        worker.kill()
