#!/usr/bin/env bash
# Library:   pytorch-ignite 0.5.5 (with torch 2.13.0), class FastaiLRFinder.
# Guess:     attach(start_lr=1e-4, end_lr=10) makes the first step at 1e-4, and every recorded rate is the one
#            at which that step was made.
# Behaviour: The first step is made a little above the optimizer's own rate (0.1 here), a thousand times
#            start_lr: the schedule is built from that rate and given start_lr afterwards. Later steps
#            are right, but each loss is recorded with the rate of the step after it, and the model has had
#            its large step by then. The docstring calls start_lr the lower bound of the search.
# Seen:      used:     0.158 0.000316 0.001 0.00316 0.01 0.0316 0.1 0.316 1 3.16
#            recorded: 0.000316 0.001 0.00316 0.01 0.0316 0.1 0.316 1 3.16 10
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-ignite==0.5.5
venv/bin/python -W ignore - <<'EOF'
import torch
from ignite.engine import create_supervised_trainer
from ignite.handlers import FastaiLRFinder

used = []


class Watched(torch.optim.SGD):
    def step(self, closure=None):
        used.append(self.param_groups[0]["lr"])
        return super().step(closure)


torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 2, (8,))) for _ in range(10)]
model = torch.nn.Linear(4, 2)
optimizer = Watched(model.parameters(), lr=0.1)
trainer = create_supervised_trainer(model, optimizer, torch.nn.CrossEntropyLoss())
finder = FastaiLRFinder()
to_save = {"model": model, "optimizer": optimizer}
with finder.attach(trainer, to_save, start_lr=1e-4, end_lr=10.0, num_iter=10, diverge_th=1e9) as attached:
    attached.run(batches)
recorded = finder.get_results()["lr"]
print("used:    ", *(f"{lr:.3g}" for lr in used))
print("recorded:", *(f"{lr:.3g}" for lr in recorded))
assert used[0] > 0.1, "the first step is made at start_lr now"
assert used[1] < 1e-3, "the second step is not near start_lr any more"
assert all(abs(a / b - 1) < 1e-6 for a, b in zip(used[1:], recorded[:-1])), "losses have their own rates now"
EOF
