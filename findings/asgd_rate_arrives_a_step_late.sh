#!/usr/bin/env bash
# Library:   torch 2.13.0, class ASGD.
# Guess:     A step is made at the rate that the parameter group has when `step` is called, as with SGD.
# Behaviour: Each step ends by computing the step size of the next one from the rate of this one. A rate that
#            is set before a step, by hand or by a scheduler, therefore acts from the step after it. In a
#            range test every loss belongs to the rate before; with a factor of ten per step, that is a factor
#            of ten. A rate of 0 for one step freezes the next one instead. The docstring does not mention it.
# Seen:      rate of the group: 0.0001 0.001 0.01 0.1
#            SGD moves by:      0.0001 0.001 0.01 0.1
#            ASGD moves by:     0.0001 0.0001 0.001 0.01
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import torch


def moved(cls, **kwargs):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = cls([weight], lr=1e-4, **kwargs)
    seen = []
    for lr in (1e-4, 1e-3, 1e-2, 1e-1):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = torch.ones_like(weight)
        before = weight.item()
        optimizer.step()
        seen.append(before - weight.item())
    return seen


sgd, asgd = moved(torch.optim.SGD), moved(torch.optim.ASGD, lambd=0.0)
print("rate of the group: 0.0001 0.001 0.01 0.1")
print("SGD moves by:     ", *(f"{m:.4g}" for m in sgd))
print("ASGD moves by:    ", *(f"{m:.4g}" for m in asgd))


def close(seen, expected):
    return all(abs(a / b - 1) < 1e-4 for a, b in zip(seen, expected))


assert close(sgd, [1e-4, 1e-3, 1e-2, 1e-1]), "SGD has changed"
assert close(asgd, [1e-4, 1e-4, 1e-3, 1e-2]), "a step of ASGD is made at its own rate now"
EOF
