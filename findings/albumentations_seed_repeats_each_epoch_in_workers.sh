#!/usr/bin/env bash
# Library:   albumentations 2.0.8 (with torch 2.13.0), Compose(…, seed=137) in a DataLoader with worker processes.
# Guess:     The seed makes a training repeatable: each epoch has augmentations of its own, and another training
#            has the same ones again. Workers have random numbers of their own, as torch's random state has.
# Behaviour: Without workers it is so. With workers each epoch repeats the augmentations of the first, and each
#            worker those of the other: a worker gets a copy of the pipeline as it was made, and the pipeline
#            looks neither at torch's seed nor at the worker's number. However long one trains, there are no more
#            augmentations than one worker loads images in an epoch. persistent_workers=True brings new ones with
#            each epoch, but the same ones in both workers. The docstring says that two pipelines with one seed
#            yield the same sequence, and that global seeds have no effect; it does not speak of workers.
# Seen:      0 workers:             73 92 126 117 | 153 63 98 31 | 82 82 148 149
#            2 workers:             73 92 73 92 | 73 92 73 92 | 73 92 73 92
#            2 persistent workers:  73 92 73 92 | 126 117 126 117 | 153 63 153 63
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 albumentations==2.0.8 opencv-python-headless==5.0.0.93
venv/bin/python -W ignore - <<'EOF'
import albumentations
import numpy as np
from torch.utils.data import DataLoader, Dataset


class Images(Dataset):
    def __init__(self):
        self.augment = albumentations.Compose([albumentations.RandomBrightnessContrast(p=1.0)], seed=137)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return round(float(self.augment(image=np.full((4, 4, 3), 100, np.uint8))["image"].mean()))


def epochs(label, **options):
    loader = DataLoader(Images(), batch_size=2, **options)
    seen = [[value for batch in loader for value in batch.tolist()] for _ in range(3)]
    print(f"{label:22}", " | ".join(" ".join(str(value) for value in epoch) for epoch in seen))
    return seen


fork = dict(num_workers=2, multiprocessing_context="fork")
first, second, third = epochs("0 workers:")
assert first != second != third and first[:2] != first[2:]
first, second, third = epochs("2 workers:", **fork)
assert first == second == third, "each epoch has its own augmentations now"
assert first[:2] == first[2:], "each worker has its own augmentations now"
first, second, third = epochs("2 persistent workers:", **fork, persistent_workers=True)
assert first != second != third and first[:2] == first[2:]
EOF
