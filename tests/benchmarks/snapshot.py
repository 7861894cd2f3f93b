"""What it costs to take a snapshot of a model and its optimizer, and to put it back.

Beside it, in turns, two plain copies of the same bytes, out and back: into memory that is there
already, and into fresh memory, whose pages the system hands out at the first touch. A snapshot
needs fresh memory too.

    python tests/benchmarks/snapshot.py --rounds 20
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from overhead import interval, load, machine, seconds
from torch import Tensor, nn

from lrfinder_widget.preserve import Snapshot

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
    memory = peak_memory(lambda: Snapshot([model, optimizer]).restore())  # first: all is tidy yet
    written = files_written(lambda: Snapshot([model, optimizer]).restore())
    print(f"{size / 1e6:.0f} MB in {len(state)} tensors: parameters, and Adam's state.\n")
    print("| what | seconds | snapshot and restore, as a multiple |")
    print("|---|---|---|")
    for row in rows(model, optimizer, state, chosen.rounds):
        print("|", " | ".join(row), "|")
    print("\nMedians over rounds, with the 95 % interval of a bootstrap over rounds.\n")
    print(
        "- extra memory at the peak:",
        "unknown, there is no /proc" if memory is None else f"{memory / size:.2f} times the state",
    )
    print(f"- files opened for writing: {written}")
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


def rows(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: list[Tensor], rounds: int
) -> Iterator[list[str]]:
    there = [tensor.clone() for tensor in state]

    def preserve() -> tuple[float, float]:
        begun = time.perf_counter()
        snapshot = Snapshot([model, optimizer])
        taken = time.perf_counter()
        snapshot.restore()
        return taken - begun, time.perf_counter() - taken

    def copy_to(target: Callable[[], list[Tensor]]) -> tuple[float, float]:
        def out() -> None:
            copies.extend(target())
            for copy, tensor in zip(copies, state, strict=True):
                copy.copy_(tensor)

        def back() -> None:
            for copy, tensor in zip(copies, state, strict=True):
                tensor.copy_(copy)

        copies: list[Tensor] = []
        return seconds(out), seconds(back)

    ways: dict[str, Callable[[], tuple[float, float]]] = {
        "snapshot and restore": preserve,
        "two copies, memory at hand": lambda: copy_to(lambda: there),
        "two copies, fresh memory": lambda: copy_to(lambda: [torch.empty_like(t) for t in state]),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    names, order = list(ways), random.Random(0)
    for done in range(-WARM_UP_ROUNDS, rounds):
        order.shuffle(names)
        for name in names:
            gc.collect()
            taken = ways[name]()
            if done >= 0:
                times[name].append(taken)
    ours = np.array(times["snapshot and restore"])
    for name in ways:
        both = np.array(times[name])
        out, back = np.median(both, axis=0)
        multiple = interval(ours.sum(axis=1) / both.sum(axis=1), "{:.2f}")
        total = interval(both.sum(axis=1), "{:.4f}")
        yield [name, f"{total}, out {out:.4f}, back {back:.4f}", multiple]


def peak_memory(act: Callable[[], object]) -> float | None:
    """The largest growth of resident memory while `act` runs, in bytes, looked at each millisecond.

    The copies let go of the interpreter, so another thread can look.
    """
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    page = 4096
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1e-3):
            seen.append(int(statm.read_text().split()[1]))

    gc.collect()
    before = int(statm.read_text().split()[1])
    watcher = threading.Thread(target=look)
    watcher.start()
    act()
    ended.set()
    watcher.join()
    return float(max([before, *seen]) - before) * page


def files_written(act: Callable[[], object]) -> int:
    with opened_for_writing() as files:
        act()
    return len(files)


@contextmanager
def opened_for_writing() -> Iterator[list[Any]]:
    files: list[Any] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open":
            files.append(arguments)

    sys.addaudithook(hook)  # for good: there is no way to take one off
    yield files
    watching = False


if __name__ == "__main__":
    main()
