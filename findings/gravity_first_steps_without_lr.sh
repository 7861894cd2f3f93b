#!/usr/bin/env bash
# Library:   pytorch_optimizer 4.1.0 (with torch 2.13.0), class Gravity.
# Guess:     The step is proportional to the rate: at a rate of 1e-8 the weights stay where they are.
# Behaviour: The velocity starts as noise whose spread is alpha divided by the rate, and is multiplied by the
#            rate when it is applied. So the first step is a random move with a spread of about two thirds
#            of alpha (0.01), whatever the rate and the gradient, and in ten steps the weights have moved at
#            random by more than twice alpha. The docstring says only that alpha controls the start of the
#            velocity. A range test that begins at a tiny rate first sees the model being shaken.
# Seen:      rate 1e-08: first step 0.0063, after 10 steps 0.0239
#            rate 0.0001: first step 0.0063, after 10 steps 0.0239
#            two seeds, same gradient: correlation of the moves 0.00
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch_optimizer==4.1.0
venv/bin/python - <<'EOF'
import torch
from pytorch_optimizer import Gravity


def moves(lr, seed):
    torch.manual_seed(seed)
    p = torch.nn.Parameter(torch.zeros(4000))
    optimizer = Gravity([p], lr=lr)
    seen = []
    for _ in range(10):
        p.grad = torch.full_like(p, 1e-3)
        optimizer.step()
        seen.append(p.detach().clone())
    return seen


spread = []
for lr in (1e-8, 1e-4):
    seen = moves(lr, seed=0)
    spread.append((seen[0].std().item(), seen[-1].std().item()))
    print(f"rate {lr}: first step {spread[-1][0]:.4f}, after 10 steps {spread[-1][1]:.4f}")
both = torch.stack([moves(1e-8, seed=0)[-1], moves(1e-8, seed=1)[-1]])
correlation = torch.corrcoef(both)[0, 1].item()
print(f"two seeds, same gradient: correlation of the moves {correlation:.2f}")
assert spread[0][0] > 1e-3, "the first step has become small at a small rate"
assert abs(spread[0][1] / spread[1][1] - 1) < 0.01, "the first steps now depend on the rate"
assert abs(correlation) < 0.1, "the moves are no longer noise"
EOF
