#!/usr/bin/env bash
# Library:   timm 1.0.31 (with torch 2.13.0), timm.optim.create_optimizer_v2 with layer_decay.
# Guess:     create_optimizer_v2(model, "adamw", lr=1e-3, layer_decay=0.5) makes an optimizer whose lower layers
#            learn slower, as its docstring says: "learning rates will be scaled by layer_decay^...".
# Behaviour: All groups get the full rate. The factor only stands beside it in the group, as `lr_scale`, and no
#            optimizer reads that, timm's own included; timm's schedulers multiply by it, as soon as one is made.
#            Without a scheduler, or with one of torch, all layers of a pre-trained model are trained at the full
#            rate, and the setting does nothing, silently. The example of the docstring for layer_decay has no
#            scheduler, and the docstring does not mention one.
# Seen:      no scheduler:           0.001 0.001 0.001 0.001
#            torch's ExponentialLR:  0.0009 0.0009 0.0009 0.0009
#            timm's StepLRScheduler: 0.000125 0.00025 0.0005 0.001
#            first and last layer, moved in the first step without a scheduler: 0.001 0.001
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

import timm
from timm.optim import create_optimizer_v2
from timm.scheduler import StepLRScheduler


def make():
    model = timm.create_model("vit_tiny_patch16_224", depth=2, embed_dim=12, num_heads=2)
    return model, create_optimizer_v2(model, "adamw", lr=1e-3, weight_decay=0.0, layer_decay=0.5)


def rates(label, optimizer):
    values = sorted({group["lr_scale"]: group["lr"] for group in optimizer.param_groups}.items())
    print(f"{label + ':':23}", *(f"{rate:.3g}" for _, rate in values))
    return [round(rate, 9) for _, rate in values]


model, optimizer = make()
assert rates("no scheduler", optimizer) == [0.001] * 4, "the rates are scaled now"
first, last = model.cls_token, model.head.bias
before = first.detach().clone(), last.detach().clone()
model(torch.randn(2, 3, 224, 224)).square().sum().backward()
optimizer.step()
moved = [(now - then).abs().max().item() for now, then in zip((first, last), before, strict=True)]

_, optimizer = make()
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
optimizer.step()
scheduler.step()
assert rates("torch's ExponentialLR", optimizer) == [0.0009] * 4, "the rates are scaled now"

_, optimizer = make()
StepLRScheduler(optimizer, decay_t=10)
assert rates("timm's StepLRScheduler", optimizer) == [0.000125, 0.00025, 0.0005, 0.001]
print("first and last layer, moved in the first step without a scheduler:", *(f"{value:.3g}" for value in moved))
assert all(0.0009 < value < 0.0011 for value in moved), "the first layer moves slower now"
EOF
