#!/usr/bin/env bash
# Library:   torch 2.13.0, torch.distributed.checkpoint.state_dict.get_optimizer_state_dict.
# Guess:     Asking for the state of an optimizer changes nothing. A training that saves a checkpoint before its
#            first step goes as one that does not.
# Behaviour: If the optimizer has made no step yet, one is made, with gradients and a rate of zero, so that there
#            is a state. That counts. Adam's first real step has the bias correction of the second, and moves
#            three quarters as far as it should. Rprop takes the rate of zero for its step size, which grows by a
#            fifth per step at most from there: the training stands still. No error, no warning.
#            Optimizer.state_dict() leaves the optimizer alone. The docstring says that parameter ids become
#            names, and nothing of a step.
# Seen:      Adam  not asked: moved by 0.1 0.1996 0.2984, step count 3
#            Adam  asked:     moved by 0.07441 0.16 0.2502, step count 4
#            Rprop not asked: moved by 0.1 0.22 0.364, step count 3
#            Rprop asked:     moved by 1.0e-06 2.2e-06 3.6e-06, step count 4
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict


def train(optimizer_class, ask):
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    optimizer = optimizer_class(model.parameters(), lr=0.1)
    if ask:
        get_optimizer_state_dict(model, optimizer)
    moved = []
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 1)).square().sum().backward()
        optimizer.step()
        moved.append(1.0 - model.weight.item())
    count = int(optimizer.state[model.weight]["step"])
    words = " ".join(f"{value:.4g}" if value > 1e-3 else f"{value:.1e}" for value in moved)
    label = "asked:    " if ask else "not asked:"
    print(f"{optimizer_class.__name__:5} {label} moved by {words}, step count {count}")
    return moved[0], count


for optimizer_class in (torch.optim.Adam, torch.optim.Rprop):
    first, count = train(optimizer_class, ask=False)
    assert abs(first - 0.1) < 1e-4 and count == 3
    first, count = train(optimizer_class, ask=True)
    assert count == 4, "asking is no step any more"
    assert abs(first - 0.0744) < 1e-3 if optimizer_class is torch.optim.Adam else first < 1e-5
EOF
