#!/usr/bin/env bash
# Library:   lightning 2.6.6 (with torch 2.13.0), callback LearningRateFinder in the course of training.
# Guess:     A search at the start of epoch 2 goes as one at epoch 0. The callback's docstring shows how to
#            run it at chosen epochs.
# Behaviour: It ends after its first step, without a suggestion, and the rate stays as it was. The best loss
#            starts as 0 and is set at step 1 of the training, which is long past; every later loss exceeds
#            four times 0, and the search takes it for diverging. With early_stop_threshold=None all steps are
#            made, but the running average is then corrected as if it had begun with the training, so that the
#            first losses are recorded at a few percent of their value.
# Seen:      epoch 0, threshold 4.0: 40 of 40 points, suggestion: True
#            epoch 2, threshold 4.0: 1 of 40 points, suggestion: False
#            epoch 2, threshold None: 40 of 40 points, suggestion: True
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
from lightning.pytorch.callbacks import LearningRateFinder

logging.getLogger("lightning.pytorch").setLevel(logging.CRITICAL)


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.lr = 0.01

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.mse_loss(self.layer(batch), 3 * batch + 1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class FinderAtEpoch(LearningRateFinder):
    def __init__(self, epoch, **kwargs):
        super().__init__(**kwargs)
        self.epoch = epoch

    def on_fit_start(self, trainer, pl_module):
        if self.epoch == 0:
            self.lr_find(trainer, pl_module)

    def on_train_epoch_start(self, trainer, pl_module):
        if self.epoch == trainer.current_epoch > 0:
            self.lr_find(trainer, pl_module)


def search(epoch, threshold):
    torch.manual_seed(0)
    finder = FinderAtEpoch(epoch, max_lr=0.1, num_training_steps=40, early_stop_threshold=threshold)
    trainer = lightning.Trainer(
        max_epochs=5,
        accelerator="cpu",
        callbacks=[finder],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(160, 1), batch_size=4))
    found = finder.optimal_lr
    return len(found.results["loss"]), found.suggestion() is not None


for epoch, threshold in ((0, 4.0), (2, 4.0), (2, None)):
    points, suggests = search(epoch, threshold)
    print(f"epoch {epoch}, threshold {threshold}: {points} of 40 points, suggestion: {suggests}")
    expected = (1, False) if epoch and threshold else (40, True)
    assert (points, suggests) == expected, "the behaviour has changed"
EOF
