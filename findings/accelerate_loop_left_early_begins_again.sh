#!/usr/bin/env bash
# Library:   accelerate 1.15.0 (with torch 2.13.0), a prepared DataLoader with shuffle=True.
# Guess:     Each `for` over a prepared loader has an order of its own, as with torch's loader, be it left early or not.
#            use_seedable_sampler=True makes the orders repeatable from run to run.
# Behaviour: With it, a loop that is left by `break` is not counted as an epoch, and the next one begins with the same
#            batches again. The number of the epoch is part of the seed, and only a loop that comes to its end adds
#            one to it. So a range test, a cap on the steps of an epoch or a look at the first batch always has the
#            same examples; who trains by capped epochs never sees the others, however long. loader.set_epoch(n)
#            before each loop helps. A dataset with a set_epoch of its own meets the same without that option: the
#            loader calls it with its count at the beginning of each loop, over what one has set. The docs say that
#            training is "fully reproducible" and that the seed goes by the iteration, not what counts as one.
# Seen:      50 loops over 12 examples, each left after 6:
#            default:                                       50 orders, 12 examples seen
#            use_seedable_sampler=True:                     1 order, 6 examples seen
#            use_seedable_sampler=True, loops not left:     50 orders, 12 examples seen
#            use_seedable_sampler=True, loader.set_epoch:   50 orders, 12 examples seen
#            default, dataset.set_epoch(0), (1), (2), ...:  the dataset is at {0} in the loops
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 accelerate==1.15.0
venv/bin/python -W ignore - <<'EOF'
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from torch.utils.data import DataLoader, Dataset

LOOPS = 50


class Numbers(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return index


class NumbersOfEpoch(Numbers):
    """Each example is the number of the epoch that the dataset has been told."""

    def __getitem__(self, index):
        return self.epoch

    def set_epoch(self, epoch):
        self.epoch = epoch


def prepared(dataset, seedable):
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler=seedable))
    return accelerator.prepare(DataLoader(dataset, batch_size=2, shuffle=True))


def loop(loader, batches):
    numbers = []
    for count, batch in enumerate(loader, 1):
        numbers += batch.tolist()
        if count == batches:
            break
    return tuple(numbers)


def show(label, seedable, batches=3, set_epoch=False):
    loader = prepared(Numbers(), seedable)
    loops = []
    for number in range(LOOPS):
        if set_epoch:
            loader.set_epoch(number)
        loops.append(loop(loader, batches))
    orders, examples = len(set(loops)), len({example for numbers in loops for example in numbers})
    print(f"{label:46} {orders} order{'s' if orders > 1 else ''}, {examples} examples seen")
    return orders, examples


option = "use_seedable_sampler=True"
print(f"{LOOPS} loops over 12 examples, each left after 6:")
assert show("default:", False) == (LOOPS, 12)
assert show(f"{option}:", True) == (1, 6), "a loop that is left counts as an epoch now"
assert show(f"{option}, loops not left:", True, batches=None) == (LOOPS, 12)
assert show(f"{option}, loader.set_epoch:", True, set_epoch=True) == (LOOPS, 12)

dataset = NumbersOfEpoch()
loader = prepared(dataset, False)
told = set()
for number in range(LOOPS):
    dataset.set_epoch(number)
    told |= set(loop(loader, 3))
print(f"{'default, dataset.set_epoch(0), (1), (2), ...:':46} the dataset is at {told} in the loops")
assert told == {0}, "the dataset keeps the epoch that it was told"
EOF
