"""What an accelerator changes: tables on stdout, in parts that can be chosen.

- **snapshot**: and restore of a large state, with the copies on the device and on the host.
- **first**: the first step of a run in a new thread, which has no plans of cuDNN's yet, beside
  that of the main thread.
- **idle**: for how long the device has nothing to do in a step, and the processor waits for it.
- **kinds**: a whole test beside the bare loop, with batches from the host, with AdamW, in bfloat16
  and with 100 million parameters.
- **overhead**: as in `overhead.py`, with batches of two sizes. Where the device is busy for a small
  part of the bare loop's time, launching costs more than computing.
- **busy**: as in `busy.py`.
- **events**: processor time of a run whose events let the processor sleep, beside one that spins.

    python tests/benchmarks/gpu.py --parts idle kinds
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import overhead
import snapshot
import torch
from busy import cells as beside_a_busy_cell
from gpu_tasks import KINDS, TIMES_AS_LARGE, large, on_device
from gpu_trace import Trace
from overhead import TASKS, Task, interval, load, machine
from torch import nn

import lrfinder_widget.restore.tensors as tensors
from lrfinder_widget import LRFinder, RangeTest, range_test, sweep

STEPS = {"mlp": 300, "lenet": 100, "resnet": 30, "transformer": 10}
TRACED = 30  # steps, or fewer
MEASURED = ("added a step", "between steps", "per sweep")
NOTES = """\
- The processor has one thread of torch's, as it only launches. That slows copies on the host too.
- **between steps** is processor time, and waiting for a device is busy: it says something only
  where the device is busy for a small part of the time.
- **idle**: gaps of more than 5 µs between the device's first and last work, by torch's profiler,
  which itself slows the processor down.
- **waits**: time of the processor in calls that synchronize or copy.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--megabytes", nargs="+", type=float, default=[300, 3000])
    parser.add_argument("--no-large", action="store_true", help="leave 100 million parameters out")
    parser.add_argument("--device", help="by default, the accelerator that there is")
    chosen = parser.parse_args()
    if chosen.device is None and not torch.accelerator.is_available():
        sys.exit("there is no accelerator here (--device cpu takes the processor instead)")
    torch.set_num_threads(1)
    chosen.device = torch.device(chosen.device or torch.accelerator.current_accelerator())
    print(f"{machine()} Device: {name_of(chosen.device)}.\n")
    for part in chosen.parts:
        print(f"## {part}\n")
        PARTS[part](chosen)
        print()
    print(f"{NOTES}\n{load()}")


def print_header(*cells: str) -> None:
    print("|", " | ".join(cells), "|\n" + "|---" * len(cells) + "|")


def print_row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def tasks(chosen: Any) -> Iterator[tuple[str, str, Task]]:
    for name in chosen.models:
        for times in TIMES_AS_LARGE:
            task = on_device(TASKS[name](), times, chosen.device)
            yield name, str(len(task.batches[0][0])), task


# -- the ways to take the steps -------------------------------------------------------------------


def bare_loop(task: Task, steps: int) -> None:
    overhead.bare(task, steps, None)()


def blocking(task: Task, steps: int) -> None:
    overhead.blocking(task, steps, None)()


def finder(task: Task, steps: int) -> None:
    overhead.widget(task, steps, None)()


WAYS: dict[str, Callable[[Task, int], None]] = {
    "bare loop": bare_loop,
    range_test.__name__: blocking,
    LRFinder.__name__: finder,
}


# -- the parts ------------------------------------------------------------------------------------


def print_snapshot(chosen: Any) -> None:
    print_header("state", "copies", "snapshot and restore", "over two copies there", "extra memory")
    for megabytes in chosen.megabytes:
        for where in ("beside", "on the host"):
            for mixed in (False, True):
                with torch.device(chosen.device):
                    model, optimizer = snapshot.trained(megabytes * 1e6)
                if mixed:  # a counter for each weight, as BatchNorm has
                    for i, _ in enumerate(list(model.parameters())):
                        count = torch.zeros((), dtype=torch.int64, device=chosen.device)
                        model.register_buffer(f"count{i}", count)
                what = f"{megabytes:g} MB{', two types' if mixed else ''}"
                with copies_at(where):
                    cells = snapshot_cells(model, optimizer, chosen)
                print_row(what, where, *cells)


@contextmanager
def copies_at(where: str) -> Iterator[None]:
    """Have the copies made on the host, though the device has room."""
    usual = tensors.place_for
    if where == "on the host":
        tensors.place_for = lambda *_: torch.device("cpu")
    try:
        yield
    finally:
        tensors.place_for = usual


def snapshot_cells(model: nn.Module, optimizer: Any, chosen: Any) -> list[str]:
    state = snapshot.tensors_of(model, optimizer)

    def plain() -> None:
        for tensor, copy in [(tensor, tensor.clone()) for tensor in state]:
            tensor.copy_(copy)

    ways = [partial(snapshot.preserve, model, optimizer), plain]
    times: list[list[float]] = [[], []]
    for _ in range(chosen.rounds + 1):
        for i in random.sample(range(2), 2):
            gc.collect()
            synchronize(chosen.device)
            times[i].append(overhead.seconds(ways[i]))
    ours, theirs = (np.array(one[1:]) for one in times)
    return [
        interval(ours * 1e3, "{:.2f}", " ms"),
        interval(ours / theirs, "{:.2f}"),
        extra_memory(ways[0], chosen.device, sum(tensor.nbytes for tensor in state)),
    ]


def extra_memory(act: Callable[[], object], device: torch.device, size: int) -> str:
    if device.type != "cuda":
        return "–"
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    act()
    return f"{(torch.cuda.max_memory_allocated(device) - before) / size:.2f} times the state"


