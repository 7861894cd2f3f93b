"""How much is lost by following a suggestion: rules and fixed defaults on small tasks, as a table.

For each task the truth is found by training at each learning rate of a grid, constant and annealed
linearly to zero, for a short and a four times longer run, from three starts. Then LR range tests
from other starts are read by each rule. The regret of a learning rate is

    (loss reached with it - lowest loss reached) / (loss at the start - lowest loss reached),

at most 1. It is 1 as well for a refusal, unless the model was trained already.

    python tests/benchmarks/regret.py --seeds 30

Constants of the rules may be chosen on the tasks of the DEVELOPMENT half, never on the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peers import not_installed
from regret_peers import peers
from regret_tasks import DEFAULT_LR, DEVELOPMENT, JUDGING, TASKS, VERSION, Array, Task, train

from lrfinder_widget import compare, range_test
from lrfinder_widget.curve.rules import RULES

TRUTH_SEEDS = 3
HORIZONS = (250, 1000)
SCHEDULES = ("constant", "annealed")
NOTES = """\
- **regret**: on models from scratch, mean over tasks, runs (short, long; constant, annealed) and
  seeds of the LR range test; **median of seeds**: the median over seeds first, then the mean;
  **90 %**: 90th percentile.
- **diverged**: at the nearest learning rate of the grid, above the one that reaches the lowest
  loss, nothing of the descent is left (regret 0.95 or more).
- **spread**: standard deviation over seeds of log10 of the suggestion, in decades, mean over tasks.
- **bounds**: the learning rate with the least regret, of those that were tried and of the grid;
  nothing that a test or a trial shows can be better.
- **trained: refused, harm**: on models trained before; the harm is the mean regret where a
  learning rate was named, measured by the descent from fresh weights.
