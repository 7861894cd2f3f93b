#!/usr/bin/env bash
# Library:   torch 2.13.0, Optimizer.load_state_dict.
# Guess:     Loading copies the values, as Module.load_state_dict does. A deep copy of a state_dict is a place
#            to return to, as often as one likes.
# Behaviour: The tensors of the loaded dictionary become those of the optimizer, as long as type and device
#            fit. Every step then writes into the checkpoint in memory, and loading it again returns to
#            wherever the last trial ended. Only the first return is right; no error, no warning. The
#            parameter groups are copied, so that the rates look right each time. The docstring does not
#            mention it.
# Seen:      momentum after loading the same state three times: 1.9 4.0951 5.6953
#            the same with a module: saved weight unchanged: True
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import copy

import torch

weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)


def steps(n):
    for _ in range(n):
        weight.grad = torch.ones(1)
        optimizer.step()


steps(2)
saved = copy.deepcopy(optimizer.state_dict())
seen = []
for _ in range(3):
    optimizer.load_state_dict(saved)
    seen.append(round(optimizer.state[weight]["momentum_buffer"].item(), 4))
    steps(3)
print("momentum after loading the same state three times:", *seen)
assert seen[0] == 1.9 and seen[0] < seen[1] < seen[2], "the state that was loaded is left alone now"

model = torch.nn.Linear(1, 1)
saved = copy.deepcopy(model.state_dict())
before = saved["weight"].item()
model.load_state_dict(saved)
with torch.no_grad():
    model.weight.add_(1.0)
print("the same with a module: saved weight unchanged:", saved["weight"].item() == before)
assert saved["weight"].item() == before, "modules share their tensors, too"
EOF