def print_first_steps(chosen: Any) -> None:
    print_header("model", "cudnn.benchmark", "first of all", "main thread", "new threads", "second")
    usual = torch.backends.cudnn.benchmark
    for name in chosen.models:
        for on in (False, True):
            torch.backends.cudnn.benchmark = on
            task = on_device(TASKS[name](), 1, chosen.device)
            (first, _), *main = (step_times(task, list) for _ in range(chosen.rounds + 1))
            other = [step_times(task, in_a_thread) for _ in range(chosen.rounds)]
            columns = ([one[0] for one in main], *zip(*other, strict=True))
            cells = [interval(np.array(column) * 1e3, "{:.2f}", " ms") for column in columns]
            print_row(name, "on" if on else "off", f"{first * 1e3:.2f} ms", *cells)
    torch.backends.cudnn.benchmark = usual


def in_a_thread(points: Any) -> None:
    RangeTest(points).start().wait()


def step_times(task: Task, take: Callable[[Any], object]) -> tuple[float, float]:
    """Take the steps of a run, each with its end; return the seconds of the first and the last."""
    model, optimizer = task.begin()
    times: list[float] = []
    note = times.append
    train = overhead.Stamps().step(model, optimizer, task.criterion)

    def step(batch: Any) -> Any:
        begun = time.perf_counter()
        loss = train(batch)
        synchronize(loss.device)
        note(time.perf_counter() - begun)
        return loss

    # `num_iter` steps, of which some are taken twice.
    take(sweep(model, optimizer, task.batches, step=step, num_iter=6, **overhead.RANGE))
    return times[0], times[-1]


def print_idle(chosen: Any) -> None:
    print_header("model", "batch", "way", "a step", "device busy", "device idle", "waits")
    for name, size, task in tasks(chosen):
        steps = min(STEPS[name], TRACED)
        for way, act in WAYS.items():
            act(task, 5)
            taken = overhead.seconds(partial(act, task, steps)) / steps
            trace = Trace.of(partial(act, task, steps))
            cells = (trace.busy, trace.idle, trace.waits)
            each = [f"{total / steps:,.0f} µs" for total in cells]
            print_row(name, size, way, f"{taken * 1e6:,.0f} µs", *each)


def print_kinds(chosen: Any) -> None:
    print_header("model", "batch", "kind", "bare step", "range_test", "added a step")
    for name in chosen.models:
        for kind, change in KINDS.items():
            print_kind(name, kind, change(TASKS[name](), chosen.device), chosen.rounds)
    if not chosen.no_large:
        print_kind("transformer", "AdamW fused, bfloat16", large(chosen.device), chosen.rounds)


def print_kind(name: str, kind: str, task: Task, rounds: int) -> None:
    steps, times = STEPS[name], np.zeros((rounds + 1, 2))
    ways = [overhead.bare, overhead.blocking]
    for one in times:
        for i in random.sample(range(2), 2):
            run = ways[i](task, steps, None)
            gc.collect()
            one[i] = run()
    bare, ours = times[1:].T
    size = str(len(next(iter(task.batches))[0]))
    step = f"{np.median(bare) / steps * 1e6:,.0f} µs"
    added = interval((ours - bare) / steps * 1e6, "{:,.1f}", " µs")
    print_row(name, size, kind, step, interval(ours / bare, "{:.3f}"), added)


def print_overhead(chosen: Any) -> None:
    print_header("model", "batch", "device busy", "way", "bare step", "ratio", *MEASURED)
    for name, size, task in tasks(chosen):
        steps, traced = STEPS[name], min(STEPS[name], TRACED)
        bare_loop(task, 5)
        taken = overhead.seconds(partial(bare_loop, task, traced))  # the profiler would slow it
        busy = f"{Trace.of(partial(bare_loop, task, traced)).busy / 1e6 / taken:.0%}"
        for row in overhead.rows(overhead.measure(task, steps, chosen.rounds), steps):
            print_row(name, size, busy, *row)


def print_busy(chosen: Any) -> None:
    print_header("model", "batch", "bare step", "bare, busy cell", "finder, busy cell", "cell")
    for name, size, task in tasks(chosen):
        print_row(name, size, *beside_a_busy_cell(task, name, chosen.rounds))


def print_events(chosen: Any) -> None:
    print_header("model", "batch", "events", "a step", "processor time a step", "busy cell: finder")
    for name, size, task in tasks(chosen):
        for what, events in (("spin", spinning), ("sleep", sleeping)):
            with events():
                steps = STEPS[name]
                both = np.array([both_times(task, steps) for _ in range(chosen.rounds + 1)][1:])
                cells = [interval(one / steps * 1e6, "{:,.0f}", " µs") for one in both.T]
                *_, slower, _ = beside_a_busy_cell(task, name, chosen.rounds)
            print_row(name, size, what, *cells, slower)


def both_times(task: Task, steps: int) -> tuple[float, float]:
    begun = time.process_time()
    run = overhead.background(task, steps, None)
    return run(), time.process_time() - begun


@contextmanager
def spinning() -> Iterator[None]:
    yield


@contextmanager
def sleeping() -> Iterator[None]:
    """Have every event made so that the processor sleeps while it waits for it."""
    usual = torch.cuda.Event
    torch.cuda.Event = partial(usual, blocking=True)  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        torch.cuda.Event = usual  # type: ignore[misc]


PARTS: dict[str, Callable[[Any], None]] = {
    "snapshot": print_snapshot,
    "first": print_first_steps,
    "idle": print_idle,
    "kinds": print_kinds,
    "overhead": print_overhead,
    "busy": print_busy,
    "events": print_events,
}


if __name__ == "__main__":
    main()
