#!/usr/bin/env bash
# Library:   transformers 5.24.0 with accelerate 1.15.0 (and torch 2.13.0), Trainer.train called twice.
# Guess:     trainer.args.learning_rate = 1e-1, and then trainer.train(): the second training runs at the new rate.
#            A new number of epochs, set in the same way, counts.
# Behaviour: The schedule is made anew, for the new number of epochs, but the optimizer of the first call is kept,
#            and the schedule takes its starting rate from there. The new rate is not looked at. So some of the
#            changed arguments are in force and some are not, and in a notebook that tries one rate after the
#            other, all trials have the rate of the first. `trainer.optimizer = None` in between gives the new
#            one. The docstring of train() does not mention it.
# Seen:      asked for 0.001, 2 epochs: 0.001 0.00075 0.0005 0.00025
#            asked for 0.1, 3 epochs:   0.001 0.000833 0.000667 0.0005 0.000333 0.000167
#            the same after trainer.optimizer = None: 0.1 0.0833 0.0667 0.05 0.0333 0.0167
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 transformers==5.24.0 accelerate==1.15.0
venv/bin/python -W ignore - <<'EOF'
import torch
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x=None, labels=None):
        return {"loss": (self.linear(x) - labels).square().mean()}


data = [{"x": torch.ones(2), "labels": torch.zeros(1)} for _ in range(4)]
arguments = TrainingArguments(
    "out",
    learning_rate=1e-3,
    num_train_epochs=2,
    per_device_train_batch_size=2,
    logging_steps=1,
    report_to=[],
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
trainer = Trainer(Model(), arguments, train_dataset=data)
trainer.remove_callback(PrinterCallback)


def train(label):
    trainer.train()
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    print(label, *(f"{rate:.3g}" for rate in rates))
    return rates[0], len(rates)


assert train("asked for 0.001, 2 epochs:") == (1e-3, 4)
trainer.args.learning_rate = 1e-1
trainer.args.num_train_epochs = 3
assert train("asked for 0.1, 3 epochs:  ") == (1e-3, 6), "the new rate counts now"
trainer.optimizer = None
assert train("the same after trainer.optimizer = None:") == (1e-1, 6)
EOF
