#!/usr/bin/env bash
# Library:   torchinfo 1.8.0, thop 0.1.1.post2209072238 and ptflops 0.7.5, beside torchsummary 1.5.1, fvcore
#            0.1.5.post20221221 and Lightning 2.6.6; torch 2.13.0.
# Guess:     Counting the parameters or the operations of a model leaves it as it was. A model that is fine-tuned
#            often trains with its BatchNorm frozen: model.train(), then norm.eval(). After
#            torchinfo.summary(model, …) that is so still, and the running statistics stay what they are.
# Behaviour: torchinfo and thop set the whole model to eval mode, and afterwards call model.train(…) with what the
#            outermost module had. So each frozen BatchNorm (and each Dropout that was switched off) trains from
#            then on; the next batch changes its running statistics, although none of its parameters is trained.
#            ptflops does not go back at all: the whole model stays in eval mode, and training goes on without
#            Dropout. torchsummary, fvcore and Lightning's ModelSummary leave each module's mode as it was.
# Seen:      frozen before: [True, False, True]
#            torchinfo [True, True, True]; thop [True, True, True]; ptflops [False, False, False];
#            torchsummary, fvcore, Lightning [True, False, True]
#            running mean after one more batch: moved by torchinfo and thop, not by torchsummary
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 torchinfo==1.8.0 thop==0.1.1.post2209072238 \
    ptflops==0.7.5 torchsummary==1.5.1 fvcore==0.1.5.post20221221 lightning==2.6.6
venv/bin/python -W ignore - <<'EOF'
import contextlib
import io

import lightning
import ptflops
import thop
import torch
import torchinfo
import torchsummary
from fvcore.nn import FlopCountAnalysis
from lightning.pytorch.utilities.model_summary import ModelSummary
from torch import nn

INPUT = torch.ones(2, 1, 4, 4)


def frozen():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    model[1].eval()
    return model


class Module(lightning.LightningModule):
    def __init__(self, model):
        super().__init__()
        self.model, self.example_input_array = model, INPUT

    def forward(self, x):
        return self.model(x)


TOOLS = {
    "torchinfo": lambda m: torchinfo.summary(m, input_size=INPUT.shape, verbose=0),
    "thop": lambda m: thop.profile(m, inputs=(INPUT,), verbose=False),
    "ptflops": lambda m: ptflops.get_model_complexity_info(
        m, (1, 4, 4), print_per_layer_stat=False
    ),
    "torchsummary": lambda m: torchsummary.summary(m, (1, 4, 4), device="cpu"),
    "fvcore": lambda m: FlopCountAnalysis(m, INPUT).total(),
    "Lightning": lambda m: ModelSummary(Module(m), max_depth=-1),
}
modes, moved = {}, {}
for name, summarise in TOOLS.items():
    model = frozen()
    with contextlib.redirect_stdout(io.StringIO()):
        summarise(model)
    modes[name] = [part.training for part in model]
    model(torch.arange(32.0).reshape(2, 1, 4, 4))
    moved[name] = bool(model[1].running_mean.any())
print("frozen before:", [part.training for part in frozen()])
for name in TOOLS:
    print(f"{name}: {modes[name]}, running mean moved: {moved[name]}")
assert modes["torchinfo"] == modes["thop"] == [True, True, True]
assert modes["ptflops"] == [False, False, False]
assert all(modes[n] == [True, False, True] for n in ("torchsummary", "fvcore", "Lightning"))
assert [name for name in TOOLS if moved[name]] == ["torchinfo", "thop"]
EOF
