#!/usr/bin/env bash
# Library:   torchtnt 0.2.4 (with torch 2.13.0), class AutoUnit, with max_steps or max_steps_per_epoch.
# Guess:     evaluate(unit, loader, max_steps_per_epoch=2) takes the first two batches of the loader, each time the
#            same. train() and evaluate() take their batches from the loader that they are given.
# Behaviour: An AutoUnit fetches one batch ahead. When a loop is stopped by its number of steps, that batch stays in the
#            unit, and the next loop of the same kind begins with it, whatever loader it is given. So the same
#            evaluation is of other batches each time, an evaluation of all the test data counts a batch of the
#            validation data on top, and training that follows a range test begins with a batch of the loader of that
#            test. If the number of steps is that of the loader, what stays is the end: every second epoch has no
#            batch at all, which is logged as a warning, and a schedule goes on by it. An EvalUnit or TrainUnit of
#            one's own does not fetch ahead, and does as guessed. The docs of AutoUnit, train() and evaluate() do not
#            mention it.
# Seen:      evaluate, 2 steps of loader a, with EvalUnit:  a0 a1
#            the same again, twice:                         a0 a1, a0 a1
#            all of loader b:                               b0 b1 b2
#            evaluate, 2 steps of loader a, with AutoUnit:  a0 a1
#            the same again, twice:                         a2 a0, a1 a0
#            all of loader b:                               a1 b0 b1 b2
#            train, 2 steps with loader a, with AutoUnit:   a0 a1
#            2 steps with loader b:                         a2 b0
#            4 epochs of loader b, of 3 steps:              b0 b1 b2 b0 b1 b2
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torchtnt==0.2.4 "setuptools<81"
venv/bin/python -W ignore - <<'EOF'
import torch
from torch.utils.data import DataLoader
from torchtnt.framework.auto_unit import AutoUnit
from torchtnt.framework.evaluate import evaluate
from torchtnt.framework.train import train
from torchtnt.framework.unit import EvalUnit

a, b = ([(name + str(number), torch.ones(1)) for number in range(length)] for name, length in (("a", 5), ("b", 3)))
a, b = (DataLoader(examples, batch_size=1) for examples in (a, b))


class Plain(EvalUnit):
    """Notes the names of the examples that it is given."""

    def __init__(self):
        super().__init__()
        self.names = []

    def eval_step(self, state, data: tuple):
        self.names += data[0]


class Auto(AutoUnit):
    def __init__(self):
        super().__init__(module=torch.nn.Linear(1, 1), device=torch.device("cpu"))
        self.names = []

    def configure_optimizers_and_lr_scheduler(self, module):
        return torch.optim.SGD(module.parameters(), lr=0.1), None

    def compute_loss(self, state, data):
        names, inputs = data
        self.names += names
        outputs = self.module(inputs)
        return outputs.square().mean(), outputs


def names(function, unit, loader, **options):
    unit.names = []
    function(unit, loader, **options)
    return " ".join(unit.names)


def show(label, *loops):
    print(f"{label:46}", ", ".join(loops))
    return loops


def evaluations(unit):
    label = "EvalUnit" if isinstance(unit, Plain) else "AutoUnit"
    return (
        *show(f"evaluate, 2 steps of loader a, with {label}:", names(evaluate, unit, a, max_steps_per_epoch=2)),
        *show("the same again, twice:", *(names(evaluate, unit, a, max_steps_per_epoch=2) for _ in range(2))),
        *show("all of loader b:", names(evaluate, unit, b)),
    )


assert evaluations(Plain()) == ("a0 a1", "a0 a1", "a0 a1", "b0 b1 b2")
assert evaluations(Auto()) == ("a0 a1", "a2 a0", "a1 a0", "a1 b0 b1 b2"), "no batch is left now"
unit = Auto()
first = show("train, 2 steps with loader a, with AutoUnit:", names(train, unit, a, max_epochs=None, max_steps=2))
then = show("2 steps with loader b:", names(train, unit, b, max_epochs=None, max_steps=4))  # 4 with those before
assert first + then == ("a0 a1", "a2 b0"), "no batch is left now"
whole = show("4 epochs of loader b, of 3 steps:", names(train, Auto(), b, max_epochs=4, max_steps_per_epoch=3))
assert whole == ("b0 b1 b2 b0 b1 b2",), "no epoch is empty now"
EOF
