#!/usr/bin/env bash
# Library:   pytorch_optimizer 4.1.0 (with torch 2.13.0), class FTRL.
# Guess:     Lowering the rate makes the steps smaller: at the minimum of the loss, nothing moves.
# Behaviour: The weights themselves are divided. The optimizer does not add a step to the weights, it computes
#            them from two sums that it keeps, with the current rate as a factor in front; the part of the
#            sums that stands for earlier rates is not adjusted. A tenth of the rate makes a tenth of the
#            weights in one step, and the smaller rate then takes long to bring them back. So every schedule
#            that lowers the rate pulls a trained model towards zero. The docstring does not mention it.
# Seen:      FTRL    weights at a rate of 0.5: [1.0, -2.0], one step at 0.05 later: [0.1, -0.2]
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch_optimizer==4.1.0
venv/bin/python - <<'EOF'
import torch
from pytorch_optimizer import FTRL

target = torch.tensor([1.0, -2.0])


def train(cls, **kwargs):
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = cls([weight], lr=0.5, **kwargs)
    seen = []
    for step in range(101):
        if step == 100:
            optimizer.param_groups[0]["lr"] = 0.05
        optimizer.zero_grad()
        (weight - target).square().mean().backward()
        optimizer.step()
        seen.append([round(w, 3) for w in weight.tolist()])
    return seen[-2:]


for cls in (FTRL, torch.optim.Adagrad):
    before, after = train(cls)
    print(f"{cls.__name__:7} weights at a rate of 0.5: {before}, one step at 0.05 later: {after}")
    if cls is FTRL:
        assert before == [1.0, -2.0] and after == [0.1, -0.2], "the weights are kept now"
    else:
        assert max(abs(a - b) for a, b in zip(before, after)) < 1e-2, "Adagrad has changed"
EOF
