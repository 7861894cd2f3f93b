"""What trial runs with held-out batches suggest for a task of `excess.py`.

For each kind of schedule that the task asks for, the learning rates that the curve finds worth a
trial are compared, and the longer trainings are extrapolated from that. The held-out batches are a
part of the data that the truth is measured on.
"""

from __future__ import annotations

from typing import Any

from excess_tasks import Task

from lrfinder_widget import Comparison, LossCurve, compare

STEPS, HELD_OUT = 400, 1000  # of each trial; rows


def after_trials(task: Task, seed: int, curve: LossCurve) -> list[float | None]:
    """One learning rate for each run of the task; None where trials refuse."""
    found: dict[str, Comparison] = {}
    suggested: list[float | None] = []
    for way, steps in task.runs:
        schedule: Any = "constant" if way == "constant" else "decay"
        if schedule not in found:
            found[schedule] = tried(task, seed, curve, way)
        suggested.append(found[schedule].suggest(steps, schedule).lr)
    return suggested


def tried(task: Task, seed: int, curve: LossCurve, way: str) -> Comparison:
    data, size = task.data(), task.batch_size
    parts = zip(data.held_inputs.split(size), data.held_targets.split(size), strict=True)
    kind: Any = "constant" if way == "constant" else "decay"
    lrs = curve.with_budget(curve.budget.planned(STEPS, kind)).trial_candidates()
    factors = task.factors(way, STEPS)
    return compare(
        *task.begin(seed),
        task.criterion,
        lrs=lrs,
        steps=STEPS,
        schedule=None if way == "constant" else lambda i: float(factors[i]),
        held_out=[part for part, _ in zip(parts, range(-(-HELD_OUT // size)), strict=False)],
    )
