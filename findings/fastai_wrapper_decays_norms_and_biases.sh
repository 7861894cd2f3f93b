#!/usr/bin/env bash
# Library:   fastai 2.8.12 (with torch 2.13.0), a Learner whose optimizer is an OptimWrapper around one of torch.
# Guess:     The Learner's wd_bn_bias=False, its default, spares the layers of normalization and the biases from
#            weight decay, whichever optimizer it has. So torch.optim.AdamW in an OptimWrapper trains as fastai's
#            own Adam.
# Behaviour: They are spared with fastai's own optimizers only. The Learner leaves a note, do_wd=False, in the
#            optimizer's state for each of these parameters. In fastai's optimizers the function of weight decay
#            reads it. The wrapper has a dictionary of its own for such notes, which the torch optimizer inside
#            never sees, and that decays everything by the wd of fit(). Nothing tells of it, and `learn.wd_bn_bias`
#            is False all the same. Who changes the optimizer to compare two of them, or their best rates, has
#            also changed what is decayed. The source describes the argument as "Apply weight decay to
#            normalization and bias parameters".
# Seen:      what is left of a parameter of 1 after 10 steps without a gradient, lr=0.1, wd=0.1:
#            fastai's Adam           wd_bn_bias=False: weight 0.904, bias 1.000, norm 1.000
#            fastai's Adam           wd_bn_bias=True:  weight 0.904, bias 0.904, norm 0.904
#            OptimWrapper, AdamW     wd_bn_bias=False: weight 0.904, bias 0.904, norm 0.904
#            OptimWrapper, AdamW     wd_bn_bias=True:  weight 0.904, bias 0.904, norm 0.904
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 torchvision==0.28.0 numpy==2.4.6 fastai==2.8.12
venv/bin/python -W ignore - <<'EOF'
from functools import partial

import fastai.callback.progress  # it brings no_bar()
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import Adam, OptimWrapper
from torch.utils.data import TensorDataset


def left(opt_func, wd_bn_bias):
    """What ten steps leave of a weight, a bias and the weight of a normalization, which all begin with one."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    for parameter in model.parameters():
        torch.nn.init.ones_(parameter)
    data = TensorDataset(torch.randn(40, 3), torch.zeros(40))
    learn = Learner(
        DataLoaders.from_dsets(data, data, bs=4, num_workers=0, device="cpu"),
        model,
        loss_func=lambda output, _: 0 * output.sum(),
        opt_func=opt_func,
        wd_bn_bias=wd_bn_bias,
    )
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, lr=0.1, wd=0.1)
    return model[0].weight[0, 0].item(), model[0].bias[0].item(), model[1].weight[0].item()


print("what is left of a parameter of 1 after 10 steps without a gradient, lr=0.1, wd=0.1:")
decayed = 0.99**10
wrapper = partial(OptimWrapper, opt=torch.optim.AdamW)
for name, opt_func in (("fastai's Adam", Adam), ("OptimWrapper, AdamW", wrapper)):
    for wd_bn_bias in (False, True):
        weight, bias, norm = left(opt_func, wd_bn_bias)
        words = f"weight {weight:.3f}, bias {bias:.3f}, norm {norm:.3f}"
        print(f"{name:23} wd_bn_bias={str(wd_bn_bias) + ':':6} {words}")
        spared = opt_func is Adam and not wd_bn_bias
        expected = (decayed, 1, 1) if spared else (decayed,) * 3
        assert torch.allclose(torch.tensor([weight, bias, norm]), torch.tensor(expected)), "the decay has changed"
EOF
