"""What it takes to begin: the import, the first display, what is downloaded: a table on stdout.

Each time is measured in an interpreter of its own, after what a notebook with a model and a bqplot
chart has imported anyway; in each round the ways run in an order drawn anew.

    python tests/benchmarks/start.py --rounds 20
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from overhead import interval, load, machine

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "lrfinder_widget" / "static"
FINDER = """
from torch import nn, optim
from lrfinder_widget import LRFinder
model = nn.Linear(1, 1)
arguments = model, optim.SGD(model.parameters()), [], nn.MSELoss()
"""
# What is timed, and after what.
WAYS = {
    "`import torch, bqplot`": ("import torch, bqplot", ""),
    "`import lrfinder_widget` after that": ("import lrfinder_widget", "import torch, bqplot"),
    "the same after ipywidgets and anywidget, too": (
        "import lrfinder_widget",
        "import torch, bqplot, ipywidgets, anywidget",
    ),
    "`LRFinder(…)`, and what is sent to display it": (
        "LRFinder(*arguments)._repr_mimebundle_()",
        FINDER,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--no-wheel", action="store_true", help="build none, which takes a while")
    chosen = parser.parse_args()
    print(machine())
    print("\n| what | |")
    print("|---|---|")
    for name, values in measure(chosen.rounds).items():
        print(f"| {name} | {interval(values, '{:,.0f}', ' ms')} |", flush=True)
    for name in ("finder.js", "finder.css"):
        content = (STATIC / name).read_bytes()
        zipped = kilobytes(len(gzip.compress(content)))
        print(f"| {name} | {kilobytes(len(content))}, {zipped} gzipped |")
    if not chosen.no_wheel:
        print(f"| the wheel | {kilobytes(size_of_wheel())} |")
    print(
        "\nTimes are medians over rounds, with the 95 % interval of a bootstrap over rounds.\n"
        + load()
    )


def measure(rounds: int) -> dict[str, np.ndarray]:
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    names, order = list(WAYS), random.Random(0)
    for done in range(-(rounds > 1), rounds):  # the first one fills the file system's cache
        order.shuffle(names)
        for name in names:
            taken = milliseconds(*WAYS[name])
            if done >= 0:
                times[name].append(taken)
    return {name: np.array(times[name]) for name in WAYS}


def milliseconds(timed: str, before: str) -> float:
    source = (
        f"import time\n{before}\nbegun = time.perf_counter()\n{timed}\n"
        "print((time.perf_counter() - begun) * 1e3)"
    )
    return float(subprocess.check_output([sys.executable, "-c", source], cwd=ROOT, text=True))


def size_of_wheel() -> int:
    # With the build's own tools at hand it needs no network.
    at_hand = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", *at_hand, "--outdir", folder, ROOT]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        return wheel.stat().st_size


def kilobytes(size: int) -> str:
    return f"{size / 1000:.1f} kB"


if __name__ == "__main__":
    main()
