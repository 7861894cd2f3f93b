#!/usr/bin/env bash
# Library:   mmengine 0.10.7 (with torch 2.13.0), ExponentialLR with convert_to_iter_based=True.
# Guess:     The option takes a schedule that is given in epochs and makes it act after each iteration. The decay
#            stays the same, only smoother: with gamma=0.9, an epoch of 10 iterations ends at 0.9 times the rate.
# Behaviour: `begin` and `end` are converted, gamma is not: the rate is multiplied by 0.9 after each iteration, and
#            by 0.35 in an epoch of 10. With 500 iterations, it is gone after the first epoch. StepLR, MultiStepLR
#            and CosineAnnealingLR are converted well. The tutorial explains the conversion with the latter two and
#            names no exception; the docstring of ExponentialLR says that gamma acts "every epoch".
# Seen:      rates at the beginning of the epochs 1, 2, 3 and 4, in epochs of 10 iterations:
#            ExponentialLR       by epoch: 0.1000 0.0900 0.0810 0.0729    converted: 0.1000 0.0349 0.0122 0.0042
#            StepLR              by epoch: 0.1000 0.0900 0.0810 0.0729    converted: 0.1000 0.0900 0.0810 0.0729
#            CosineAnnealingLR   by epoch: 0.1000 0.0854 0.0500 0.0146    converted: 0.1000 0.0854 0.0500 0.0146
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 mmengine==0.10.7
venv/bin/python -W ignore - <<'EOF'
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

EPOCHS, LENGTH = 4, 10


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode="tensor"):
        return {"loss": self.layer(inputs).square().mean()}


class Rates(Hook):
    """Notes the rate at which each iteration is made."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, *args, **kwargs):
        self.seen.append(runner.optim_wrapper.get_lr()["lr"][0])


def rates(schedule, converted):
    hook = Rates()
    Runner(
        model=Model(),
        work_dir=".",
        train_dataloader=dict(
            dataset=[{"inputs": torch.ones(1)} for _ in range(LENGTH)],
            batch_size=1,
            collate_fn=dict(type="default_collate"),
            sampler=dict(type="DefaultSampler", shuffle=False),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        param_scheduler=dict(**schedule, by_epoch=True, convert_to_iter_based=converted),
        default_hooks=dict(checkpoint=None, logger=None),
        custom_hooks=[hook],
        log_level="ERROR",
    ).train()
    return hook.seen[::LENGTH]


print(f"rates at the beginning of the epochs 1, 2, 3 and 4, in epochs of {LENGTH} iterations:")
for schedule, well in (
    (dict(type="ExponentialLR", gamma=0.9), False),
    (dict(type="StepLR", step_size=1, gamma=0.9), True),
    (dict(type="CosineAnnealingLR", T_max=EPOCHS), True),
):
    both = rates(schedule, False), rates(schedule, True)
    words = [" ".join(f"{rate:.4f}" for rate in each) for each in both]
    print(f"{schedule['type']:19} by epoch: {words[0]}    converted: {words[1]}")
    same = all(abs(a - b) < 1e-6 for a, b in zip(*both, strict=True))
    assert same is well, f"{schedule['type']} is converted in another way now"
    if not well:
        assert abs(both[1][1] - 0.1 * 0.9**LENGTH) < 1e-6
EOF
