#!/usr/bin/env bash
# Library:   torchio 1.2.1, class Queue (with torch 2.13.0).
# Guess:     Each `for` over the loader is an epoch, whether the one before it was left early or not: a Queue is a
#            Dataset of a fixed length. After torch.manual_seed, the same batches come again.
# Behaviour: A Queue does not look at the index that it is asked for, it hands out what is next. A loop that is left by
#            `break`, as a range test leaves it, or a check of a few batches, leaves the rest of its epoch in the queue.
#            The next loop begins with that and ends in the middle of the next epoch, and so on for good: some
#            subjects come twice in what one takes for an epoch, and others not at all. The seed does not help, as
#            the order of the queue has been drawn. A new Queue does. The docstring says that an epoch ends when
#            all subjects have been used, not what that means for a loop that was left.
# Seen:      how often each of 10 subjects comes, of 2 times each, in a loop over all:
#            first loop:          2 2 2 2 2 2 2 2 2 2
#            loop after a break:  2 2 2 2 1 1 4 1 3 2
#            another one:         3 2 1 1 2 4 0 3 2 2
#            same order after the same seed: new queue True, after a break False
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torchio==1.2.1
venv/bin/python -W ignore - <<'EOF'
import torch
import torchio
from torch.utils.data import DataLoader

subjects = [torchio.Subject(image=torchio.ScalarImage(tensor=torch.zeros(1, 4, 4, 4)), number=i) for i in range(10)]


def make():
    dataset = torchio.SubjectsDataset(subjects)
    queue = torchio.Queue(dataset, max_length=20, samples_per_volume=2, sampler=torchio.data.UniformSampler(2))
    return DataLoader(queue, batch_size=4)


def loop(loader, batches=None):
    numbers = []
    for count, batch in enumerate(loader, 1):
        numbers += batch["number"].tolist()
        if count == batches:
            break
    return numbers


def seeded(loader, batches=None):
    torch.manual_seed(0)
    return loop(loader, batches)


def show(label, numbers):
    counts = [numbers.count(subject) for subject in range(len(subjects))]
    print(f"{label:20}", *counts)
    return counts


print("how often each of 10 subjects comes, of 2 times each, in a loop over all:")
whole = seeded(make())
assert show("first loop:", whole) == [2] * 10
again = seeded(make()) == whole
loader = make()
seeded(loader, batches=2)
rest = seeded(loader)
assert show("loop after a break:", rest) != [2] * 10, "a loop is an epoch now"
assert len(rest) == 20
assert show("another one:", loop(loader)) != [2] * 10
print(f"same order after the same seed: new queue {again}, after a break {rest == whole}")
assert again and rest != whole
EOF
