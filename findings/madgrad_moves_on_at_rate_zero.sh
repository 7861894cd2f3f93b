#!/usr/bin/env bash
# Library:   madgrad 1.3 (with torch 2.13.0), class MADGRAD; timm 1.0.31 has a copy of it.
# Guess:     At a rate of 0 nothing moves, as with SGD with momentum and with Adam. At 1e-8, where a range test
#            begins, hardly anything does.
# Behaviour: The weights are a running average of points that the rates so far have placed, and go a tenth of the way
#            to the last point in each step, whatever the rate is now. After ten steps at 0.01, ten more at 0 move
#            them nearly as far again: a schedule that ends at 0, or a layer whose rate is set to 0, does not
#            stop, and a rate that is lowered acts late. And eps, 1e-6 by default, is added to every rate but 0, so
#            that a range test from 1e-8 begins at 1e-6: its first steps move the weight twenty times as far as with
#            eps=0. The docstring says that eps is added "to the denominator", and that the schedules of SGD or Adam
#            may be used.
# Seen:      SGD            10 steps at 0.01: 0.414, then 10 at 0: 0;     10 steps at 1e-08: 4.14e-07
#            Adam           10 steps at 0.01: 0.1,   then 10 at 0: 0;     10 steps at 1e-08: 1e-07
#            MADGRAD        10 steps at 0.01: 0.156, then 10 at 0: 0.139; 10 steps at 1e-08: 0.000338
#            MADGRAD(eps=0) 10 steps at 0.01: 0.156, then 10 at 0: 0.139; 10 steps at 1e-08: 1.56e-05
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 madgrad==1.3
venv/bin/python -W ignore - <<'EOF'
import torch
from madgrad import MADGRAD


def moved(optimizer_class, *rates, **options):
    """How far ten steps at each of the rates move a weight, whose gradient is one throughout."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = optimizer_class([weight], lr=1.0, **options)
    ways = []
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        before = weight.item()
        for _ in range(10):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        ways.append(before - weight.item())
    return ways


def show(name, optimizer_class, **options):
    first, after = moved(optimizer_class, 1e-2, 0.0, **options)
    (least,) = moved(optimizer_class, 1e-8, **options)
    words = f"{first:.3g},".ljust(6), f"{after:.3g};".ljust(6)
    print(f"{name:14} 10 steps at 0.01: {words[0]} then 10 at 0: {words[1]} 10 steps at 1e-08: {least:.3g}")
    return first, after, least


first, after, _ = show("SGD", torch.optim.SGD, momentum=0.9)
assert after == 0
first, after, _ = show("Adam", torch.optim.Adam)
assert after == 0
first, after, least = show("MADGRAD", MADGRAD)
assert after > first / 2, "a rate of zero stops it now"
first, after, without = show("MADGRAD(eps=0)", MADGRAD, eps=0)
assert after > first / 2
assert least > 10 * without, "eps does not count as rate now"
EOF
