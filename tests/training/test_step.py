"""The textbook step: what is particular to its validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, classes
from torch import Tensor, nn

from lrfinder_widget import range_test
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.training.step import TrainingStep

CE = nn.CrossEntropyLoss()


class Merging(nn.Linear):
    """A layer that adds a trained part to its weight in `eval`, and takes it out in `train`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.weight.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(2, inputs))
        self.up = nn.Parameter(torch.zeros(outputs, 2))
        self.merged = False

    def train(self, mode: bool = True) -> Merging:
        super().train(mode)
        if self.merged is mode:
            self.weight.data += (-1 if mode else 1) * self.up @ self.down
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        output = super().forward(x)
        return output if self.merged else output + x @ self.down.T @ self.up.T


def merging() -> nn.Module:
    return nn.Sequential(Merging(FEATURES, 8), nn.ReLU(), Merging(8, CLASSES))


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))
    model[1].eval()
    return model


class FreezesItself(nn.Module):
    """A model whose `train` leaves its normalisation in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = frozen()

    def train(self, mode: bool = True) -> FreezesItself:
        super().train(mode)
        self.inner[1].eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Refuses(FreezesItself):
    """A model that has no other mode."""

    def train(self, mode: bool = True) -> Refuses:
        return self


MODELS: dict[str, Callable[[], nn.Module]] = {
    "merging": merging,
    "frozen": frozen,
    "freezes itself": FreezesItself,
    "refuses": Refuses,
    "all eval": lambda: frozen().eval(),
}


def made(name: str) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    torch.manual_seed(0)
    model = MODELS[name]()
    parameters = [p for p in model.parameters() if p.requires_grad]
    x, y = classes().tensors
    batches = list(zip(x.split(8), y.split(8), strict=True))
    return model, torch.optim.SGD(parameters, lr=0.1, momentum=0.9), batches


@pytest.mark.parametrize("name", ["merging", "frozen", "freezes itself"])
def test_the_validation_loss_is_that_of_a_plain_loop(name: str) -> None:
    model, optimizer, batches = made(name)
    expected = []
    for i, lr in enumerate(SweepPlan(1e-3, 1.0, 20).lrs):
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        CE(model(batches[i % 4][0]), batches[i % 4][1]).backward()
        optimizer.step()
        flags = [(module, module.training) for module in model.modules()]
        model.eval()
        with torch.no_grad():
            expected.append(torch.stack([CE(model(x), y) for x, y in batches[4:6]]).mean().item())
        for module, training in flags:
            module.train(training)
    model, optimizer, batches = made(name)
    curve = range_test(
        *(model, optimizer, batches[:4], CE),
        val_batches=batches[4:6],
        start_lr=1e-3,
        end_lr=1.0,
        num_iter=20,
        stop=None,
    )
    assert curve.losses.tolist() == expected


@pytest.mark.parametrize("name", MODELS)
def test_validation_leaves_every_flag_as_it_was(name: str) -> None:
    model, optimizer, batches = made(name)
    flags = [module.training for module in model.modules()]
    TrainingStep(model, optimizer, CE).validate(batches[4:6])
    assert [module.training for module in model.modules()] == flags


def test_validation_leaves_merged_weights_as_they_were() -> None:
    model, optimizer, batches = made("merging")
    weights = [p.clone() for p in model.parameters()]
    TrainingStep(model, optimizer, CE).validate(batches[4:6])
    assert not model[0].merged
    for before, after in zip(weights, model.parameters(), strict=True):
        assert torch.allclose(before, after)
