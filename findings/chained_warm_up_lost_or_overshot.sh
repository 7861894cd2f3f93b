#!/usr/bin/env bash
# Library:   torch 2.13.0, ChainedScheduler with a warm-up and a LambdaLR.
# Guess:     Chained factors multiply, in whichever order, so that LambdaLR with 0.9**epoch does what
#            ExponentialLR(0.9) does.
# Behaviour: LambdaLR computes its rate from the first one and does not look at what the others did. After the
#            warm-up it swallows it: training starts at the full rate. Before the warm-up it is worse:
#            LinearLR multiplies by the quotient of two of its factors, on a rate that has lost the first of
#            them, and the rate rises to more than one and a half times the one that was asked for. No error,
#            no warning. CosineAnnealingWarmRestarts, CyclicLR and OneCycleLR behave in the same way. The
#            docstring asks for "chainable" schedulers; which ones are is not said, there or at LambdaLR.
# Seen:      LinearLR, ExponentialLR: 0.25 0.3937 0.5062 0.5923 0.6561 0.5905
#            ExponentialLR, LinearLR: 0.25 0.3937 0.5062 0.5923 0.6561 0.5905
#            LinearLR, LambdaLR:      1.0 0.9 0.81 0.729 0.6561 0.5905
#            LambdaLR, LinearLR:      0.25 1.575 1.1571 0.9477 0.8075 0.5905
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.optim.lr_scheduler import ChainedScheduler, ExponentialLR, LambdaLR, LinearLR


def warm_up(optimizer):
    return LinearLR(optimizer, start_factor=0.25, total_iters=4)


def decay(optimizer):
    return ExponentialLR(optimizer, 0.9)


def decay_by_lambda(optimizer):
    return LambdaLR(optimizer, lambda epoch: 0.9**epoch)


def rates(*parts):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = ChainedScheduler([part(optimizer) for part in parts], optimizer)
    seen = []
    for _ in range(6):
        seen.append(round(optimizer.param_groups[0]["lr"], 4))
        optimizer.step()
        schedule.step()
    return seen


first, second, third, fourth = (
    rates(warm_up, decay),
    rates(decay, warm_up),
    rates(warm_up, decay_by_lambda),
    rates(decay_by_lambda, warm_up),
)
print("LinearLR, ExponentialLR:", *first)
print("ExponentialLR, LinearLR:", *second)
print("LinearLR, LambdaLR:     ", *third)
print("LambdaLR, LinearLR:     ", *fourth)
assert first == second == [0.25, 0.3937, 0.5062, 0.5923, 0.6561, 0.5905], "plain chaining has changed"
assert third == [1.0, 0.9, 0.81, 0.729, 0.6561, 0.5905], "the warm-up is kept before a LambdaLR now"
assert max(fourth) > 1.5, "the warm-up no longer shoots over after a LambdaLR"
EOF
