#!/usr/bin/env bash
# Library:   torchmetrics 1.9.0, BinaryAccuracy and binary_accuracy (and all other binary and multilabel metrics
#            with a threshold), with torch 2.13.0.
# Guess:     A model ends in one logit, and the metric is given logits. It takes a logit above 0 for class 1 (or,
#            if it knows nothing of logits, above 0.5: in any case by one and the same rule for each batch).
# Behaviour: Each batch is looked at on its own. If one value in it lies outside [0, 1], all are taken for logits
#            and the sigmoid is applied; otherwise all are taken for probabilities. So the verdict on an example
#            depends on the others in its batch: a logit of 0.2 is class 0 beside 0.9, and class 1 beside 1.1. At
#            the start of training, when logits are small, and with small batches, whole batches are
#            read as probabilities; the accuracy of an epoch then depends on its batch size.
#            The documentation says that values outside [0, 1] are considered logits, not that this is
#            decided anew for each batch.
# Seen:      0.2, 0.3, 0.9 -> 0.333; 0.2, 0.3, 1.1 -> 1.000; the same four logits, whose classes are all 1: as one
#            batch 1.000, as two batches 0.750
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torchmetrics==1.9.0
venv/bin/python -W ignore - <<'EOF'
import torch
from torchmetrics.classification import BinaryAccuracy
from torchmetrics.functional.classification import binary_accuracy

ones = torch.ones(3, dtype=torch.long)
small = binary_accuracy(torch.tensor([0.2, 0.3, 0.9]), ones).item()
large = binary_accuracy(torch.tensor([0.2, 0.3, 1.1]), ones).item()
print(f"0.2, 0.3, 0.9 -> {small:.3f}; 0.2, 0.3, 1.1 -> {large:.3f}")


def of_batches(logits, size):
    metric = BinaryAccuracy()
    for batch in logits.split(size):
        metric.update(batch, torch.ones(len(batch), dtype=torch.long))
    return metric.compute().item()


logits = torch.tensor([0.2, 0.9, 0.3, 1.1])
whole, halves = of_batches(logits, 4), of_batches(logits, 2)
print(f"the same four logits: as one batch {whole:.3f}, as two batches {halves:.3f}")
assert round(small, 3) == 0.333 and large == 1.0
assert whole == 1.0 and halves == 0.75
EOF
