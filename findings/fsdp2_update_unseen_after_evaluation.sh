#!/usr/bin/env bash
# Library:   torch 2.13.0, torch.distributed.fsdp.fully_shard (FSDP2).
# Guess:     A forward pass under no_grad changes nothing: one may look at a validation loss between backward()
#            and optimizer.step(), as with any other model, and the next forward pass has the updated weights.
# Behaviour: After a forward pass without a backward one, the whole parameters of the root stay gathered. The
#            optimizer updates the shards, and the next forward pass gathers nothing: it sees the weights from
#            before the update, without a word. Each update arrives a step late, and training takes another
#            course. The same holds for whatever else is written into the shards after an evaluation, such as
#            averaged weights. `reshard()` on the root, after the evaluation, helps.
# Seen:      plain   0.7956 0.7885 0.7824 0.7772 evaluated before each step: 0.7956 0.7885 0.7824 0.7772
#            sharded 0.7956 0.7885 0.7824 0.7772 evaluated before each step: 0.7956 0.7956 0.7885 0.782
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'EOF'
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo", init_method=f"file://{os.getcwd()}/meeting", rank=0, world_size=1)


def losses(sharded, evaluate):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    if sharded:
        fully_shard(model, mesh=dist.init_device_mesh("cpu", (1,)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(32, 4), torch.randn(32, 1)
    seen = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        seen.append(round(loss.item(), 4))
        if evaluate:
            with torch.no_grad():
                model(x)
        optimizer.step()
    return seen


seen = {}
for kind, sharded in (("plain  ", False), ("sharded", True)):
    without, evaluated = seen[sharded] = losses(sharded, False), losses(sharded, True)
    print(kind, *without, "evaluated before each step:", *evaluated)
dist.destroy_process_group()
assert seen[False][0] == seen[False][1] == seen[True][0], "sharded, or plain, it trains otherwise"
assert seen[True][1][1] == seen[True][1][0], "the first update is seen now"
EOF
