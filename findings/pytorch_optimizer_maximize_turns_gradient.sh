#!/usr/bin/env bash
# Library:   pytorch_optimizer 4.1.0 (with torch 2.13.0), the argument maximize=True.
# Guess:     Gradient ascent that only reads `p.grad`: two steps on the same gradient go up twice, as with
#            torch.optim.SGD(..., maximize=True).
# Behaviour: Every step turns the sign of `p.grad` itself, in place. A second step on the same gradient walks
#            back, a gradient that is accumulated over a step is mixed with its negative, and one that is
#            logged after the step has the wrong sign. Many optimizers of the package do so; two are run
#            here. The docstring only says that the argument maximizes the objective.
# Seen:      SGD (torch) at 0.1 0.2 0.3 0.4 gradient after one step 1.0
#            SGDP at 0.1 0.0 0.1 0.0 gradient after one step -1.0
#            SignSGD at 0.1 0.0 0.1 0.0 gradient after one step -1.0
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch_optimizer==4.1.0
venv/bin/python - <<'EOF'
import pytorch_optimizer
import torch


def ascend(cls, **options):
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = cls([p], lr=0.1, momentum=0.0, maximize=True, **options)
    p.grad = torch.ones(1)
    places = []
    for step in range(4):
        optimizer.step()
        places.append(round(p.item(), 4))
        if step == 0:
            gradient = p.grad.item()
    return places, gradient


for name, cls in (
    ("SGD (torch)", torch.optim.SGD),
    ("SGDP", pytorch_optimizer.SGDP),
    ("SignSGD", pytorch_optimizer.SignSGD),
):
    places, gradient = ascend(cls)
    print(name, "at", *places, f"gradient after one step {gradient}")
    if cls is torch.optim.SGD:
        assert places == [0.1, 0.2, 0.3, 0.4] and gradient == 1.0, "torch itself behaves otherwise"
    else:
        assert places == [0.1, 0.0, 0.1, 0.0] and gradient == -1.0, f"{name} no longer turns the gradient"
EOF
