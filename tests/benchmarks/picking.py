"""How long `finder.pick()` takes after a run, by its number of points: a table on stdout.

The curve has not changed since it was drawn, so a pick has nothing to read off it again. With
``--beside`` the same is measured for another checkout of the package, in turn with this one.

    python tests/benchmarks/picking.py --beside ../before
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
PICKS = 30


def main() -> None:
    from overhead import interval, load, machine

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--points", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--beside", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    trees = [HERE, *chosen.beside]
    taken: dict[tuple[int, Path], list[float]] = {}
    for _ in range(chosen.rounds):
        for n in chosen.points:
            for tree in trees:
                taken.setdefault((n, tree), []).extend(in_process(tree, n))
    print(machine())
    print(f"\n| points | {' | '.join(tree.resolve().name for tree in trees)} |")
    print("|---" * (1 + len(trees)) + "|")
    for n in chosen.points:
        cells = (interval(np.array(taken[n, tree]), "{:.2f}", " ms") for tree in trees)
        print(f"| {n:,} | {' | '.join(cells)} |")
    print(f"\nMedians of {PICKS} picks a round, with the 95 % interval of a bootstrap.\n{load()}")


def in_process(tree: Path, n: int) -> list[float]:
    """Measure the package of that checkout."""
    command = [sys.executable, __file__, "--child", str(n)]
    environment = os.environ | {"PYTHONPATH": str(tree.resolve())}
    times: list[float] = json.loads(subprocess.check_output(command, env=environment))
    return times


def child(n: int) -> None:
    import torch
    from torch import nn

    from lrfinder_widget import LRFinder

    x = np.linspace(0, 1, n)
    noise = 0.02 * np.random.default_rng(0).normal(size=n)
    losses = iter((2.0 - np.tanh(6 * (x - 0.5)) + noise).tolist())
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(
        model,
        optimizer,
        [0],
        step=lambda _: next(losses),
        num_iter=n,
        stop=None,
        namespace={},
    )
    finder.start().wait()
    lrs = np.geomspace(1e-6, 1e-1, PICKS + 1).tolist()
    finder.pick(lrs.pop())  # the first one finds the last points not yet drawn
    times = []
    for lr in lrs:
        begun = time.perf_counter()
        finder.pick(lr)
        times.append(1e3 * (time.perf_counter() - begun))
    print(json.dumps(times))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]))
    else:
        main()
