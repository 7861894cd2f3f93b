"""The same LR range test for several values of another setting, from the same start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import BatchSampler, DataLoader, IterableDataset

from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.plan import check_count
from lrfinder_widget.curve.variation import Value, Variation
from lrfinder_widget.data.describe import describe

from .checks import check_kind, check_optimizer
from .sweep import range_test

Make: TypeAlias = Callable[[list[nn.Parameter]], Optimizer]
MOST = 2  # settings that can be varied together


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
    make_batches: Callable[[int], Iterable[Any]] | None = None,
    **options: Any,
) -> Variation:
    """Run an LR range test for each value of one or two other settings.

    The learning rate is coupled with them, so each value has its own curve (Smith,
    arXiv:1803.09820). Each test begins with the same weights, the same random numbers and the same
    place in the data, and everything is put back after it, also if it fails. Blocks until the end.

    Parameters
    ----------
    model, optimizer, batches, criterion
        As for `range_test`.
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
    **options
        As for `range_test`.

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
    check_kind("model", model, nn.Module, "a torch.nn.Module")
    check_optimizer(optimizer)
    settings = _settings(weight_decay, momentum, batch_size, optimizers)
    makes = _makes(optimizers, options)
    made: dict[Value, Optimizer] = {}
    if makes:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        made = {name: _made(name, make, parameters) for name, make in makes.items()}
    for each in made.values() or [optimizer]:
        for name, set_ in _SETTERS.items():
            for value in settings.get(name, []):
                set_(each, float(value))
    loaders: dict[Value, Iterable[Any]] = {
        size: _loader(batches, int(size), make_batches) for size in settings.get("batch_size", [])
    }
    curves: dict[tuple[Value, ...], LossCurve] = {}
    found = Variation(tuple(settings), curves)
    for values in itertools.product(*settings.values()):
        chosen = dict(zip(settings, values, strict=True))
        with _noted(chosen, found):
            used = made.get(chosen.get("optimizer", ""), optimizer)
            loader = loaders.get(chosen.get("batch_size", 0), batches)
            with _set(used, chosen):
                curves[values] = range_test(model, used, loader, criterion, **options)
    return found


# -- the settings ---------------------------------------------------------------------------------


def _settings(
    weight_decay: Sequence[float] | None,
    momentum: Sequence[float] | None,
    batch_size: Sequence[int] | None,
    optimizers: Mapping[str, Make] | Sequence[Make] | None,
) -> dict[str, list[Value]]:
    """Return the values of each setting that is varied, checked."""
    given: dict[str, Any] = {"weight_decay": weight_decay, "momentum": momentum}
    given |= {"batch_size": batch_size, "optimizer": optimizers}
    settings = {name: _values(name, of) for name, of in given.items() if of is not None}
    if not 1 <= len(settings) <= MOST:
        what = f"got {' and '.join(settings)}" if settings else "got none"
        raise ValueError(
            "one or two of weight_decay, momentum, batch_size and optimizers must be given; "
            f"{what}."
        )
    return settings


def _values(name: str, given: Any) -> list[Value]:
    if isinstance(given, (str, Real)) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name} must be a list of values to try; got {describe(given)}.")
    values: list[Value]
    if name == "optimizer":
        values = list(_names(given))
    elif name == "batch_size":
        values = [check_count("batch_size", value, at_least=1) for value in given]
    else:
        values = [_number(name, value) for value in given]
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name} must have values, each given once; got {given!r}.")
    return values


def _number(name: str, value: Any) -> float:
    most = 1.0 if name == "momentum" else math.inf
    if not isinstance(value, Real) or not 0 <= float(value) < most:
        limits = "below 1 and not negative" if name == "momentum" else "finite and not negative"
        raise ValueError(f"a {name} must be a number, {limits}; got {value!r}.")
    return float(value)


# -- optimizers -----------------------------------------------------------------------------------


def _names(given: Any) -> list[str]:
    if isinstance(given, Mapping):
        return list(map(str, given))
    return [getattr(make, "__name__", type(make).__name__) for make in given]


