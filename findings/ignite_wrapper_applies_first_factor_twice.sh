#!/usr/bin/env bash
# Library:   pytorch-ignite 0.5.5 (with torch 2.13.0), ignite.handlers.LRScheduler around a scheduler of torch.
# Guess:     Attached to ITERATION_STARTED, as its docstring shows, the wrapper gives the iterations the rates that
#            the scheduler gives in a plain loop. With the StepLR of the docstring it does.
# Behaviour: The wrapper asks the scheduler for its rate before the first iteration, without counting on. Schedulers
#            that compute the rate from the last one have by then applied their first factor, and apply it again. A
#            warm-up by LinearLR therefore ends at a quarter of the rate that was asked for, and all of the training
#            is done at that; ExponentialLR leaves out its first rate; CosineAnnealingLR begins above the optimizer's
#            rate. StepLR, LambdaLR, OneCycleLR and CyclicLR are right. With use_legacy=True and ITERATION_COMPLETED
#            all are right. No error, no warning, and the docstring names no scheduler that would not do.
# Seen:      LinearLR          plain:  0.25 0.5 0.75 1.0 1.0 1.0
#                              ignite: 0.0625 0.125 0.1875 0.25 0.25 0.25
#            ExponentialLR     plain:  1.0 0.5 0.25 0.125 0.0625 0.0312
#                              ignite: 0.5 0.25 0.125 0.0625 0.0312 0.0156
#            CosineAnnealingLR plain:  1.0 0.933 0.75 0.5 0.25 0.067
#                              ignite: 1.0718 0.933 0.75 0.5 0.25 0.067
#            StepLR            plain:  1.0 1.0 1.0 0.1 0.1 0.1
#                              ignite: 1.0 1.0 1.0 0.1 0.1 0.1
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 pytorch-ignite==0.5.5
venv/bin/python -W ignore - <<'EOF'
import torch
from ignite.engine import Engine, Events
from ignite.handlers import LRScheduler
from torch.optim import lr_scheduler

STEPS = 6


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def plain(make):
    opt = optimizer()
    scheduler = make(opt)
    rates = []
    for _ in range(STEPS):
        rates.append(round(opt.param_groups[0]["lr"], 4))
        opt.step()
        scheduler.step()
    return rates


def ignite(make, when=Events.ITERATION_STARTED, **options):
    opt = optimizer()
    rates = []
    trainer = Engine(lambda engine, batch: rates.append(round(opt.param_groups[0]["lr"], 4)))
    trainer.add_event_handler(when, LRScheduler(make(opt), **options))
    trainer.run([0] * STEPS, max_epochs=1)
    return rates


schedulers = {
    "LinearLR": lambda opt: lr_scheduler.LinearLR(opt, 0.25, total_iters=3),
    "ExponentialLR": lambda opt: lr_scheduler.ExponentialLR(opt, 0.5),
    "CosineAnnealingLR": lambda opt: lr_scheduler.CosineAnnealingLR(opt, 6),
    "StepLR": lambda opt: lr_scheduler.StepLR(opt, 3, 0.1),
}
seen = {}
for name, make in schedulers.items():
    legacy = ignite(make, Events.ITERATION_COMPLETED, use_legacy=True)
    seen[name] = plain(make), ignite(make)
    print(f"{name:17} plain: ", *seen[name][0])
    print(f"{'':17} ignite:", *seen[name][1])
    assert legacy == seen[name][0], "use_legacy=True is wrong now"
assert seen["StepLR"][0] == seen["StepLR"][1]
assert seen["LinearLR"][1] == [rate / 4 for rate in seen["LinearLR"][0]], "LinearLR is right now"
assert seen["ExponentialLR"][1][:-1] == seen["ExponentialLR"][0][1:], "ExponentialLR is right now"
assert seen["CosineAnnealingLR"][1][0] > 1.07, "CosineAnnealingLR is right now"
EOF
