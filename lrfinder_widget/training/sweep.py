"""The LR range test itself: one optimizer step per learning rate, then everything is put back.

`sweep` is the generator that all else is built on; `range_test` runs to the end and blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import Budget, Schedule
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.plan import Mode, SweepPlan
from lrfinder_widget.curve.points import Points, Recorder

from .metric import Metric
from .sweep_run import SweepRun
from .task import Stop, TrainingTask


def sweep(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    criterion: Callable[..., Tensor] | None = None,
    *,
    step: Callable[[Any], Any] | None = None,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_iter: int = 100,
    mode: Mode = "exp",
    stop: Stop = "divergence",
    accumulate: int = 1,
    val_batches: Sequence[Any] | None = None,
    preserve: Iterable[Any] = (),
    device: torch.device | str | None = None,
    diagnose: bool = False,
    metric: Metric = None,
) -> Points:
    """Train one optimizer step per learning rate, yield ``(lr, loss)``, put everything back.

    This is a generator. The arguments are checked when it is called, training starts with the first
    ``next``, and everything is put back when it ends, however it ends. If you may leave the loop
    early, wrap it in `contextlib.closing`; otherwise the restore waits until the generator is
    garbage-collected.

    Parameters
    ----------
    model : torch.nn.Module
        With `criterion`, a model in eval mode is put in training mode for the run. If it is already
        in training mode, no flag is changed, so frozen layers stay frozen.
    optimizer : torch.optim.Optimizer
        Read when the run starts. Groups with different learning rates keep their ratios, and the
        learning rate of a point is that of the group with the largest.
    batches : iterable
        A `DataLoader`, or any other iterable; it is restarted when it is exhausted. A one-shot
        iterator is used up.
    criterion : callable, optional
        ``criterion(output, target)`` for batches ``(inputs, target, …)``. Without it, each batch
        must be a mapping, and the loss is ``model(**batch).loss``.
    step : callable, optional
        ``step(batch) -> loss``, the body of your own training loop, instead of `criterion`. The
        loss is a number or a tensor with one element.
    start_lr, end_lr : float, default 1e-7 and 10
        First and last learning rate, both exact.
    num_iter : int, default 100
        Number of learning rates, and of optimizer steps; at least 2.
    mode : {"exp", "linear"}, default "exp"
        Space the learning rates by `numpy.geomspace` or by `numpy.linspace`.
    stop : {"divergence"}, callable, or None, default "divergence"
        When to end early. ``"divergence"``: when the loss has clearly lost again what it had
        gained. A callable: when ``stop(losses)`` is true, where `losses` is the read-only float64
        array of the raw losses so far, of shape ``(n_points,)``. `None`: never. A loss that is not
        finite always ends the run.
    accumulate : int, default 1
        Number of micro-batches per optimizer step; the loss of a point is their mean loss.
    val_batches : sequence, optional
        A few fixed batches. The loss of a point is then their mean loss after the step, in eval
        mode and without gradients.
    preserve : iterable, optional
        Further objects to put back, with their attributes and, if they have ``state_dict`` and
        ``load_state_dict``, by these. What your `step` reaches as a variable is found without it.
    device : torch.device or str, optional
        Where to move the batches. By default to the model's own device; with `step`, they are left
        where they are.
    diagnose : bool, default False
        Whether to measure the gradient and the update of each step, and the critical learning rate
        at about a dozen points, see `LossCurve.diagnosis`. The losses are the same, to the bit. It
        takes a copy of the weights that are trained, and two more during a search.
    metric : {"accuracy"} or callable, optional
        What to measure beside the loss, of the same forward pass: ``metric(output, target)`` is a
        number, or a tensor with one element; nan is a gap. With several micro-batches or
        `val_batches`, their mean counts. ``"accuracy"``: the share of targets that have the class
        with the largest output in dimension 1, without those that `criterion` ignores. Nothing is
        read off it, and the losses are the same, to the bit. See Notes.

    Yields
    ------
    (float, float)
        The learning rate of a step, and the loss measured before its update (with `val_batches`,
        after it). With `diagnose`, the pair has an attribute ``diagnosis``; with `metric`, the
        attributes ``metric`` and ``metric_name``.

    Returns
    -------
    str
        The reason why it ended, as the value of `StopIteration`; see `LossCurve`.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before anything is touched.
    BaseException
        From ``next``: whatever your model, loss or data raised, once everything is put back.

    Warns
    -----
    RuntimeWarning
        If something is seen to differ afterwards that could not be put back: one sentence each.

    Notes
    -----
    A metric is called without gradients and without `torch.autocast`. An output that is a tensor is
    detached. In batches that are mappings, for a model that computes its own loss, the second
    argument is the whole batch. The random numbers that it draws are given back, so the model draws
    the same as without it. If it keeps a state, as the metrics of torchmetrics do, that is put back
    with everything else that the step uses. It must not change what it is given.

    References
    ----------
    L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186, sec. 3.3.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> data = [(torch.randn(8, 3), torch.randn(8, 1))]
    >>> len(list(sweep(model, optimizer, data, nn.MSELoss(), end_lr=1e-3, num_iter=20)))
    20
    """
    plan = SweepPlan(start_lr, end_lr, num_iter, mode, diagnose=diagnose)
    task = TrainingTask(
        model,
        optimizer,
        batches,
        criterion,
        step=step,
        stop=stop,
        accumulate=accumulate,
        val_batches=val_batches,
        preserve=preserve,
        device=device,
        metric=metric,
    )
    run = SweepRun.of(task, plan, warns=2)
    points = run.points()
    points.about = replace(points.about, plan=plan)
    return cast(Points, points)  # a single run has nothing between its points


def range_test(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    criterion: Callable[..., Tensor] | None = None,
    *,
    step: Callable[[Any], Any] | None = None,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_iter: int = 100,
    mode: Mode = "exp",
    stop: Stop = "divergence",
    accumulate: int = 1,
    val_batches: Sequence[Any] | None = None,
    repeats: int = 1,
    preserve: Iterable[Any] = (),
    device: torch.device | str | None = None,
    train_steps: int | None = None,
    schedule: Schedule = "constant",
    diagnose: bool = False,
    metric: Metric = None,
) -> LossCurve:
    """Run an LR range test to its end, put everything back and return the curve.

    Blocks until the end, for use in scripts, tests and on clusters.

    Parameters
    ----------
    model, optimizer, batches, criterion, step
        As for `sweep`.
    start_lr, end_lr, num_iter, mode, stop, accumulate, val_batches, preserve, device
        As for `sweep`.
    repeats : int, default 1
        Number of tests to run from the same start. The random state and the data continue from one
        to the next, so each sees different batches. The result is their pointwise median, as long
        as the shortest of them.
    train_steps : int, optional
        For how many optimizer steps you will train with the learning rate that you pick. It changes
        nothing in the test, but the candidate is for that many: the more, the lower.
    schedule : {"constant", "decay"}, default "constant"
        Whether that learning rate will be constant, or decay to nearly zero.
    diagnose, metric
        As for `sweep`.

    Returns
    -------
    LossCurve
        The raw learning rates and losses, two float64 arrays of shape ``(n_points,)``. The curves
        of several repeats are in its ``repeats``. If the losses show no clear fall, it also has a
        ``baseline`` where one can be measured; with `diagnose`, a ``diagnosis``; with `metric`, an
        array ``metric`` of shape ``(n_points,)`` and its ``metric_name``.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before anything is touched.
    BaseException
        Whatever your model, loss or data raised, or an interrupt, once everything is put back. The
        curve up to there is the exception's attribute ``curve``.

    Warns
    -----
    RuntimeWarning
        If something is seen to differ afterwards that could not be put back: one sentence each.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> data = [(torch.randn(8, 3), torch.randn(8, 1))]
    >>> range_test(model, optimizer, data, nn.MSELoss(), end_lr=1e-3).reason
    'completed'
    """
    plan = SweepPlan(start_lr, end_lr, num_iter, mode, repeats, diagnose)
    planned = Budget(train_steps=train_steps, schedule=schedule)
    task = TrainingTask(
        model,
        optimizer,
        batches,
        criterion,
        step=step,
        stop=stop,
        accumulate=accumulate,
        val_batches=val_batches,
        preserve=preserve,
        device=device,
        metric=metric,
    )
    run = SweepRun.of(task, plan, thread_state=task.thread_state(shared=False), warns=3)
    run.baseline.asked_for = True
    recorder, items = Recorder(task.budget(planned)), run.items()
    try:  # not `closing`: an interrupt inside its own code could leave the generator open
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                recorder.end(end.value)
                return LossCurve.median(recorder.curves)
            recorder.take(item)
    except BaseException as error:
        _keep_curve(error, recorder)
        raise
    finally:
        items.close()


def _keep_curve(error: Any, recorder: Recorder) -> None:
    """Hang the curve so far on an exception: what was measured is not lost with it."""
    if not len(recorder):
        return
    recorder.end("failed" if isinstance(error, Exception) else "stopped")
    error.curve = LossCurve.median(recorder.curves)
    error.add_note(
        f"The curve up to here, of {len(error.curve)} points, is this exception's attribute curve."
    )
