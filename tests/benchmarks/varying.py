"""What `vary` costs beside a single test for each value: a table on stdout.

In each round, both run once, in an order drawn anew, from the same start; the ratio is that of
their times in the same round, so a machine that is slow for a while is slow for both.

    python tests/benchmarks/varying.py --rounds 20
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from overhead import TASKS, Task, load, machine

from lrfinder_widget import LRFinder, range_test, vary

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
    print("| model | three `range_test` | `vary` ÷ that | `finder.vary` ÷ three finder runs |")
    print("|---|---|---|---|")
    for name in chosen.models:
        task = TASKS[name]()
        ways: dict[str, Callable[[], float]] = {
            "single": lambda task=task: single(task, chosen.steps),
            "vary": lambda task=task: varied(task, chosen.steps),
            "finders": lambda task=task: finders(task, chosen.steps),
            "finder.vary": lambda task=task: finder_varied(task, chosen.steps),
        }
        times = measure(ways, chosen.rounds)
        ratios = [times["vary"] / times["single"], times["finder.vary"] / times["finders"]]
        cells = [f"{np.median(times['single']):.3f} s", *map(ratio, ratios)]
        print("|", " | ".join([name, *cells]), "|", flush=True)
    print(f"\n{load()}")


def measure(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {name: [] for name in ways}
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


def single(task: Task, steps: int) -> float:
    model, optimizer = task.begin()
    began = time.perf_counter()
    for decay in DECAYS:
        before = [group["weight_decay"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["weight_decay"] = decay
        range_test(model, optimizer, task.batches, task.criterion, num_iter=steps, **RANGE)
        for group, value in zip(optimizer.param_groups, before, strict=True):
            group["weight_decay"] = value
    return time.perf_counter() - began


def varied(task: Task, steps: int) -> float:
    model, optimizer = task.begin()
    given = (model, optimizer, task.batches, task.criterion)
    began = time.perf_counter()
    vary(*given, weight_decay=DECAYS, num_iter=steps, **RANGE)
    return time.perf_counter() - began


def finder_of(task: Task, steps: int) -> LRFinder:
    model, optimizer = task.begin()
    given = (model, optimizer, task.batches, task.criterion)
    return LRFinder(*given, num_iter=steps, namespace={}, **RANGE)


def finders(task: Task, steps: int) -> float:
    finder = finder_of(task, steps)
    began = time.perf_counter()
    for _ in DECAYS:
        finder.start().wait()
    took = time.perf_counter() - began
    finder.close()
    return took


def finder_varied(task: Task, steps: int) -> float:
    finder = finder_of(task, steps)
    began = time.perf_counter()
    finder.vary(weight_decay=DECAYS).wait()
    took = time.perf_counter() - began
    finder.close()
    return took


if __name__ == "__main__":
    main()
