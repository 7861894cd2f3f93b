"""What a busy cell does to a background run, and the run to the cell: a table on stdout.

The cell counts in pure Python in the main thread and never gives the interpreter lock away by
itself. In each round, in an order drawn anew: the bare loop in a thread beside an idle main thread,
the same beside the busy cell, the finder beside the busy cell, and the cell alone.

    python tests/benchmarks/busy.py --rounds 10
"""

from __future__ import annotations

import argparse
import gc
import random
import threading
import time
from collections.abc import Callable

import numpy as np
import torch
from overhead import RANGE, TASKS, Task, bare, check, interval, load, machine

from lrfinder_widget import LRFinder

STEPS = {"mlp": 200, "lenet": 20, "resnet": 5}
PLAIN_STEPS = {"mlp": 5, "lenet": 5, "resnet": 3}  # of the bare loop, which is hardly let in
WAYS = ("idle", "plain", "finder", "alone")
ALONE_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # or the cell would have to share its core with the model's threads
    print(machine())
    print("\n| model | bare step | bare loop, busy cell | finder, busy cell | cell's speed |")
    print("|---|---|---|---|---|")
    for name in chosen.models:
        print("|", " | ".join([name, *cells(TASKS[name](), name, chosen.rounds)]), "|", flush=True)
    print(
        "\n- **bare step**: beside an idle main thread. The next two: a step's time over that.\n"
        "- **cell's speed**: beside the finder, over its speed alone.\n"
        "- Medians over rounds, with the 95 % interval of a bootstrap over rounds.\n" + load()
    )


def cells(task: Task, name: str, rounds: int) -> list[str]:
    measured: dict[str, list[float]] = {way: [] for way in (*WAYS, "cell")}
    order = list(WAYS)
    for done in range(-1, rounds):
        random.Random(done).shuffle(order)
        now = {}
        for way in order:
            gc.collect()
            if way == "alone":
                end = time.perf_counter() + ALONE_S
                now[way] = count(lambda end=end: time.perf_counter() < end)
            elif way == "finder":
                now[way], now["cell"] = beside_the_finder(task, STEPS[name])
            else:
                steps = STEPS[name] if way == "idle" else PLAIN_STEPS[name]
                now[way] = beside_the_bare_loop(task, steps, busy=way == "plain")
        for key, value in now.items():
            if done >= 0:
                measured[key].append(value)
    of = {key: np.array(values) for key, values in measured.items()}
    return [
        f"{np.median(of['idle']) * 1e6:,.0f} µs",
        interval(of["plain"] / of["idle"], "{:,.1f}"),
        interval(of["finder"] / of["idle"], "{:,.1f}"),
        interval(of["cell"] / of["alone"], "{:.2f}"),
    ]


def beside_the_bare_loop(task: Task, steps: int, *, busy: bool) -> float:
    """Return the seconds of a step."""
    run = bare(task, steps, None)
    taken: list[float] = []
    thread = threading.Thread(target=lambda: taken.append(run()))
    thread.start()
    if busy:
        count(lambda: not taken)
    thread.join()
    return taken[0] / steps


def beside_the_finder(task: Task, steps: int) -> tuple[float, float]:
    """Return the seconds of a step, and the speed of the cell."""
    model, optimizer = task.begin()
    finder = LRFinder(model, optimizer, task.batches, task.criterion, num_iter=steps, **RANGE)
    begun = time.perf_counter()
    finder.start()
    speed = count(lambda: not finder.state.ended)
    taken = time.perf_counter() - begun
    check(len(finder.wait().curve), steps)
    finder.close()
    return taken / steps, speed


def count(go_on: Callable[[], bool]) -> float:
    """Count as long as it may go on; return how much a second."""
    begun, counted = time.perf_counter(), 0
    while go_on():
        for _ in range(1000):
            counted += 1
    return counted / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
