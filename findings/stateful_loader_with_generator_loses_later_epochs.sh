#!/usr/bin/env bash
# Library:   torchdata 0.11.0 (with torch 2.13.0), class StatefulDataLoader with shuffle=True.
# Guess:     A seeded generator of one's own makes the order as reproducible as it gets: a loader that is
#            resumed in the middle of an epoch yields the rest of it and then the epochs that would have
#            followed.
# Behaviour: The rest of the epoch is right, all later epochs have another order. It is the other way round:
#            without a generator they are right, too. The loader draws a seed for its workers, even if it has
#            none, from the same generator right after the order; resuming repeats the draw of the order and
#            leaves out the other one. With worker processes the later epochs agree. The docstring says that
#            the generator is used for both draws, not what that does to a resumed loader.
# Seen:      without a generator: True True True
#            with a generator:    True False False
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torchdata==0.11.0
venv/bin/python -W ignore - <<'EOF'
import torch
from torchdata.stateful_dataloader import StatefulDataLoader


def make(own_generator):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0) if own_generator else None
    return StatefulDataLoader(list(range(8)), batch_size=2, shuffle=True, generator=generator)


def epoch(batches):
    return [i for batch in batches for i in batch.tolist()]


for own_generator in (False, True):
    loader = make(own_generator)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    straight = [epoch(batches), epoch(loader), epoch(loader)]
    loader = make(own_generator)
    loader.load_state_dict(state)
    resumed = [epoch(loader) for _ in range(3)]
    same = [a == b for a, b in zip(straight, resumed)]
    print("with a generator:   " if own_generator else "without a generator:", *same)
    if own_generator:
        print("next epoch straight:", *straight[1])
        print("next epoch resumed: ", *resumed[1])
    assert same == ([True, False, False] if own_generator else [True] * 3), "the behaviour has changed"
EOF
