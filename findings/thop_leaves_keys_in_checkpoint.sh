#!/usr/bin/env bash
# Library:   thop 0.1.1.post2209072238 with torch 2.13.0.
# Guess:     thop.profile(model, …) counts, and cleans up after itself: a checkpoint that is saved later has the
#            keys of the model, and a fresh model loads it.
# Behaviour: It registers buffers total_ops and total_params on each module without children, and removes them only
#            from modules of types that it has a rule for. Tanh, Flatten and GELU have none, so theirs stay. They are
#            in every later state_dict, and load_state_dict of a fresh model raises an error. A model of layers
#            that it knows loads well, so one meets this with another activation.
# Seen:      Linear, ReLU: no further key; Linear, GELU, Flatten: 1.total_ops, 1.total_params, 2.total_ops,
#            2.total_params; "Unexpected key(s) in state_dict"
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 thop==0.1.1.post2209072238
venv/bin/python -W ignore - <<'EOF'
import thop
import torch
from torch import nn


def further_keys(make):
    model = make()
    thop.profile(model, inputs=(torch.zeros(1, 4),), verbose=False)
    return sorted(model.state_dict().keys() - make().state_dict().keys()), model


def known():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU())


def others():
    return nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Flatten())


none, model = further_keys(known)
known().load_state_dict(model.state_dict())
some, model = further_keys(others)
print("Linear, ReLU:", none, "- Linear, GELU, Flatten:", some)
assert none == []
assert some == ["1.total_ops", "1.total_params", "2.total_ops", "2.total_params"]
try:
    others().load_state_dict(model.state_dict())
except RuntimeError as error:
    print(error)
    assert "Unexpected key(s) in state_dict" in str(error)
else:
    raise AssertionError("a fresh model loads it: the behaviour has changed")
EOF
