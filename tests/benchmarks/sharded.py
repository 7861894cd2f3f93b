"""What it costs to take a snapshot of a sharded model, and to put it back, beside a training step.

It starts its own ranks, which share a model of ten layers, sharded by `fully_shard`, and Adam's
state. They take a step, a snapshot and a restore in turns; the time is that of the slowest rank.

    python tests/benchmarks/sharded.py --rounds 20
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from overhead import interval, load, machine
from torch import nn
from torch.distributed.fsdp import fully_shard

from lrfinder_widget.restore.snapshot import Snapshot

LAYERS, BATCH = 10, 32
WARM_UP_ROUNDS = 3
LIMIT_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--width", type=int, default=1024, help="of a layer; a square of weights")
    parser.add_argument("--rank", type=int, help="of this process; it is given to those started")
    parser.add_argument("--meeting", help="a file; it is given, too")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.rank is not None:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{chosen.meeting}",
            rank=chosen.rank,
            world_size=chosen.ranks,
        )
        measure(chosen.rounds, chosen.width)
        dist.destroy_process_group()
        return
    print(machine(), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        ranks = [
            subprocess.Popen([*sys.orig_argv, f"--rank={rank}", f"--meeting={meeting}"])
            for rank in range(chosen.ranks)
        ]
        try:
            codes = [rank.wait(LIMIT_S) for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
    if any(codes):
        sys.exit(f"The ranks ended with {codes}.")
    print(load())


def measure(rounds: int, width: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(width, width) for _ in range(LAYERS)))
    for layer in model:
        fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    x = torch.randn(BATCH, width)
    snapshots: list[Snapshot] = []

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    def snapshot() -> None:
        snapshots[:] = [Snapshot([model, optimizer])]

    def put_back() -> None:
        snapshots[0].restore()

    acts: dict[str, Callable[[], object]] = {
        "a training step": step,
        "a snapshot": snapshot,
        "putting it back": put_back,
    }
    step()  # Adam has a state from here on
    size = sum(p.to_local().nbytes for p in model.parameters())
    times: dict[str, list[float]] = {name: [] for name in acts}
    for done in range(-WARM_UP_ROUNDS, rounds):
        for name, act in acts.items():
            taken = slowest(seconds_of(act))
            if done >= 0:
                times[name].append(1000 * taken)
    if dist.get_rank() == 0:
        print(
            f"{dist.get_world_size()} ranks; on each {size / 1e6:.0f} MB of parameters and twice "
            "as much of Adam's state.\n"
        )
        print("| what | milliseconds | share of a step |\n|---|---|---|")
        for row in rows(times):
            print("|", " | ".join(row), "|")
        print(
            "\nMedians over rounds, with the 95 % interval of a bootstrap over rounds.", flush=True
        )


def seconds_of(act: Callable[[], object]) -> float:
    dist.barrier()
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def slowest(seconds: float) -> float:
    times = torch.tensor([seconds])
    dist.all_reduce(times, dist.ReduceOp.MAX)
    return times.item()


def rows(times: dict[str, list[float]]) -> Iterator[list[str]]:
    step = np.array(times["a training step"])
    for name, values in times.items():
        of_a_step = np.array(values) / step
        yield [name, interval(np.array(values), "{:.2f}"), interval(of_a_step, "{:.3f}")]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
