#!/usr/bin/env bash
# Library:   kornia 0.9.0 (with torch 2.13.0), the augmentations.
# Guess:     They are modules, made to stand in an nn.Sequential. In front of a model, model.eval() switches them
#            off, as it does Dropout.
# Behaviour: They do not look at the mode. In eval mode the images are still flipped and disturbed, so that a
#            validation loss is that of augmented images, another one at each call, and an evaluation moves
#            torch's random state on: the training after it takes another course. A search for a learning rate by
#            held-out loss compares noise. The docstrings of the augmentations do not mention modes.
# Seen:      Dropout(0.5):              changed 0 of 100 images, same again: True, random state kept: True
#            RandomHorizontalFlip(0.5): changed 47 of 100 images, same again: False, random state kept: False
#            RandomGaussianNoise(p=1):  changed 100 of 100 images, same again: False, random state kept: False
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 kornia==0.9.0
venv/bin/python -W ignore - <<'EOF'
import kornia.augmentation as augmentation
import torch


def evaluate(label, layer):
    torch.manual_seed(0)
    images = torch.rand(100, 1, 4, 4)
    model = torch.nn.Sequential(layer, torch.nn.Identity()).eval()
    state = torch.get_rng_state()
    with torch.no_grad():
        once, again = model(images), model(images)
    changed = int((once != images).flatten(1).any(1).sum())
    same, kept = torch.equal(once, again), torch.equal(state, torch.get_rng_state())
    print(f"{label:26} changed {changed} of 100 images, same again: {same}, random state kept: {kept}")
    return changed, same, kept


assert evaluate("Dropout(0.5):", torch.nn.Dropout(0.5)) == (0, True, True)
changed, same, kept = evaluate("RandomHorizontalFlip(0.5):", augmentation.RandomHorizontalFlip(p=0.5))
assert 20 < changed < 80 and not same and not kept, "eval mode counts now"
changed, same, kept = evaluate("RandomGaussianNoise(p=1):", augmentation.RandomGaussianNoise(p=1.0))
assert changed == 100 and not same and not kept, "eval mode counts now"
EOF
