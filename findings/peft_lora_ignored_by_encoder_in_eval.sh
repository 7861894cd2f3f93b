#!/usr/bin/env bash
# Library:   peft 0.21.2 (with torch 2.13.0), LoRA on the linear layers of nn.TransformerEncoderLayer.
# Guess:     A trained adapter acts in training and in eval mode alike; without dropout, both give the same
#            output.
# Behaviour: In eval mode and without gradients the adapter is left out, without a warning: the output is
#            that of the base model. The layer then takes torch's fast path, which reads the weights of linear1
#            and linear2 itself and never calls the modules that peft has put there. A validation loss is
#            therefore that of the model before the fine-tuning, whatever has been trained, and a search for a
#            learning rate by held-out batches finds that training does not help. Neither documentation
#            mentions it.
# Seen:      adapter changes the output: training mode True, eval mode False
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 peft==0.21.2
venv/bin/python -W ignore - <<'EOF'
import torch
from peft import LoraConfig, get_peft_model

torch.manual_seed(0)
encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
config = LoraConfig(target_modules=["linear1", "linear2"], init_lora_weights=False)  # as if it were trained
model = get_peft_model(torch.nn.Sequential(encoder), config)
x = torch.randn(2, 3, 8)


def changes(mode):
    model.train(mode)
    with torch.no_grad():
        adapted = model(x)
        with model.disable_adapter():
            base = model(x)
    return not torch.allclose(adapted, base, atol=1e-4)


training, evaluation = changes(True), changes(False)
print(f"adapter changes the output: training mode {training}, eval mode {evaluation}")
assert training and not evaluation, "the behaviour has changed"
EOF
