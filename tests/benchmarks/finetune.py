"""What the ladder of trials is worth on trained models that are trained on.

Each fine-tuning of `finetune_tasks.py` is done at the learning rates of a grid, with the warm-up
and the decay of the ladder, from some seeds (the new layers, the examples, their order). Then the
ladder is run with the same start, other batches, and eight held-out batches, and the fine-tuning is
done once more at the number in which it ends. What counts is the loss on data that neither sees.
The excess is

    (loss with the ladder's number - loss with the best of the grid) / the latter,

where a refusal counts as the loss without training.

    LRFINDER_DATA=… python tests/benchmarks/finetune.py --seeds 20

keeps what it has measured in ``truth/finetune/``, and goes on where it was. ``--again`` runs the
ladders once more, on the truth that there is. The adapters need peft; without it they are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from excess_truth import LOST, machine
from finetune_tasks import DEVELOPMENT, JUDGING, TASKS, FineTuning, trained

from lrfinder_widget import compare, range_test
from lrfinder_widget.training.ladder import warm_up_and_decay

TRUTH = Path(__file__).parent / "truth" / "finetune"
GRID_POINTS, STEP, MOST_RATES = 5, 0.5, 14
CLOSE, NOTHING = 0.05, 0.002

NOTES = f"""\
- **start**, **best**: the loss without training, and with the best of the grid; means over seeds.
- **within**: the share of seeds with an excess of at most {CLOSE:.0%}, and its median and largest.
- **worse**: the share of seeds in which the number leads above the loss without training.
- **refused**: the share in which training on is said not to help.
- **winner**, **own**: the share within {CLOSE:.0%} with the best rung, and with the learning rate
  that the optimizer had, both read off the grid.
- **sweep**: the share of LR range tests that name a number without calling it weak / that name one.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--again", action="store_true", help="run the ladders once more")
    parser.add_argument("--truth", action="store_true", help="no ladders yet")
    parser.add_argument("--table", action="store_true", help="only what has been measured")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in chosen.tasks if possible(name)]
    if not chosen.table:
        for name in names if chosen.again else ():
            keep(name, {**known(name), "ladder": {}})
        for seed in range(chosen.seeds):
            for name in names:
                complete(name, seed, ladder=not chosen.truth)
    for half, tasks in (("development", DEVELOPMENT), ("judging", JUDGING)):
        print_table(half, [name for name in names if name in tasks])
    print(f"\n{NOTES}", end="")


def possible(name: str) -> bool:
    if "lora" not in name or importlib.util.find_spec("peft"):
        return True
    print(f"{name} needs peft, which is not installed.", file=sys.stderr)
    return False


def known(name: str) -> dict[str, Any]:
    """What is known: losses by seed, at the start and by exponent; ladders and sweeps by seed."""
    path = TRUTH / f"{name}.json"
    if path.exists():
        content: dict[str, Any] = json.loads(path.read_text())
        return content
    return {
        "machine": machine(),
        "seconds": 0.0,
        **{key: {} for key in ("start", "reached", "sweep", "ladder")},
    }


def keep(name: str, truth: dict[str, Any]) -> None:
    TRUTH.mkdir(exist_ok=True, parents=True)
    unfinished = (TRUTH / name).with_suffix(".new")
    lines = [
        f'"{key}": {{\n' + ",\n".join(f'"{k}": {json.dumps(v)}' for k, v in value.items()) + "\n}"
        if isinstance(value, dict)
        else f'"{key}": {json.dumps(value)}'
        for key, value in truth.items()
    ]
    unfinished.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    unfinished.replace(TRUTH / f"{name}.json")


def complete(name: str, seed: int, *, ladder: bool = True) -> None:
    """Measure what is not known yet of a fine-tuning from one seed."""
    task, truth, key = TASKS[name], known(name), str(seed)
    climbed = key in truth["ladder"] or not ladder
    if climbed and key in truth["sweep"] and not missing(task, truth, key):
        return
    trained(task)
    begun = time.process_time()
    if key not in truth["start"]:
        truth["start"][key] = round(task.test_loss(task.begin(seed, seed)[0]), 6)
    while exponents := missing(task, truth, key):
        found = truth["reached"].setdefault(key, {})
        for exponent in exponents:
            found[f"{exponent:g}"] = reach(task, 10**exponent, seed)
    if key not in truth["sweep"]:
        truth["sweep"][key] = sweep(task, seed)
    if not climbed:
        truth["ladder"][key] = climb(task, seed)
    truth["seconds"] = round(truth["seconds"] + time.process_time() - begun, 1)
    keep(name, truth)
    print(f"{name} {key}: {truth['seconds']} s", file=sys.stderr, flush=True)


