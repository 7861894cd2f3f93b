#!/usr/bin/env bash
# Library:   torch-optimizer 0.3.0 (with torch 2.13.0), class Ranger, which comes from pytorch-ranger 0.1.1.
# Guess:     `optimizer.step(closure)` calls the closure and returns its loss, as the docstring of `step` says
#            and as every optimizer of torch.optim does.
# Behaviour: The closure is never called, None is returned and nothing moves, without an error or a warning.
#            A loop that leaves the backward pass to the closure (as several training frameworks do for all
#            optimizers) trains nothing. RangerQH, from the same package, does call it. A comment in the
#            source says that the call was taken out; the docstring still describes the closure.
# Seen:      Ranger:   calls 0, returned None, weight 1.0000
#            RangerQH: calls 20, returned a loss, weight 0.4971
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torch-optimizer==0.3.0 pytorch-ranger==0.1.1
venv/bin/python -W ignore - <<'EOF'
import torch
import torch_optimizer


def train(cls):
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = cls([weight], lr=0.05)
    calls = 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    for _ in range(20):
        returned = optimizer.step(closure)
    return calls, returned, weight.item()


calls, returned, weight = train(torch_optimizer.Ranger)
print(f"Ranger:   calls {calls}, returned {returned}, weight {weight:.4f}")
assert calls == 0 and returned is None and weight == 1.0, "Ranger now heeds the closure"
calls, returned, weight = train(torch_optimizer.RangerQH)
print(f"RangerQH: calls {calls}, returned {'a loss' if returned is not None else None}, weight {weight:.4f}")
assert calls == 20 and returned is not None and weight < 1.0, "RangerQH no longer heeds the closure"
EOF
