#!/usr/bin/env bash
# Library:   timm 1.0.31 (with torch 2.13.0), timm.scheduler.PlateauLRScheduler, which is deprecated in this release.
# Guess:     scheduler.step(epoch, metric) after the epochs 0, 1, 2, ... leaves the rate as it is, as long as the metric
#            gets better. The docs of its base class say that this is how to call it: "at the END of each epoch, before
#            incrementing the epoch count". At worst it is an epoch late, as with timm's other schedules.
# Behaviour: step(0, metric) sets the rate to 0, and it stays there for good: nothing is learnt after the first epoch.
#            Epoch 0 is taken for a part of the warm-up even if there is none, and the rate of that is warmup_lr_init,
#            0 by default. After the warm-up the rate is only ever multiplied, so that it never comes back. With a
#            warm-up it does, as the rate is set in each of its epochs. timm's own training script calls
#            step(epoch + 1, metric), which works. The only warning is that of the deprecation; the docs do not tell.
# Seen:      rates before the epochs, while the metric gets better:
#            step(epoch + 1, ...), plateau:                 0.1  0.1  0.1  0.1  0.1
#            step(epoch, ...), plateau:                     0.1    0    0    0    0
#            step(epoch, ...), plateau, a warm-up of 2:       0    0 0.05  0.1  0.1
#            step(epoch, ...), StepLRScheduler:             0.1  0.1  0.1  0.1  0.1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 timm==1.0.31
venv/bin/python -W ignore - <<'EOF'
import torch
from torch import library as operators

try:
    import torchvision  # noqa: F401
except RuntimeError:  # its wheel is built for CUDA; beside a CPU build of torch, declare what it misses
    missing = operators.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        missing.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from timm.scheduler import PlateauLRScheduler, StepLRScheduler


def rates(label, kind, ahead=0, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    scheduler = kind(optimizer, **options)
    seen = []
    for epoch in range(5):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(epoch + ahead, metric=float(epoch))  # mode="max" is the default
    print(f"{label:45}", " ".join(f"{rate:4.3g}" for rate in seen))
    return [round(rate, 6) for rate in seen]


print("rates before the epochs, while the metric gets better:")
assert rates("step(epoch + 1, ...), plateau:", PlateauLRScheduler, ahead=1) == [0.1] * 5
assert rates("step(epoch, ...), plateau:", PlateauLRScheduler) == [0.1, 0, 0, 0, 0], "the rate is not lost now"
warm = rates("step(epoch, ...), plateau, a warm-up of 2:", PlateauLRScheduler, warmup_t=2)
assert warm == [0, 0, 0.05, 0.1, 0.1]
assert rates("step(epoch, ...), StepLRScheduler:", StepLRScheduler, decay_t=10) == [0.1] * 5
EOF
