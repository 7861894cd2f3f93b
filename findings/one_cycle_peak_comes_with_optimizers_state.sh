#!/usr/bin/env bash
# Library:   torch 2.13.0, OneCycleLR and an optimizer's state_dict that is loaded after it was made.
# Guess:     The peak of the cycle is the max_lr that OneCycleLR is given. Loading the optimizer's state brings the
#            momentum and the present rate, and from the next step on the rate is that of the schedule, as with
#            CyclicLR.
# Behaviour: OneCycleLR keeps its peak, its first and its last rate in the parameter group and reads them there at
#            each step, and the optimizer's state_dict contains them. Who saw that a peak of 1.0 is too high and
#            starts a new cycle with 0.01 from the checkpoint trains with 1.0 again. With the two lines the other
#            way round, state first and schedule after it, the peak is the new one. No error, no warning, and the
#            docstring speaks neither of the group nor of loading.
# Seen:      CyclicLR,   state loaded after it was made:  0.0034 0.0067 0.01 0.0067 0.0034
#            OneCycleLR, state loaded before it was made: 0.0082 0.0097 0.0081 0.0056 0.0028
#            OneCycleLR, state loaded after it was made:  0.8193 0.9719 0.8117 0.556 0.2831
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR


def one_cycle(optimizer, peak):
    return OneCycleLR(optimizer, max_lr=peak, total_steps=8)


def cyclic(optimizer, peak):
    return CyclicLR(optimizer, base_lr=peak / 100, max_lr=peak, step_size_up=3)


def make():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)


def rates(optimizer, scheduler):
    values = []
    for _ in range(5):
        optimizer.step()
        scheduler.step()
        values.append(optimizer.param_groups[0]["lr"])
    return values


def new_cycle(schedule, load_first):
    optimizer = make()
    rates(optimizer, schedule(optimizer, 1.0))
    checkpoint = optimizer.state_dict()
    optimizer = make()
    if load_first:
        optimizer.load_state_dict(checkpoint)
    scheduler = schedule(optimizer, 0.01)
    if not load_first:
        optimizer.load_state_dict(checkpoint)
    values = rates(optimizer, scheduler)
    name = type(scheduler).__name__ + ","
    when = "before it was made:" if load_first else "after it was made: "
    print(f"{name:11} state loaded {when}", *(f"{round(value, 4):g}" for value in values))
    return max(values)


assert new_cycle(cyclic, load_first=False) <= 0.01
assert new_cycle(one_cycle, load_first=True) <= 0.01
assert new_cycle(one_cycle, load_first=False) > 0.9, "max_lr counts now"
EOF
