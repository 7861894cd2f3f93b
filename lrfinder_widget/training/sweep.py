"""The LR range test itself: one optimizer step per learning rate, and everything put back.

`sweep` is the generator under everything else; `range_test` runs it to its end and blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.plan import Mode, SweepPlan
from lrfinder_widget.curve.points import Points, Recorder

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
) -> Points:
    """Train one optimizer step per learning rate, yield ``(lr, loss)``, put everything back.

    A generator: the arguments are checked at the call, training begins with the first ``next``,
    and the restore happens when it ends, however it ends. Whoever may leave the loop early wraps
    it in `contextlib.closing`, or the restore waits until the generator is collected.

    Parameters
    ----------
    model : torch.nn.Module
        With `criterion`, a model in eval mode is put in training mode for the run; every other
        flag stays as it is, so that frozen layers stay frozen.
    optimizer : torch.optim.Optimizer
        Read when the run starts. Groups with different learning rates keep their ratios, and the
        learning rate of a point is that of the group with the largest.
    batches : iterable
        A `DataLoader`, or anything that can be iterated again; a one-shot iterator is used up.
    criterion : callable, optional
        ``criterion(output, target)`` for batches ``(inputs, target, …)``. Without it, a batch that
        is a mapping is given to the model as ``model(**batch).loss``.
    step : callable, optional
        ``step(batch) -> loss``, the body of your own training loop, instead of `criterion`.
    start_lr, end_lr : float, default 1e-7 and 10
        First and last learning rate, both exact.
    num_iter : int, default 100
        Number of learning rates, and of optimizer steps.
    mode : {"exp", "linear"}, default "exp"
        `numpy.geomspace` or `numpy.linspace`.
    stop : {"divergence"}, callable, or None
        When to end early: when the loss has clearly given back what it had gained; when
        ``stop(losses)`` is true, for the read-only float64 array of raw losses so far; never. A
        loss that is not finite always ends the run.
    accumulate : int, default 1
        Micro-batches for one optimizer step; the loss of a point is their mean.
    val_batches : sequence, optional
        A few fixed batches: the loss of a point is their mean loss after the step, in eval mode
        and without gradient.
    preserve : iterable, optional
        Further objects with ``state_dict`` and ``load_state_dict`` to put back.
    device : torch.device or str, optional
        Where batches go. By default the model's own device; with `step`, nowhere.

    Yields
    ------
    (float, float)
        The learning rate, and the loss measured before the update with it.

    Returns
    -------
    str
        Why it ended (the value of `StopIteration`), see `LossCurve`.

    Raises
    ------
    TypeError, ValueError
        For arguments that cannot work, before anything is touched.

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
    plan = SweepPlan(start_lr, end_lr, num_iter, mode)
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
    )
    points = SweepRun(task, plan.lrs, stop=task.stop).points()
    return cast(Points, points)  # of a single run: nothing comes between its points


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
) -> LossCurve:
    """Run an LR range test to its end and return the curve; everything is put back.

    Blocks: for scripts, tests and clusters.

    Parameters
    ----------
    model, optimizer, batches, criterion, step
        As for `sweep`.
    start_lr, end_lr, num_iter, mode, stop, accumulate, val_batches, preserve, device
        As for `sweep`.
    repeats : int, default 1
        Number of tests to run from the same start. The random numbers and the data run on, so each
        sees other batches. The curve is their pointwise median, as long as the shortest.

    Returns
    -------
    LossCurve
        The raw learning rates and losses; of several repeats, each is in its ``repeats``. When the
        losses show no clear fall, it has a ``baseline`` too, if that can be taken.

    Raises
    ------
    TypeError, ValueError
        For arguments that cannot work, before anything is touched.
    BaseException
        What your model, loss or data raised, or an interrupt, once everything is put back.

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
    plan = SweepPlan(start_lr, end_lr, num_iter, mode, repeats)
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
    )
    run = SweepRun(
        task,
        plan.lrs,
        stop=task.stop,
        repeats=plan.repeats,
        thread_state=task.thread_state(shared=False),
    )
    run.baseline.asked_for = True
    recorder, items = Recorder(), run.items()
    try:  # not `closing`, where an interrupt could find nobody who closes
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                recorder.end(end.value)
                return LossCurve.median(recorder.curves)
            recorder.take(item)
    finally:
        items.close()
