#!/usr/bin/env bash
# Library:   pytorch-metric-learning 2.9.0 (with torch 2.13.0), losses.CrossBatchMemory.
# Guess:     Its state_dict contains the memory of earlier embeddings, so that a training that is resumed, or put back
#            after a trial, goes on with it: the next batch has the same loss as without the interruption.
# Behaviour: The state has the memory and its labels, but not how much of the memory is filled, nor the place for the
#            next batch. After loading, all 64 embeddings are there, "All keys matched", and the loss takes the
#            memory for empty: the next batch is compared with itself alone, and is written to the beginning.
#            The loss jumps, and is that of a memory that was never filled, for as many batches as it takes to fill it
#            again. No error, no warning. The documentation does not mention saving.
# Seen:      embeddings loaded: 64 of 64, the same as saved: True
#            loss of the next batch: uninterrupted 1.5907, resumed 1.6572, with an empty memory 1.6572
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-metric-learning==2.9.0
venv/bin/python -W ignore - <<'EOF'
import torch
from pytorch_metric_learning.losses import ContrastiveLoss, CrossBatchMemory

SIZE = 64
generator = torch.Generator().manual_seed(0)


def batch():
    return torch.randn(8, 4, generator=generator), torch.randint(0, 2, (8,), generator=generator)


def make():
    return CrossBatchMemory(ContrastiveLoss(), embedding_size=4, memory_size=SIZE)


loss = make()
for _ in range(SIZE // 8):
    loss(*batch())
resumed = make()
resumed.load_state_dict(loss.state_dict())
filled = int(resumed.embedding_memory.abs().sum(1).count_nonzero())
same = torch.equal(resumed.embedding_memory, loss.embedding_memory)
print(f"embeddings loaded: {filled} of {SIZE}, the same as saved: {same}")
assert filled == SIZE and same

following = batch()
uninterrupted, again, empty = (each(*following).item() for each in (loss, resumed, make()))
print(f"loss of the next batch: uninterrupted {uninterrupted:.4f}, resumed {again:.4f},", end=" ")
print(f"with an empty memory {empty:.4f}")
assert abs(uninterrupted - empty) > 0.01
assert again == empty, "the loaded memory is used now"
EOF
