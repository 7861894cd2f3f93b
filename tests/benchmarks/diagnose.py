"""What `diagnose=True` and `metric=…` cost beside the same test without: a table on stdout.

In each round, each way runs once, from the same start and in an order drawn anew; a ratio is that
of two of the same round. The critical learning rate is searched on a given number of steps of a run
whatever its length, so what that adds is told in steps.

    python tests/benchmarks/diagnose.py --rounds 40
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrfinder_widget import range_test
from lrfinder_widget.training.baseline import Baseline
from lrfinder_widget.training.critical_lr import CriticalLR

# Nothing falls in the range of a few steps, and each curve would have its baseline taken.
Baseline.is_needed = lambda self, *_: False  # type: ignore[method-assign]
RANGE = {"start_lr": 1e-4, "end_lr": 1e-2, "stop": None}
WARM_UP_ROUNDS = 2
PLAIN, NORMS, ALL = "without", "norms and ratios", "critical learning rate, too"
ACCURACY, FUNCTION = 'metric="accuracy"', "metric=a function"


def main() -> None:
    from overhead import TASKS, interval, load, machine

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=0, help="by default those of overhead.py")
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--optimizer", default="SGD", help="of torch.optim; SGD has momentum")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    gc.freeze()
    print(machine())
    print("\n| model | measured | a step | ratio | adds, in steps | a search, in steps |")
    print("|---|---|---|---|---|---|")
    for name in chosen.models:
        task = TASKS[name]()
        steps = chosen.steps or task.steps
        times, searches = measure(task, steps, chosen.rounds, chosen.optimizer)
        step = times[PLAIN] / steps
        for way in list(times)[1:]:
            cells = [
                f"{np.median(step) * 1e3:.2f} ms",
                interval(times[way] / times[PLAIN], "{:.3f}"),
                interval((times[way] - times[PLAIN]) / step, "{:.2f}"),
                interval((times[way] - times[NORMS]) / step / searches, "{:.2f}")
                if way == ALL
                else "",
            ]
            print(f"| {name}, {steps} steps | {way} |", " | ".join(cells), "|", flush=True)
    print(f"\nMedians over rounds, with the 95 % interval of a bootstrap.\n{load()}")


def measure(
    task: Any, steps: int, rounds: int, optimizer: str
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Return the seconds of each way in each round, and how many searches a run has."""
    times: dict[str, list[float]] = {way: [] for way in (PLAIN, NORMS, ALL, FUNCTION)}
    if isinstance(task.criterion, torch.nn.CrossEntropyLoss):
        times[ACCURACY] = []
    ways = list(times)
    order, searches = random.Random(0), 0
    for done in range(-min(WARM_UP_ROUNDS, rounds), rounds):
        order.shuffle(ways)
        for way in ways:
            taken, found = in_a_thread(task, steps, way, optimizer)
            searches = max(searches, found)
            if done >= 0:
                times[way].append(taken)
    return {way: np.array(values) for way, values in times.items()}, max(1, searches)


def in_a_thread(*given: Any) -> tuple[float, int]:
    """Measure in a thread, as a finder trains.

    In the main thread, glibc gives large blocks back to the system or not, as they happen to lie.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(once, *given).result()


def once(task: Any, steps: int, way: str, optimizer: str) -> tuple[float, int]:
    """Return the processor time of a test, and how many critical learning rates it has found."""
    torch.get_num_threads()  # takes what was set
    model, momentum = task.begin()
    kind = getattr(torch.optim, optimizer)
    chosen = momentum if optimizer == "SGD" else kind(model.parameters())
    note = CriticalLR.note
    if way == NORMS:
        CriticalLR.note = lambda self, batch: None  # type: ignore[method-assign]
    try:
        gc.collect()
        begun = time.process_time()
        curve = range_test(
            *(model, chosen, task.batches, task.criterion),
            num_iter=steps,
            diagnose=way in (NORMS, ALL),
            metric={ACCURACY: "accuracy", FUNCTION: highest}.get(way),
            **RANGE,
        )
        taken = time.process_time() - begun
    finally:
        CriticalLR.note = note  # type: ignore[method-assign]
    if len(curve) != steps:
        raise AssertionError(f"took {len(curve)} steps of {steps}: it would be unfair")
    known = [] if curve.diagnosis is None else curve.diagnosis.critical_lr
    return taken, int(np.isfinite(known).sum())


def highest(output: Any, target: Any) -> Any:
    """Stand for a metric of the user's own, which may draw random numbers."""
    return output.max()


if __name__ == "__main__":
    main()
