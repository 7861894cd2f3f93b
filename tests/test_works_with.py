"""The table of optimizers, of which those of torch need nothing more."""

import subprocess
import sys
from pathlib import Path

import torch

SCRIPT = Path(__file__).parent / "works_with" / "optimizers.py"


def test_all_optimizers_of_torch_train_on_to_the_bit() -> None:
    command = [sys.executable, SCRIPT, "torch"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "torch " in line]
    kinds = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
    names = {kind.__name__ for kind in kinds if issubclass(kind, torch.optim.Optimizer)}
    assert {name for _, name, *_ in rows} == names - {"Optimizer"}
    assert all(cells[2:4] == ["exact", "exact"] for cells in rows)
    said = [name for _, name, *cells in rows if "no effect" in cells[-1]]
    assert said == ["Rprop"]


def test_an_unknown_package_is_named() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "tensorflow"], check=False, capture_output=True)
    assert done.returncode == 2
    assert b"no such package: ['tensorflow']" in done.stdout
