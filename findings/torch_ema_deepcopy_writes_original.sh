#!/usr/bin/env bash
# Library:   torch-ema 0.3 (with torch 2.13.0), class ExponentialMovingAverage.
# Guess:     copy.deepcopy((model, ema)) gives a pair of its own: the copied average belongs to the copied model.
# Behaviour: The average knows its parameters by weak references, and deepcopy hands weak references on as
#            they are. Without an argument, the copied average therefore follows the original model, and its
#            `copy_to` and `average_parameters` write into the original and leave the copy alone. Passing the
#            parameters explicitly avoids it. The docstrings do not mention copies.
# Seen:      original weight before: 3.0, after copy_to of the copied average: 2.0
#            copied weight before: 7.0, after: 7.0
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torch-ema==0.3
venv/bin/python - <<'EOF'
import copy

import torch
from torch_ema import ExponentialMovingAverage

model = torch.nn.Linear(1, 1, bias=False)
with torch.no_grad():
    model.weight.fill_(1.0)
    ema = ExponentialMovingAverage(model.parameters(), decay=0.5, use_num_updates=False)
    model.weight.fill_(3.0)
ema.update()

trial_model, trial_ema = copy.deepcopy((model, ema))
with torch.no_grad():
    trial_model.weight.fill_(7.0)
before = model.weight.item(), trial_model.weight.item()
trial_ema.copy_to()
after = model.weight.item(), trial_model.weight.item()
print(f"original weight before: {before[0]}, after copy_to of the copied average: {after[0]}")
print(f"copied weight before: {before[1]}, after: {after[1]}")
assert after[0] == 2.0, "the original model is left alone now"
assert after[1] == 7.0, "the copied model is written to now"
EOF
