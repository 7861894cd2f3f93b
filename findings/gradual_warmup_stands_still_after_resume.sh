#!/usr/bin/env bash
# Library:   warmup-scheduler 0.3 (with torch 2.13.0), class GradualWarmupScheduler.
# Guess:     Its state_dict resumes the schedule, in the way of torch's schedulers: the same rates follow.
# Behaviour: The state contains the scheduler that follows the warm-up as an object, with the old optimizer in
#            it. After loading, that object goes on and sets the rate of the old optimizer (or, from a file, of
#            a copy that nobody has); the rate of the one in use stands still to the end. No error, no warning.
#            The state is also no plain data, so that torch.load refuses it with its default weights_only=True.
# Seen:      uninterrupted: 0.0724 0.0382 0.0106 0.0 0.0095
#            resumed:       0.1 0.1 0.1 0.1 0.1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 warmup-scheduler==0.3
venv/bin/python - <<'EOF'
import io

import torch
from warmup_scheduler import GradualWarmupScheduler


def make():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    return optimizer, GradualWarmupScheduler(optimizer, multiplier=1, total_epoch=3, after_scheduler=cosine)


def rates(optimizer, scheduler, epochs):
    seen = []
    for _ in range(epochs):
        optimizer.step()
        scheduler.step()
        seen.append(round(optimizer.param_groups[0]["lr"], 4))
    return seen


optimizer, scheduler = make()
rates(optimizer, scheduler, 5)
file = io.BytesIO()
torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
uninterrupted = rates(optimizer, scheduler, 5)

file.seek(0)
saved = torch.load(file, weights_only=False)
optimizer, scheduler = make()
optimizer.load_state_dict(saved[0])
scheduler.load_state_dict(saved[1])
resumed = rates(optimizer, scheduler, 5)
print("uninterrupted:", *uninterrupted)
print("resumed:      ", *resumed)
assert len(set(uninterrupted)) > 1, "the schedule itself stands still"
assert len(set(resumed)) == 1, "the schedule goes on after loading"
EOF
