#!/usr/bin/env bash
# Library:   lion-pytorch 0.2.5 (with torch 2.13.0), Lion(…, decoupled_weight_decay=True).
# Guess:     Decoupled means that weight_decay=0.01 takes off a hundredth per step, whatever the rate; or, as in
#            AdamW, lr * 0.01. In any case two optimizers that have the same rate now decay alike.
# Behaviour: It takes off lr * 0.01 divided by the rate that the constructor was given. So it follows each schedule, and
#            goes by a number that can be seen nowhere: not in the group, not in the state_dict. Who makes the optimizer
#            at 1e-5 and sets the group to 1e-2, as a range test does, has a thousand times the decay: 10 per step,
#            which turns the sign of all weights and makes them nine times larger, and so on. The weights
#            explode by the decay, at a rate that is fine otherwise. A group's own rate has the same effect. There
#            is no docstring, and the readme does not mention the argument.
# Seen:      decoupled, made at 1e-02: weight after each step at 1e-02: 0.99 0.98 0.97
#            decoupled, made at 1e-05: weight after each step at 1e-02: -9 81 -729
#            plain,     made at 1e-05: weight after each step at 1e-02: 1 1 1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 lion-pytorch==0.2.5
venv/bin/python -W ignore - <<'EOF'
import torch
from lion_pytorch import Lion


def decay(first_rate, decoupled):
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = Lion([weight], lr=first_rate, weight_decay=0.01, decoupled_weight_decay=decoupled)
    optimizer.param_groups[0]["lr"] = 1e-2
    values = []
    for _ in range(3):
        weight.grad = torch.zeros(1)  # so that only the decay moves the weight
        optimizer.step()
        values.append(weight.item())
    label = "decoupled," if decoupled else "plain,    "
    print(f"{label} made at {first_rate:.0e}: weight after each step at 1e-02:", *(f"{value:.3g}" for value in values))
    return values


assert abs(decay(1e-2, decoupled=True)[0] - 0.99) < 1e-6
assert abs(decay(1e-5, decoupled=True)[0] + 9.0) < 1e-3, "the decay goes by the present rate now"
assert abs(decay(1e-5, decoupled=False)[0] - 1.0) < 1e-3
EOF
