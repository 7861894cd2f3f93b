#!/usr/bin/env bash
# Library:   lightning 2.6.6, callback BackboneFinetuning, with schedulers of torch 2.13.0.
# Guess:     The callback unfreezes the backbone at the chosen epoch, gives it a parameter group of its own, and
#            training goes on, whichever scheduler the module has. If not, fit() says so at its start.
# Behaviour: It depends on how the scheduler computes its rates. With StepLR, ExponentialLR and CosineAnnealingLR
#            the training goes on. With LambdaLR, MultiplicativeLR, CosineAnnealingWarmRestarts, CyclicLR and
#            OneCycleLR it ends at the end of the epoch of unfreezing, which may be hours later, with an error
#            that names neither the callback nor the group. The docstring of the callback does not mention
#            schedulers.
# Seen:      StepLR                      5 of 5 epochs
#            ExponentialLR               5 of 5 epochs
#            CosineAnnealingLR           5 of 5 epochs
#            LambdaLR                    2 of 5 epochs, ValueError: zip() argument 2 is shorter than argument 1
#            MultiplicativeLR            2 of 5 epochs, ValueError: zip() argument 2 is longer than argument 1
#            CosineAnnealingWarmRestarts 2 of 5 epochs, ValueError: zip() argument 2 is shorter than argument 1
#            CyclicLR                    2 of 5 epochs, ValueError: zip() argument 2 is shorter than argument 1
#            OneCycleLR                  2 of 5 epochs, KeyError: 'max_lr'
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
from lightning.pytorch.callbacks import BackboneFinetuning
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    def __init__(self, schedule):
        super().__init__()
        self.backbone, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
        self.schedule, self.epochs = schedule, 0

    def training_step(self, batch, index):
        return self.head(self.backbone(batch[0])).square().mean()

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.head.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [self.schedule(optimizer)]

    def on_train_epoch_end(self):
        self.epochs += 1


loader = DataLoader(TensorDataset(torch.ones(8, 4)), batch_size=4)


def train(schedule):
    module = Module(schedule)
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    unfreeze = BackboneFinetuning(unfreeze_backbone_at_epoch=2, backbone_initial_ratio_lr=0.1)
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=5, callbacks=[unfreeze], **quiet)
    error = ""
    try:
        trainer.fit(module, loader)
    except (KeyError, ValueError) as raised:
        error = f", {type(raised).__name__}: {raised}"
    name = type(trainer.lr_scheduler_configs[0].scheduler).__name__
    print(f"{name:27} {module.epochs} of 5 epochs{error}")
    return module.epochs, bool(error)


works = [
    lambda optimizer: lr_scheduler.StepLR(optimizer, 2),
    lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9),
    lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 8),
]
fails = [
    lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch),
    lambda optimizer: lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.9),
    lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 8),
    lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.01, 0.1),
    lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8),
]
for schedule in works:
    assert train(schedule) == (5, False)
for schedule in fails:
    assert train(schedule) == (2, True), "the schedule takes the new group now"
EOF
