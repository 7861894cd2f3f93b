"""What was run, what was seen and what to do next: a dictionary, and a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .arrays import Array, finite
from .budget import Budget, Schedule
from .fall import Part
from .reasons import NO_USE
from .report_page import format_lr, format_rates, page

LENGTHS = (100, 1_000, 10_000)
"""The numbers of training steps for which a report names candidates."""

_SCHEDULES: tuple[Schedule, ...] = ("constant", "decay")


class Report(dict[str, Any]):
    """A report on an LR range test, for a script, an agent or a tracker.

    The dictionary holds plain values only, so `json.dumps` takes it; what is not known or not
    finite is None. As text, and as the last line of a cell, it is a page of Markdown.
    """

    def __str__(self) -> str:
        return page(self)

    def _repr_markdown_(self) -> str:
        return page(self)


class Found(Protocol):
    """What a report asks of a `Suggestion`."""

    @property
    def lr(self) -> float | None: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102
    @property
    def weak(self) -> bool: ...  # noqa: D102
    @property
    def rule(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102


class Readable(Protocol):
    """What a report asks of a `LossCurve`."""

    @property
    def lrs(self) -> Array: ...  # noqa: D102
    @property
    def losses(self) -> Array: ...  # noqa: D102
    @property
    def metric(self) -> Array | None: ...  # noqa: D102
    @property
    def metric_name(self) -> str | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def repeats(self) -> Sequence[object]: ...  # noqa: D102
    @property
    def budget(self) -> Budget: ...  # noqa: D102
    @property
    def suggestion(self) -> Found: ...  # noqa: D102
    def suggest(  # noqa: D102
        self, *, train_steps: int | None = None, schedule: Schedule | None = None
    ) -> Found: ...
    def candidates(self) -> Mapping[Any, float | None]: ...  # noqa: D102
    def trial_candidates(self) -> list[float]: ...  # noqa: D102


def report(
    curve: Readable,
    part: Part,
    *,
    run: Mapping[str, Any] | None = None,
    picked: float | None = None,
    trials: dict[str, Any] | None = None,
    unrestored: Sequence[str] = (),
) -> Report:
    """Report on a curve.

    Parameters
    ----------
    curve : LossCurve
        What was measured.
    part : Part
        Its part before the turn, from which everything is read.
    run : mapping, optional
        More about what was run.
    picked : float, optional
        The learning rate that was picked.
    trials : dict, optional
        What the trial runs that followed show, see `Comparison.summary`.
    unrestored : sequence of str
        What could not be put back.
    """
    found, planned = curve.suggestion, curve.budget
    made = Report(
        run={
            "points": len(curve.lrs),
            "first_lr": _number(curve.lrs[:1]),
            "last_lr": _number(curve.lrs[-1:]),
            "reason": curve.reason,
            "repeats": max(1, len(curve.repeats)),
            "optimizer": planned.family,
            **(run or {}),
        },
        seen=_seen(curve, part),
        metric=_metric(curve),
        training={"steps": planned.train_steps, "schedule": planned.schedule},
        suggestion={
            "lr": found.lr,
            "low": found.low,
            "high": found.high,
            "weak": found.weak,
            "rule": found.rule,
            "reason": found.reason,
        },
        candidates=dict(curve.candidates()),
        by_length=[] if found.lr is None else _by_length(curve),
        trials=trials,
        picked=picked,
        unrestored=list(unrestored),
    )
    made["next"] = _next(made, curve.trial_candidates())
    return made


def _seen(curve: Readable, part: Part) -> dict[str, Any]:
    fall = part.fall
    at = {} if fall is None else {"falls_from": fall.onset, "lowest_at": fall.lowest}
    return {
        "first_loss": _number(curve.losses[:1]),
        "last_loss": _number(curve.losses[-1:]),
        "fall": None if fall is None else "weak" if fall.weak else "clear",
        "height": None if fall is None else fall.height,
        "lowest_loss": None if fall is None else float(part.smoothed[fall.lowest]),
        **{name: float(part.lrs[at[name]]) if at else None for name in ("falls_from", "lowest_at")},
        "turns_up_after": float(part.lrs[-1]) if part.turned and len(part.lrs) else None,
    }


def _metric(curve: Readable) -> dict[str, Any] | None:
    """Say what the metric was, of single points: it is neither smoothed nor read."""
    if curve.metric is None:
        return None
    known = [(float(v), float(lr)) for v, lr in zip(curve.metric, curve.lrs, strict=True)]
    known = [(value, lr) for value, lr in known if finite(value) is not None]
    low, high = (end(known, default=(None, None)) for end in (min, max))
    return {
        "name": curve.metric_name,
        "first": known[0][0] if known else None,
        "last": known[-1][0] if known else None,
        "lowest": low[0],
        "lowest_at": low[1],
        "highest": high[0],
        "highest_at": high[1],
    }


def _by_length(curve: Readable) -> list[dict[str, Any]]:
    asked = [(steps, schedule) for schedule in _SCHEDULES for steps in LENGTHS]
    found = [curve.suggest(train_steps=steps, schedule=schedule) for steps, schedule in asked]
    return [
        {"steps": steps, "schedule": schedule, "lr": one.lr, "low": one.low, "high": one.high}
        for (steps, schedule), one in zip(asked, found, strict=True)
    ]


def _next(made: Report, to_try: list[float]) -> list[str]:
    """Say what to do, the most important first."""
    steps = []
    if made["unrestored"]:
        steps.append(
            "Not everything could be put back, as said below: before you train, make the model "
            "and the optimizer anew."
        )
    found, trials, training = made["suggestion"], made["trials"], made["training"]
    if not made["run"]["points"]:
        return [*steps, "Run the LR range test: nothing has been measured yet."]
    if trials is not None:
        return [*steps, _after_trials(trials)]
    if found["lr"] is None:
        steps.append(found["reason"])
    elif made["picked"] is None:
        between = f"between {format_lr(found['low'])} and {format_lr(found['high'])}"
        steps.append(f"Train with lr={format_lr(found['lr'])}; {between} is as plausible.")
    else:
        steps.append(f"Train with lr={format_lr(made['picked'])}, which was picked.")
    if found["lr"] is not None and training["steps"] is None:
        steps.append(
            "Say for how many steps you will train (train_steps=…): the longer, the lower the "
            "learning rate."
        )
    if to_try and (found["lr"] is None or found["weak"]):
        lrs = ", ".join(map(format_lr, to_try))
        steps.append(f"Compare a few learning rates in trial runs first, such as {lrs}.")
    return steps


def _after_trials(trials: Mapping[str, Any]) -> str:
    if trials["winner"] is None:
        return f"{trials['reason'][0].upper()}{trials['reason'][1:]}"
    if trials["improves"] is False:
        claim = NO_USE[trials["untried"]]
        return f"{claim[0].upper()}{claim[1:]}: no loss that was reached is clearly lower."
    lr, winner = trials["lr"], trials["winner"]
    if isinstance(winner, list) and lr is not None:  # it is that of the largest
        lr = [lr * (one / max(winner)) for one in winner]
    return f"Train with lr={format_rates(winner if lr is None else lr)}, by the trial runs."


def _number(values: Array) -> float | None:
    return finite(float(values[0])) if len(values) else None
