"""What it costs to find and note what is put back, beside another checkout: a table on stdout.

A snapshot of a data loader alone, and of the largest model of `overhead.py` with the momentum of
its optimizer: taken and put back, with what a criterion uses. The copies of the numbers are in it.

    python tests/benchmarks/walk.py --beside ../before
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parents[2]
ROWS = {"plain loader": 200, "ResNet-18, momentum": 10}


def main() -> None:
    from overhead import interval, load, machine

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    trees = [HERE, *chosen.beside]
    taken: dict[tuple[str, Path], list[float]] = {}
    for _ in range(chosen.rounds):
        for tree in trees:
            for row, times in in_process(tree).items():
                taken.setdefault((row, tree), []).append(float(np.median(times)))
    print(machine())
    print(f"\n| snapshot of | {' | '.join(tree.resolve().name for tree in trees)} |")
    print("|---" * (1 + len(trees)) + "|")
    for row in ROWS:
        cells = (interval(np.array(taken[row, tree]), "{:.2f}", " ms") for tree in trees)
        print(f"| {row} | {' | '.join(cells)} |")
    print(f"\nMedians of each process, with the 95 % interval of a bootstrap over them.\n{load()}")


def in_process(tree: Path) -> dict[str, list[float]]:
    """Measure the package of that checkout."""
    environment = os.environ | {"PYTHONPATH": str(tree.resolve())}
    output = subprocess.check_output([sys.executable, __file__, "--child"], env=environment)
    times: dict[str, list[float]] = json.loads(output)
    return times


def child() -> None:
    import torch
    from overhead import resnet18
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    try:
        from lrfinder_widget.restore.snapshot import Snapshot
    except ModuleNotFoundError:  # where it was
        from lrfinder_widget.training.snapshot import Snapshot
    torch.set_num_threads(1)
    data = TensorDataset(torch.randn(1000, 8), torch.randn(1000, 1))
    loader = DataLoader(data, batch_size=32, shuffle=True)
    model = resnet18().make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    things = {
        "plain loader": ([], [loader]),
        "ResNet-18, momentum": ([model, optimizer, nn.CrossEntropyLoss()], [loader]),
    }
    times: dict[str, list[float]] = {}
    for row, (objects, batches) in things.items():
        for _ in range(ROWS[row] + 2):
            begun = time.perf_counter()
            snapshot = Snapshot(objects, data=batches)
            snapshot.restore()
            times.setdefault(row, []).append(1e3 * (time.perf_counter() - begun))
        del times[row][:2]
    print(json.dumps(times))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child()
    else:
        main()
