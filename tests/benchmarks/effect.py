"""What it costs to see whether the learning rate has an effect: a table on stdout.

A test of two steps, with and without looking, in an order drawn anew in each round. It is processor
time of the thread, and does not depend on the number of steps.

    python tests/benchmarks/effect.py --rounds 40
"""

from __future__ import annotations

import argparse
import gc
import random
import time

import numpy as np
import torch

from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.training.sweep_run import SweepRun
from lrfinder_widget.training.task import TrainingTask


def main() -> None:
    from overhead import TASKS, interval, load, machine

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    gc.freeze()
    print(machine())
    print("\n| model | a step | looking adds | in steps |\n|---|---|---|---|")
    for name in chosen.models:
        task = TASKS[name]()
        times = np.array([measure(task) for _ in range(chosen.rounds + 2)][2:])
        step, added = times[:, 2] - times[:, 1], times[:, 0] - times[:, 1]
        cells = (interval(step * 1e3, "{:.2f}", " ms"), interval(added * 1e3, "{:.2f}", " ms"))
        print(f"| {name} | {' | '.join(cells)} | {np.median(added) / np.median(step):.1f} |")
    print(f"\nMedians over rounds, with the 95 % interval of a bootstrap.\n{load()}")


def measure(task: object) -> list[float]:
    """Return the seconds of two steps with looking, of two without, and of three without."""
    ways = [(2, True), (2, False), (3, False)]
    taken = {way: once(task, *way) for way in random.sample(ways, len(ways))}
    return [taken[way] for way in ways]


def once(task: object, steps: int, looking: bool) -> float:
    model, optimizer = task.begin()  # type: ignore[attr-defined]
    plan = SweepPlan(1e-7, 1e-3, steps)
    trained = TrainingTask(model, optimizer, task.batches, task.criterion)  # type: ignore[attr-defined]
    run = SweepRun(trained, plan.lrs, stop=None, check_effect=looking)
    gc.collect()
    begun = time.thread_time()
    done = sum(1 for _ in run.items())
    taken = time.thread_time() - begun
    if done != steps:
        raise AssertionError(f"took {done} steps of {steps}: the comparison would be unfair")
    return taken


if __name__ == "__main__":
    main()
