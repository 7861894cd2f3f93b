"""What comes from a worker: numbers and strings, checked on arrival. No torch, no engine.

The engine of the cluster carries it as it likes. Here, nothing is trusted to be what it should be,
and an exception of the user's travels as text, as not every exception can be pickled.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeAlias, cast, get_args

import numpy as np

from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.points import Item
from lrfinder_widget.runs.jobs import Found
from lrfinder_widget.runs.ladder import Ladder
from lrfinder_widget.runs.source import About
from lrfinder_widget.runs.varied_runs import Setting

from .checked import point, point_to_plain

Plain: TypeAlias = dict[str, Any]
"""Strings, numbers, None, and lists and dicts of them."""


class WorkerLost(RuntimeError):
    """The worker that a finder ran on is gone; what it had measured is kept."""


# -- an exception of the user's -------------------------------------------------------------------


def error_to_plain(error: BaseException) -> Plain:
    """Return what is needed to raise an exception in another process."""
    kind = type(error)
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame):
        trace = trace.tb_next
    lines = traceback.format_exception(kind, error, trace or error.__traceback__)
    return {
        "module": kind.__module__,
        "name": kind.__qualname__,
        "args": [arg if type(arg) in (str, int, float) else str(arg) for arg in error.args],
        "text": _text(error),
        "notes": [str(note) for note in getattr(error, "__notes__", [])],
        "trace": "".join(lines),
    }


def error_from_plain(told: Any, host: str) -> BaseException:
    """Return an exception of the same class if that is known here, with the worker's traceback."""
    _check(isinstance(told, dict), "dict", told)
    name, text = told_text(told, "name"), told_text(told, "text")
    kind: Any = sys.modules.get(told_text(told, "module"))
    for part in name.split("."):
        kind = getattr(kind, part, None)
    args = tuple(_list(told.get("args")))
    error = _of_class(kind, args, text) or _of_class(kind, (text,), text)
    error = error or RuntimeError(f"{name}: {text}")
    for note in map(str, _list(told.get("notes"))):
        error.add_note(note)
    error.add_note(f"Traceback of the worker on {host}:\n{told_text(told, 'trace')}".rstrip())
    return error


def _of_class(kind: Any, args: tuple[Any, ...], text: str) -> BaseException | None:
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    if not all(type(arg) in (str, int, float) for arg in args):
        return None
    try:
        error = kind.__new__(kind, *args)  # its own constructor may want something else
        error.args = args
        return error if str(error) == text else None
    except Exception:  # noqa: BLE001 - whatever its code raises
        return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever its code raises
        return ""


def _is_ours(frame: FrameType) -> bool:
    return f"{frame.f_globals.get('__package__')}.".startswith("lrfinder_widget.")


# -- what a worker is -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello:
    """Where a worker is, and its versions of what a run depends on, by their names."""

    host: str
    pid: int
    versions: dict[str, str]


def hello_from_plain(told: Any) -> Hello:
    """Return what a worker says of itself.

    Raises
    ------
    ValueError
        If it is not of the kind that it should be.
    """
    pid, versions = told.get("pid"), told.get("versions")
    _check(type(pid) is int, "number of a process", pid)
    _check(isinstance(versions, dict), "dict", versions)
    found = {str(name): told_text(versions, name) for name in versions}
    return Hello(told_text(told, "host"), pid, found)


def about_to_plain(about: About, ladder: Ladder | None, *, batch_losses: bool) -> Plain:
    """Return what is known of a task on a worker."""
    return {
        "summary": about.summary,
        "optimizer": about.optimizer,
        "several_rates": about.several_rates,
        "tensor_rates": about.tensor_rates,
        "device": about.device,
        "epoch_steps": about.epoch_steps,
        **_budget_to_plain(about.budget),
        "settings": [[one.name, list(one.values), one.why_not] for one in about.settings],
        "rungs": [] if ladder is None else list(ladder.lrs),
        "ladder": "" if ladder is None else ladder.reason,
        "batch_losses": batch_losses,
    }


@dataclass(frozen=True)
class Built:
    """What a worker has built.

    Attributes
    ----------
    about : About
        What is known of it.
    ladder : Ladder or None
        What to try where a curve shows no candidate.
    batch_losses : bool
        Whether the first loss of a run is measured before any update.
    """

    about: About
    ladder: Ladder | None
    batch_losses: bool


