"""How long reading a curve takes, and the rule that ends a test: a table on stdout.

Reading is what `LossCurve.suggestion` does the first time it is asked for: smoothing, the turn, the
fall, the candidate. Each round reads curves of all lengths, with noise drawn anew. `Divergence` is
timed over a whole run that never ends it.

    python tests/benchmarks/reading.py --rounds 20
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from overhead import interval, load, machine

from lrfinder_widget import LossCurve
from lrfinder_widget.curve.stop_rules import Divergence

sys.path.append(str(Path(__file__).parents[1]))
from curves import known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--points", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    chosen = parser.parse_args()
    print(machine())
    print("\n| points | reading the curve | `Divergence`, per call |")
    print("|---|---|---|")
    for n, (reading, rule) in measure(chosen.points, chosen.rounds).items():
        rule_us = interval(rule / n * 1e3, "{:.2f}", " µs")
        print(f"| {n:,} | {interval(reading, '{:,.2f}', ' ms')} | {rule_us} |")
    print(
        "\nTimes are medians over rounds, with the 95 % interval of a bootstrap over rounds.\n"
        + load()
    )


def measure(lengths: list[int], rounds: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Time both, in milliseconds, for curves of each length."""
    reading: dict[int, list[float]] = {n: [] for n in lengths}
    rule: dict[int, list[float]] = {n: [] for n in lengths}
    for seed in range(-1, rounds):  # the first round warms up
        for n in lengths:
            lrs, losses = known(n, noise=0.05, seed=seed + 1)
            curve = LossCurve(lrs, losses, "diverged")
            noise = np.random.default_rng(seed + 1).normal(size=n).tolist()
            read_ms = milliseconds(partial(getattr, curve, "suggestion"))
            rule_ms = milliseconds(partial(any, map(Divergence(), noise)))
            assert curve.suggestion.lr is not None
            if seed >= 0:
                reading[n].append(read_ms)
                rule[n].append(rule_ms)
    return {n: (np.array(reading[n]), np.array(rule[n])) for n in lengths}


def milliseconds(timed: Callable[[], object]) -> float:
    begun = time.perf_counter()
    timed()
    return (time.perf_counter() - begun) * 1e3


if __name__ == "__main__":
    main()
