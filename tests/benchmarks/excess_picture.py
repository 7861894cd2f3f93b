"""Draws how the best learning rate moves with the length of the training, and what we suggest.

python tests/benchmarks/excess_picture.py docs/length.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from excess import Truth, swept
from excess_tasks import DEVELOPMENT, JUDGED
from excess_truth import known, missing
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lrfinder_widget.curve.budget import LONGEST, SHORTEST, Budget, Family, Schedule, shift

SEEN = {**DEVELOPMENT, **JUDGED}
COLOURS = {"sgd": "C4", "momentum": "C0", "adam": "C1", "adamw": "C3", "muon": "C2"}
STARTS = range(100, 105)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    torch.set_num_threads(1)
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True, layout="constrained")
    kinds: tuple[Schedule, ...] = ("constant", "decay")
    lines: dict[Family, tuple[str, str]] = {
        "adaptive": ("k--", "ours: Adam, AdamW"),
        "muon": ("k-.", "ours: Muon"),
        "momentum": ("k:", "ours: momentum"),
        "sgd": ("k-", "ours: plain SGD"),
    }
    for name, task in SEEN.items():
        if len(task.runs) > 1 and not missing(task, known(name)):
            draw(name, dict(zip(kinds, axes, strict=True)))
    steps = np.geomspace(SHORTEST, LONGEST, 50)
    for kind, ax in zip(kinds, axes, strict=True):
        for family, (style, _) in lines.items():
            budgets = [Budget(family, round(n), kind) for n in steps]
            ax.loglog(steps, [10 ** shift(b)[0] for b in budgets], style, lw=2)
        ax.set(title=f"{kind} learning rate" if kind == "constant" else "with a decay")
        ax.set(xlabel="steps of the training", xlim=(200, 25_000))
        ax.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel('best lr / what "minimum" reads')
    for optimizer in sorted({task.optimizer for task in SEEN.values()}):
        axes[1].plot([], [], COLOURS[optimizer], marker="o", ms=3, label=optimizer)
    for style, label in lines.values():
        axes[1].plot([], [], style, label=label)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def draw(name: str, axes: dict[Schedule, Axes]) -> None:
    """Draw a line for each schedule of a task."""
    truth, task = Truth(name), SEEN[name]
    read = [swept(task, seed, 100).suggest("minimum").lr for seed in STARTS]
    middle = float(np.median([lr for lr in read if lr is not None]))
    found: dict[Schedule, list[tuple[int, float]]] = {"constant": [], "decay": []}
    for (way, steps), losses in zip(task.runs, truth.losses, strict=True):
        best = 10 ** truth.log10_lr[losses.argmin()]
        found["constant" if way == "constant" else "decay"].append((steps, best / middle))
    for kind, points in found.items():
        if points:
            axes[kind].loglog(*np.array(points).T, COLOURS[task.optimizer], marker="o", ms=3, lw=1)


if __name__ == "__main__":
    main()
