#!/usr/bin/env bash
# Library:   torch 2.13.0, Optimizer.load_state_dict; kron-torch 0.3.3, class Kron.
# Guess:     Loading the state_dict of an optimizer brings back what it kept for each parameter. Tensors may be
#            moved or cast to suit the parameter; anything else, a word, a number or a queue, stays as it is.
# Behaviour: Whatever can be iterated over is made anew by type(value)(items), the items coming from a generator. A
#            list survives that, a string does not: it becomes the text "<generator object ...>". A queue of limited
#            length becomes one without a limit. Nothing is said. Kron keeps the formula of its preconditioner as
#            strings, so its checkpoints are written and loaded, and the first step that uses the formula fails, with
#            a complaint about that text. A range test that puts the optimizer back by load_state_dict has the same
#            effect. The docstring says that the state should be an object returned by state_dict(), no more.
# Seen:      string "warm-up"            -> "<generator object Optimizer.load_state_d..."
#            deque of at most 2 values   -> deque of at most None values
#            list [1.0, 'two']           -> list [1.0, '<generator object Optimizer.load_state_d...']
#            Kron, steps 6 to 10: as they are: they work; after load_state_dict(state_dict()): ValueError
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 kron-torch==0.3.3
TORCHDYNAMO_DISABLE=1 venv/bin/python -W ignore - <<'EOF'
import contextlib
from collections import deque

import torch
from kron_torch import Kron

weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.SGD([weight], lr=0.1)
optimizer.state[weight].update(phase="warm-up", losses=deque([2.0, 1.0], maxlen=2), pair=[1.0, "two"])
optimizer.load_state_dict(optimizer.state_dict())
state = optimizer.state[weight]


def short(text):
    return text[:40] + "..." if len(text) > 40 else text


print(f'string "warm-up"            -> "{short(state["phase"])}"')
print(f"deque of at most 2 values   -> deque of at most {state['losses'].maxlen} values")
print(f"list [1.0, 'two']           -> list {[x if isinstance(x, float) else short(x) for x in state['pair']]}")
assert state["phase"].startswith("<generator object"), "strings are loaded as they are now"
assert state["losses"].maxlen is None, "the limit of a deque is kept now"
assert state["pair"][0] == 1.0


def train_kron(load):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(4, 3))
    optimizer = Kron([weight], lr=0.01)
    try:
        for step in range(10):
            if load and step == 5:
                optimizer.load_state_dict(optimizer.state_dict())
            weight.grad = weight.detach() - 1.5
            with contextlib.redirect_stdout(None):  # the first step tells how much memory it needs
                optimizer.step()
    except ValueError:
        assert step >= 5
        return "ValueError"
    return "they work"


results = train_kron(load=False), train_kron(load=True)
print(f"Kron, steps 6 to 10: as they are: {results[0]}; after load_state_dict(state_dict()): {results[1]}")
assert results == ("they work", "ValueError"), "Kron can go on from a checkpoint now"
EOF
