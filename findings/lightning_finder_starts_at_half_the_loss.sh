#!/usr/bin/env bash
# Library:   lightning 2.6.6 (with torch 2.13.0), Tuner.lr_find.
# Guess:     The recorded loss is a running average with the usual correction for its start: a loss of 1 in
#            every step is recorded as 1 in every step. The search stops when it exceeds
#            `early_stop_threshold` (4) times the best.
# Behaviour: The correction counts one step too many. The first loss is recorded as half its value, the second
#            as two thirds, the fifth as 84 %, so that every curve begins with a rise that is not there. The
#            best loss of a model that does not learn at the first, tiny rates is therefore half its true
#            loss, and the search stops at twice the true loss, not at four times. The documentation says that
#            the loss is compared with the best one and does not mention the correction.
# Seen:      loss 1 in every step, recorded as: 0.505 0.673 0.758 0.808 0.842 0.866 0.884 0.898 0.909 0.918
#            loss 1, then 3: stopped at a recorded loss of 2.07, after 21 of 90 steps
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

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Model(lightning.LightningModule):
    """Its loss does not depend on its weight: 1 in the first ten steps, then `later`."""

    def __init__(self, later):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.later, self.calls = later, 0

    def training_step(self, batch, batch_idx):
        self.calls += 1
        return 0.0 * self.weight.sum() + (1.0 if self.calls <= 10 else self.later)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def find(later, steps, threshold):
    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    loader = torch.utils.data.DataLoader(torch.zeros(100, 1))
    found = Tuner(trainer).lr_find(
        Model(later), loader, num_training=steps, early_stop_threshold=threshold, update_attr=False
    )
    return found.results["loss"]


flat = find(later=1.0, steps=10, threshold=4.0)
stopped = find(later=3.0, steps=90, threshold=4.0)
print("loss 1 in every step, recorded as:", *(round(loss, 3) for loss in flat))
print(f"loss 1, then 3: stopped at a recorded loss of {stopped[-1]:.2f}, after {len(stopped)} of 90 steps")
assert abs(flat[0] - 0.505) < 1e-3, "the first loss is recorded as it is now"
assert all(a < b for a, b in zip(flat, flat[1:])), "the curve of a constant loss no longer rises"
assert len(stopped) < 90 and 2.0 < stopped[-1] < 2.1, "it stops at another loss now"
EOF
