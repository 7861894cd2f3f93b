#!/usr/bin/env bash
# Library:   torch 2.13.0, torch.manual_seed.
# Guess:     A public function of a module can be pickled at any time, and so can a partial of it. What a
#            script hands to its worker processes does not depend on whether an optimizer exists.
# Behaviour: The first optimizer of any kind imports torch._dynamo, which replaces `torch.manual_seed` by a
#            wrapper. The wrapper claims the name of the original, pickle compares the two and refuses. So a
#            DataLoader with `worker_init_fn=torch.manual_seed` and spawned workers works in a script that
#            only looks at the data and fails in the one that trains; torch.seed and the others stay as they
#            are. The documentation of neither mentions it.
# Seen:      at first:           pickled
#            after a backward:   pickled
#            after SGD was made: PicklingError: Can't pickle <function manual_seed ...
#            DataLoader:         PicklingError
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import pickle

import torch


def seen():
    try:
        pickle.dumps(torch.manual_seed)
        return "pickled"
    except pickle.PicklingError as error:
        return f"{type(error).__name__}: {str(error).split(' at 0x')[0]} ..."


before = seen()
model = torch.nn.Linear(2, 1)
model(torch.ones(2)).sum().backward()
trained = seen()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
after = seen()
print("at first:          ", before)
print("after a backward:  ", trained)
print("after SGD was made:", after)
assert before == trained == "pickled", "torch.manual_seed cannot be pickled to begin with"
assert after.startswith("PicklingError"), "torch.manual_seed can be pickled beside an optimizer now"

# What one meets it by: workers that are started by "spawn" and get a function that seeds them.
data = torch.utils.data.TensorDataset(torch.arange(4.0))
loader = torch.utils.data.DataLoader(
    data, num_workers=1, worker_init_fn=torch.manual_seed, multiprocessing_context="spawn"
)
try:
    next(iter(loader))
    raise AssertionError("the loader starts its worker now")
except pickle.PicklingError as error:
    print("DataLoader:        ", type(error).__name__)
EOF
