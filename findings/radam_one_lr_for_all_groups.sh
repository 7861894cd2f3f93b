#!/usr/bin/env bash
# Library:   torch-optimizer 0.3.0 (with torch 2.13.0), class RAdam.
# Guess:     Two parameter groups with rates 1e-2 and 1e-5: the second moves a thousandth as far as the first.
# Behaviour: Both move equally far, at the rate of the first group. The list in which RAdam remembers the
#            step size of the last ten steps is made once, as a default, so that all groups hold the same
#            list; the remembered step size contains the rate of whichever group got there first. Only a
#            group whose betas differ is given a list of its own. The parameter groups themselves show the
#            rates that were asked for. The docstring does not mention it.
# Seen:      rate in group: 0.01 1e-05
#            moved by:      0.0519 0.0519
#            alone:         0.0519 5.19e-05
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torch-optimizer==0.3.0 pytorch-ranger==0.1.1
venv/bin/python - <<'EOF'
import torch
import torch_optimizer


def parameter():
    return torch.nn.Parameter(torch.ones(1))


def train(optimizer, parameters):
    for _ in range(10):
        for p in parameters:
            p.grad = torch.ones(1)
        optimizer.step()
    return [1 - p.item() for p in parameters]


fast, slow = parameter(), parameter()
optimizer = torch_optimizer.RAdam([{"params": [fast], "lr": 1e-2}, {"params": [slow], "lr": 1e-5}])
moved = train(optimizer, [fast, slow])
alone = []
for lr in (1e-2, 1e-5):
    p = parameter()
    alone += train(torch_optimizer.RAdam([p], lr=lr), [p])
print("rate in group:", *(group["lr"] for group in optimizer.param_groups))
print("moved by:     ", *(f"{x:.3g}" for x in moved))
print("alone:        ", *(f"{x:.3g}" for x in alone))
assert [group["lr"] for group in optimizer.param_groups] == [1e-2, 1e-5]
assert moved[0] == moved[1] > 1e-3, "the second group no longer moves at the first one's rate"
assert alone[1] < alone[0] / 500, "a single group no longer follows its own rate"
EOF
