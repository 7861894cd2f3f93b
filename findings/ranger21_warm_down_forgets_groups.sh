#!/usr/bin/env bash
# Library:   ranger21 0.1.0 (with torch 2.13.0), class Ranger21, its default warm-down.
# Guess:     Two parameter groups with rates 1e-2 and 1e-5 keep that ratio while the rate is lowered at the
#            end of training.
# Behaviour: The warm-down computes its rate from the one rate that the constructor was given and uses it for
#            every group. At its first step the slow group becomes a thousand times faster, and stays as fast
#            as the other one to the end. The rates shown in the parameter groups stay as they were. The
#            readme does not mention parameter groups.
# Seen:      slow group, moved per step before: 1.0e-05, at the first step of the warm-down: 9.9e-03
#            fast group, at that step: 1.1e-02; rates shown: 0.01 1e-05
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 ranger21==0.1.0
venv/bin/python - <<'EOF'
import contextlib
import io

import ranger21
import torch

torch.manual_seed(0)
fast, slow = (torch.nn.Parameter(torch.ones(4, 4)) for _ in range(2))
report = io.StringIO()  # it reports at length, the start of the warm-down among other things
moved = []
with contextlib.redirect_stdout(report):
    optimizer = ranger21.Ranger21(
        [{"params": [fast]}, {"params": [slow], "lr": 1e-5}],
        lr=1e-2,
        num_epochs=4,
        num_batches_per_epoch=10,
        weight_decay=0.0,
        normloss_active=False,
        lookahead_active=False,
    )
    while "Warmdown starting now" not in report.getvalue():
        before = [p.detach().clone() for p in (fast, slow)]
        for p in (fast, slow):
            p.grad = torch.randn_like(p)
        optimizer.step()
        moved.append([(p - b).norm().item() for p, b in zip((fast, slow), before)])
        assert len(moved) < 40, "there is no warm-down"
rates = [group["lr"] for group in optimizer.param_groups]
print(f"slow group, moved per step before: {moved[-2][1]:.1e}, at the first step of the warm-down: {moved[-1][1]:.1e}")
print(f"fast group, at that step: {moved[-1][0]:.1e}; rates shown:", *rates)
assert moved[-2][1] < 1e-4, "the slow group was fast before"
assert moved[-1][1] > 100 * moved[-2][1], "the slow group keeps its rate now"
assert rates == [1e-2, 1e-5], "the rates shown have changed"
EOF
