#!/usr/bin/env bash
# Library:   torch-lr-finder 0.2.2 (with torch 2.13.0), LRFinder.range_test, an optimizer with two parameter groups.
# Guess:     A head that learns a hundred times as fast as the body does so throughout the test: both rates rise by
#            the same factor in each step. The suggestion is a rate of the first group, and the ratio tells the other.
# Behaviour: Each group goes from its own rate to the one end_lr, which they reach together. The ratio of 100 melts
#            down to 1 on the way, so that no two steps of the test have the same one, and after the first none has
#            that of the training. With start_lr, both groups have that same rate from the first step on. Only the
#            rate of the first group is in the history, on the plot and in the suggestion; nothing tells of the
#            other. The docstring calls end_lr "the maximum learning rate to test"; readme and docstring say nothing
#            of groups.
# Seen:      step 1:   body 1e-05,   head 0.001,  ratio 100
#            step 26:  body 0.000327, head 0.0102, ratio 31.3
#            step 51:  body 0.0107,  head 0.105,  ratio 9.77
#            step 100: body 10,      head 10,     ratio 1
#            with start_lr=1e-4, step 1: body 0.0001, head 0.0001
#            rates in the history: those of the body only
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torch-lr-finder==0.2.2
venv/bin/python -W ignore - 2> progress <<'EOF' || { cat progress >&2; exit 1; }
import contextlib

import torch
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

STEPS = 100


def rates(**options):
    """The rates of both groups in each step of a range test, and those that the finder lists."""
    torch.manual_seed(0)
    body, head = torch.nn.Linear(2, 4), torch.nn.Linear(4, 1)
    groups = [
        {"params": body.parameters(), "lr": 1e-5},
        {"params": head.parameters(), "lr": 1e-3},
    ]
    optimizer = torch.optim.SGD(groups, lr=1e-5)
    seen = []
    optimizer.register_step_pre_hook(lambda o, *_: seen.append([group["lr"] for group in o.param_groups]))
    inputs = torch.randn(64, 2)
    data = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=8)
    finder = LRFinder(torch.nn.Sequential(body, torch.nn.Tanh(), head), optimizer, torch.nn.L1Loss())
    with contextlib.redirect_stdout(None):
        finder.range_test(data, end_lr=10, num_iter=STEPS, diverge_th=float("inf"), **options)
    return seen, finder.history["lr"]


seen, listed = rates()
for step in (1, 26, 51, 100):
    body, head = seen[step - 1]
    words = f"{step}:", f"{body:.3g},", f"{head:.3g},"
    print(f"step {words[0]:4} body {words[1]:8} head {words[2]:7} ratio {head / body:.3g}")
assert len(seen) == STEPS and abs(seen[0][1] / seen[0][0] - 100) < 1e-3
assert abs(seen[-1][1] / seen[-1][0] - 1) < 1e-3, "the ratio of the rates is kept now"
first = rates(start_lr=1e-4)[0][0]
print(f"with start_lr=1e-4, step 1: body {first[0]:.3g}, head {first[1]:.3g}")
assert first == [1e-4, 1e-4], "start_lr keeps the ratio now"
assert torch.allclose(torch.tensor(listed), torch.tensor(seen)[:, 0]), "the history has changed"
print("rates in the history: those of the body only")
EOF
