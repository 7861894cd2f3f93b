#!/usr/bin/env bash
# Library:   MONAI 1.6.1, monai.optimizers.LearningRateFinder with losses of monai.losses; and torch-lr-finder
#            0.2.2, from which it comes; torch 2.13.0.
# Guess:     MONAI's finder works with MONAI's losses. Those of image registration, such as
#            LocalNormalizedCrossCorrelationLoss and GlobalMutualInformationLoss, are negative (the lower, the better),
#            so "diverged" will mean that the loss has risen far above its lowest.
# Behaviour: It stops when loss > diverge_th * best_loss, with 5 by default. The first loss is the best so far; where
#            it is negative, five times that is lower still, so the first loss has "diverged", and the run ends
#            after one batch. With verbose=False nothing is said until get_steepest_gradient() prints that there might
#            not be enough points, and returns (None, None). A larger diverge_th does not help. torch-lr-finder does
#            the same. The same model, data and range with a mean squared error take all 50 steps.
# Seen:      steps of 50: MSELoss 50, LocalNormalizedCrossCorrelationLoss 1, GlobalMutualInformationLoss 1;
#            steepest: a pair of numbers, (None, None), (None, None); torch-lr-finder 50, 1, 1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 monai==1.6.1 torch-lr-finder==0.2.2
venv/bin/python -W ignore - <<'EOF'
import contextlib
import io

import torch
from monai.losses import GlobalMutualInformationLoss, LocalNormalizedCrossCorrelationLoss
from monai.optimizers import LearningRateFinder
from torch import nn
from torch.utils.data import DataLoader
from torch_lr_finder import LRFinder

torch.manual_seed(0)
fixed = torch.rand(4, 1, 16, 16)
moving = fixed + 0.3 * torch.rand(4, 1, 16, 16)
loader = DataLoader(list(zip(moving, fixed)), batch_size=2)
LOSSES = [
    nn.MSELoss(),
    LocalNormalizedCrossCorrelationLoss(spatial_dims=2),
    GlobalMutualInformationLoss(),
]


def begin():
    torch.manual_seed(0)
    model = nn.Conv2d(1, 1, 3, padding=1)
    return model, torch.optim.Adam(model.parameters(), lr=1e-5)


def theirs(loss, diverge_th):
    finder = LearningRateFinder(*begin(), loss, device="cpu", verbose=False)
    finder.range_test(loader, end_lr=1e-2, num_iter=50, diverge_th=diverge_th)
    with contextlib.redirect_stdout(io.StringIO()):
        steepest = finder.get_steepest_gradient()
    return len(finder.history["loss"]), steepest


def before(loss):
    finder = LRFinder(*begin(), loss, device="cpu")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder.range_test(loader, end_lr=1e-2, num_iter=50)
    return len(finder.history["loss"])


found = [theirs(loss, 5) for loss in LOSSES]
wider = [theirs(loss, 500)[0] for loss in LOSSES]
older = [before(loss) for loss in LOSSES]
for loss, (steps, steepest) in zip(LOSSES, found):
    print(f"{type(loss).__name__}: {steps} of 50 steps, steepest {steepest}")
print("with diverge_th=500:", wider, "- torch-lr-finder:", older)
assert [steps for steps, _ in found] == wider == older == [50, 1, 1]
assert None not in found[0][1]
assert found[1][1] == found[2][1] == (None, None)
EOF
