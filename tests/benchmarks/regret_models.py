"""The models of `regret_tasks.py`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(*widths: int, norm: bool = False, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def dropping(*widths: int) -> nn.Sequential:
    layers = [(nn.Linear(*pair), nn.ReLU(), nn.Dropout(0.3)) for pair in pairwise(widths[:-1])]
    return nn.Sequential(*[layer for part in layers for layer in part], nn.Linear(*widths[-2:]))


class Residual(nn.Module):
    """What `body` makes of the normed input is added to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def plain_conv(channels: int) -> nn.Sequential:
    convolutions = nn.Conv2d(1, channels, 3), nn.ReLU(), nn.Conv2d(channels, channels, 3), nn.ReLU()
    body = [*convolutions, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 10)]
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *body)


def conv(channels: int) -> nn.Sequential:
    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]

    twice = 2 * channels
    body = [*block(1, channels), *block(channels, twice), nn.Flatten(), nn.Linear(4 * twice, 10)]
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *body)


def reader(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Embedding(118, 12), nn.Flatten(), *mlp(96, width, 118))


class Tastes(nn.Module):
    """A rating is the product of two vectors, and what is usual with the two."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tastes = nn.Embedding(100, width)
        self.usual = nn.Embedding(100, 1)
        nn.init.normal_(self.tastes.weight, std=0.5)

    def forward(self, pair: Tensor) -> Tensor:
        person, thing = self.tastes(pair).unbind(1)
        return (person * thing).sum(1, keepdim=True) + self.usual(pair).sum(1)


def levelled(*widths: int) -> nn.Sequential:
    """With LayerNorm after each hidden layer."""
    layers = [
        (nn.Linear(*pair), nn.LayerNorm(pair[1]), nn.GELU()) for pair in pairwise(widths[:-1])
    ]
    return nn.Sequential(*[layer for part in layers for layer in part], nn.Linear(*widths[-2:]))


class Speaker(nn.Module):
    """Reads characters one after another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(118, 12)
        self.read = nn.GRU(12, width, batch_first=True)
        self.say = nn.Linear(width, 118)

    def forward(self, text: Tensor) -> Tensor:
        last: Tensor = self.read(self.embed(text))[1][0]
        return self.say(last)


class Attentive(nn.Module):
    """Characters and their places, and one layer of a transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(118, width)
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        self.layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.say = nn.Linear(width, 118)

    def forward(self, text: Tensor) -> Tensor:
        return self.say(self.layer(self.embed(text) + self.place)[:, -1])


class Normal(nn.Module):
    """The negative logarithm of a normal distribution's likelihood, less a constant.

    A model gives the mean and the logarithm of the variance.
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        mean, log_variance = output.chunk(2, 1)
        return (log_variance + (target - mean) ** 2 * torch.exp(-log_variance)).mean() / 2
