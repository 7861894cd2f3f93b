"""How much memory an LR range test takes at its peak, beside plain training of the same model.

The model has 100 million numbers, of which 0.1 million are trained, as with adapters on a frozen
network. Each row is a process of its own, and its peak is what the system says at its end.

    python tests/benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from overhead import machine
from torch import Tensor, nn

from lrfinder_widget import range_test

WIDTH, RANK, STEPS = 10_000, 5, 20
LOSS = nn.MSELoss()


class Adapted(nn.Module):
    """A frozen layer with a trained one of low rank beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(WIDTH, WIDTH, bias=False).requires_grad_(False)
        self.down = nn.Linear(WIDTH, RANK, bias=False)
        self.up = nn.Linear(RANK, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(x) + self.up(self.down(x))


def step_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[Any], Tensor]:
    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = LOSS(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def run(what: str) -> None:
    torch.manual_seed(0)
    model = Adapted()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    batch = (torch.randn(8, WIDTH), torch.randn(8, WIDTH))
    step = step_of(model, optimizer)
    if what == "training":
        for _ in range(STEPS):
            step(batch)
    elif what == "range_test, criterion":
        range_test(model, optimizer, [batch], LOSS, num_iter=STEPS, stop=None)
    else:
        range_test(model, optimizer, [batch], step=step, num_iter=STEPS, stop=None)


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()  # that of this program alone, unlike `rusage`
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", help="used by the script itself")
    chosen = parser.parse_args()
    if chosen.run is not None:
        run(chosen.run)
        print(peak_mb())
        return
    print(machine(), end="\n\n")
    print("| what | peak, MB | training = 1 |")
    print("|---|---|---|")
    first = 0.0
    for what in ("training", "range_test, criterion", "range_test, step"):
        command = [sys.executable, __file__, "--run", what]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        peak = float(subprocess.check_output(command, text=True, env=environment))
        first = first or peak
        print(f"| {what} | {peak:.0f} | {peak / first:.2f} |")


if __name__ == "__main__":
    main()
