#!/usr/bin/env bash
# Library:   torch 2.13.0, Adam and AdamW.
# Guess:     The class decides on the algorithm. Adam adds weight decay to the gradient, AdamW shrinks the
#            weight itself, and a state_dict of one that is loaded into the other does not change that.
# Behaviour: Which of the two it is stands in the parameter group, as `decoupled_weight_decay`, and is loaded
#            with it. An Adam that is given the state of an AdamW is an AdamW from then on, without a warning,
#            and prints as Adam. The other way round AdamW stays what it is: it sets the entry again after
#            loading. One meets it where a checkpoint of AdamW is continued with Adam, to compare the two. The
#            docstring explains the argument, not that loading sets it.
# Seen:      saved from Adam , loaded into Adam : 0.9
#            saved from Adam , loaded into AdamW: 0.95
#            saved from AdamW, loaded into Adam : 0.95
#            saved from AdamW, loaded into AdamW: 0.95
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import torch
from torch.optim import Adam, AdamW


def decayed(saved_from, loaded_into):
    """Weight 1.0 after one step with gradient 0: only the weight decay of 0.5 can move it."""
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.zeros(1)
    saved = saved_from([weight], lr=0.1, weight_decay=0.5).state_dict()
    optimizer = loaded_into([weight], lr=0.1, weight_decay=0.5)
    optimizer.load_state_dict(saved)
    optimizer.step()
    return round(weight.item(), 4)


seen = {(a.__name__, b.__name__): decayed(a, b) for a in (Adam, AdamW) for b in (Adam, AdamW)}
for (saved, loaded), weight in seen.items():
    print(f"saved from {saved:5}, loaded into {loaded:5}: {weight}")
assert seen["Adam", "Adam"] == 0.9, "Adam itself has changed"
assert seen["AdamW", "AdamW"] == 0.95, "AdamW itself has changed"
assert seen["AdamW", "Adam"] == 0.95, "Adam stays Adam now"
EOF
