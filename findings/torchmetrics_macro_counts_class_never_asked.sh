#!/usr/bin/env bash
# Library:   torchmetrics 1.9.0, multiclass_accuracy and multiclass_recall with average="macro", beside
#            torcheval 0.0.7 and scikit-learn 1.9.1; torch 2.13.0.
# Guess:     Macro accuracy is the mean of the accuracies of the classes that occur among the targets: with 10
#            targets of class 0, of which 9 are met, and 10 of class 2, all met, (0.9 + 1.0) / 2 = 0.95. A class
#            without a target has no accuracy (0 of 0), so it takes no part.
# Behaviour: A class that is predicted but has no target takes part, with an accuracy of 0. Here the single wrong
#            prediction names class 1, and the mean becomes (0.9 + 0 + 1.0) / 3. A wrong prediction of a class that
#            is there costs 0.05, one of a class that is not there 0.32. With small batches and many classes, the
#            value of a batch is far too low, and rises with the batch size alone. Classes that are neither
#            target nor prediction are left out, as one would expect. torcheval and scikit-learn (balanced accuracy)
#            leave out both.
# Seen:      torchmetrics 0.633 (wrong: class 1), 0.950 (wrong: class 2); torcheval 0.950; scikit-learn 0.950
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torchmetrics==1.9.0 torcheval==0.0.7 scikit-learn==1.9.1
venv/bin/python -W ignore - <<'EOF'
import torch
from sklearn.metrics import balanced_accuracy_score
from torcheval.metrics.functional import multiclass_accuracy as torcheval_accuracy
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_recall

target = torch.tensor([0] * 10 + [2] * 10)


def predicted(wrong):
    return torch.tensor([0] * 9 + [wrong] + [2] * 10)


def macro(wrong):
    return multiclass_accuracy(predicted(wrong), target, num_classes=3, average="macro").item()


recall = multiclass_recall(predicted(1), target, num_classes=3, average="macro").item()
theirs = torcheval_accuracy(predicted(1), target, average="macro", num_classes=3).item()
sklearn = balanced_accuracy_score(target, predicted(1))
print(f"torchmetrics {macro(1):.3f} (wrong: class 1), {macro(2):.3f} (wrong: class 2);")
print(f"torcheval {theirs:.3f}; scikit-learn {sklearn:.3f}")
assert round(macro(1), 3) == round(recall, 3) == 0.633
assert round(macro(2), 3) == round(theirs, 3) == round(sklearn, 3) == 0.95
EOF