def missing(task: FineTuning, truth: dict[str, Any], key: str) -> list[float]:
    """The exponents that are still to be trained at.

    Half decades, on beyond an end that is best; then the quarters beside the best.
    """
    done = {float(e): loss for e, loss in truth["reached"].get(key, {}).items()}
    grid = [task.lowest + STEP * i for i in range(GRID_POINTS)]
    if left := [e for e in grid if e not in done]:
        return left
    best, start = min(done, key=lambda e: done[e]), truth["start"][key]
    at_start = abs(done[best] / start - 1) < NOTHING  # and lower rates are nearer to it
    beyond = [best - STEP] * (best == min(done) and not at_start)
    beyond += [best + STEP] * (best == max(done))
    if beyond and len(done) < MOST_RATES:
        return beyond
    halves = {e: loss for e, loss in done.items() if not (2 * e) % 1}
    best = min(halves, key=lambda e: halves[e])
    return [e for e in (best - STEP / 2, best + STEP / 2) if e not in done]


def reach(task: FineTuning, lr: float, seed: int) -> float:
    """Fine-tune once, and return the loss on what was held out."""
    model, optimizer, batches = task.begin(seed, seed)
    rates = [group["lr"] for group in optimizer.param_groups]
    factor, done = warm_up_and_decay(task.steps), 0
    while True:
        for inputs, targets in batches:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = lr * rate / max(rates) * factor(done)
            optimizer.zero_grad()
            loss = task.criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            done += 1
            if not loss.item() < LOST:
                return LOST
            if done == task.steps:
                end = task.test_loss(model)
                return round(end, 6) if end < LOST else LOST


def sweep(task: FineTuning, seed: int) -> list[Any]:
    """An LR range test: its candidate, if it has one, and whether it is weak."""
    model, optimizer, batches = task.begin(seed, seed + 1000)
    found = range_test(model, optimizer, batches, task.criterion, train_steps=task.steps).suggestion
    return [found.lr, found.weak]


def climb(task: FineTuning, seed: int) -> dict[str, Any]:
    """The ladder: the number in which it ends, and what that leads to."""
    model, optimizer, batches = task.begin(seed, seed + 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(
            model,
            optimizer,
            batches,
            task.criterion,
            lrs="ladder",
            steps=task.steps,
            held_out=task.held_out,
        )
    lr = found.suggest(train_steps=task.steps).lr
    losses = {f"{trial:.3g}": each[max(each)] for trial, each in found.held_out_losses.items()}
    return {
        "lr": lr,
        "winner": found.winner,
        "reached": None if lr is None else reach(task, lr, seed),
        "steps": sum(map(len, found.losses.values())),
        "rungs": {rung: round(loss, 5) for rung, loss in losses.items()},
    }


# -- the table ------------------------------------------------------------------------------------


def print_table(half: str, names: Sequence[str]) -> None:
    columns = "start | best | within | median | largest | worse | refused | winner | own | steps"
    print(f"\n| {half} | seeds | {columns} | sweep |\n|{'---|' * 13}")
    rows = [row for name in names if (row := row_of(name)) is not None]
    for name, row in zip(names, rows, strict=False):
        print_row(name, row)
    if rows:
        both = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
        print_row("all", both)


def row_of(name: str) -> dict[str, Any] | None:
    """Numbers by seed."""
    task, truth = TASKS[name], known(name)
    seeds = [s for s in truth["ladder"] if s in truth["sweep"] and not missing(task, truth, s)]
    if not seeds:
        return None
    own = max(task.own_lr) if isinstance(task.own_lr, tuple) else task.own_lr
    rows = []
    for seed in seeds:
        start, ladder, (lr, weak) = (truth[part][seed] for part in ("start", "ladder", "sweep"))
        points = sorted((float(e), loss) for e, loss in truth["reached"][seed].items())
        best = min(loss for _, loss in points)
        ends = [*zip(*points, strict=True)]

        def at(lr: float, ends: Any = ends) -> float:  # between two of the grid, on a line
            return float(np.interp(math.log10(lr), *ends))

        refused = ladder["lr"] is None
        rows.append(
            {
                "start": start,
                "best": best,
                "excess": (start if refused else ladder["reached"]) / best - 1,
                "winner": (start if refused else at(ladder["winner"])) / best - 1,
                "own": at(own) / best - 1,
                "worse": not refused and ladder["reached"] > start,
                "refused": refused,
                "steps": ladder["steps"],
                "sure": lr is not None and not weak,
                "named": lr is not None,
            }
        )
    return {key: np.array([row[key] for row in rows], dtype=float) for key in rows[0]}


def print_row(name: str, row: dict[str, Any]) -> None:
    def close(key: str) -> str:
        return f"{(row[key] <= CLOSE).mean():.0%}"

    excess = row["excess"]
    print(
        f"| {name} | {len(excess)} | {row['start'].mean():.3f} | {row['best'].mean():.3f} "
        f"| {close('excess')} | {np.median(excess):.3f} | {excess.max():.3f} "
        f"| {row['worse'].mean():.0%} | {row['refused'].mean():.0%} "
        f"| {close('winner')} | {close('own')} | {row['steps'].mean():.0f} "
        f"| {row['sure'].mean():.0%} / {row['named'].mean():.0%} |"
    )


if __name__ == "__main__":
    main()
