#!/usr/bin/env bash
# Library:   torch 2.13.0, a learning rate given as a tensor.
# Guess:     A rate of torch.tensor(0.1) is a value, as 0.1 is: each parameter group has its own, and a
#            schedule changes that group, in that optimizer.
# Behaviour: All groups without a rate of their own hold the very tensor that was passed in, and schedulers
#            write into it. With one function per group, all groups get the rate of the last one; a second
#            optimizer that was given the same tensor changes along, and so does a state_dict taken before.
#            The docstrings say that the rate may be a tensor, not that it is shared.
# Seen:      float:  groups 0.1 0.001, other optimizer 0.1, saved 0.1
#            tensor: groups 0.001 0.001, other optimizer 0.001, saved 0.001
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch


def run(lr):
    a, b, c = (torch.nn.Parameter(torch.ones(1)) for _ in range(3))
    optimizer = torch.optim.SGD([{"params": [a]}, {"params": [b]}], lr=lr)
    other = torch.optim.SGD([c], lr=lr)
    saved = optimizer.state_dict()
    # The first group keeps its rate, that of the second falls to a hundredth.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda epoch: 1.0, lambda epoch: 0.1**epoch])
    for _ in range(2):
        optimizer.step()
        schedule.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    rates += [other.param_groups[0]["lr"], saved["param_groups"][0]["lr"]]
    return [round(float(rate), 6) for rate in rates]


for name, lr, expected in (
    ("float: ", 0.1, [0.1, 0.001, 0.1, 0.1]),
    ("tensor:", torch.tensor(0.1), [0.001] * 4),
):
    first, second, other, saved = seen = run(lr)
    print(name, f"groups {first} {second}, other optimizer {other}, saved {saved}")
    assert seen == expected, "the behaviour has changed"
EOF
