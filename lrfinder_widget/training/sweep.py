"""The LR range test itself: one optimizer step per learning rate, and everything put back.

`sweep` is the generator under everything else; `range_test` runs it to its end and blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget.curve.loss_curve import LossCurve, Reason

from .engine import Points, StopRule, Sweep
from .param_groups import Mode


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
    stop: Literal["divergence"] | StopRule | None = "divergence",
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
    points = Sweep(
        model,
        optimizer,
        batches,
        criterion,
        step=step,
        start_lr=start_lr,
        end_lr=end_lr,
        num_iter=num_iter,
        mode=mode,
        stop=stop,
        accumulate=accumulate,
        val_batches=val_batches,
        preserve=preserve,
        device=device,
    ).points()
    return cast(Points, points)  # of a single run: nothing comes between its points


def range_test(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Any],
    criterion: Callable[..., Tensor] | None = None,
    *,
    repeats: int = 1,
    **options: Any,
) -> LossCurve:
    """Run an LR range test to its end and return the curve; everything is put back.

    Blocks: for scripts, tests and clusters. Takes what `sweep` takes.

    Parameters
    ----------
    model, optimizer, batches, criterion, **options
        As for `sweep`.
    repeats : int, default 1
        So many tests from the same start, with the random numbers and the data running on, so that
        each sees other batches. The curve is their pointwise median, as long as the shortest.

    Returns
    -------
    LossCurve
        The raw learning rates and losses; of several repeats, each is in its ``repeats``. Where
        the losses show no clear fall, the ``baseline`` too, if it can be taken.

    Raises
    ------
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
    pairs: list[tuple[float, float]] = []
    curves: list[LossCurve] = []
    baseline: list[float] = []
    run = Sweep(model, optimizer, batches, criterion, repeats=repeats, **options)
    points = run.points(surroundings=run.surroundings(shared=False))
    points.ask_for_baseline()
    items = iter(points)
    try:  # not `closing`, where an interrupt could find nobody who closes
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                return LossCurve.median([*curves, _curve(pairs, end.value, baseline)])
            if isinstance(item, str):
                curves.append(_curve(pairs, item, baseline))
                pairs.clear()
                baseline.clear()
            elif isinstance(item, float):
                baseline.append(item)
            else:
                pairs.append(item)
    finally:
        points.close()


def _curve(pairs: list[tuple[float, float]], reason: Reason, baseline: list[float]) -> LossCurve:
    lrs, losses = [lr for lr, _ in pairs], [loss for _, loss in pairs]
    whole = 0 < len(pairs) == len(baseline)
    return LossCurve(lrs, losses, reason, baseline=baseline if whole else None)
