#!/usr/bin/env bash
# Library:   pytorch_optimizer 4.1.0 (with torch 2.13.0), class GrokFastAdamW.
# Guess:     A learning rate is the same whether the constructor is given it, a parameter group, or it is set
#            later in `optimizer.param_groups`: the same gradients give the same steps.
# Behaviour: The constructor divides its own rate by 1 + grokfast_lamb, which is 3, to make up for the amplified
#            gradient. A rate that comes any other way is not divided, so that the same number means a step three times
#            as long. A group that repeats the rate of the constructor moves three times as far as the others, and
#            a rate that was found by setting it in the groups is a third of itself when the optimizer is made
#            with it. The docstring says that normalize_lr divides the rate, not which.
# Seen:      0.003 given to the constructor: in the group 0.001, moved by 0.0010 in a step
#            0.003 given in the group:       in the group 0.003, moved by 0.0030 in a step
#            0.003 set afterwards:           in the group 0.003, moved by 0.0030 in a step
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch_optimizer==4.1.0
venv/bin/python - <<'EOF'
import torch
from pytorch_optimizer import GrokFastAdamW


def moved(label, make):
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = make(weight)
    weight.grad = torch.tensor([0.5])
    optimizer.step()
    distance = 1.0 - weight.item()
    rate = optimizer.param_groups[0]["lr"]
    print(f"0.003 {label + ':':25} in the group {rate:.3g}, moved by {distance:.4f} in a step")
    return distance


def set_afterwards(weight):
    optimizer = GrokFastAdamW([weight])
    optimizer.param_groups[0]["lr"] = 0.003
    return optimizer


constructor = moved("given to the constructor", lambda weight: GrokFastAdamW([weight], lr=0.003))
group = moved("given in the group", lambda weight: GrokFastAdamW([{"params": [weight], "lr": 0.003}], lr=0.003))
later = moved("set afterwards", set_afterwards)
assert 2.9 < group / constructor < 3.1, "a group's rate means the same as the constructor's now"
assert 2.9 < later / constructor < 3.1, "a rate that is set means the same as the constructor's now"
EOF
