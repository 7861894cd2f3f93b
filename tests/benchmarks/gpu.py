"""What an accelerator changes: tables on stdout.

- **Overhead**, as in `overhead.py`, with batches of two sizes: where the device is busy for a small
  part of the bare loop's time, launching costs more than computing.
- **Snapshot** and restore of 300 MB on the device, beside two copies of the same there.
- **Busy cell**, as in `busy.py`.
- **Waits**: calls in which the processor waits for the device, in a step of the bare loop, which
  reads each loss, and in one of an LR range test, which reads them later.

    python tests/benchmarks/gpu.py
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import overhead
import snapshot
import torch
from busy import cells as beside_a_busy_cell
from overhead import TASKS, Task, bare, interval, load, machine
from torch.profiler import ProfilerActivity, profile

from lrfinder_widget import range_test

STEPS = {"mlp": 300, "lenet": 100, "resnet": 30}
TIMES_AS_LARGE = (1, 64)
MEASURED = ("added a step", "between steps", "per sweep")
# Of CUDA and of ROCm; a copy to the processor that is not pinned waits as well.
WAITS = ("StreamSynchronize", "DeviceSynchronize", "EventSynchronize", "Memcpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--megabytes", type=float, default=300)
    parser.add_argument("--device", help="by default, the accelerator that there is")
    chosen = parser.parse_args()
    if chosen.device is None and not torch.accelerator.is_available():
        sys.exit("there is no accelerator here (--device cpu takes the processor instead)")
    torch.set_num_threads(1)  # the processor has only to launch
    device = torch.device(chosen.device or torch.accelerator.current_accelerator())
    print(f"{machine()} Device: {name_of(device)}.\n")
    print_header("model", "batch", "device busy", "way", "bare step", "ratio", *MEASURED)
    tasks = [
        (name, moved(TASKS[name](), times, device))
        for name in chosen.models
        for times in TIMES_AS_LARGE
    ]
    for name, task in tasks:
        busy = share_of_time(task, STEPS[name])
        for row in overhead.rows(overhead.measure(task, STEPS[name], chosen.rounds), STEPS[name]):
            print_row(name, task, busy, *row)
    print_snapshot(chosen.megabytes * 1e6, device, chosen.rounds)
    print_header("model", "batch", "bare step", "bare, busy cell", "finder, busy cell", "cell")
    for name, task in tasks:
        print_row(name, task, *beside_a_busy_cell(task, name, chosen.rounds))
    print()
    print_header("model", "batch", "waits a step: bare loop", "LR range test")
    for name, task in tasks:
        print_row(name, task, *(f"{waits_of(way, task):.2f}" for way in (bare_loop, test)))
    print(f"\n{load()}")


def print_header(*cells: str) -> None:
    print("|", " | ".join(cells), "|\n" + "|---" * len(cells) + "|")


def print_row(name: str, task: Task, *cells: str) -> None:
    print("|", " | ".join([name, str(len(task.batches[0][0])), *cells]), "|", flush=True)


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def moved(task: Task, times_as_large: int, device: torch.device) -> Task:
    batches = [
        (torch.cat([x] * times_as_large).to(device), torch.cat([y] * times_as_large).to(device))
        for x, y in task.batches
    ]
    return replace(task, make=lambda: task.make().to(device), batches=batches)


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def bare_loop(task: Task, steps: int) -> None:
    bare(task, steps, None)()


def test(task: Task, steps: int) -> None:
    model, optimizer = task.begin()
    range_test(model, optimizer, task.batches, task.criterion, num_iter=steps, **overhead.RANGE)


def profiled(way: Callable[[Task, int], None], task: Task, steps: int) -> tuple[profile, float]:
    way(task, 5)
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as seen:
        begun = time.perf_counter()
        way(task, steps)
        taken = time.perf_counter() - begun
    return seen, taken


def share_of_time(task: Task, steps: int) -> str:
    """The part of the bare loop's time for which the device computes."""
    seen, _ = profiled(bare_loop, task, steps)
    computing = sum(event.self_device_time_total for event in seen.key_averages()) / 1e6
    begun = time.perf_counter()
    bare_loop(task, steps)  # without the profiler, which slows the processor down
    return f"{computing / (time.perf_counter() - begun):.0%}"


def waits_of(way: Callable[[Task, int], None], task: Task, steps: int = 100) -> float:
    """How many calls of a step wait, beyond what is done once in each run."""
    counts = []
    for n in (steps, 2 * steps):
        seen, _ = profiled(way, task, n)
        events = [event for event in seen.key_averages() if event.key.startswith(("cuda", "hip"))]
        waiting = [event for event in events if any(name in event.key for name in WAITS)]
        counts.append(sum(event.count for event in waiting if "Async" not in event.key))
    return (counts[1] - counts[0]) / steps


def print_snapshot(size: float, device: torch.device, rounds: int) -> None:
    with torch.device(device):
        model, optimizer = snapshot.trained(size)
    state = snapshot.tensors_of(model, optimizer)

    def copies() -> None:
        for tensor, copy in [(tensor, tensor.clone()) for tensor in state]:
            tensor.copy_(copy)

    def seconds(act: Callable[[], object]) -> float:
        gc.collect()
        synchronize(device)
        begun = time.perf_counter()
        act()
        synchronize(device)
        return time.perf_counter() - begun

    ways = [lambda: snapshot.preserve(model, optimizer), copies]
    times: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        for i in random.sample(range(2), 2):
            times[i].append(seconds(ways[i]))
    ours, plain = (np.array(one[1:]) for one in times)
    size = sum(tensor.nbytes for tensor in state)
    print(f"\nSnapshot and restore of {size / 1e6:.0f} MB there: ", end="")
    print(interval(ours * 1e3, "{:.2f}", " ms"), end=", over two copies: ")
    print(interval(ours / plain, "{:.2f}"))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        ways[0]()
        extra = torch.cuda.max_memory_allocated(device) - before
        print(f"Extra memory at the peak: {extra / size:.2f} times the state")
    print()


if __name__ == "__main__":
    main()
