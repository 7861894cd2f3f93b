#!/usr/bin/env bash
# Library:   peft 0.21.2 with AdaLoraConfig, transformers 5.24.0, torch 2.13.0.
# Guess:     In eval mode, `model(**batch).loss` of a model with fresh adapters is the loss of the model without
#            them: they change no output yet. With LoRA it is.
# Behaviour: AdaLoRA adds the penalty that keeps its matrices orthogonal to the loss of each forward pass, in eval
#            mode and under no_grad() too. The outputs are those of the base model, the loss is 1.7 higher, and a
#            perplexity made of it more than five times as large. It cannot be compared with that of a training
#            with LoRA, and it falls with the penalty, whether or not the outputs become better. The loss of the
#            outputs, computed by oneself, is right. The documentation calls orth_reg_weight "the coefficient of
#            orthogonal regularization" and does not mention evaluation.
# Seen:      LoraConfig:    outputs those of the base model: True, loss - loss of the outputs: 0.0000
#            AdaLoraConfig: outputs those of the base model: True, loss - loss of the outputs: 1.7083
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 transformers==5.24.0 peft==0.21.2
venv/bin/python -W ignore - <<'EOF'
import torch
from peft import AdaLoraConfig, LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

logging.set_verbosity_error()


def evaluate(config_class, **options):
    torch.manual_seed(0)
    size = dict(n_layer=1, n_embd=16, n_head=2, vocab_size=50, n_positions=16)
    base = GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=0)).eval()
    tokens = torch.randint(0, 50, (4, 10))
    with torch.no_grad():
        outputs = base(tokens).logits
        config = config_class(task_type="CAUSAL_LM", target_modules=["c_attn"], fan_in_fan_out=True, **options)
        adapted = get_peft_model(base, config).eval()(tokens, labels=tokens)
    same = torch.equal(outputs, adapted.logits)
    own = torch.nn.functional.cross_entropy(adapted.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    more = adapted.loss.item() - own.item()
    label = config_class.__name__ + ":"
    print(f"{label:14} outputs those of the base model: {same}, loss - loss of the outputs: {abs(more):.4f}")
    assert same
    return more


assert abs(evaluate(LoraConfig)) < 1e-5
assert evaluate(AdaLoraConfig, total_step=100) > 1.0, "the loss is that of the outputs now"
EOF
