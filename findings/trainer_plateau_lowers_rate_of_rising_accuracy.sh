#!/usr/bin/env bash
# Library:   transformers 5.24.0 with accelerate 1.15.0 (and torch 2.13.0), Trainer with the schedule
#            "reduce_lr_on_plateau", metric_for_best_model="accuracy", greater_is_better=True.
# Guess:     The schedule looks at the accuracy and lowers the rate when that stops rising. The Trainer was told that
#            greater is better, and keeps the best checkpoint accordingly.
# Behaviour: The schedule is handed the accuracy, but not the direction: it waits for the accuracy to fall. The
#            first value is the best, each better one counts as bad, and the rate is lowered again and again while the
#            model improves with every epoch; it stays high if the accuracy falls. The checkpoint that is kept is
#            the right one. It takes lr_scheduler_kwargs={"mode": "max"} besides. No warning, and the documentation
#            of the two arguments does not mention the schedule.
# Seen:      accuracy of each epoch: 0.55 0.60 0.65 0.70 0.75 0.80
#            as it comes:   rate in each epoch 0.1 0.1 0.1 0.01 0.01 0.001, best checkpoint 0.80
#            mode "max":    rate in each epoch 0.1 0.1 0.1 0.1 0.1 0.1, best checkpoint 0.80
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 transformers==5.24.0 accelerate==1.15.0
venv/bin/python -W ignore - <<'EOF'
import contextlib
import io
import itertools

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 2)

    def forward(self, inputs, labels):
        logits = self.layer(inputs)
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


class Rates(TrainerCallback):
    def __init__(self):
        self.values = []

    def on_epoch_begin(self, args, state, control, optimizer, **_):
        self.values.append(round(optimizer.param_groups[0]["lr"], 6))


def train(**options):
    accuracies = (0.5 + 0.05 * epoch for epoch in itertools.count(1))
    arguments = TrainingArguments(
        output_dir="out",
        num_train_epochs=6,
        per_device_train_batch_size=20,
        learning_rate=0.1,
        lr_scheduler_type="reduce_lr_on_plateau",
        lr_scheduler_kwargs={"patience": 1, **options},
        metric_for_best_model="accuracy",
        greater_is_better=True,
        load_best_model_at_end=True,
        eval_strategy="epoch",
        save_strategy="epoch",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    data = [{"inputs": torch.tensor([value / 20 - 1]), "labels": int(value > 20)} for value in range(40)]
    rates = Rates()
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = Trainer(
            Model(),
            arguments,
            train_dataset=data,
            eval_dataset=data,
            compute_metrics=lambda _: {"accuracy": next(accuracies)},
            callbacks=[rates],
        )
        trainer.train()
    history = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    return history, rates.values, trainer.state.best_metric


for options, label in (({}, "as it comes:"), ({"mode": "max"}, 'mode "max":')):
    history, rates, best = train(**options)
    if not options:
        print("accuracy of each epoch:", *(f"{value:.2f}" for value in history))
    words = " ".join(f"{rate:g}" for rate in rates)
    print(f"{label:14} rate in each epoch {words}, best checkpoint {best:.2f}")
    assert history == sorted(history) and best == history[-1]
    if options:
        assert rates == [0.1] * 6
    else:
        assert rates[-1] < 0.01, "the direction reaches the schedule now"
EOF
