#!/usr/bin/env bash
# Library:   torch 2.13.0, ReduceLROnPlateau with its default threshold_mode="rel".
# Guess:     A loss that does not change is a plateau, whatever its value: the rate falls after `patience`
#            epochs.
# Behaviour: In mode "min", a loss counts as progress when it is below `best * (1 - threshold)`. For a
#            negative best that is above it: an unchanged loss counts as progress each time, and the rate is
#            never lowered. A loss that rises slowly does as well, and `best` follows it upwards. Negative
#            losses are common (log-likelihoods of densities, cosine similarity, ELBO). The docstring gives
#            the formula, but says that the rate falls "when a metric has stopped improving".
# Seen:      rate after 20 epochs at a loss of 1: 1e-05, at a loss of -1: 1e-01
#            rate after a loss that rose from -1 to -0.95: 1e-01, best loss so far: -0.95
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau


def rate(losses):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    schedule = ReduceLROnPlateau(optimizer, mode="min", factor=0.1, patience=3)
    for loss in losses:
        optimizer.step()
        schedule.step(loss)
    return optimizer.param_groups[0]["lr"], schedule.best


positive, _ = rate([1.0] * 20)
negative, _ = rate([-1.0] * 20)
rising, best = rate([-1.0 + 0.00005 * i for i in range(1000)])
print(f"rate after 20 epochs at a loss of 1: {positive:.0e}, at a loss of -1: {negative:.0e}")
print(f"rate after a loss that rose from -1 to -0.95: {rising:.0e}, best loss so far: {best:.2f}")
assert positive < 0.1, "a plateau of a positive loss no longer lowers the rate"
assert negative == 0.1, "a plateau of a negative loss lowers the rate now"
assert rising == 0.1 and best > -0.96, "a slow rise of a negative loss lowers the rate now"
EOF