def built_from_plain(told: Any, where: str) -> Built:
    """Return what a worker says that it has built; `where` is said after its device.

    Raises
    ------
    ValueError
        If it is not of the kind that it should be.
    """
    steps, device = told.get("epoch_steps"), told.get("device")
    rungs = tuple(map(_number, _list(told.get("rungs"))))
    _check(steps is None or (type(steps) is int and steps > 0), "number of steps", steps)
    return Built(
        About(
            summary=told_text(told, "summary"),
            optimizer=told_text(told, "optimizer"),
            several_rates=told.get("several_rates") is True,
            tensor_rates=told.get("tensor_rates") is True,
            device=where if device is None else f"{told_text(told, 'device')} {where}",
            epoch_steps=steps,
            budget=_budget_from_plain(told),
            settings=tuple(map(_setting, _list(told.get("settings")))),
        ),
        Ladder(rungs, told_text(told, "ladder")) if rungs else None,
        told.get("batch_losses") is True,
    )


def _setting(told: Any) -> Setting:
    name, values, why_not = _list(told)
    return Setting(str(name), tuple(map(_number, _list(values))), str(why_not))


def budgets_to_plain(budgets: Sequence[Budget]) -> Plain:
    """Return what optimizers show of the training, as it travels."""
    return {"budgets": list(map(_budget_to_plain, budgets))}


def budgets_from_plain(told: Any) -> list[Budget]:
    """Return what optimizers on a worker show of the training.

    Raises
    ------
    ValueError
        If it is not of the kind that it should be.
    """
    return list(map(_budget_from_plain, _list(told.get("budgets"))))


def _budget_to_plain(budget: Budget) -> Plain:
    return {
        "family": budget.family,
        "cautions": list(budget.cautions),
        "trained": budget.trained,
    }


def _budget_from_plain(told: Any) -> Budget:
    _check(isinstance(told, dict), "dict", told)
    trained = told.get("trained")
    _check(trained is None or isinstance(trained, bool), "bool", trained)
    cautions = tuple(map(str, _list(told.get("cautions"))))
    return Budget(told.get("family"), cautions=cautions, trained=trained)


# -- what a run yields ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Chunk:
    """Some items of a run, in their order.

    Attributes
    ----------
    start : int
        How many came before them.
    items : list
        Points, losses of a baseline, and reasons between repeats.
    reason : str or None
        Why the run has ended, if it has.
    unrestored : list of str
        What could not be put back, once it has ended.
    held_out : dict of int to ndarray
        The losses of the held-out batches so far.
    """

    start: int
    items: list[Item]
    reason: Reason | None = None
    unrestored: list[str] = field(default_factory=list)
    held_out: Found = field(default_factory=dict)


def chunk_to_plain(chunk: Chunk) -> Plain:
    """Return a chunk as it travels."""
    return {
        "start": chunk.start,
        "items": items_to_plain(chunk.items),
        "reason": chunk.reason,
        "unrestored": list(map(str, chunk.unrestored)),
        "held_out": [[n, losses.tolist()] for n, losses in dict(chunk.held_out).items()],
    }


def items_to_plain(items: list[Item]) -> list[Any]:
    """Return the items of a run as they travel."""
    return [point_to_plain(item) if isinstance(item, tuple) else item for item in items]


def chunk_from_plain(told: Any) -> Chunk:
    """Return a chunk that has arrived.

    Raises
    ------
    ValueError
        If anything in it is not of the kind that it should be.
    """
    start, reason = told.get("start"), told.get("reason")
    _check(type(start) is int and start >= 0, "index", start)
    _check(reason is None or _is_reason(reason), "reason", reason)
    found: Found = {}
    for pair in _list(told.get("held_out")):
        steps, losses = _list(pair)
        _check(type(steps) is int and steps > 0, "number of steps", steps)
        found[steps] = np.array(list(map(_number, _list(losses))), dtype=np.float64)
    unrestored = list(map(str, _list(told.get("unrestored"))))
    return Chunk(start, list(map(_item, _list(told.get("items")))), reason, unrestored, found)


def _item(value: Any) -> Item:
    if isinstance(value, (list, tuple)):
        return point(value, _number)
    return cast(Item, value) if _is_reason(value) else _number(value)


def _is_reason(value: Any) -> bool:
    return isinstance(value, str) and value in get_args(Reason)


def _number(value: Any) -> float:
    _check(type(value) is float, "number", value)
    return cast(float, value)


def _list(value: Any) -> list[Any]:
    _check(isinstance(value, (list, tuple)), "list", value)
    return list(value)


def told_text(told: Any, name: str) -> str:
    """Return a text that a worker has told; an empty one if it is missing."""
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _check(good: bool, what: str, value: object) -> None:
    if not good:
        raise ValueError(f"the worker sent a {type(value).__name__} where a {what} should be.")
