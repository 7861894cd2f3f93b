#!/usr/bin/env bash
# Library:   torch-geometric 2.8.1 (with torch 2.13.0), torch_geometric.loader.DataLoader.
# Guess:     What a graph carries besides its edges is collated as it is: three molecules that were all measured in
#            batch 2 of a laboratory make a batch in which that attribute is 2, 2, 2, whatever it is called.
# Behaviour: The name decides. If it contains "batch" anywhere, each graph's largest value plus one, as a whole number,
#            is added to the values of all graphs after it: a covariate `lab_batch` becomes another one for each
#            place in the batch, and another one whenever the order is shuffled; a temperature rises from graph
#            to graph. With a batch size of 1, and when a graph is taken from the batch again, the values are right,
#            so that looking at single examples shows nothing. The docstring of Batch says so of names that
#            contain "index" (which are shifted by the number of nodes) and warns of it, but not of "batch";
#            that of the loader mentions neither.
# Seen:      y                 tensor([2, 2, 2])
#            lab_batch         tensor([2, 5, 8])
#            batch_temperature tensor([21.5000, 43.5000, 65.5000])
#            taken from the batch again: lab_batch 2 2 2
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torch-geometric==2.8.1
venv/bin/python - <<'EOF'
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

molecules = [
    Data(
        x=torch.zeros(atoms, 1),
        edge_index=torch.tensor([[0], [1]]),
        y=torch.tensor([2]),
        lab_batch=torch.tensor([2]),
        batch_temperature=torch.tensor([21.5]),
    )
    for atoms in (3, 4, 5)
]
(batch,) = DataLoader(molecules, batch_size=3)
for name in ("y", "lab_batch", "batch_temperature"):
    print(f"{name:17}", batch[name])
singles = [molecule.lab_batch.item() for molecule in batch.to_data_list()]
print("taken from the batch again: lab_batch", *singles)
assert batch.y.tolist() == [2, 2, 2] and singles == [2, 2, 2]
assert batch.lab_batch.tolist() == [2, 5, 8], "lab_batch is collated in another way now"
assert batch.batch_temperature.tolist() == [21.5, 43.5, 65.5], "batch_temperature is collated in another way now"
EOF