- The loss reached is the mean training loss over the last tenth of a run: what training lowers,
  on the same batches for all learning rates, and without BatchNorm's other mode.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=10, help="LR range tests of each task")
    parser.add_argument("--points", type=int, default=100, help="steps of an LR range test")
    parser.add_argument("--trial-steps", type=int, default=400, help="in all; 0: no trials")
    parser.add_argument("--peers", action="store_true", help="other packages too, if installed")
    parser.add_argument("--each", action="store_true", help="a line for each task too")
    parser.add_argument("--quick", action="store_true", help="two tasks and short runs: a check")
    parser.add_argument("--cache", type=Path, default=cache_folder() / "regret.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    names, horizons = chosen.tasks, HORIZONS
    if chosen.quick:
        names, horizons = ["linear-momentum-16", "trained-pendulum-sgd-32"], (10, 40)
        chosen.seeds = 2
    print(
        f"{chosen.seeds} LR range tests of {chosen.points} steps for each task; "
        f"Python {platform.python_version()}, torch {torch.__version__}, one thread."
    )
    for half, tasks in (("development", DEVELOPMENT), ("judging", JUDGING)):
        here = [name for name in names if name in tasks]
        if here:
            truths = {name: Truth(name, chosen.cache, horizons) for name in here}
            suggested = {name: suggestions(TASKS[name], truths[name], chosen) for name in here}
            print_table(half, truths, suggested)
            if chosen.each:
                print_each(truths, suggested)
    if chosen.peers:
        print(f"\n{not_installed()}", end="")
    print(f"\n{NOTES}", end="")


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lrfinder_widget"


# -- the truth ------------------------------------------------------------------------------------


def truth(task: Task, seed: int, horizons: Sequence[int]) -> dict[str, Any]:
    """The loss of fresh weights, and for each run those reached at each learning rate."""
    fresh = replace(task, trained_steps=0).begin(seed)
    reached: dict[str, list[float]] = {f"{way} {n}": [] for n in horizons for way in SCHEDULES}
    for lr in task.grid:
        constant = train(task.begin(seed), task.criterion, np.full(max(horizons), lr))
        for n in horizons:
            annealed = train(task.begin(seed), task.criterion, lr * (1 - np.arange(n) / n))
            for way, losses in zip(SCHEDULES, (constant[:n], annealed), strict=True):
                end = losses[-max(1, n // 10) :].mean()
                reached[f"{way} {n}"].append(float(min(end, 1e6)))
    return {"start": float(train(fresh, task.criterion, np.zeros(50)).mean()), "reached": reached}


def cached_truth(path: Path, name: str, seed: int, horizons: Sequence[int]) -> dict[str, Any]:
    key = f"{VERSION} {torch.__version__} {name} {seed} {' '.join(map(str, horizons))}"
    known = json.loads(path.read_text()) if path.exists() else {}
    if key not in known:
        print(f"training {name}, start {seed} ...", file=sys.stderr, flush=True)
        known[key] = truth(TASKS[name], seed, horizons)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(known))
        unfinished.replace(path)
    return known[key]


class Truth:
    """Regret by learning rate: an array of runs × grid, the mean over starts."""

    def __init__(self, name: str, path: Path, horizons: Sequence[int]) -> None:
        task = TASKS[name]
        found = [cached_truth(path, name, seed, horizons) for seed in range(TRUTH_SEEDS)]
        reached = np.array([list(one["reached"].values()) for one in found])
        start = np.array([one["start"] for one in found])[:, None, None]
        lowest = reached.mean(axis=0).min(axis=-1)[:, None]
        by_start = np.minimum((reached - lowest) / (start - lowest), 1.0)
        self.log10_lr: Array = np.log10(task.grid)
        self.regrets: Array = np.maximum(by_start.mean(axis=0), 0.0)

    def least(self, lrs: Sequence[float]) -> float | None:
        """The learning rate with the least regret over all runs; None of none."""
        return min(lrs, key=lambda lr: self.regret(lr).mean(), default=None)

    def regret(self, lr: float | None) -> Array:
        """By run, between two learning rates of the grid on a line over log10(lr)."""
        if lr is None:
            return np.ones(len(self.regrets))
        return np.array([np.interp(np.log10(lr), self.log10_lr, row) for row in self.regrets])

    def diverged(self, lr: float) -> NDArray[np.bool_]:
        nearest = int(np.abs(self.log10_lr - np.log10(lr)).argmin())
        too_high = nearest > self.regrets.argmin(axis=1)
        diverged: NDArray[np.bool_] = too_high & (self.regrets[:, nearest] >= 0.95)
        return diverged


# -- what is suggested ----------------------------------------------------------------------------

Suggestions = dict[str, list[float | None]]  # of each rule, by seed


def suggestions(task: Task, truth: Truth, chosen: argparse.Namespace) -> Suggestions:
    suggesters = [
        partial(ours, truth=truth, trial_steps=chosen.trial_steps),
        fixed,
        *([peers] * chosen.peers),
        partial(least_of_any, truth=truth),
    ]
    found: Suggestions = {}
    for seed in range(100, 100 + chosen.seeds):  # other starts than those of the truth
        for suggester in suggesters:
            for name, lr in suggester(task, seed, chosen.points).items():
                found.setdefault(name, []).append(lr)
    return found


def ours(
    task: Task, seed: int, points: int, truth: Truth, trial_steps: int
) -> dict[str, float | None]:
    model, optimizer, batches = task.begin(seed)
    curve = range_test(model, optimizer, batches, task.criterion, num_iter=points)
    suggestion = curve.suggestion
    found = {
        "ours, default": suggestion.lr,
        "ours, minimum rule": curve.suggest("minimum").lr,
        "ours, no weak ones": None if suggestion.weak else suggestion.lr,
        "ours, minimum/10": curve.suggest("minimum", divisor=10).lr,
        **{
            f"ours, {rule}": curve.suggest(rule).lr
            for rule in RULES
            if rule not in ("budget", "minimum")
        },
    }
    found["ours, 3 repeats"] = repeated(task, seed, points)
    if trial_steps:
        candidates = curve.trial_candidates()
        found["ours, then trials"] = tried(task, seed, candidates, trial_steps)
        found["*bound*: least of the tried"] = truth.least(candidates)
    return found


def repeated(task: Task, seed: int, points: int) -> float | None:
    test = range_test(*task.begin(seed), task.criterion, num_iter=points, repeats=3)
    return test.suggestion.lr


def tried(task: Task, seed: int, lrs: list[float], steps: int) -> float | None:
    """The winner of trial runs with its part of the steps for each, if it improves on the start.

    To take the losses of the start, without gradients, counts as a third of a trial.
    """
    if not lrs:
        return None
    each = 3 * steps // (3 * len(lrs) + 1)
    found = compare(*task.begin(seed), task.criterion, lrs=lrs, steps=each)
    return found.winner if found.improves else None


def fixed(task: Task, seed: int, points: int) -> dict[str, float | None]:
    return {"fixed default": DEFAULT_LR[task.optimizer]}


def least_of_any(task: Task, seed: int, points: int, truth: Truth) -> dict[str, float | None]:
    return {"*bound*: least of any": truth.least(10**truth.log10_lr)}


# -- the table ------------------------------------------------------------------------------------


def print_table(half: str, truths: dict[str, Truth], suggested: dict[str, Suggestions]) -> None:
    print(f"\n| {half} | " + " | ".join(HEAD) + " |")
    print("|---" * (len(HEAD) + 1) + "|")
    scratch = [name for name in truths if not TASKS[name].trained_steps]
    trained = [name for name in truths if TASKS[name].trained_steps]
    for rule in next(iter(suggested.values())):
        lrs = {name: suggested[name][rule] for name in truths}
        regret = [np.array([truths[n].regret(lr) for lr in lrs[n]]) for n in scratch]
        diverged = [truths[n].diverged(lr) for n in truths for lr in lrs[n] if lr is not None]
        spread = [np.std(np.log10(given)) for n in scratch if len(given := found(lrs[n])) > 1]
        harm = [truths[n].regret(lr) for n in trained for lr in found(lrs[n])]
        cells = [
            number(np.concatenate(regret or [[]], axis=None), np.mean),
            number([np.median(r, axis=0).mean() for r in regret], np.mean),
            number(np.concatenate(regret or [[]], axis=None), partial(np.percentile, q=90)),
            number(np.concatenate(diverged or [[]], axis=None), np.mean, "{:.1%}"),
            number([lr is None for n in scratch for lr in lrs[n]], np.mean, "{:.1%}"),
            number(spread, np.mean, "{:.2f}"),
            number([lr is None for n in trained for lr in lrs[n]], np.mean, "{:.0%}"),
            number(harm, np.mean),
        ]
        print("|", " | ".join([rule, *cells]), "|", flush=True)


HEAD = (
    *("regret", "median of seeds", "90 %", "diverged", "refused", "spread"),
    *("trained: refused", "trained: harm"),
)


def found(lrs: list[float | None]) -> list[float]:
    return [lr for lr in lrs if lr is not None]


def number(values: Any, summary: Callable[[Any], Any], style: str = "{:.3f}") -> str:
    return style.format(summary(values)) if len(values) else "–"


def print_each(truths: dict[str, Truth], suggested: dict[str, Suggestions]) -> None:
    """By task: the median suggestion of each rule, its regret, and the least-regret grid point."""
    for name, truth in truths.items():
        print(
            f"\n{name}: least regret at {10 ** truth.log10_lr[truth.regrets.mean(0).argmin()]:.1e}"
        )
        for rule, lrs in suggested[name].items():
            middle = number(found(lrs), np.median, "{:.1e}")
            regret = np.mean([truth.regret(lr) for lr in lrs])
            print(f"  {rule}: {middle}, regret {regret:.3f}, refused {lrs.count(None)}")


if __name__ == "__main__":
    main()
