#!/usr/bin/env bash
# Library:   Opacus 1.6.0 (with torch 2.13.0), the optimizer that PrivacyEngine.make_private returns.
# Guess:     What is done to `p.grad` between backward() and step() counts, as with any optimizer: clip_grad_norm_
#            makes the step shorter, `p.grad = None` leaves a parameter where it is.
# Behaviour: The step is computed from `p.grad_sample`, and `p.grad` is overwritten first. Clipping the norm,
#            scaling or zeroing the gradient, or taking it away, all have no effect, without an error or a
#            warning: a loop that clips before each step for stability does not clip any more once it is private. The
#            norm that clip_grad_norm_ returns, which one logs, is that of a gradient that is never used. Noise and
#            the per-sample bound are switched off here, so that the two loops would otherwise agree. The docstring
#            says that step() puts its own result into `p.grad`, not that what was there is lost.
# Seen:      moved by a step        plain    private
#            as it is:              0.5      0.5
#            norm clipped to 0.001: 0.001    0.5
#            p.grad.zero_():        0.0      0.5
#            p.grad = None:         0.0      0.5
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 opacus==1.6.0
venv/bin/python -W ignore - <<'EOF'
import torch
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

loader = DataLoader(TensorDataset(torch.full((4, 1), 0.5)), batch_size=4)


def moved(change, private):
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    batches = loader
    if private:
        model, optimizer, batches = PrivacyEngine().make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=0.0,
            max_grad_norm=1e6,
            poisson_sampling=False,
        )
    (weight,) = model.parameters()
    before = weight.item()
    for (inputs,) in batches:
        model(inputs).mean().backward()
        change(weight)
        optimizer.step()
    return round(abs(weight.item() - before), 4)


def take_away(weight):
    weight.grad = None


changes = {
    "as it is": lambda weight: None,
    "norm clipped to 0.001": lambda weight: torch.nn.utils.clip_grad_norm_([weight], 0.001),
    "p.grad.zero_()": lambda weight: weight.grad.zero_(),
    "p.grad = None": take_away,
}
print(f"{'moved by a step':22} plain    private")
for name, change in changes.items():
    plain, private = moved(change, False), moved(change, True)
    print(f"{name + ':':22} {plain:<8} {private}")
    assert plain == {"as it is": 0.5, "norm clipped to 0.001": 0.001}.get(name, 0.0)
    assert private == 0.5, f"{name}: has an effect now"
EOF
