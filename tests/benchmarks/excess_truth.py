"""The truth of `excess.py`: held-out losses at the end of training, by learning rate.

    python tests/benchmarks/excess_truth.py [TASK ...]

trains what is not known yet, one run after another, and keeps each in ``truth/``, one file for a
task, with the machine. It may be stopped at any time and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from excess_tasks import STEP, TASKS, Array, Task
from torch import Tensor, nn

Run: TypeAlias = tuple[str, int]  # schedule and number of steps

TRUTH = Path(__file__).parent / "truth"
MOST_RATES = 12
LOST = 1e4  # the loss of a run that diverged
FAR = 3.0  # times the best loss
LOOKS, LAST = 5, 0.02  # the end is the mean of five looks over the last fiftieth of the steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help="by default all")
    torch.set_num_threads(1)
    for name in parser.parse_args().tasks:
        complete(name)


def path_of(name: str) -> Path:
    return TRUTH / f"{name}.json"


def known(name: str) -> dict[str, Any]:
    """What is known of a task: ``runs``, by exponent of the rate, start and run."""
    path = path_of(name)
    if path.exists():
        content: dict[str, Any] = json.loads(path.read_text())
        return content
    return {"parameters": 0, "machine": machine(), "seconds": 0.0, "start": {}, "reached": {}}


def machine() -> str:
    return f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"


def complete(name: str) -> None:
    """Train at each rate of the grid; where the best is at an end, at one more there."""
    task, truth = TASKS[name], known(name)
    while left := missing(task, truth):
        for exponent, seed, runs in left:
            key = f"{exponent:g} {seed}"
            begun = time.process_time()
            truth["reached"][key] = reach(task, 10**exponent, seed, runs)
            if str(seed) not in truth["start"]:
                model = task.begin(seed)[0]
                truth["start"][str(seed)] = look(task, model)
                truth["parameters"] = sum(p.numel() for p in model.parameters())
            truth["seconds"] = round(truth["seconds"] + time.process_time() - begun, 1)
            keep(name, truth)
            print(f"{name} {key}: {truth['reached'][key]}", file=sys.stderr, flush=True)


def missing(task: Task, truth: dict[str, Any]) -> list[tuple[float, int, list[Run]]]:
    """Exponents, starts and runs that are still to be trained; first those of one start.

    The other starts leave out the runs that ended far above the best: as an excess counts as 1 at
    most, their means would not change it.
    """
    reached = truth["reached"]
    exponents = sorted({*task.grid, *(float(key.split()[0]) for key in reached)})
    if left := [(e, 0, task.runs) for e in exponents if f"{e:g} 0" not in reached]:
        return left
    first = held_out(task, truth, exponents, starts=1)
    near = first <= FAR * first.min(axis=1, keepdims=True)
    for seed in range(1, task.starts):
        for i, e in enumerate(exponents):
            runs = [run for run, close in zip(task.runs, near[:, i], strict=True) if close]
            if runs and f"{e:g} {seed}" not in reached:
                left.append((e, seed, runs))
    if left or len(exponents) >= MOST_RATES:
        return left
    best = held_out(task, truth, exponents).argmin(axis=1)
    beyond = [min(exponents) - STEP] if (best == 0).any() else []
    beyond += [max(exponents) + STEP] if (best == len(exponents) - 1).any() else []
    return [(round(e, 3), 0, task.runs) for e in beyond]


def held_out(
    task: Task,
    truth: dict[str, Any],
    exponents: list[float],
    what: int = 0,
    starts: int | None = None,
) -> Array:
    """Held-out losses (or with ``what=1`` accuracies), the mean over starts: runs × rates.

    The loss of a run that diverged counts as `LOST`. Accuracies are nan where the targets are
    numbers.
    """

    def mean(schedule: str, steps: int, exponent: float) -> float:
        keys = (f"{exponent:g} {seed}" for seed in range(starts or task.starts))
        ends = [truth["reached"].get(key, {}).get(f"{schedule} {steps}") for key in keys]
        return float(np.mean([end[what] if what < len(end) else math.nan for end in ends if end]))

    return np.array([[mean(*run, e) for e in exponents] for run in task.runs])


def keep(name: str, truth: dict[str, Any]) -> None:
    TRUTH.mkdir(exist_ok=True)
    unfinished = path_of(name).with_suffix(".new")
    lines = json.dumps(truth, indent=0, allow_nan=False).replace("[\n", "[").replace("\n]", "]")
    unfinished.write_text(lines + "\n")
    unfinished.replace(path_of(name))


def reach(task: Task, lr: float, seed: int, runs: list[Run]) -> dict[str, list[float]]:
    """Train once at a constant rate and once for each decayed run; the held-out loss of each end.

    Accuracy follows the loss where the targets are classes.
    """
    reached: dict[str, list[float]] = {}
    constant = {steps for schedule, steps in runs if schedule == "constant"}
    ways = [("constant", max(constant), constant)] if constant else []
    ways += [(schedule, steps, {steps}) for schedule, steps in runs if schedule != "constant"]
    for schedule, steps, ends in ways:
        looks = train(task, lr * task.factors(schedule, steps), seed, ends)
        for end in sorted(ends):
            values = np.array(looks[end]).mean(axis=0)
            reached[f"{schedule} {end}"] = [round(float(v), 6) for v in values]
    return reached


def train(task: Task, lrs: Any, seed: int, ends: set[int]) -> dict[int, list[list[float]]]:
    """Train with these rates; what the held-out data says at some steps before each end."""
    model, optimizer, batches = task.begin(seed)
    when: dict[int, int] = {}
    for end in ends:
        for k in range(LOOKS):
            when[end - round(k * LAST * end / LOOKS)] = end
    looks: dict[int, list[list[float]]] = {end: [] for end in ends}
    width = 2 if isinstance(task.criterion, nn.CrossEntropyLoss) else 1
    lost = [LOST, 0.0][:width]
    done = 0
    while True:
        for inputs, targets in batches:
            optimizer.param_groups[0]["lr"] = float(lrs[done])
            optimizer.zero_grad()
            with torch.autocast("cpu", task.autocast, enabled=task.autocast is not None):
                loss = task.criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            done += 1
            if not loss.item() < LOST:
                return {end: found or [lost] for end, found in looks.items()}
            if done in when:
                looks[when[done]].append(look(task, model))
            if done == len(lrs):
                return looks


def look(task: Task, model: nn.Module) -> list[float]:
    """The held-out loss and, where the targets are classes, the share that is right."""
    data = task.data()
    model.eval()
    with torch.no_grad():
        inputs, targets = data.held_inputs.split(500), data.held_targets.split(500)
        parts = [(measure(task, model(x), y), len(x)) for x, y in zip(inputs, targets, strict=True)]
    model.train()
    weights = np.array([n for _, n in parts], dtype=float)
    values = np.average([v for v, _ in parts], axis=0, weights=weights)
    return [round(float(v), 6) for v in np.clip(np.nan_to_num(values, nan=LOST), -LOST, LOST)]


def measure(task: Task, output: Tensor, target: Tensor) -> list[float]:
    loss = float(task.criterion(output, target))
    if not isinstance(task.criterion, nn.CrossEntropyLoss):
        return [loss]
    return [loss, float((output.argmax(1) == target).float().mean())]


if __name__ == "__main__":
    main()
