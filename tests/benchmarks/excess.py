"""How much worse training ends with a suggested learning rate than with the best of a grid.

For each task the held-out loss at the end of training is known for each learning rate of a grid
(`excess_truth.py`), for several lengths, at a constant rate and with a decay. LR range tests from
other starts are then read by each rule. The excess of a learning rate is

    (held-out loss with it - held-out loss with the best of the grid) / the latter,

at most 1; a refusal counts as 1.

    python tests/benchmarks/excess.py --seeds 20

Constants of the rules may be chosen on the tasks of the DEVELOPMENT half, never on the other.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from excess_tasks import DEVELOPMENT, JUDGED, JUDGING, TASKS, Array, Task
from excess_trials import after_trials
from excess_truth import held_out, known, missing
from peers import not_installed
from regret_peers import peers
from regret_tasks import DEFAULT_LR

from lrfinder_widget import LossCurve, range_test, training_step
from lrfinder_widget.curve.rules import RULES

CLOSE = 0.15
NOTES = """\
- **excess**: mean over tasks, runs (length and schedule) and seeds of the LR range test, capped at
  1; **median**, **90 %**: of the same numbers; **worst task**: the largest mean of a task.
- By run (`--each`): in brackets, the share of tests with an excess of at most 0.15.
- **accuracy**: percentage points below the best of the grid, where the targets are classes.
- **former**: the measure used before, (loss - best) / (loss of fresh weights - best).
- **spread**: standard deviation over seeds of log10 of the suggestion, mean over tasks and runs.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=20, help="LR range tests of each task")
    parser.add_argument("--points", type=int, default=100, help="steps of an LR range test")
    parser.add_argument("--trials", type=int, default=0, help="for so many seeds, trials as well")
    parser.add_argument("--peers", action="store_true", help="other packages too, if installed")
    parser.add_argument("--each", action="store_true", help="a line for each task and run too")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{chosen.seeds} LR range tests of {chosen.points} steps for each task; "
        f"Python {platform.python_version()}, torch {torch.__version__}, one thread."
    )
    kinds = {"development": DEVELOPMENT, "judged": JUDGED, "judging": JUDGING}
    for half, tasks in kinds.items():
        names = [n for n in chosen.tasks if n in tasks and not missing(tasks[n], known(n))]
        if names:
            truths = {name: Truth(name) for name in names}
            suggested = {name: suggestions(TASKS[name], chosen) for name in names}
            print_table(half, truths, suggested)
            if chosen.each:
                print_each(truths, suggested)
    if chosen.peers:
        print(f"\n{not_installed()}", end="")
    print(f"\n{NOTES}", end="")


class Truth:
    """What a learning rate leads to, by run of the task: between two of the grid, on a line."""

    def __init__(self, name: str) -> None:
        self.task, truth = TASKS[name], known(name)
        exponents = sorted({float(key.split()[0]) for key in truth["reached"]})
        self.log10_lr = np.array(exponents)
        self.losses = held_out(self.task, truth, exponents)
        self.right = held_out(self.task, truth, exponents, what=1)
        self.start = float(np.mean([look[0] for look in truth["start"].values()]))

    def _at(self, lr: float, rows: Array) -> Array:
        return np.array([np.interp(np.log10(lr), self.log10_lr, row) for row in rows])

    def loss(self, lr: float) -> Array:
        """By run: the held-out loss, on a line between the logarithms of two losses."""
        return np.exp(self._at(lr, np.log(self.losses)))

    def excess(self, lrs: Sequence[float | None]) -> Array:
        """By run, of one learning rate for each."""
        best = self.losses.min(axis=1)
        found = [1.0 if lr is None else self.loss(lr)[i] / best[i] - 1 for i, lr in enumerate(lrs)]
        return np.clip(found, 0.0, 1.0)

    def former(self, lrs: Sequence[float | None]) -> Array:
        best = self.losses.min(axis=1)
        descent = self.start - best
        found = [
            1.0 if lr is None else (self.loss(lr)[i] - best[i]) / descent[i]
            for i, lr in enumerate(lrs)
        ]
        return np.clip(found, 0.0, 1.0)

    def wrong(self, lrs: Sequence[float | None]) -> Array:
        """By run: by how many percentage points fewer held-out targets are right."""
        best = self.right.max(axis=1)
        return np.array(
            [
                100 * (best[i] - (0.0 if lr is None else self._at(lr, self.right)[i]))
                for i, lr in enumerate(lrs)
            ]
        )


