#!/usr/bin/env bash
# Library:   ranger21 0.1.0 (with torch 2.13.0), class Ranger21, argument weight_decay.
# Guess:     Weight decay shrinks every parameter of the group.
# Behaviour: Only the last parameter is decayed, whatever the model: the decay stands before the loop over
#            the parameters and is applied to the variable that an earlier loop left behind. In most networks
#            that is the bias of the output layer. The readme speaks of weight decay as usual.
# Seen:      difference that weight decay makes after 20 steps: 0.0000 0.0000 0.0339
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 ranger21==0.1.0
venv/bin/python - <<'EOF'
import contextlib
import io

import ranger21
import torch


def train(weight_decay):
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.ones(4, 4)) for _ in range(3)]
    with contextlib.redirect_stdout(io.StringIO()):  # it reports at length
        optimizer = ranger21.Ranger21(
            parameters,
            lr=1e-2,
            num_epochs=4,
            num_batches_per_epoch=10,
            weight_decay=weight_decay,
            normloss_active=False,
            use_adaptive_gradient_clipping=False,
        )
        for _ in range(20):
            for p in parameters:
                p.grad = torch.randn_like(p)
            optimizer.step()
    return [p.detach() for p in parameters]


difference = [(a - b).norm().item() for a, b in zip(train(0.0), train(0.1))]
print("difference that weight decay makes after 20 steps:", *(f"{d:.4f}" for d in difference))
assert difference[:2] == [0.0, 0.0], "the first parameters are decayed now"
assert difference[2] > 0.01, "the last parameter is no longer decayed"
EOF
