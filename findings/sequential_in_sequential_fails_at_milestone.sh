#!/usr/bin/env bash
# Library:   torch 2.13.0, SequentialLR that contains a SequentialLR or a ChainedScheduler.
# Guess:     Schedulers that are made of schedulers can be nested. If not, making one raises an error, as it
#            does for ReduceLROnPlateau.
# Behaviour: Making it works, and so do all steps up to the milestone. The step that should begin the nested
#            scheduler raises a NotImplementedError without a message, after hours of training where the first
#            part is long. A nested SequentialLR in the first place runs, one step ahead of time: its own
#            milestone of 2 is reached after one step. The docstring does not speak of nesting.
# Seen:      second is a SequentialLR:     0.1 0.1 0.1 NotImplementedError()
#            second is a ChainedScheduler: 0.1 0.1 0.1 NotImplementedError()
#            first is a SequentialLR:      0.5 0.7 0.7 0.1 0.1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR, SequentialLR


def sequential(optimizer):
    parts = [ConstantLR(optimizer, 0.5, 99), ConstantLR(optimizer, 0.7, 99)]
    return SequentialLR(optimizer, parts, milestones=[2])


def chained(optimizer):
    parts = [ConstantLR(optimizer, 0.5, 99), ExponentialLR(optimizer, 0.9)]
    return ChainedScheduler(parts, optimizer=optimizer)


def constant(optimizer):
    return ConstantLR(optimizer, 0.1, 99)


def run(first, second):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = SequentialLR(optimizer, [first(optimizer), second(optimizer)], milestones=[3])
    rates = []
    for _ in range(5):
        rates.append(round(optimizer.param_groups[0]["lr"], 4))
        optimizer.step()
        try:
            schedule.step()
        except NotImplementedError as error:
            rates.append(f"{type(error).__name__}({error})")
            break
    return rates


for name, second in (("SequentialLR:    ", sequential), ("ChainedScheduler:", chained)):
    rates = run(constant, second)
    print("second is a", name, *rates)
    assert rates == [0.1, 0.1, 0.1, "NotImplementedError()"], "the milestone is passed now"
rates = run(sequential, constant)
print("first is a SequentialLR:     ", *rates)
assert rates == [0.5, 0.7, 0.7, 0.1, 0.1], "the inner milestone has moved"
EOF
