#!/usr/bin/env bash
# Library:   Poutyne 1.19.0 (with torch 2.13.0), callbacks ClipNorm and ClipValue with fit(batches_per_step=4).
# Guess:     ClipNorm(parameters, 1.0) limits the gradient that the optimizer gets to a norm of 1, whether it comes
#            from one batch or from four. A gradient of norm 0.5 is let through.
# Behaviour: With more than one batch per step, Poutyne multiplies each loss by the size of its batch, sums the
#            gradients, and divides by the number of examples just before the step. The callbacks clip after each
#            backward pass, so what they see is that sum, which is as many times too large as there are examples in
#            it. Four batches of 8 with a gradient of norm 0.5 make a sum of 16, which is cut down to 1 and then
#            divided by 32: a step at a rate of 0.1 is one at 0.006. The more examples, the less is left, and with an
#            incomplete last step it is another share. Best rates that were found with one batch per step do not hold
#            any more. The documentation says that the loss is the mean of the batch losses, and nothing of clipping.
# Seen:      norms of the gradients that the optimizer gets, from 32 examples of norm 0.5 each:
#            no clipping     1 batch of 32: 0.5    4 batches of 8: 0.5        3 batches of 8, then 1: 0.5 0.5
#            ClipNorm(1)     1 batch of 32: 0.5    4 batches of 8: 0.0312     3 batches of 8, then 1: 0.0417 0.125
#            ClipValue(1)    1 batch of 32: 0.5    4 batches of 8: 0.0312     3 batches of 8, then 1: 0.0417 0.125
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 poutyne==1.19.0
venv/bin/python -W ignore - <<'EOF'
import torch
from poutyne import ClipNorm, ClipValue, Model

EXAMPLES = 32


def norms(batch_size, batches_per_step, clip=None):
    """The norms of the gradients in one epoch, each as the optimizer gets it, rounded."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(network.weight.grad.norm().item()))
    Model(network, optimizer, "mse").fit(
        torch.ones(EXAMPLES, 1),
        torch.full((EXAMPLES, 1), 0.25),  # every example has a gradient of -0.5
        epochs=1,
        batch_size=batch_size,
        batches_per_step=batches_per_step,
        callbacks=[clip(network.parameters(), 1.0)] if clip else [],
        verbose=False,
    )
    return [float(f"{norm:.3g}") for norm in seen]


def words(values):
    return " ".join(f"{value:.3g}" for value in values)


print("norms of the gradients that the optimizer gets, from 32 examples of norm 0.5 each:")
for name, clip in (("no clipping", None), ("ClipNorm(1)", ClipNorm), ("ClipValue(1)", ClipValue)):
    one, four, three = norms(32, 1, clip), norms(8, 4, clip), norms(8, 3, clip)
    print(
        f"{name:15} 1 batch of 32: {words(one):6} 4 batches of 8: {words(four):10} "
        f"3 batches of 8, then 1: {words(three)}"
    )
    assert one == [0.5]
    if clip is None:
        assert four == [0.5] and three == [0.5, 0.5]
    else:
        assert abs(four[0] - 1 / 32) < 1e-3, "the gradient is averaged before it is clipped now"
        assert abs(three[0] - 1 / 24) < 1e-3 and abs(three[1] - 1 / 8) < 1e-3
EOF
