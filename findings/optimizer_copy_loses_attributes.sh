#!/usr/bin/env bash
# Library:   torch 2.13.0, copies of optimizers; lion-pytorch 0.2.5 beside it.
# Guess:     copy.deepcopy and pickle keep all that an object has; a copied optimizer works as the original.
# Behaviour: torch's Optimizer hands only its defaults, its state and its parameter groups to copies. Any
#            other attribute is lost, without a word: step hooks are no longer called, and optimizers that
#            keep settings in attributes of their own raise at the copy's first step. torch's own LBFGS is
#            among them, and so are Lion and most classes of the larger collections of optimizers. It
#            matters wherever an optimizer is copied, or sent to another process. The docstring of
#            Optimizer does not mention copies.
# Seen:      hook of SGD called: by the original 1, by the copy 0
#            LBFGS: lost by the copy: _params; step: AttributeError
#            Lion: lost by the copy: decoupled_wd update_fn; step: AttributeError
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 lion-pytorch==0.2.5
venv/bin/python - <<'EOF'
import copy

import lion_pytorch
import torch


def make(cls):
    p = torch.nn.Parameter(torch.ones(2))
    return p, cls([p], lr=0.1)


def step(optimizer):
    p = optimizer.param_groups[0]["params"][0]

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)


calls = []
p, optimizer = make(torch.optim.SGD)
optimizer.register_step_pre_hook(lambda *_: calls.append(1))
counts = []
for one in (optimizer, copy.deepcopy(optimizer)):
    calls.clear()
    step(one)
    counts.append(len(calls))
print(f"hook of SGD called: by the original {counts[0]}, by the copy {counts[1]}")
assert counts == [1, 0], "hooks are copied now"

for cls, needed in ((torch.optim.LBFGS, {"_params"}), (lion_pytorch.Lion, {"decoupled_wd", "update_fn"})):
    p, optimizer = make(cls)
    step(optimizer)
    clone = copy.deepcopy(optimizer)
    lost = needed & (vars(optimizer).keys() - vars(clone).keys())
    try:
        step(clone)
        result = "works"
    except AttributeError:
        result = "AttributeError"
    print(f"{cls.__name__}: lost by the copy: {' '.join(sorted(lost))}; step: {result}")
    assert lost == needed and result == "AttributeError", f"{cls.__name__} can be copied now"
EOF
