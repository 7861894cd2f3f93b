#!/usr/bin/env bash
# Library:   pytorch_optimizer 4.1.0 (with torch 2.13.0), class ApolloDQN.
# Guess:     The warm-up multiplies the rate of the group by a factor that grows, or leads up to that rate. Whatever
#            sets group["lr"], a schedule or a range test, is followed from the first step on, with less weight.
# Behaviour: In the first 500 steps, by default, group["lr"] is not looked at. The steps go from init_lr to the rate
#            that the constructor was given, and only then, with a jump, at the rate of the group. A range test of
#            fewer steps measures the same curve whatever its bounds, over an axis of rates that were never used. A
#            group with a lower rate of its own, or with 0, is trained as fast as all others. The state_dict has no
#            such rate either: an optimizer that is made anew with another lr goes on to that one. The docstring says
#            "number of warmup steps". To turn it off takes warmup_steps=0, or 1.
# Seen:      how far the weight is moved in step        1      250      499      500
#            group at 0.01, as made                 3e-05  0.00501  0.00998     0.01
#            group set to 1                         3e-05  0.00501  0.00998        1
#            group made with 0                      3e-05  0.00501  0.00998        0
#            range tests of 400 steps, up to 0.1 and up to 10, end with the same weights: True
#            ... with warmup_steps=0: False
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch_optimizer==4.1.0
venv/bin/python -W ignore - <<'EOF'
import torch
from pytorch_optimizer import ApolloDQN


def moves(own=None, later=None):
    """How far a weight with a steady gradient moves in each step. The gradient is such that it is the rate."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    group = {"params": [weight]} if own is None else {"params": [weight], "lr": own}
    optimizer = ApolloDQN([group], lr=0.01)
    if later is not None:
        optimizer.param_groups[0]["lr"] = later
    values = [0.0]
    for _ in range(500):
        weight.grad = torch.full_like(weight, 0.01)
        optimizer.step()
        values.append(weight.item())
    return [abs(b - a) for a, b in zip(values, values[1:])]


def range_test(highest, **options):
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = ApolloDQN([weight], lr=0.01, **options)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 1e-5 * (highest / 1e-5) ** (step / 399)
        optimizer.zero_grad()
        (weight - torch.tensor([0.0, 2.0, 5.0])).square().mean().backward()
        optimizer.step()
    return weight.detach()


shown = (1, 250, 499, 500)
print(f"{'how far the weight is moved in step':35}", *(f"{step:>8}" for step in shown))
seen = {}
for label, options in (
    ("group at 0.01, as made", {}),
    ("group set to 1", {"later": 1.0}),
    ("group made with 0", {"own": 0.0}),
):
    seen[label] = moves(**options)
    print(f"{label:35}", *(f"{seen[label][step - 1]:8.3g}" for step in shown))
made, raised, none = seen.values()
assert all(abs(a - b) < 1e-9 and abs(a - c) < 1e-9 for a, b, c in zip(made[:499], raised, none)), "followed now"
assert abs(made[499] - 0.01) < 1e-6 and abs(raised[499] - 1) < 1e-4 and none[499] == 0
same, plain = [torch.equal(range_test(0.1, **o), range_test(10.0, **o)) for o in ({}, {"warmup_steps": 0})]
print(f"range tests of 400 steps, up to 0.1 and up to 10, end with the same weights: {same}")
print(f"... with warmup_steps=0: {plain}")
assert same and not plain
EOF
