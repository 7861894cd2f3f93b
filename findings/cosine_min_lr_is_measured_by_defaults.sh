#!/usr/bin/env bash
# Library:   transformers 5.24.0 (with torch 2.13.0), the schedule "cosine_with_min_lr" and its argument min_lr.
# Guess:     min_lr=1e-4 is where the rate ends, as with eta_min of CosineAnnealingLR: a rate, whatever the group.
# Behaviour: It is divided by the rate that the optimizer's constructor was given, and each group ends at that share
#            of the rate that it has when the schedule is made. Who sets `group["lr"]` to what a test suggested, a
#            hundred times more, ends at a hundred times min_lr; a group that is a hundred times slower ends at a
#            hundredth of it. The constructor's rate stands in `optimizer.defaults`, where one does not look. The
#            docstring calls min_lr "the minimum learning rate to reach after the cosine schedule".
# Seen:      CosineAnnealingLR,  rate set to 0.1: 0.1 to 0.0001
#            cosine_with_min_lr, rate set to 0.1: 0.1 to 0.01
#            CosineAnnealingLR,  slow group:      1e-05 to 0.0001
#            cosine_with_min_lr, slow group:      1e-05 to 1e-06
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 transformers==5.24.0
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR
from transformers import get_scheduler


def of_torch(optimizer):
    return CosineAnnealingLR(optimizer, 10, eta_min=1e-4)


def of_transformers(optimizer):
    return get_scheduler("cosine_with_min_lr", optimizer, 0, 10, scheduler_specific_kwargs={"min_lr": 1e-4})


def last(label, schedule, rate):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimizer = torch.optim.SGD(groups, lr=1e-3)
    group = optimizer.param_groups[1]
    group["lr"] = rate
    scheduler = schedule(optimizer)
    for _ in range(10):
        optimizer.step()
        scheduler.step()
    print(f"{label} {rate:g} to {group['lr']:.3g}")
    return group["lr"]


def close(value, expected):
    return abs(value / expected - 1) < 1e-6


assert close(last("CosineAnnealingLR,  rate set to 0.1:", of_torch, 0.1), 1e-4)
assert close(last("cosine_with_min_lr, rate set to 0.1:", of_transformers, 0.1), 1e-2), "min_lr is a rate now"
assert close(last("CosineAnnealingLR,  slow group:     ", of_torch, 1e-5), 1e-4)
assert close(last("cosine_with_min_lr, slow group:     ", of_transformers, 1e-5), 1e-6), "min_lr is a rate now"
EOF
