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
ladders and the LR range tests once more, on the truth that there is. The adapters need peft;
without it they are left out.
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
from lrfinder_widget.runs.ladder import warm_up_and_decay

TRUTH = Path(__file__).parent / "truth" / "finetune"
PARTS = ("start", "reached", "sweep", "ladder")
GRID_POINTS, STEP, MOST_RATES = 5, 0.5, 14
CLOSE, NOTHING, LEAST_GAIN = 0.05, 0.002, 0.01

NOTES = f"""\
- **start**, **best**: the loss without training, and with the best of the grid; means over seeds.
- **within**: the share of seeds with an excess of at most {CLOSE:.0%}.
- **median**, **largest**: of the excess.
- **lost**: the median of (loss - best) / (start - best), the share of the gain that is lost, over
  the seeds where {LEAST_GAIN:.0%} or more can be gained.
- **worse**: the share of seeds in which the number leads above the loss without training.
- **refused**: the share in which training on is said not to help.
- **winner**, **own**, **untrained**: the share within {CLOSE:.0%} with the best rung and with the
  learning rate that the optimizer had, both read off the grid, and without training.
- **steps**: of a ladder, the mean.
- **sweep**: the share of LR range tests that name a number without calling it weak / that name one.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--again", action="store_true", help="run what is judged once more")
    parser.add_argument("--truth", action="store_true", help="no ladders yet")
    parser.add_argument("--table", action="store_true", help="only what has been measured")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in chosen.tasks if chosen.table or possible(name)]
    if not chosen.table:
        for name in names if chosen.again else ():
            keep(name, {**known(name), "sweep": {}, "ladder": {}})
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
        **{part: {} for part in PARTS},
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
    columns = (
        "seeds | start | best | within | median | largest | lost | worse | refused | winner "
        "| own | untrained | steps | sweep"
    )
    print(f"\n| {half} | {columns} |\n|{'---|' * 15}")
    rows = {name: row for name in names if (row := row_of(name))}
    for name, row in rows.items():
        print_row(name, row)
    if rows:
        print_row("all", {key: [v for row in rows.values() for v in row[key]] for key in KEYS})


KEYS = (
    *("start", "best", "excess", "lost", "worse", "refused"),
    *("winner", "own", "untrained", "steps", "sure", "named"),
)


def row_of(name: str) -> dict[str, list[float]] | None:
    """Numbers by seed, for each of `KEYS`."""
    task, truth = TASKS[name], known(name)
    seeds = [s for s in truth["ladder"] if s in truth["sweep"] and not missing(task, truth, s)]
    each = [numbers(task, *(truth[part][s] for part in truth if part in PARTS)) for s in seeds]
    return {key: [one[key] for one in each] for key in KEYS} if each else None


def numbers(
    task: FineTuning, start: float, reached: dict[str, float], sweep: list[Any], ladder: Any
) -> dict[str, float]:
    points = sorted((float(e), loss) for e, loss in reached.items())
    best, (lr, weak) = min(loss for _, loss in points), sweep

    def excess_at(lr: float) -> float:  # between two of the grid, on a line
        return float(np.interp(math.log10(lr), *zip(*points, strict=True))) / best - 1

    refused = ladder["lr"] is None
    end = start if refused else ladder["reached"]
    return {
        "start": start,
        "best": best,
        "excess": end / best - 1,
        "lost": (end - best) / (start - best) if start > best * (1 + LEAST_GAIN) else math.nan,
        "worse": end > start,
        "refused": refused,
        "winner": start / best - 1 if refused else excess_at(ladder["winner"]),
        "own": excess_at(max(task.own_lr) if isinstance(task.own_lr, tuple) else task.own_lr),
        "untrained": start / best - 1,
        "steps": ladder["steps"],
        "sure": lr is not None and not weak,
        "named": lr is not None,
    }


def print_row(name: str, row: dict[str, list[float]]) -> None:
    def share(key: str) -> str:
        return f"{np.mean(row[key]):.0%}"

    def close(key: str) -> str:
        return f"{np.mean([excess <= CLOSE for excess in row[key]]):.0%}"

    excess, lost = row["excess"], [x for x in row["lost"] if not math.isnan(x)]
    print(
        f"| {name} | {len(excess)} | {np.mean(row['start']):.3f} | {np.mean(row['best']):.3f} "
        f"| {close('excess')} | {np.median(excess):.3f} | {max(excess):.3f} "
        f"| {f'{np.median(lost):.2f}' if lost else '–'} | {share('worse')} | {share('refused')} "
        f"| {close('winner')} | {close('own')} | {close('untrained')} "
        f"| {np.mean(row['steps']):,.0f} | {share('sure')} / {share('named')} |"
    )


if __name__ == "__main__":
    main()
