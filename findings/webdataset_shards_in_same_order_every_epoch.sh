#!/usr/bin/env bash
# Library:   webdataset 1.0.2 (with torch 2.13.0), WebDataset with shardshuffle.
# Guess:     shardshuffle=100 shuffles the shards anew for each epoch. Epochs that with_epoch() shortens to half of the
#            data see all of it in the course of time.
# Behaviour: A seed is drawn once, when the dataset is made, and each pass begins with it. So all epochs read the shards
#            in the same order, and a shortened epoch reads the same shards each time: the others are never seen,
#            however long one trains. A shuffle() of the samples behind it hides that from a glance at the batches. It
#            is detshuffle=True, the "deterministic" one, that gives each epoch an order of its own; in worker
#            processes it does so only if they are persistent. The docstrings say "the number of shards to shuffle"
#            and "the number of samples per epoch". No warning.
# Seen:      shardshuffle=100: epochs in another order than the first: 0 of 9
#            ... and detshuffle=True: 9 of 9, in a new worker for each epoch: 0 of 9, in a persistent one: 9 of 9
#            samples of 32 seen in 50 epochs of 16: 16, with detshuffle=True: 32
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 webdataset==1.0.2
venv/bin/python - <<'EOF'
import webdataset
from torch.utils.data import DataLoader

for shard in range(8):
    with webdataset.TarWriter(f"shard-{shard}.tar") as writer:
        for sample in range(4 * shard, 4 * shard + 4):
            writer.write({"__key__": f"{sample:03d}", "cls": sample})


def dataset(**options):
    return webdataset.WebDataset("shard-{0..7}.tar", shardshuffle=100, **options)


def epochs(data, number):
    return [[sample["__key__"] for sample in data] for _ in range(number)]


def other_orders(data):
    first, *later = epochs(data, 10)
    assert all(sorted(epoch) == sorted(first) for epoch in later) and len(first) == 32
    return sum(epoch != first for epoch in later)


def in_worker(persistent):
    data = dataset(detshuffle=True)
    return other_orders(DataLoader(data, batch_size=None, num_workers=1, persistent_workers=persistent))


def seen(data):
    return len({key for epoch in epochs(data.with_epoch(16), 50) for key in epoch})


plain, fresh = other_orders(dataset()), other_orders(dataset(detshuffle=True))
new, kept = in_worker(False), in_worker(True)
print(f"shardshuffle=100: epochs in another order than the first: {plain} of 9")
print(f"... and detshuffle=True: {fresh} of 9,", end=" ")
print(f"in a new worker for each epoch: {new} of 9, in a persistent one: {kept} of 9")
assert plain == 0, "each epoch has an order of its own now"
assert fresh >= 8 and kept >= 8 and new == 0
part, whole = seen(dataset()), seen(dataset(detshuffle=True))
print(f"samples of 32 seen in 50 epochs of 16: {part}, with detshuffle=True: {whole}")
assert part == 16, "short epochs see more of the data now"
assert whole == 32
EOF
