#!/usr/bin/env bash
# Library:   Catalyst 22.4, catalyst.callbacks.LRFinder; torch 2.13.0.
# Guess:     The callback raises the learning rate for one epoch, and train() returns, or goes on with the other
#            epochs. The model and the learning rate are those from before, or at least the script goes on.
# Behaviour: After the first epoch it raises KeyboardInterrupt("End of LRFinder"), which leaves train(). A script
#            ends there as if Ctrl-C had been pressed, and "Run All Cells" of a notebook stops; "except Exception"
#            does not catch it, and what stops a job on an interrupt stops it. The model stays as the sweep has
#            trained it, and the optimizer has the final learning rate. The docstring of the class does
#            not say so; that of its method on_batch_end, which nobody calls, names the interrupt.
# Seen:      KeyboardInterrupt: End of LRFinder, after 19 steps; weights as before: False; learning rate: 0.001 before,
#            1 after
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 catalyst==22.4 tensorboardX==2.6.5 setuptools==80.9.0
venv/bin/python -W ignore - <<'EOF'
import torch
from catalyst import dl
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
inputs = torch.randn(640, 8)
loader = DataLoader(TensorDataset(inputs, inputs @ torch.randn(8, 1)), batch_size=32)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
before = model.weight.detach().clone()
rates = []


class Recorder(dl.Callback):
    def __init__(self):
        super().__init__(order=dl.CallbackOrder.external)

    def on_batch_end(self, runner):
        rates.append(runner.optimizer.param_groups[0]["lr"])


ended = None
try:
    dl.SupervisedRunner().train(
        model=model,
        criterion=nn.MSELoss(),
        optimizer=optimizer,
        loaders={"train": loader},
        callbacks=[dl.LRFinder(final_lr=1.0), Recorder()],
        num_epochs=2,
    )
except Exception as error:
    raise AssertionError("an ordinary exception: the behaviour has changed") from error
except KeyboardInterrupt as interrupt:
    ended = str(interrupt)
same, lr = torch.equal(model.weight, before), optimizer.param_groups[0]["lr"]
print(f"KeyboardInterrupt: {ended}, after {len(rates)} steps")
print(f"weights as before: {same}; learning rate: 0.001 before, {lr:.3g} after")
assert ended == "End of LRFinder" and len(rates) == 19
assert not same and round(lr, 6) == 1.0
EOF
