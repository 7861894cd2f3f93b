#!/usr/bin/env bash
# Library:   pytorch-metric-learning 2.9.0 (with torch 2.13.0), class MPerClassSampler.
# Guess:     It is a torch Sampler, so torch.manual_seed fixes its order; at least the seed of whatever
#            generator it uses does.
# Behaviour: It draws from NumPy's global generator, and torch's seed has no say. NumPy's seed alone does not
#            fix the order either: every pass shuffles the sampler's own list of labels in place and the next
#            one starts from the shuffled list. Only a new sampler and NumPy's seed together repeat an order,
#            so that a restored random state does not bring back an epoch. The docstring mentions none of this.
# Seen:      same order after torch.manual_seed: False
#            same order after numpy.random.seed: False
#            same order after numpy.random.seed and with a new sampler: True
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-metric-learning==2.9.0
venv/bin/python - <<'EOF'
import numpy as np
import torch
from pytorch_metric_learning.samplers import MPerClassSampler

labels = [i % 10 for i in range(200)]


def make():
    return MPerClassSampler(labels, m=4, batch_size=20, length_before_new_iter=200)


def order(seed, sampler):
    seed(0)
    return [int(i) for i in sampler]


sampler = make()
by_torch = order(torch.manual_seed, sampler) == order(torch.manual_seed, sampler)
by_numpy = order(np.random.seed, sampler) == order(np.random.seed, sampler)
by_both = order(np.random.seed, make()) == order(np.random.seed, make())
print("same order after torch.manual_seed:", by_torch)
print("same order after numpy.random.seed:", by_numpy)
print("same order after numpy.random.seed and with a new sampler:", by_both)
assert not by_torch, "torch's seed fixes the order now"
assert not by_numpy, "NumPy's seed alone fixes the order now"
assert by_both, "a new sampler does not repeat the order any more"
EOF
