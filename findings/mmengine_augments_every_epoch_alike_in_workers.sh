#!/usr/bin/env bash
# Library:   mmengine 0.10.7 (with torch 2.13.0), the Runner's data loader with num_workers.
# Guess:     Random augmentation differs from epoch to epoch, in worker processes as without them. A seed makes a run
#            repeatable; it does not make an epoch repeat the one before it.
# Behaviour: It does. torch gives the workers of each epoch seeds of their own; the Runner's worker_init_fn then sets
#            the seed of the run plus the number of the worker, in torch, NumPy and random. So the workers of every
#            epoch draw the same numbers in the same places of the epoch, only for other examples, as these are
#            shuffled by the main process. It needs no seed in the configuration: without one the Runner draws one for
#            the run and uses that. Without workers, or with persistent_workers=True, which is not the default, all is
#            as guessed. The docstring of worker_init_fn says "Random seed", and nothing of epochs. No warning.
# Seen:      epochs in which the same numbers are drawn as in the first:
#            no workers:                          0 of 5
#            a worker:                            5 of 5
#            a worker, no seed in configuration:  5 of 5
#            a worker that is persistent:         0 of 5
#            a worker of torch's DataLoader:      0 of 5
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 mmengine==0.10.7
venv/bin/python -W ignore - <<'EOF'
import random

import numpy
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

EPOCHS, EXAMPLES = 6, 8


class Augmented(torch.utils.data.Dataset):
    """Examples whose augmentation is three random numbers, of torch, NumPy and random."""

    def __len__(self):
        return EXAMPLES

    def __getitem__(self, index):
        drawn = [torch.rand(()).item(), numpy.random.rand(), random.random()]
        return {"number": torch.tensor(index), "drawn": torch.tensor(drawn)}


class Model(BaseModel):
    """Trains nothing, and notes what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.batches = []

    def forward(self, number, drawn, mode="loss"):
        self.batches.append((number, drawn))
        return {"loss": self.weight.square()}


def runner_batches(seed=0, **options):
    runner = Runner(
        model=Model(),
        work_dir=".",
        experiment_name=f"{seed} {len(options)} {options['num_workers']}",
        train_dataloader=dict(
            dataset=Augmented(),
            batch_size=4,
            collate_fn=dict(type="default_collate"),
            sampler=dict(type="DefaultSampler", shuffle=True),
            **options,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(checkpoint=None, logger=None),
        randomness=dict(seed=seed),
        log_level="ERROR",
    )
    return runner.train().batches


def torch_batches():
    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(Augmented(), batch_size=4, shuffle=True, num_workers=1)
    return [(batch["number"], batch["drawn"]) for _ in range(EPOCHS) for batch in loader]


def repeats(label, batches):
    numbers = torch.cat([number for number, _ in batches]).view(EPOCHS, EXAMPLES)
    drawn = torch.cat([drawn for _, drawn in batches]).view(EPOCHS, EXAMPLES, 3)
    assert not any(torch.equal(epoch, numbers[0]) for epoch in numbers[1:]), "the order repeats as well"
    same = sum(torch.equal(epoch, drawn[0]) for epoch in drawn[1:])
    print(f"{label:36} {same} of {EPOCHS - 1}")
    return same


print("epochs in which the same numbers are drawn as in the first:")
assert repeats("no workers:", runner_batches(num_workers=0)) == 0
assert repeats("a worker:", runner_batches(num_workers=1)) == EPOCHS - 1, "the epochs differ now"
assert repeats("a worker, no seed in configuration:", runner_batches(num_workers=1, seed=None)) == EPOCHS - 1
assert repeats("a worker that is persistent:", runner_batches(num_workers=1, persistent_workers=True)) == 0
assert repeats("a worker of torch's DataLoader:", torch_batches()) == 0
EOF
