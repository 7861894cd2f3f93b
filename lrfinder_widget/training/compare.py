"""Trial runs: which of a few learning rates actually trains best, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.comparison import Comparison

from .held_out import Evaluate, Rates
from .run_points import note_on, warn_of
from .task import TrainingTask
from .trials import Trials


def compare(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    criterion: Callable[..., Tensor] | None = None,
    *,
    lrs: Rates,
    steps: int = 500,
    schedule: Callable[[int], float] | None = None,
    halving: bool = False,
    held_out: Sequence[Any] | None = None,
    evaluate: Evaluate | None = None,
    **options: Any,
) -> Comparison:
    """Train for a few hundred steps with each of a few learning rates, and rank them.

    Each trial starts from the same weights and uses the same batches, in the same order, with the
    same random numbers; only the learning rate differs. Everything is put back, as by `sweep`.
    Blocks until all trials have ended.

    With `held_out`, the trials are judged by their losses on these batches, and compared with those
    of the starting weights. Without it, they are judged by their training losses, and the losses of
    the starting weights on the training batches are measured at the end. That takes about a third
    of a trial's time, and is skipped with a custom ``step``, with ``val_batches`` and with several
    processes.

    Parameters
    ----------
    model, optimizer, batches, criterion
        As for `sweep`, but `batches` must be iterable more than once.
    lrs : iterable of float, or "ladder"
        The learning rates to try: positive, finite and each given once. Each may also be a tuple
        with one number for each parameter group; otherwise the groups keep their ratios.
        ``"ladder"``, for a trained model: up to eight, from the optimizer's own and those that are
        usual to where it is best, with a short warm-up and a linear decay, and at most 2,000 steps
        in all, so at most 250 each.
    steps : int, default 500
        Optimizer steps of each trial, at least 10; `LRFinder.compare` takes 200 by default.
    schedule : callable, optional
        ``schedule(i)`` returns the factor on the learning rate at step ``i``, counted from 0, as
        for `torch.optim.lr_scheduler.LambdaLR`. Without it, the learning rate is constant.
    halving : bool, default False
        Start with short trials of all learning rates, then restart the better half from the
        beginning with twice as many steps, until the last two run all `steps` (successive halving,
        Jamieson and Talwalkar, arXiv:1502.07943). Worth it for half a dozen learning rates or more.
    held_out : sequence, optional
        A few batches that are not trained on. The model is evaluated on them at the start and after
        a quarter, half and all of the steps of each trial (with a schedule only after all), in eval
        mode and without gradients. That changes nothing: the training losses are the same, to the
        bit, without it.
    evaluate : callable, optional
        ``evaluate(model, held_out) -> loss``, a number that is better if it is lower, instead of
        the mean of `criterion`. Needed with a custom ``step``.
    **options
        As for `sweep`: ``step``, ``accumulate``, ``val_batches``, ``preserve``, ``device``.

    Returns
    -------
    Comparison
        The losses of each trial, and their ranking.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before anything is touched.
    BaseException
        Whatever your model, loss or data raised, or an interrupt, once everything is put back.

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
    >>> data = [(torch.ones(8, 3), torch.ones(8, 1))]
    >>> compare(model, optimizer, data, nn.MSELoss(), lrs=[1e-4, 1e-2], steps=50).winner
    0.01
    """
    for name in ("start_lr", "end_lr", "num_iter", "mode", "stop", "repeats", "diagnose", "metric"):
        if name in options:
            raise TypeError(
                f"compare takes no {name}: it takes lrs and the steps for each of them."
            )
    task = TrainingTask(model, optimizer, batches, criterion, **options)
    trials = Trials(
        task,
        lrs,
        steps,
        schedule=schedule,
        halving=halving,
        held_out=held_out,
        evaluate=evaluate,
    )
    try:
        with closing(trials.points()) as points:
            for _ in points:
                pass
    except Exception as error:
        note_on(error, trials.unrestored)
        raise
    warn_of(trials.unrestored, stacklevel=2)
    return trials.comparison
