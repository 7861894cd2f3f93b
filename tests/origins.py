"""The two systems that the project was started from, as plain loops after their descriptions.

Imported in the kernel of the notebook that reproduces them, right after its test: there everything
is as it was when the test began, and a loop that is nothing but a loop must find the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from lrfinder_widget import LossCurve


def agrees_with_article(curve: LossCurve, model: nn.Module, loader: Iterable[Any]) -> str:
    """luz: 100 steps with Adam, the learning rates evenly spaced on a logarithmic axis."""
    lrs = np.geomspace(1e-6, 1, 100)[: len(curve)]
    own = like(lenet, model)
    optimizer = torch.optim.Adam(own.parameters())
    return compared(curve, lrs, losses_of(own, optimizer, loader, lrs))


def agrees_with_tutorial(
    curve: LossCurve, model: nn.Module, loader: Iterable[Any], factor: float
) -> str:
    """MXNet: SGD, each learning rate a factor above the one before, until its rule says stop."""
    lrs = 1e-6 * factor ** np.arange(len(curve))
    np.testing.assert_allclose(curve.lrs, lrs, rtol=1e-10)  # not all its roundings
    own = like(resnet18_v2, model)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.001)
    losses = losses_of(own, optimizer, loader, curve.lrs)
    ends = [n for n in range(len(losses)) if tutorial_stops(losses[: n + 1])]
    assert ends == ([len(losses) - 1] if curve.reason == "stop-rule" else []), ends
    return compared(curve, curve.lrs, losses)


def losses_of(model: nn.Module, optimizer: Any, loader: Iterable[Any], lrs: Any) -> list[float]:
    """Train one batch with each learning rate."""
    losses: list[float] = []
    while len(losses) < len(lrs):
        for x, y in loader:
            optimizer.param_groups[0]["lr"] = float(lrs[len(losses)])
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == len(lrs):
                break
    return losses


def compared(curve: LossCurve, lrs: Any, losses: list[float]) -> str:
    assert curve.lrs.tolist() == list(lrs)
    assert curve.losses.tolist() == losses
    return f"{len(losses)} points, all equal"


def tutorial_stops(losses: list[float]) -> bool:
    """The smoothed loss is above twice the first, and there were at least twenty."""
    mean = None
    for loss in losses:
        mean = loss if mean is None else (1 - 0.3) * loss + 0.3 * mean
    return mean > 2 * losses[0] and len(losses) >= 20


def like(make: Any, model: nn.Module) -> nn.Module:
    """Make a network with the parameters of another, and draw no random number for it."""
    state = torch.get_rng_state()
    own = make()
    torch.set_rng_state(state)
    with torch.no_grad():
        for mine, theirs in zip(own.parameters(), model.parameters(), strict=True):
            assert mine.shape == theirs.shape
            mine.copy_(theirs)
    return own


def lenet() -> nn.Module:
    features = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Dropout(0.1), nn.Flatten()),
    )
    classifier = nn.Sequential(nn.Linear(1600, 128), nn.Dropout(0.1), nn.Linear(128, 10))
    return nn.Sequential(features, classifier)


class PreActivation(nn.Module):
    """He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        if stride > 1 or inputs != outputs:
            self.down = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        ahead = F.relu(self.bn1(x))
        rest = self.down(ahead) if hasattr(self, "down") else x
        return self.conv2(F.relu(self.bn2(self.conv1(ahead)))) + rest


class resnet18_v2(nn.Module):  # noqa: N801 - as the model zoo names it
    """Two blocks in each of four stages, after the stem for ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(3, affine=False)
        self.stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
        self.blocks = nn.ModuleList(
            block
            for inputs, outputs, stride in stages
            for block in (
                PreActivation(inputs, outputs, stride),
                PreActivation(outputs, outputs, 1),
            )
        )
        self.bn2 = nn.BatchNorm2d(512)
        self.output = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.stem(self.bn0(x)))), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.output(F.relu(self.bn2(x)).mean((2, 3)))
