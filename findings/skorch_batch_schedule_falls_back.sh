#!/usr/bin/env bash
# Library:   skorch 1.4.0 (with torch 2.13.0), callback LRScheduler with step_every="batch".
# Guess:     Three calls of partial_fit with an epoch each are one training of three epochs: the schedule goes
#            on where the last call left it, as it does with step_every="epoch".
# Behaviour: Every call makes the scheduler anew and tells it how many epochs are in the history, also where
#            it counts batches. With four batches an epoch, the second epoch starts at the rate of batch 1
#            instead of batch 4, the third at that of batch 2. A decay per batch hardly gets anywhere, however
#            long one trains. The callback does count the batches; the number is not used. The docstring does
#            not mention it.
# Seen:      per epoch, one call:    1.0 0.9 0.81
#            per epoch, three calls: 1.0 0.9 0.81
#            per batch, one call:    1.0 0.9 0.81 0.729 0.656 0.59 0.531 0.478 0.43 0.387 0.349 0.314
#            per batch, three calls: 1.0 0.9 0.81 0.729 0.9 0.81 0.729 0.656 0.81 0.729 0.656 0.59
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 skorch==1.4.0
venv/bin/python -W ignore - <<'EOF'
import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler

x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
y = (x[:, 0] > 0).astype(np.int64)


def rates(step_every, calls):
    schedule = LRScheduler("LambdaLR", lr_lambda=lambda step: 0.9**step, step_every=step_every)
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Softmax(dim=-1))
    net = NeuralNetClassifier(
        module,
        lr=1.0,
        max_epochs=3 // calls,
        batch_size=10,
        train_split=None,
        verbose=0,
        callbacks=[schedule],
    )
    for _ in range(calls):
        net.partial_fit(x, y)
    if step_every == "epoch":
        return [round(rate, 3) for rate in net.history[:, "event_lr"]]
    return [round(batch["event_lr"], 3) for epoch in net.history for batch in epoch["batches"]]


for step_every in ("epoch", "batch"):
    straight, resumed = rates(step_every, 1), rates(step_every, 3)
    print(f"per {step_every}, one call:   ", *straight)
    print(f"per {step_every}, three calls:", *resumed)
    if step_every == "epoch":
        assert straight == resumed == [1.0, 0.9, 0.81], "a schedule per epoch is not continued any more"
    else:
        assert straight[-1] == 0.314, "the schedule itself has changed"
        assert resumed[4] == 0.9 and resumed[8] == 0.81, "a schedule per batch is continued now"
EOF
