#!/usr/bin/env bash
# Library:   loralib 0.1.2 (with torch 2.13.0), class Linear with its default merge_weights=True.
# Guess:     A LoRA checkpoint may be loaded in eval mode as well as in train mode: the outputs are then those
#            of the checkpoint, and the frozen pre-trained weight stays as it is.
# Behaviour: In eval mode the old A and B are already added to the weight and are not looked at. Loading new
#            ones changes no output. A later `train()` subtracts the new product where the old one had been
#            added, so that the frozen weight is changed for good; the model is then wrong in both modes.
#            The readme says that `eval()` merges and `train()` unmerges, not that loading between them does this.
# Seen:      outputs changed by loading in eval mode: False
#            frozen weight moved by 0.189 after train(), outputs those of the checkpoint: False
#            loaded in train mode: frozen weight moved by 0, outputs those of the checkpoint: True
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 loralib==0.1.2
venv/bin/python - <<'EOF'
import copy

import loralib
import torch

torch.manual_seed(0)
fresh = torch.nn.Sequential(loralib.Linear(4, 3, r=2))
trained = copy.deepcopy(fresh)
torch.nn.init.normal_(trained[0].lora_B)
checkpoint = copy.deepcopy(loralib.lora_state_dict(trained))
x = torch.randn(5, 4)
wanted = trained(x)

model = copy.deepcopy(fresh).eval()
before = model(x)
model.load_state_dict(checkpoint, strict=False)
changed = not torch.equal(model(x), before)
model.train()
moved = (model[0].weight - fresh[0].weight).abs().max().item()
right = torch.allclose(model(x), wanted, atol=1e-6)
print("outputs changed by loading in eval mode:", changed)
print(f"frozen weight moved by {moved:.3g} after train(), outputs those of the checkpoint: {right}")
assert not changed and moved > 0.1 and not right, "loading in eval mode works now"

model = copy.deepcopy(fresh).train()
model.load_state_dict(checkpoint, strict=False)
moved = (model[0].weight - fresh[0].weight).abs().max().item()
right = torch.allclose(model(x), wanted, atol=1e-6)
print(f"loaded in train mode: frozen weight moved by {moved:.3g}, outputs those of the checkpoint: {right}")
assert moved == 0 and right, "loading in train mode no longer works"
EOF
