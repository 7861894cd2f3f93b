#!/usr/bin/env bash
# Library:   pytorch-ignite 0.5.5 (with torch 2.13.0), FastaiLRFinder on a trainer that has a schedule.
# Guess:     While the finder is attached, its rates are the ones in use, and it leaves the trainer as it was.
# Behaviour: The trainer's own schedule goes on during the test and overwrites the finder's rate before each
#            step. The model is trained at the schedule's rates, while the results list those of the finder.
#            Afterwards model and optimizer are put back, but the schedule has moved on. The documentation
#            warns that the trainer's handlers run during the test, not that the results then list rates
#            at which no step was made.
# Seen:      used:     0.1 0.1 0.0999 0.0998 0.0996 0.0994 0.0991 0.0988 0.0984 0.098
#            recorded: 0.000316 0.001 0.00316 0.01 0.0316 0.1 0.316 1 3.16 10
#            first rate of the training afterwards: 0.0976, without the test: 0.1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-ignite==0.5.5
venv/bin/python -W ignore - <<'EOF'
import torch
from ignite.engine import Events, create_supervised_trainer
from ignite.handlers import CosineAnnealingScheduler, FastaiLRFinder

used = []


class Watched(torch.optim.SGD):
    def step(self, closure=None):
        used.append(self.param_groups[0]["lr"])
        return super().step(closure)


torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 2, (8,))) for _ in range(10)]


def first_rate(test):
    model = torch.nn.Linear(4, 2)
    optimizer = Watched(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, torch.nn.CrossEntropyLoss())
    schedule = CosineAnnealingScheduler(optimizer, "lr", start_value=0.1, end_value=0.0, cycle_size=100)
    trainer.add_event_handler(Events.ITERATION_STARTED, schedule)
    if test:
        test(trainer, {"model": model, "optimizer": optimizer})
    used.clear()
    trainer.run(batches, max_epochs=1)
    return used[0]


def test(trainer, to_save):
    finder = FastaiLRFinder()
    used.clear()
    with finder.attach(trainer, to_save, start_lr=1e-4, end_lr=10.0, num_iter=10, diverge_th=1e9) as attached:
        attached.run(batches)
    recorded = finder.get_results()["lr"]
    print("used:    ", *(f"{lr:.3g}" for lr in used))
    print("recorded:", *(f"{lr:.3g}" for lr in recorded))
    assert max(used) <= 0.1 and min(used) > 0.09, "the finder's rates are used now"
    assert min(recorded) < 1e-3 and max(recorded) > 9, "the rates in use are recorded now"


after, without = first_rate(test), first_rate(None)
print(f"first rate of the training afterwards: {after:.3g}, without the test: {without:.3g}")
assert without == 0.1 and after < 0.098, "the schedule is put back now"
EOF
