#!/usr/bin/env bash
# Library:   Catalyst 22.4, catalyst.dl.OptimizerCallback and BackwardCallback; torch 2.13.0, accelerate 0.25.0.
# Guess:     OptimizerCallback(grad_clip_fn=clip_grad_norm_, grad_clip_params={"max_norm": 1.0}) limits the gradient
#            to a norm of 1 before the step. With accumulation_steps=4, four batches of 8 make the step that one
#            batch of 32 makes: the gradients are averaged, as with Lightning, Keras or the Trainer of transformers.
# Behaviour: Nothing is clipped. The callback stores the function with its parameters and never calls it: clipping
#            has moved to BackwardCallback, which the runner adds by itself, and the arguments, and their lines in
#            the docstring, stayed behind. Given to BackwardCallback, as an example notebook of the project advises,
#            the function fails at the first batch, as that callback looks for the model in itself. And the
#            gradients of accumulated batches are added up and not divided, so that four batches make a step as at
#            four times the rate: a best rate that was found without is too high by that factor. The docstring says
#            "number of steps before optimizer.step()", no more.
# Seen:      gradient of norm 4 in every example, norm that the optimizer gets:
#            one batch of 32:    4     with grad_clip_fn, max_norm=1: 4
#            four batches of 8:  16    with grad_clip_fn, max_norm=1: 16
#            grad_clip_fn given to BackwardCallback: AttributeError
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 catalyst==22.4 accelerate==0.25.0 \
    tensorboardX==2.6.5 setuptools==80.9.0
venv/bin/python -W ignore - <<'EOF'
import contextlib

import torch
from catalyst import dl
from torch.utils.data import DataLoader, TensorDataset

CLIP = {"grad_clip_fn": torch.nn.utils.clip_grad_norm_, "grad_clip_params": {"max_norm": 1.0}}


def norm(batch_size, accumulation_steps, in_optimizer=None, in_backward=None):
    """The norm of the gradient that the optimizer gets in its first step."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(model.weight.grad.norm().item()))
    data = TensorDataset(torch.ones(32, 1), torch.full((32, 1), 2.0))  # every example has a gradient of -4
    with contextlib.redirect_stdout(None):
        dl.SupervisedRunner().train(
            model=model,
            criterion=torch.nn.MSELoss(),
            optimizer=optimizer,
            loaders={"train": DataLoader(data, batch_size=batch_size)},
            callbacks=[
                dl.BackwardCallback(metric_key="loss", **(in_backward or {})),
                dl.OptimizerCallback(
                    metric_key="loss", accumulation_steps=accumulation_steps, **(in_optimizer or {})
                ),
            ],
            num_epochs=1,
            engine=dl.CPUEngine(),
        )
    return seen[0]


print("gradient of norm 4 in every example, norm that the optimizer gets:")
for name, batch_size, steps, expected in (("one batch of 32:", 32, 1, 4), ("four batches of 8:", 8, 4, 16)):
    plain, clipped = norm(batch_size, steps), norm(batch_size, steps, in_optimizer=CLIP)
    print(f"{name:19} {plain:<5.3g} with grad_clip_fn, max_norm=1: {clipped:.3g}")
    assert abs(plain - expected) < 1e-3, "accumulated gradients are averaged now"
    assert abs(clipped - expected) < 1e-3, "OptimizerCallback clips now"
try:
    norm(32, 1, in_backward=CLIP)
    result = "works"
except AttributeError as error:
    result = type(error).__name__ if "'model'" in str(error) else str(error)
print(f"grad_clip_fn given to BackwardCallback: {result}")
assert result == "AttributeError", "BackwardCallback clips now"
EOF
