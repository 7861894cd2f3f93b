"""Finders of what does not run in the notebook's own process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

from lrfinder_widget.curve.budget import Budget, Schedule
from lrfinder_widget.curve.plan import Mode, SweepPlan, check_count
from lrfinder_widget.remote.places import places
from lrfinder_widget.remote.source import RemoteSource, pickled
from lrfinder_widget.remote.watched import Watched, WatchedSource
from lrfinder_widget.remote.work import with_metric
from lrfinder_widget.runs.source import RunSource
from lrfinder_widget.training.metric import Metric, check_metric

from .variable import Namespace, Variable


class Elsewhere:
    """The constructors of `LRFinder` that take no model of this process."""

    def _begin(self, source: RunSource, plan: SweepPlan, planned: Budget, target: Variable) -> None:
        """Make the finder of its parts."""
        raise NotImplementedError

    @classmethod
    def _of(cls, source: RunSource, plan: SweepPlan, planned: Budget, target: Variable) -> Self:
        finder = cls.__new__(cls)
        finder._begin(source, plan, planned, target)
        return finder

    @classmethod
    def remote(
        cls,
        setup: Callable[[], Any],
        *,
        on: Any,
        workers: int = 1,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_iter: int = 100,
        mode: Mode = "exp",
        repeats: int = 1,
        train_steps: int | None = None,
        schedule: Schedule = "constant",
        diagnose: bool = False,
        metric: Metric = None,
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> Self:
        """Make a finder whose test runs on a cluster that you have: Ray, Dask or ipyparallel.

        The notebook shows and steers it as ever. Trial runs, and tests with a setting varied, use
        all workers at once, with the results that they have one after another; a test and its
        repeats run on one. The workers are kept from run to run, with what they hold, until
        `close`.

        Parameters
        ----------
        setup : callable
            Called without arguments on each worker, where it makes or reads all that is needed. It
            returns ``(model, optimizer, batches, criterion)``, or a dict of these and ``step``,
            ``stop``, ``accumulate``, ``val_batches``, ``preserve``, ``device``, ``metric``, as
            `LRFinder` takes them. torch, NumPy and `random` are seeded alike before it is called.
        on : ray.remote(…), dask.distributed.Client, or ipyparallel view
            Where the workers are made. With Ray, what makes an actor of a class: `ray.remote`, or
            for example ``ray.remote(num_gpus=1)``. With ipyparallel, a direct view such as
            ``rc[:]``, or a list of them.
        workers : int, default 1
            How many to ask for. They are used as they come. Two in one process count as one.
        start_lr, end_lr, num_iter, mode, repeats, train_steps, schedule, diagnose
            As for `LRFinder`.
        metric : {"accuracy"} or callable, optional
            As for `LRFinder`; a function is sent to the workers, and goes before one of `setup`.
        variable, namespace
            As for `LRFinder`.

        Raises
        ------
        TypeError
            If `on` is nothing of the kind, or `setup` or `metric` cannot be pickled.
        ValueError
            For other arguments that cannot work.
        ImportError
            If cloudpickle is missing.
        RuntimeError
            If no worker can be made with `on`, such as a client that has been closed.

        Notes
        -----
        What `setup` raises, and what the training raises, has the class that it has on the worker
        where that is known here, and the worker's traceback as a note. If a worker is lost, the
        curve up to there is kept, `lrfinder_widget.remote.WorkerLost` is raised by `wait`, and the
        next `start` takes another one. Nothing is tried again by itself.

        Examples
        --------
        >>> client = Client(n_workers=2, threads_per_worker=1)  # doctest: +SKIP
        >>> LRFinder.remote(setup, on=client, workers=2).start()  # doctest: +SKIP
        """
        plan = SweepPlan(start_lr, end_lr, num_iter, mode, repeats, diagnose)
        planned = Budget(train_steps=train_steps, schedule=schedule)
        if not callable(setup):
            raise TypeError(
                "setup must be a function that makes the model where it is called; got "
                f"{type(setup).__name__}."
            )
        check_metric(metric)
        if metric is not None:
            pickled(metric, "metric", "let setup() return a dict with it")
            setup = partial(with_metric, setup, metric)
        found = places(on, check_count("workers", workers, at_least=1))
        target = Variable(variable, namespace)
        return cls._of(RemoteSource(found, setup), plan, planned, target)

    @classmethod
    def watch(
        cls,
        points: Watched,
        *,
        train_steps: int | None = None,
        schedule: Schedule = "constant",
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> Self:
        """Return a finder that shows points from elsewhere, as they come; `start()` begins.

        Nothing is trained here. The candidate, the marker, Save and all that is done with a curve
        are as ever; there is nothing to set up and nothing to try.

        Parameters
        ----------
        points : iterable of (float, float), or callable
            Learning rates, each larger than the one before, and losses: what `follow` returns, or
            anything else that yields pairs. If it takes long to yield one, it may yield None now
            and then, so that Stop does not wait. A function is called at each start, and returns
            such an iterable.
        train_steps, schedule, variable, namespace
            As for `LRFinder`.

        Raises
        ------
        TypeError, ValueError
            For invalid arguments.

        Examples
        --------
        >>> LRFinder.watch(follow("/scratch/run7")).start()  # doctest: +SKIP
        """
        source = WatchedSource(points)
        planned = Budget(train_steps=train_steps, schedule=schedule)
        return cls._of(source, SweepPlan(), planned, Variable(variable, namespace))
