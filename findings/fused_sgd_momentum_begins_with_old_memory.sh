#!/usr/bin/env bash
# Library:   torch 2.13.0, SGD(…, momentum=0.9, fused=True) with torch.amp.GradScaler.
# Guess:     A step that the scaler skips, because a gradient is infinite, leaves weights and momentum alone. As the
#            scale begins high, the first steps of a training are often skipped; the first real one begins the
#            momentum with its gradient, as it does without `fused`.
# Behaviour: The fused step is called all the same, is told of the infinity, and changes no weight. By then it has
#            made the buffer of the momentum without writing into it. It holds whatever lay in that memory, and
#            the next step goes on from there as if that were momentum: here 7.0, left from other tensors, so that
#            the step is seven times too large; sometimes it is 1e23. In fresh memory it is zero and nothing is
#            seen, so that it comes and goes. No error, no warning. Adam(fused=True) is right. The docstring
#            speaks of speed and of types, not of another result.
# Seen:      SGD, plain: buffer after the skipped step: none; weight after each step: 0 -0.1 -0.29 -0.561
#            SGD, fused: buffer after the skipped step: 7 to 7; weight after each step: 0 -0.73 -1.487 -2.268
#            Adam, plain: weight after each step: 0 -0.1 -0.2 -0.3
#            Adam, fused: weight after each step: 0 -0.1 -0.2 -0.3
#            (the second line differs from run to run: another time "-8.43e+24 to 1.185e+32", and weights of -5e28)
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6
venv/bin/python -W ignore - <<'EOF'
import torch


def train(optimizer_class, fused, **options):
    weight = torch.nn.Parameter(torch.zeros(1000))
    optimizer = optimizer_class([weight], lr=0.1, fused=fused, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    values, buffer = [], None
    for factor in (1e38, 1.0, 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale((weight * factor).sum()).backward()
        others = [torch.full((1000,), 7.0) for _ in range(50)]  # what a training computes besides, and lets go
        del others
        scaler.step(optimizer)
        scaler.update()
        values.append(weight.mean().item())
        if factor > 1.0:
            assert scaler.get_scale() == 2.0**19, "the step was not skipped"
            buffer = optimizer.state.get(weight, {}).get("momentum_buffer")
            buffer = buffer if buffer is None else buffer.clone()
        elif len(values) == 2:
            second = weight.detach().clone()
    text = f"{optimizer_class.__name__}, {'fused' if fused else 'plain'}: "
    if options:
        held = "none" if buffer is None else f"{buffer.min().item():.4g} to {buffer.max().item():.4g}"
        text += f"buffer after the skipped step: {held}; "
    print(text + "weight after each step:", *(f"{value:.4g}" for value in values))
    return second, buffer


right = torch.full((1000,), -0.1)
second, buffer = train(torch.optim.SGD, fused=False, momentum=0.9)
assert buffer is None
torch.testing.assert_close(second, right)
second, buffer = train(torch.optim.SGD, fused=True, momentum=0.9)
assert buffer is not None, "the skipped step makes no momentum now"
torch.testing.assert_close(second, -0.1 * (0.9 * buffer + 1.0), equal_nan=True)
for fused in (False, True):
    second, _ = train(torch.optim.Adam, fused)
    torch.testing.assert_close(second, right)
EOF
