#!/usr/bin/env bash
# Library:   lightning 2.6.6 (with torch 2.13.0), Tuner.lr_find with a GradientAccumulationScheduler.
# Guess:     The search runs the training that fit() would run, at other rates: if gradients are accumulated over
#            four batches there, so they are here. With Trainer(accumulate_grad_batches=4) it does.
# Behaviour: The search takes all callbacks away, and with them GradientAccumulationScheduler({0: 4}), which is
#            another way to say the same. Each step is made on one batch instead of four, so that the rate is
#            found for a batch size that fit() does not use; nothing is said. Whatever else is a callback and
#            belongs to the training is left out as well. The docstring of lr_find does not mention it.
# Seen:      Trainer(accumulate_grad_batches=4):        batches per step in fit() 4, in lr_find() 4
#            GradientAccumulationScheduler({0: 4}):     batches per step in fit() 4, in lr_find() 1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 lightning==2.6.6
venv/bin/python -W ignore - <<'EOF'
import logging
import warnings

import lightning
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.tuner import Tuner
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 1)
        self.lr = 0.01
        self.batches = self.steps = 0

    def training_step(self, batch, index):
        self.batches += 1
        return self.linear(batch[0]).square().mean()

    def optimizer_step(self, *args, **kwargs):
        self.steps += 1
        super().optimizer_step(*args, **kwargs)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


loader = DataLoader(TensorDataset(torch.ones(160, 4)), batch_size=4)


def batches_per_step(search, options):
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    module, trainer = Module(), lightning.Trainer(accelerator="cpu", max_epochs=1, **quiet, **options())
    if search:
        Tuner(trainer).lr_find(module, loader, num_training=10, early_stop_threshold=None, update_attr=False)
    else:
        trainer.fit(module, loader)
    return round(module.batches / module.steps)


def both(label, options):
    pair = batches_per_step(False, options), batches_per_step(True, options)
    print(f"{label:42} batches per step in fit() {pair[0]}, in lr_find() {pair[1]}")
    return pair


assert both("Trainer(accumulate_grad_batches=4):", lambda: dict(accumulate_grad_batches=4)) == (4, 4)
callback = both(
    "GradientAccumulationScheduler({0: 4}):", lambda: dict(callbacks=[GradientAccumulationScheduler({0: 4})])
)
assert callback == (4, 1), "the search accumulates now"
EOF