def _makes(given: Any, options: Mapping[str, Any]) -> dict[str, Make]:
    if given is None:
        return {}
    if options.get("step") is not None:
        raise ValueError(
            "optimizers cannot be varied with a step of your own, which updates by its own one."
        )
    makes = list(given.values() if isinstance(given, Mapping) else given)
    wrong = [make for make in makes if not callable(make)]
    if wrong:
        raise TypeError(
            "each of optimizers must be a function of the parameters that returns an optimizer, "
            f"such as torch.optim.Adam; got {describe(wrong[0])}."
        )
    return dict(zip(_names(given), makes, strict=True))


def _made(name: str, make: Make, parameters: list[nn.Parameter]) -> Optimizer:
    made = make(parameters)
    check_kind(f"what {name}(parameters) returns", made, Optimizer, "a torch.optim.Optimizer")
    return made


def _weight_decays(optimizer: Optimizer, value: float) -> list[tuple[dict[str, Any], str, Any]]:
    """Return what to set: groups without decay, as for biases, stay without."""
    groups = optimizer.param_groups
    if not all(isinstance(group.get("weight_decay"), Real) for group in groups):
        raise _lacks(optimizer, "weight_decay")
    decayed = [group for group in groups if group["weight_decay"]]
    return [(group, "weight_decay", value) for group in decayed or groups]


def _momenta(optimizer: Optimizer, value: float) -> list[tuple[dict[str, Any], str, Any]]:
    changes: list[tuple[dict[str, Any], str, Any]] = []
    for group in optimizer.param_groups:
        if isinstance(group.get("momentum"), Real):
            changes.append((group, "momentum", value))
        elif isinstance(group.get("betas"), (tuple, list)):
            changes.append((group, "betas", (value, *group["betas"][1:])))
        else:
            raise _lacks(optimizer, "momentum")
    return changes


_SETTERS = {"weight_decay": _weight_decays, "momentum": _momenta}


def _lacks(optimizer: Optimizer, name: str) -> ValueError:
    kind = type(optimizer).__name__
    return ValueError(f"{name} cannot be varied: {kind} has none in its parameter groups.")


@contextmanager
def _set(optimizer: Optimizer, chosen: Mapping[str, Value]) -> Generator[None, None, None]:
    changes = [
        change
        for name, set_ in _SETTERS.items()
        if name in chosen
        for change in set_(optimizer, float(chosen[name]))
    ]
    before = [(group, key, group[key]) for group, key, _ in changes]
    try:
        for group, key, value in changes:
            group[key] = value
        yield
    finally:
        for group, key, value in before:
            group[key] = value


# -- batches --------------------------------------------------------------------------------------


def _loader(batches: Any, size: int, make: Callable[[int], Iterable[Any]] | None) -> Iterable[Any]:
    if make is not None:
        return make(size)
    iterable = isinstance(getattr(batches, "dataset", None), IterableDataset)
    sampled = iterable or type(getattr(batches, "batch_sampler", None)) is BatchSampler
    if type(batches) is not DataLoader or batches.batch_size is None or not sampled:
        raise ValueError(
            "batch_size cannot be varied: only a plain DataLoader with a batch_size can be made "
            f"anew for another; got {describe(batches)}. Pass make_batches=…, a function of the "
            "batch size that returns the batches."
        )
    return DataLoader(
        batches.dataset,
        batch_size=size,
        sampler=None if iterable else batches.sampler,
        num_workers=batches.num_workers,
        collate_fn=batches.collate_fn,
        pin_memory=batches.pin_memory,
        drop_last=batches.drop_last,
        timeout=batches.timeout,
        worker_init_fn=batches.worker_init_fn,
        multiprocessing_context=batches.multiprocessing_context,
        generator=batches.generator,
        prefetch_factor=batches.prefetch_factor,
        persistent_workers=batches.persistent_workers,
    )


@contextmanager
def _noted(chosen: Mapping[str, Value], found: Variation) -> Generator[None, None, None]:
    """Say in an exception which test raised it, and keep what there is."""
    try:
        yield
    except BaseException as error:
        told = ", ".join(f"{name}={value}" for name, value in chosen.items())
        error.add_note(f"In the LR range test with {told}.")
        error.variation = found  # type: ignore[attr-defined]
        raise
