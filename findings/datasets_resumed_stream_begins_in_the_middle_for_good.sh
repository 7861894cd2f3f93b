#!/usr/bin/env bash
# Library:   datasets 5.2.0, IterableDataset.load_state_dict; torchdata 0.11.0, StatefulDataLoader; torch 2.13.0.
# Guess:     A stream that is resumed in the middle of an epoch yields the rest of that epoch, and whole epochs
#            afterwards, as the stream does that was not interrupted.
# Behaviour: Each later epoch begins where the first one was resumed: what lies before is never seen again. The
#            loaded state is used at the beginning of every pass, until set_epoch() is called with another number.
#            Training goes on with part of the data, in silence. StatefulDataLoader, which the docstring shows,
#            does not help without workers; with a worker process the later epochs are whole. The docstring says
#            that the iteration will restart at the next example, not that all later ones do.
# Seen:      not interrupted: 6-9 0-9 0-9
#            resumed:         6-9 6-9 6-9
#            resumed, with set_epoch before each epoch:  6-9 0-9 0-9
#            resumed by StatefulDataLoader, no workers:  6-9 6-9 6-9
#            resumed by StatefulDataLoader, one worker:  6-9 0-9 0-9
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 datasets==5.2.0 torchdata==0.11.0
venv/bin/python -W ignore - <<'EOF'
import multiprocessing

from datasets import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

multiprocessing.set_start_method("fork")


def stream():
    return Dataset.from_dict({"i": list(range(10))}).to_iterable_dataset()


def show(label, epochs):
    words = [f"{epoch[0]}-{epoch[-1]}" for epoch in epochs]
    print(label, *words)
    return words


def rows(batches):
    return [int(i) for batch in batches for i in batch["i"]]


whole, rest = "0-9", "6-9"

straight = stream()
reading = iter(straight)
for _ in range(6):
    next(reading)
state = straight.state_dict()
epochs = [[row["i"] for row in reading]] + [[row["i"] for row in straight] for _ in range(2)]
assert show("not interrupted:", epochs) == [rest, whole, whole]

resumed = stream()
resumed.load_state_dict(state)
epochs = [[row["i"] for row in resumed] for _ in range(3)]
assert show("resumed:        ", epochs) == [rest] * 3, "the later epochs have changed"

resumed = stream()
resumed.load_state_dict(state)
epochs = []
for epoch in range(3):
    resumed.set_epoch(epoch)
    epochs.append([row["i"] for row in resumed])
assert show("resumed, with set_epoch before each epoch: ", epochs) == [rest, whole, whole]

for workers, label in ((0, "no workers: "), (1, "one worker: ")):
    loader = StatefulDataLoader(stream(), batch_size=2, num_workers=workers)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    state = loader.state_dict()
    del batches
    loader = StatefulDataLoader(stream(), batch_size=2, num_workers=workers)
    loader.load_state_dict(state)
    seen = show(f"resumed by StatefulDataLoader, {label}", [rows(loader) for _ in range(3)])
    assert seen == ([rest, whole, whole] if workers else [rest] * 3), "the later epochs have changed"
EOF
