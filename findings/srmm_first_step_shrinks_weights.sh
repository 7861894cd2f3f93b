#!/usr/bin/env bash
# Library:   pytorch_optimizer 4.1.0 (with torch 2.13.0), class SRMM.
# Guess:     A step at a rate of 1e-8 leaves the weights where they are, and so does one on a gradient of
#            zero.
# Behaviour: The first step multiplies every weight by 0.71, whatever the rate and the gradient. The weights
#            become a running average of themselves, which starts at zero instead of at the weights; the first
#            one counts for 1/sqrt(2). A pre-trained model is spoilt by one step at the smallest rate, and the
#            curve of a range test begins with a jump that no rate explains. Later steps are as one expects.
#            The docstring speaks of a moving average, not of its start.
# Seen:      rate 1e-08: after one step [0.7071, -1.4142], after two [0.7071, -1.4142]
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch_optimizer==4.1.0
venv/bin/python - <<'EOF'
import torch
from pytorch_optimizer import SRMM

seen = []
print("weights 1, -2, gradient 0")
for lr in (1e-8, 1e-4, 1e-2):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = SRMM([weight], lr=lr)
    after = []
    for _ in range(2):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        after.append([round(w, 4) for w in weight.tolist()])
    print(f"rate {lr}: after one step {after[0]}, after two {after[1]}")
    seen.append(after)
assert all(after == [[0.7071, -1.4142]] * 2 for after in seen), "the first step has changed"
EOF
