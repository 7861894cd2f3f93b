#!/usr/bin/env bash
# Library:   torch 2.13.0, a new scheduler on an optimizer that has had one before.
# Guess:     A new LambdaLR begins at the rate that the group has: set `group["lr"]` to the rate that
#            a test suggested, make the scheduler anew, and it starts there.
# Behaviour: The first scheduler left its starting rate in the group as `initial_lr`, and later ones take that
#            instead. LambdaLR undoes the new rate the moment it is made. `initial_lr` is also part of
#            the optimizer's state_dict. Deleting it from the group first gives what was meant. The docstring
#            speaks of the initial rate without saying where it comes from.
# Seen:      set to 0.01 by hand, then LambdaLR made: 0.1
#            the same after deleting initial_lr:      0.01
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.optim.lr_scheduler import LambdaLR, StepLR


def rate(delete):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    StepLR(optimizer, step_size=10)
    group = optimizer.param_groups[0]
    group["lr"] = 0.01
    if delete:
        del group["initial_lr"]
    LambdaLR(optimizer, lambda epoch: 1.0)
    return group["lr"]


kept, deleted = rate(delete=False), rate(delete=True)
print("set to 0.01 by hand, then LambdaLR made:", kept)
print("the same after deleting initial_lr:     ", deleted)
assert kept == 0.1, "the rate set by hand is kept now"
assert deleted == 0.01, "deleting initial_lr no longer helps"
EOF
