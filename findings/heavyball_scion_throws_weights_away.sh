#!/usr/bin/env bash
# Library:   heavyball 3.2.1 (with torch 2.13.0), class Scion.
# Guess:     A step at a rate of 1e-8 leaves the weights where they are, as with AdamW from the same package: a
#            model that was trained before, or whose weights were loaded, goes on from there.
# Behaviour: The first step replaces all weights. Matrices become random orthogonal ones and biases zero, whatever
#            they were, whatever the rate and the gradient; then the step is made. A trained model is lost
#            without a word. The random matrices come from fixed seeds, so that another torch.manual_seed does not
#            give another start. A range test begins with a jump that no rate explains. The second step is as one
#            expects, and so is the first after load_state_dict. Neither the docstring nor the readme mentions it.
# Seen:      AdamW: weight was 1 2 3 4, after a step at 1e-8: 1.0 2.0 3.0 4.0, bias 5.0 5.0
#            Scion: weight was 1 2 3 4, after a step at 1e-8: 0.5774 0.8164 -0.8164 0.5774, bias -0.0 -0.0
#            Scion, with another seed of torch: the same weight: True
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 heavyball==3.2.1
venv/bin/python -W ignore - <<'EOF'
import heavyball
import heavyball.utils
import torch

heavyball.utils.compile_mode = None  # no C++ compiler is needed then


def one_step(optimizer_class, seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        model.bias.fill_(5.0)
    optimizer = optimizer_class(model.parameters(), lr=1e-8)
    steps = []
    for _ in range(2):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        steps.append(model.weight.detach().flatten().clone())
    assert torch.allclose(steps[0], steps[1], atol=1e-6), "the second step moves far, too"
    words = " ".join(str(round(value, 4)) for value in steps[0].tolist())
    bias = " ".join(str(round(value, 4)) for value in model.bias.tolist())
    print(f"{optimizer_class.__name__}: weight was 1 2 3 4, after a step at 1e-8: {words}, bias {bias}")
    return steps[0], model.bias.detach()


before = torch.tensor([1.0, 2.0, 3.0, 4.0])
weight, bias = one_step(heavyball.AdamW)
assert torch.allclose(weight, before, atol=1e-6)
weight, bias = one_step(heavyball.Scion)
assert bias.abs().max() < 1e-6 and (weight - before).abs().min() > 0.1, "Scion keeps the weights now"
matrix = weight.view(2, 2)
assert torch.allclose(matrix @ matrix.T, torch.eye(2), atol=1e-5), "the new matrix is not orthogonal"
again, _ = one_step(heavyball.Scion, seed=1)
print("Scion, with another seed of torch: the same weight:", torch.allclose(weight, again))
assert torch.allclose(weight, again), "the seed of torch has a say now"
EOF
