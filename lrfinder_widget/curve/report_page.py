"""A report as a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .trial import format_rate

ENDS = {
    "completed": "all learning rates were tried",
    "diverged": "the loss diverged",
    "non-finite": "the loss was no longer finite",
    "exhausted": "the data ran out",
    "stop-rule": "a stop rule ended the test",
    "stopped": "the test was stopped",
    "failed": "the test failed",
    "no-effect": "the learning rate had no effect",
}


def page(made: Mapping[str, Any]) -> str:
    """Write a report as Markdown."""
    run, seen, found, training = (made[k] for k in ("run", "seen", "suggestion", "training"))
    about = {
        "Points": run["points"],
        "Learning rates": _between(run["first_lr"], run["last_lr"]),
        "Ended": ENDS.get(run["reason"]),
        "Repeats": run["repeats"] if run["repeats"] > 1 else None,
        "Optimizer": run["optimizer"],
        **{k.capitalize(): v for k, v in run.items() if k not in _SHOWN},
    }
    lowest = f"{_loss(seen['lowest_loss'])} at {format_lr(seen['lowest_at'])}"
    loss = {
        "Loss": f"{_loss(seen['first_loss'])} at first, {_loss(seen['last_loss'])} at last",
        "Fall": seen["fall"] or "none to be seen",
        "Falls from": format_lr(seen["falls_from"]),
        "Lowest": lowest if seen["fall"] else "",
        "Turns up after": format_lr(seen["turns_up_after"]),
        **_metric(made["metric"]),
        "Picked": format_lr(made["picked"]),
    }
    steps = training["steps"]
    length = (
        "a length that is not known"
        if steps is None
        else f"{steps:,} step{'s' if steps > 1 else ''}"
    )
    candidates = [(rule, format_lr(lr) or "–") for rule, lr in made["candidates"].items()]
    lengths = [
        (
            f"{one['steps']:,}",
            one["schedule"],
            format_lr(one["lr"]) or "–",
            _between(one["low"], one["high"]),
        )
        for one in made["by_length"]
    ]
    parts = [
        "# LR range test",
        _list(made["next"], "## What to do next"),
        _list(made["unrestored"], "## Not put back"),
        "## What was run",
        _table(("", ""), [(k, v) for k, v in about.items() if v is not None]),
        "## What was seen",
        _table(("", ""), [(k, v) for k, v in loss.items() if v]),
        f"## Suggestion for {length}, {training['schedule']}",
        _text(found["reason"]),
        _table(("rule", "candidate"), candidates),
        _table(("steps", "schedule", "candidate", "band"), lengths) if lengths else "",
        _trials_text(made["trials"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metric(metric: Mapping[str, Any] | None) -> dict[str, str]:
    if metric is None or metric["first"] is None:
        return {}
    lowest, highest = (
        f"{_loss(metric[end])} at {format_lr(metric[f'{end}_at'])}" for end in ("lowest", "highest")
    )
    first = f"{_loss(metric['first'])} at first"
    return {f"Metric {metric['name']}": f"{first}; lowest {lowest}, highest {highest}"}


_SHOWN = {"points", "first_lr", "last_lr", "reason", "repeats", "optimizer"}


def _trials_text(trials: Mapping[str, Any] | None) -> str:
    if trials is None:
        return ""
    rows = [
        (format_rates(one["lr"]), one["steps"], _loss(one["loss"]), _loss(one["held_out"]))
        for one in trials["tried"]
    ]
    table = _table(("lr", "steps", "loss", "held out"), rows)
    said = trials["reason"]
    return f"## Trial runs\n\n{_text(said[:1].upper() + said[1:])}\n\n{table}"


def _list(items: Sequence[str], heading: str) -> str:
    return "\n".join([heading, "", *(f"- {_text(item)}" for item in items)]) if items else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([_text(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(words: str) -> str:
    """Escape what Markdown or HTML would take for markup, and keep it on one line."""
    line = " ".join(words.split())
    line = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", line)
    return re.sub(r"^(\d*)([-+=:.)])", r"\1\\\2", line)  # no list, rule or heading


def _between(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{format_lr(low)} to {format_lr(high)}"


def format_lr(lr: float | None) -> str:
    """Format a learning rate; as nothing if there is none."""
    return "" if lr is None else format_rate(lr)


def format_rates(lr: float | list[float]) -> str:
    """Format a learning rate, or those of the parameter groups."""
    return format_rate(tuple(lr) if isinstance(lr, list) else lr)


def _loss(loss: float | None) -> str:
    return "–" if loss is None else f"{loss:.4g}"
