"""What it costs to take a snapshot of a model and its optimizer, and to put it back.

Beside it, in turns, two plain copies of the same bytes, out and back: into memory that is there
already, and into fresh memory, whose pages the system hands out at the first touch. A snapshot
needs fresh memory too.

    python tests/benchmarks/snapshot.py --rounds 20
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from overhead import interval, load, machine, seconds
from torch import Tensor, nn

from lrfinder_widget.restore.snapshot import Snapshot

LAYER = 1_000_000  # parameters
WARM_UP_ROUNDS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--megabytes", type=float, default=300, help="of state; a third parameters")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(machine(), end="\n\n")
    model, optimizer = trained(chosen.megabytes * 1e6)
    state = tensors_of(model, optimizer)
    size = sum(tensor.nbytes for tensor in state)
    memory = peak_memory(lambda: preserve(model, optimizer))  # first, while no memory is left over
    files = written(lambda: preserve(model, optimizer))
    print(f"{size / 1e6:.0f} MB in {len(state)} tensors: parameters, and Adam's state.\n")
    print("| what | seconds | snapshot and restore, as a multiple |")
    print("|---|---|---|")
    for row in rows(model, optimizer, state, chosen.rounds):
        print("|", " | ".join(row), "|")
    print("\nMedians over rounds, with the 95 % interval of a bootstrap over rounds.\n")
    extra = (
        "unknown, for want of /proc" if memory is None else f"{memory / size:.2f} times the state"
    )
    print(f"- extra memory at the peak: {extra}")
    print(f"- files opened for writing: {files}")
    print(load())


def trained(size: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Adam keeps two numbers for each parameter, so the parameters are a third of it all."""
    count = round(size / 3 / 4)
    sizes = [LAYER] * (count // LAYER) + [count % LAYER] * (count % LAYER > 0)
    model = nn.Module()
    model.layers = nn.ParameterList(torch.rand(n) for n in sizes)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.rand_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return model, optimizer


def tensors_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    states = [value for state in optimizer.state.values() for value in state.values()]
    return [*(parameter.data for parameter in model.parameters()), *states]


OutAndBack = tuple[float, float]
OURS = "snapshot and restore"


def rows(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: list[Tensor], rounds: int
) -> Iterator[list[str]]:
    there = [tensor.clone() for tensor in state]
    ways: dict[str, Callable[[], OutAndBack]] = {
        OURS: lambda: preserve(model, optimizer),
        "two copies, memory at hand": lambda: copy_twice(state, lambda: there),
        "two copies, fresh memory": lambda: copy_twice(
            state, lambda: [torch.empty_like(tensor) for tensor in state]
        ),
    }
    times = measure(ways, rounds)
    ours = times[OURS].sum(axis=1)
    for name, both in times.items():
        out, back = np.median(both, axis=0)
        yield [
            name,
            f"{interval(both.sum(axis=1), '{:.4f}')}, out {out:.4f}, back {back:.4f}",
            interval(ours / both.sum(axis=1), "{:.2f}"),
        ]


def preserve(model: nn.Module, optimizer: torch.optim.Optimizer) -> OutAndBack:
    begun = time.perf_counter()
    snapshot = Snapshot([model, optimizer])
    taken = time.perf_counter()
    snapshot.restore()
    return taken - begun, time.perf_counter() - taken


def copy_twice(state: list[Tensor], target: Callable[[], list[Tensor]]) -> OutAndBack:
    copies: list[Tensor] = []

    def out() -> None:
        copies.extend(target())
        for copy, tensor in zip(copies, state, strict=True):
            copy.copy_(tensor)

    def back() -> None:
        for copy, tensor in zip(copies, state, strict=True):
            tensor.copy_(copy)

    return seconds(out), seconds(back)


def measure(
    ways: dict[str, Callable[[], OutAndBack]], rounds: int
) -> dict[str, NDArray[np.float64]]:
    times: dict[str, list[OutAndBack]] = {name: [] for name in ways}
    names, order = list(ways), random.Random(0)
    for done in range(-min(WARM_UP_ROUNDS, rounds), rounds):
        order.shuffle(names)
        for name in names:
            gc.collect()
            taken = ways[name]()
            if done >= 0:
                times[name].append(taken)
    return {name: np.array(values) for name, values in times.items()}


def peak_memory(act: Callable[[], object]) -> int | None:
    """The largest growth of resident memory while `act` runs, in bytes, looked at each millisecond.

    The copies let go of the interpreter, so another thread can look.
    """
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None

    def resident() -> int:
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    ended = threading.Event()
    gc.collect()
    seen = [resident()]

    def look() -> None:
        while not ended.wait(1e-3):
            seen.append(resident())

    watcher = threading.Thread(target=look)
    watcher.start()
    act()
    ended.set()
    watcher.join()
    return max(seen) - seen[0]


def written(act: Callable[[], object]) -> str:
    """Which files Python opened for writing, and what the process wrote by any road."""
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                opened.append(str(path))

    def bytes_written() -> int | None:
        counters = Path("/proc/self/io")
        if not counters.exists():
            return None
        values = dict(line.split(": ") for line in counters.read_text().splitlines())
        return int(values["wchar"])

    sys.addaudithook(hook)  # for good: there is no way to take one off
    before = bytes_written()
    act()
    after = bytes_written()
    watching = False
    total = "unknown" if before is None or after is None else str(after - before)
    return f"{len(opened)} {opened or ''}".strip() + f"; bytes written: {total}"


if __name__ == "__main__":
    main()
