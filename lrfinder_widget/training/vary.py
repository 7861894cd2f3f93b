"""The same LR range test for several values of another setting, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.budget import Budget, Schedule
from lrfinder_widget.curve.plan import Mode, SweepPlan
from lrfinder_widget.curve.variation import Variation
from lrfinder_widget.runs.varied_runs import check_settings

from .run_points import note_on, warn_of
from .task import TrainingTask, check_options
from .variants import Make, MakeBatches, named, varied


def vary(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    criterion: Callable[..., Tensor] | None = None,
    *,
    weight_decay: Sequence[float] | None = None,
    momentum: Sequence[float] | None = None,
    batch_size: Sequence[int] | None = None,
    optimizers: Mapping[str, Make] | Sequence[Make] | None = None,
    make_batches: MakeBatches | None = None,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_iter: int = 100,
    mode: Mode = "exp",
    repeats: int = 1,
    train_steps: int | None = None,
    schedule: Schedule = "constant",
    diagnose: bool = False,
    **options: Any,
) -> Variation:
    """Run an LR range test for each value of one or two other settings.

    The learning rate is coupled with them, so each value has its own curve (Smith,
    arXiv:1803.09820). Each test begins with the same weights, the same random numbers and the same
    place in the data, and everything is put back after it, also if it fails. Blocks until the end.

    Parameters
    ----------
    model, optimizer, batches, criterion
        As for `sweep`, but `batches` must be iterable more than once.
    weight_decay : sequence of float, optional
        Set on all groups of the optimizer; where only some have one, on those.
    momentum : sequence of float, optional
        Set on all groups: ``momentum`` or, for an optimizer with ``betas``, the first of them.
    batch_size : sequence of int, optional
        The `DataLoader` is made anew for each, with its own dataset, sampler and options.
    optimizers : mapping of str to callable, or sequence of callable, optional
        ``make(parameters)`` returns an optimizer for these, in place of the one that is passed; a
        class such as `torch.optim.Adam` is one. A mapping names them.
    make_batches : callable, optional
        ``make_batches(batch_size)`` returns the batches, where they are no `DataLoader` that can be
        made anew.
    start_lr, end_lr, num_iter, mode, repeats, train_steps, schedule, diagnose
        As for `range_test`.
    **options
        As for `sweep`: ``step``, ``stop``, ``accumulate``, ``val_batches``, ``preserve``,
        ``device``, ``metric``.

    Returns
    -------
    Variation
        The curves, with a table and a plot.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before anything is touched: nothing or more than two settings to
        vary, a value twice, a setting that the optimizer lacks, a loader that cannot be made anew.
    BaseException
        Whatever your code raised, or an interrupt, once everything is put back. What there is until
        then is the exception's attribute ``variation``.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> model = nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> data = [(torch.randn(8, 3), torch.randn(8, 1))]
    >>> vary(model, optimizer, data, nn.MSELoss(), momentum=[0.0, 0.9], num_iter=20)
    <Variation of momentum: 2 LR range tests>
    """
    check_options("vary", options)
    plan = SweepPlan(start_lr, end_lr, num_iter, mode, repeats, diagnose)
    planned = Budget(train_steps=train_steps, schedule=schedule)
    makes = named(optimizers)
    settings = check_settings(
        weight_decay=weight_decay, momentum=momentum, batch_size=batch_size, optimizer=makes
    )
    task = TrainingTask(model, optimizer, batches, criterion, **options)
    state = task.thread_state(shared=False)
    runs, points = varied(
        task, settings, plan, planned, state, optimizers=makes, make_batches=make_batches
    )
    try:
        try:  # not `closing`: an interrupt inside its own code could leave the run open
            for _ in points:
                pass
        finally:
            points.close()
    except BaseException as error:
        error.variation = runs.variation  # type: ignore[attr-defined]
        if isinstance(error, Exception):
            note_on(error, runs.unrestored)
        raise
    warn_of(runs.unrestored, stacklevel=2)
    return runs.variation
