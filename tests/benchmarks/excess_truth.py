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
from typing import Any

import numpy as np
import torch
from excess_tasks import STEP, TASKS, Array, Task
from torch import Tensor, nn

TRUTH = Path(__file__).parent / "truth"
MOST_RATES = 12
LOST = 1e4  # the loss of a run that diverged
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
    while True:
        exponents = missing(task, truth)
        if not exponents:
            return
        for exponent in exponents:
            for seed in range(task.starts):
                key = f"{exponent:g} {seed}"
                if key in truth["reached"]:
                    continue
                begun = time.process_time()
                truth["reached"][key] = reach(task, 10**exponent, seed)
                if str(seed) not in truth["start"]:
                    model = task.begin(seed)[0]
                    truth["start"][str(seed)] = look(task, model)
                    truth["parameters"] = sum(p.numel() for p in model.parameters())
                truth["seconds"] = round(truth["seconds"] + time.process_time() - begun, 1)
                keep(name, truth)
                print(f"{name} {key}: {truth['reached'][key]}", file=sys.stderr, flush=True)


def missing(task: Task, truth: dict[str, Any]) -> list[float]:
    """The exponents that are still to be trained at, from the grid or beyond its ends."""
    done = {float(key.split()[0]) for key in truth["reached"]}
    starts = range(task.starts)
    whole = [e for e in done if all(f"{e:g} {s}" in truth["reached"] for s in starts)]
    left = [e for e in task.grid if e not in whole] + [
        e for e in sorted(done) if e not in whole and e not in task.grid
    ]
    if left or len(whole) >= MOST_RATES:
        return left
    losses = held_out(task, truth, sorted(whole))
    best = losses.argmin(axis=1)
    beyond = []
    if (best == 0).any():
        beyond.append(min(whole) - STEP)
    if (best == len(whole) - 1).any():
        beyond.append(max(whole) + STEP)
    return [round(e, 3) for e in beyond]


def held_out(task: Task, truth: dict[str, Any], exponents: list[float], what: int = 0) -> Array:
    """Held-out losses (or with ``what=1`` accuracies), the mean over starts: runs × rates.

    The loss of a run that diverged counts as `LOST`. Accuracies are nan where the targets are
    numbers.
    """

    def value(end: list[float]) -> float:
        return end[what] if what < len(end) else math.nan

    return np.array(
        [
            [
                np.mean(
                    [
                        value(truth["reached"][f"{e:g} {seed}"][f"{schedule} {steps}"])
                        for seed in range(task.starts)
                    ]
                )
                for e in exponents
            ]
            for schedule, steps in task.runs
        ]
    )


def keep(name: str, truth: dict[str, Any]) -> None:
    TRUTH.mkdir(exist_ok=True)
    unfinished = path_of(name).with_suffix(".new")
    lines = json.dumps(truth, indent=0, allow_nan=False).replace("[\n", "[").replace("\n]", "]")
    unfinished.write_text(lines + "\n")
    unfinished.replace(path_of(name))


def reach(task: Task, lr: float, seed: int) -> dict[str, list[float]]:
    """Train once at a constant rate and once for each decayed run; the held-out loss of each end.

    Accuracy follows the loss where the targets are classes.
    """
    reached: dict[str, list[float]] = {}
    ways = [("constant", max(task.constant), set(task.constant))] if task.constant else []
    ways += [(task.decay, steps, {steps}) for steps in task.decayed]
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
