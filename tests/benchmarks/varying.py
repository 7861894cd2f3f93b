"""What `vary` costs beside a single test for each value: a table on stdout.

In each round, both run once, in an order drawn anew, from the same start; the ratio is that of
their times in the same round, so a machine that is slow for a while is slow for both. Beside it is
the ratio of the process's processor times, which other work on the machine hardly changes.

    python tests/benchmarks/varying.py --rounds 20
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from overhead import TASKS, Task, load, machine

from lrfinder_widget import LRFinder, range_test, vary

Times: TypeAlias = tuple[float, float]
Way: TypeAlias = Callable[[], Times]

DECAYS = [0.0, 1e-4, 1e-2]
RANGE = {"start_lr": 1e-7, "end_lr": 1e-3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--models", nargs="+", choices=TASKS, default=["mlp", "lenet"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    gc.freeze()
    print(machine())
    print(f"\nThree tests of {chosen.steps} steps, {chosen.rounds} rounds.\n")
    print("| model | | in seconds | time, ratio | processor time, ratio |")
    print("|---|---|---|---|---|")
    for name in chosen.models:
        task = TASKS[name]()
        ways: dict[str, Way] = {
            "`range_test`, three times": lambda task=task: single(task, chosen.steps),
            "`vary`": lambda task=task: varied(task, chosen.steps),
            "`finder.start`, three times": lambda task=task: finders(task, chosen.steps),
            "`finder.vary`": lambda task=task: finder_varied(task, chosen.steps),
        }
        times = measure(ways, chosen.rounds)
        for before, way in (list(ways)[:2], list(ways)[2:]):
            ratios = (times[way] / times[before]).T
            seconds = np.median(times[way][:, 0])
            cells = [name, f"{way} ÷ {before}", f"{seconds:.3f}", *map(ratio, ratios)]
            print("|", " | ".join(cells), "|", flush=True)
    print(f"\n{load()}")


def measure(ways: dict[str, Way], rounds: int) -> dict[str, Any]:
    """Return the times of each way: by the clock and of the processor, of shape (rounds, 2)."""
    times: dict[str, list[Times]] = {name: [] for name in ways}
    for i in range(rounds + 2):
        for name in random.sample(list(ways), len(ways)):
            gc.collect()
            took = ways[name]()
            if i >= 2:  # the first ones warm up
                times[name].append(took)
    return {name: np.array(each) for name, each in times.items()}


def ratio(found: Any) -> str:
    """The median over rounds, with the 95 % interval of a bootstrap over them."""
    draws = np.random.default_rng(0).choice(found, (2000, len(found)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return f"{np.median(found):.3f} ({low:.3f} to {high:.3f})"


def now() -> Times:
    return time.perf_counter(), time.process_time()


def since(began: Times) -> Times:
    wall, processor = now()
    return wall - began[0], processor - began[1]


def single(task: Task, steps: int) -> Times:
    model, optimizer = task.begin()
    began = now()
    for decay in DECAYS:
        before = [group["weight_decay"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["weight_decay"] = decay
        range_test(model, optimizer, task.batches, task.criterion, num_iter=steps, **RANGE)
        for group, value in zip(optimizer.param_groups, before, strict=True):
            group["weight_decay"] = value
    return since(began)


def varied(task: Task, steps: int) -> Times:
    model, optimizer = task.begin()
    given = (model, optimizer, task.batches, task.criterion)
    began = now()
    vary(*given, weight_decay=DECAYS, num_iter=steps, **RANGE)
    return since(began)


def finder_of(task: Task, steps: int) -> LRFinder:
    model, optimizer = task.begin()
    given = (model, optimizer, task.batches, task.criterion)
    return LRFinder(*given, num_iter=steps, namespace={}, **RANGE)


def finders(task: Task, steps: int) -> Times:
    finder = finder_of(task, steps)
    began = now()
    for _ in DECAYS:
        finder.start().wait()
    took = since(began)
    finder.close()
    return took


def finder_varied(task: Task, steps: int) -> Times:
    finder = finder_of(task, steps)
    began = now()
    finder.vary(weight_decay=DECAYS).wait()
    took = since(began)
    finder.close()
    return took


if __name__ == "__main__":
    main()
