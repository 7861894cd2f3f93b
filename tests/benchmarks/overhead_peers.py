"""What an LR range test costs beside the bare loop, here and elsewhere: a table on stdout.

As `overhead.py`, which says more about this package's own cost. In each round, every way of taking
the steps runs once, in an order drawn anew: from the same start, on the same batches, out of the
same `DataLoader`. A package that takes another number of steps is measured by the steps it took.
The clock is the processor time of all threads, which other programs disturb little, and in which
waiting for the disk costs nothing; `--wall` takes the one on the wall.

    python tests/benchmarks/overhead_peers.py --rounds 12

With `--browser` it is done in a notebook that is open in Chromium, where the widget can be seen
and is sent all its points; without, nobody looks and no message leaves the process.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import overhead
import torch
from numpy.typing import NDArray
from overhead import (
    PAIRS,
    TASKS,
    Run,
    Task,
    Way,
    bare,
    interval,
    load,
    machine,
    seconds,
)
from peers import Training, installed, not_installed, silence
from torch.utils.data import DataLoader

SIZES = ["mlp:100", "mlp:1000", "lenet:100", "resnet:10"]
WARM_UP_ROUNDS = 1
NOTES = """\
- **ratio**, **added**: a step's share of the whole test, from start to end as the caller sees it,
  with snapshot and restore, over that of the bare loop, and less that. A test of ten steps bears
  ten times as much of the snapshot as one of a hundred.
- The objects of each package are made before the clock runs. No progress bar, no logger, no plot
  and no suggestion where that can be chosen.
- {clock} Medians over rounds, with the 95 % interval of a bootstrap over rounds.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="of model and steps: mlp:100 …")
    parser.add_argument("--wall", action="store_true", help="the time on the wall instead")
    parser.add_argument("--browser", action="store_true", help="in a notebook, the widget in sight")
    chosen = parser.parse_args()
    if chosen.browser:
        in_browser([argument for argument in sys.argv[1:] if argument != "--browser"])
        return
    overhead.clock = time.perf_counter if chosen.wall else time.process_time
    torch.set_num_threads(1)
    print(machine())
    print("\n| model | way | steps taken | bare step | ratio | added a step |")
    print("|---|---|---|---|---|---|")
    # Some write checkpoints to the working folder.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for size in chosen.sizes:
            model, _, steps = size.partition(":")
            for cells in rows(TASKS[model](), int(steps), chosen.rounds):
                print("|", " | ".join([f"{model}, {steps} steps", *cells]), "|", flush=True)
    clock = "Time on the wall." if chosen.wall else "Processor time of all threads."
    print(f"\n{NOTES.format(clock=clock)}{not_installed()}{load()}")


def rows(task: Task, steps: int, rounds: int) -> list[list[str]]:
    task = replace(task, batches=DataLoader(task.batches, batch_size=None))
    ways = {f"ours, {way.__name__}": (way, plain) for way, plain in PAIRS.items()}
    taken = dict.fromkeys(ways, steps)
    for name, prepare in installed().items():
        ways[name] = peer(prepare), bare
        taken[name] = steps_of(prepare, task, steps)
    times = measure([way for pair in ways.values() for way in pair], task, steps, rounds)

    def row(name: str) -> list[str]:
        way, plain = ways[name]
        ours, bares = times[way] / taken[name], times[plain] / steps
        return [
            name,
            str(taken[name]),
            f"{np.median(bares) * 1e6:,.0f} µs",
            interval(ours / bares, "{:.3f}"),
            interval((ours - bares) * 1e6, "{:,.1f}", " µs"),
        ]

    return [row(name) for name in ways]


Prepare = Callable[[Training, int], Callable[[], object]]


def peer(prepare: Prepare) -> Way:
    def way(task: Task, steps: int, stamps: object) -> Run:
        run = prepare(training(task), steps)

        def run_silently() -> float:
            with silence():
                return seconds(run)

        return run_silently

    return way


def training(task: Task) -> Training:
    model, optimizer = task.begin()
    return Training(model, optimizer, task.criterion, task.batches)


def steps_of(prepare: Prepare, task: Task, steps: int) -> int:
    """Count the steps that a package takes when it is told to take so many."""
    told, taken = training(task), []
    told.optimizer.register_step_post_hook(lambda *_: taken.append(1))
    with silence():
        prepare(told, steps)()
    return len(taken)


def measure(ways: list[Way], task: Task, steps: int, rounds: int) -> dict[Way, NDArray[np.float64]]:
    ways = list(dict.fromkeys(ways))
    times: dict[Way, list[float]] = {way: [] for way in ways}
    order = random.Random(0)
    for done in range(-min(WARM_UP_ROUNDS, rounds), rounds):
        order.shuffle(ways)
        for way in ways:
            with silence():
                run = way(task, steps, None)
            gc.collect()
            now = run()
            if done >= 0:
                times[way].append(now)
    return {way: np.array(values) for way, values in times.items()}


def in_browser(arguments: list[str]) -> None:
    """Do the same in a cell of a notebook that is open in Chromium."""
    from interaction import opened

    with tempfile.TemporaryDirectory() as folder, opened() as host:
        written = Path(folder) / "table.md"
        cell = (
            f"import contextlib, sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import overhead, overhead_peers\noverhead.IN_PAGE = True\n"
            f"sys.argv = {[__file__, *arguments]!r}\n"
            f"with open({str(written)!r}, 'w') as file, contextlib.redirect_stdout(file):\n"
            "    overhead_peers.main()"
        )
        # The page asks the kernel for what widgets there are before it shows the first.
        host.open(["import ipywidgets\nipywidgets.Label('ready')", cell])
        host.run_cell(0)
        host.page.get_by_text("ready", exact=True).wait_for()
        host.run_cell(1, wait=False)
        host.page.locator(".lrf-finder .lrf-handle").wait_for(timeout=600_000)  # it is in sight
        host.wait_until_run(timeout_ms=3_600_000)
        if not written.exists() or "Load" not in written.read_text()[-40:]:
            sys.exit(host.output_text(1))
        print(written.read_text())


if __name__ == "__main__":
    main()
