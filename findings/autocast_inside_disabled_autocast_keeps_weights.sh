#!/usr/bin/env bash
# Library:   torch 2.13.0, torch.autocast around a loop whose steps enter autocast themselves.
# Guess:     An outer torch.autocast(…, enabled=False) is as good as none: it is switched off. Steps that
#            enter autocast inside it cast the weights as they are at that step.
# Behaviour: The casts of the weights are kept until the outermost block is left, and one that is switched
#            off counts as a block. From the second step on, every forward pass uses the weights of the first,
#            in lower precision, while the optimizer changes the originals: a loop with a switch for mixed
#            precision outside and autocast inside does not train, without an error. The documentation does
#            not say that a block that is off keeps the casts of those inside it.
# Seen:      no outer block:       loss of the same batch 1.0 0.75 0.5
#            outer block disabled: loss of the same batch 1.0 1.0 1.0
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
from contextlib import nullcontext

import torch


def losses(outside):
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.125)
    x, y = torch.ones(4, 2), torch.full((4, 1), 2.0)
    seen = []
    with outside:
        for _ in range(3):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                output = model(x)
            loss = (output.float() - y).abs().mean()
            loss.backward()
            optimizer.step()
            seen.append(round(loss.item(), 3))
    return seen


seen = {
    "no outer block:": losses(nullcontext()),
    "outer block disabled:": losses(torch.autocast("cpu", enabled=False)),
}
for name, values in seen.items():
    print(f"{name:21s} loss of the same batch", *values)
first, kept = seen.values()
assert first[0] > first[1] > first[2], "the behaviour has changed"
assert kept[0] == kept[1] == kept[2], "the behaviour has changed"
EOF
