#!/usr/bin/env bash
# Library:   adabound 0.0.5, class AdaBound; torch-optimizer 0.3.0 and pytorch_optimizer 4.1.0 have it as well
#            (with torch 2.13.0).
# Guess:     A layer that is thawed later is handed over with add_param_group, and is trained from then on, as with
#            any other optimizer.
# Behaviour: It is not. The constructor makes a list of the rates of its groups, and step() walks through the groups
#            and that list in parallel, by zip(), which ends with the shorter one. A group that came later is there in
#            param_groups, schedules and finders set its rate, and not one step is made. There is no error and no
#            warning: the loss just falls less far. In pytorch_optimizer the same list raises an IndexError at the
#            first step.
# Seen:      torch Adam           moved in ten steps: first group 0.1, added group 0.1
#            adabound             moved in ten steps: first group 0.1, added group 0
#            torch-optimizer      moved in ten steps: first group 0.1, added group 0
#            pytorch_optimizer    IndexError
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 adabound==0.0.5 torch-optimizer==0.3.0 \
    pytorch_optimizer==4.1.0
venv/bin/python -W ignore - <<'EOF'
import adabound
import pytorch_optimizer
import torch
import torch_optimizer


def moved(cls):
    """How far ten steps move a weight of the first group, and one of a group that is added before them."""
    first, added = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = cls([first], lr=0.01)
    optimizer.add_param_group({"params": [added]})
    for _ in range(10):
        for weight in (first, added):
            weight.grad = torch.ones(1)
        optimizer.step()
    return 1 - first.item(), 1 - added.item()


for name, cls, trained in (
    ("torch Adam", torch.optim.Adam, True),
    ("adabound", adabound.AdaBound, False),
    ("torch-optimizer", torch_optimizer.AdaBound, False),
):
    first, added = moved(cls)
    print(f"{name:20} moved in ten steps: first group {first:.2g}, added group {added:.2g}")
    assert first > 0 and (added > 0) is trained, f"{name} treats added groups in another way now"

try:
    moved(pytorch_optimizer.AdaBound)
    result = "works"
except IndexError:
    result = "IndexError"
print(f"{'pytorch_optimizer':20} {result}")
assert result == "IndexError", "pytorch_optimizer takes added groups now"
EOF