Suggestions = dict[str, list[list[float | None]]]  # of each rule: by seed, by run


def suggestions(task: Task, chosen: Any) -> Suggestions:
    found: Suggestions = {}
    for seed in range(100, 100 + chosen.seeds):  # other starts than those of the truth
        curve = swept(task, seed, chosen.points)
        asked = ours(curve, task)
        asked["usual default"] = [DEFAULT_LR[task.optimizer]] * len(task.runs)
        if seed < 100 + chosen.trials:
            asked["ours, then trials"] = after_trials(task, seed, curve)
        if chosen.peers:
            others = peers(task, seed, chosen.points)
            asked |= {name: [lr] * len(task.runs) for name, lr in others.items()}
        for name, lrs in asked.items():
            found.setdefault(name, []).append(lrs)
    return found


def swept(task: Task, seed: int, points: int) -> LossCurve:
    model, optimizer, batches = task.begin(seed)
    step = training_step(model, optimizer, task.criterion, autocast=task.autocast)
    return range_test(model, optimizer, batches, step=step, num_iter=points)


def ours(curve: LossCurve, task: Task) -> dict[str, list[float | None]]:
    def always(lr: float | None) -> list[float | None]:
        return [lr] * len(task.runs)

    planned = [
        curve.suggest(train_steps=n, schedule="constant" if way == "constant" else "decay").lr
        for way, n in task.runs
    ]
    rules = {f"ours, {rule}": always(curve.suggest(rule).lr) for rule in RULES if rule != "budget"}
    return {
        "ours, length given": planned,
        "ours, no length": always(curve.suggest().lr),
        **rules,
        "ours, minimum/10": always(curve.suggest(divisor=10).lr),
    }


def print_table(half: str, truths: dict[str, Truth], suggested: dict[str, Suggestions]) -> None:
    print(f"\n| {half}, {len(truths)} tasks | " + " | ".join(HEAD) + " |")
    print("|---" * (len(HEAD) + 1) + "|")
    for rule in next(iter(suggested.values())):
        by_task = {
            n: np.array([t.excess(lrs) for lrs in suggested[n][rule]]) for n, t in truths.items()
        }
        every = np.concatenate([e.ravel() for e in by_task.values()])
        former = np.concatenate(
            [np.ravel([t.former(lrs) for lrs in suggested[n][rule]]) for n, t in truths.items()]
        )
        wrong = [
            np.mean([t.wrong(lrs) for lrs in suggested[n][rule]])
            for n, t in truths.items()
            if np.isfinite(t.right).all()
        ]
        means = {name: float(e.mean()) for name, e in by_task.items()}
        worst = max(means, key=lambda name: means[name])
        refused = np.mean([lr is None for s in suggested.values() for lrs in s[rule] for lr in lrs])
        cells = [
            f"{np.mean(list(means.values())):.3f}",
            f"{np.median(every):.3f}",
            f"{np.percentile(every, 90):.3f}",
            f"{means[worst]:.2f} ({worst})",
            f"{np.mean(wrong):.1f}" if wrong else "–",
            f"{former.mean():.3f}",
            f"{refused:.0%}",
            f"{spread(s[rule] for s in suggested.values()):.2f}",
        ]
        print("|", " | ".join([rule, *cells]), "|", flush=True)


HEAD = ("excess", "median", "90 %", "worst task", "accuracy", "former", "refused", "spread")


def spread(given: Any) -> float:
    deviations = []
    for by_seed in given:
        for lrs in zip(*by_seed, strict=True):
            logs = [np.log10(lr) for lr in lrs if lr is not None]
            deviations += [np.std(logs)] if len(logs) > 1 else []
    return float(np.mean(deviations)) if deviations else 0.0


def print_each(truths: dict[str, Truth], suggested: dict[str, Suggestions]) -> None:
    for name, truth in truths.items():
        rules = list(suggested[name])
        print(f"\n| {name} | best | " + " | ".join(rules) + " |")
        print("|---" * (len(rules) + 2) + "|")
        excess = {r: np.array([truth.excess(lrs) for lrs in suggested[name][r]]) for r in rules}
        for i, (schedule, steps) in enumerate(truth.task.runs):
            best = 10 ** truth.log10_lr[truth.losses[i].argmin()]
            each = [excess[r][:, i] for r in rules]
            cells = [f"{e.mean():.2f} ({np.mean(e <= CLOSE):.0%})" for e in each]
            print("|", " | ".join([f"{steps}, {schedule}", f"{best:.1e}", *cells]), "|")


if __name__ == "__main__":
    main()
