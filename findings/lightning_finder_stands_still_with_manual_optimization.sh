#!/usr/bin/env bash
# Library:   lightning 2.6.6, Tuner.lr_find (with torch 2.13.0), a module with automatic_optimization = False.
# Guess:     The search raises the rate from step to step, as with automatic optimization. If it cannot, because the
#            module makes its steps itself, it says so, as it does if there are two optimizers.
# Behaviour: It raises nothing and says nothing. The rate is raised by a schedule that the trainer steps, and the
#            trainer steps no schedule of such a module. All 50 steps are made at min_lr, the results are 50 times
#            that rate, and the suggestion is min_lr, 1e-8: the only rate there is. It is even written into the
#            module, so that the fit() after it trains nothing. The docstring says that a second optimizer
#            raises an error, and nothing of who makes the steps.
# Seen:      automatic: 50 results from 1e-08 to 1, suggestion 2.291e-05, module's rate afterwards 2.291e-05
#            manual:    50 results from 1e-08 to 1e-08, suggestion 1e-08, module's rate afterwards 1e-08
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 lightning==2.6.6
venv/bin/python -W ignore - <<'EOF'
import logging

import lightning
import torch
from lightning.pytorch.tuner import Tuner
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    def __init__(self, automatic):
        super().__init__()
        self.automatic_optimization = automatic
        self.layer = torch.nn.Linear(4, 1)
        self.lr = 0.01

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def training_step(self, batch, _):
        inputs, targets = batch
        loss = (self.layer(inputs) - targets).square().mean()
        if not self.automatic_optimization:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return loss


def search(automatic):
    torch.manual_seed(0)
    inputs = torch.randn(400, 4)
    loader = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=8)
    module = Module(automatic)
    names = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", **dict.fromkeys(names, False))
    finder = Tuner(trainer).lr_find(module, loader, min_lr=1e-8, max_lr=1.0, num_training=50)
    rates, suggestion = finder.results["lr"], finder.suggestion()
    label = "automatic:" if automatic else "manual:   "
    print(f"{label} {len(rates)} results from {rates[0]:g} to {rates[-1]:g}, suggestion {suggestion:.4g},", end=" ")
    print(f"module's rate afterwards {module.lr:.4g}")
    return rates, suggestion, module.lr


rates, suggestion, after = search(automatic=True)
assert len(rates) == 50 and rates[-1] > 0.5 and suggestion == after > 1e-6
rates, suggestion, after = search(automatic=False)
assert len(rates) == 50 and max(rates) == 1e-8, "the rate rises now"
assert suggestion == after == 1e-8
EOF
