#!/usr/bin/env bash
# Library:   torch 2.13.0, StepLR and MultiStepLR made with `last_epoch`.
# Guess:     The optimizer's state is loaded and the scheduler is made with last_epoch=3, the last epoch that
#            was done: the schedule goes on where it was, as it does with ExponentialLR.
# Behaviour: Making the scheduler steps it to epoch 4. Most schedulers leave the rate alone in that step, as
#            the loaded rate is that of epoch 4 already. StepLR and MultiStepLR do not: where epoch 4 is one
#            at which the rate falls, it falls a second time, and every later rate is a tenth of the right
#            one. At other epochs all is well, so that a test of resuming easily misses it. The documentation
#            warns that making a scheduler overwrites the rate and says to load the optimizer after it; with
#            this argument, that order raises a KeyError.
# Seen:      ExponentialLR straight: 1.0 0.5 0.25 0.125 0.0625 0.03125 0.01562
#                          resumed:  1.0 0.5 0.25 0.125 0.0625 0.03125 0.01562
#            StepLR        straight: 1.0 1.0 0.1 0.1 0.01 0.01 0.001
#                          resumed:  1.0 1.0 0.1 0.1 0.001 0.001 0.0001
#            MultiStepLR   straight: 1.0 1.0 0.1 0.1 0.01 0.01 0.01
#                          resumed:  1.0 1.0 0.1 0.1 0.001 0.001 0.001
#            made before the optimizer is loaded: KeyError
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import torch
from torch.optim.lr_scheduler import ExponentialLR, MultiStepLR, StepLR


def rates(cls, resume, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = cls(optimizer, **kwargs)
    seen = []
    for epoch in range(7):
        if resume and epoch == 4:  # epochs 0 to 3 are done, their checkpoint is loaded
            saved = optimizer.state_dict()
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
            optimizer.load_state_dict(saved)
            schedule = cls(optimizer, last_epoch=3, **kwargs)
        seen.append(float(f"{optimizer.param_groups[0]['lr']:.4g}"))
        optimizer.step()
        schedule.step()
    return seen


for cls, kwargs, same in (
    (ExponentialLR, {"gamma": 0.5}, True),
    (StepLR, {"step_size": 2}, False),
    (MultiStepLR, {"milestones": [2, 4]}, False),
):
    straight, resumed = rates(cls, False, **kwargs), rates(cls, True, **kwargs)
    print(f"{cls.__name__:13} straight:", *straight)
    print(f"{'':13} resumed: ", *resumed)
    assert (straight == resumed) is same, "the behaviour has changed"
    assert same or straight[:4] == resumed[:4] and abs(resumed[4] / straight[4] - 0.1) < 1e-6

try:
    StepLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0), step_size=2, last_epoch=3)
    raise AssertionError("the scheduler can be made first now")
except KeyError:
    print("made before the optimizer is loaded: KeyError")
EOF
