#!/usr/bin/env bash
# Library:   pytorch-accelerated 0.1.61 (with torch 2.13.0, accelerate 1.15.0), Trainer.train with
#            gradient_accumulation_steps.
# Guess:     The losses of training and of evaluation that the run history lists and the trainer prints are means over
#            the examples. For the same data and a model that does not change, they are equal, however many batches
#            make a step.
# Behaviour: With gradient_accumulation_steps=4, the loss of training is a quarter. Each batch's loss is divided by
#            that number, as the gradients need it, before it is added up for the history, and is handed to the
#            callbacks as divided, too. The loss of evaluation is not divided. So a model that learns nothing seems
#            to overfit by a factor of four, and rates that were tried with different accumulation cannot be
#            compared by their losses of training. That the loss is scaled stands only in the docstring of
#            backward_step(), of the loss that is passed to it.
# Seen:      accumulation of 1 batch:    training 1,    evaluation 1
#            accumulation of 2 batches:  training 0.5,  evaluation 1
#            accumulation of 4 batches:  training 0.25, evaluation 1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-accelerated==0.1.61 accelerate==1.15.0
ACCELERATE_USE_CPU=true venv/bin/python -W ignore - <<'EOF'
import torch
from pytorch_accelerated import Trainer
from torch.utils.data import TensorDataset

data = TensorDataset(torch.ones(32, 1), torch.ones(32, 1))  # predicted as 0, so that each loss is 1


def losses(accumulation):
    """The losses of training and of evaluation of a model that does not change, on the same data."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    trainer = Trainer(
        model=model,
        loss_func=torch.nn.MSELoss(),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.0),
        callbacks=[],
    )
    trainer.train(
        train_dataset=data,
        eval_dataset=data,
        num_epochs=1,
        per_device_batch_size=4,
        gradient_accumulation_steps=accumulation,
    )
    history = trainer.run_history
    return [history.get_latest_metric(f"{kind}_loss_epoch") for kind in ("train", "eval")]


for accumulation in (1, 2, 4):
    train, evaluation = losses(accumulation)
    name = f"{accumulation} batch{'es' if accumulation > 1 else ''}:"
    print(f"accumulation of {name:11} training {f'{train:.3g},':5} evaluation {evaluation:.3g}")
    assert abs(evaluation - 1) < 1e-6
    assert abs(train - 1 / accumulation) < 1e-6, "the loss of training is not divided now"
EOF
