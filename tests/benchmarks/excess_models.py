"""The models of `excess_tasks.py`, of 0.01 to 3 million parameters."""

from __future__ import annotations

from itertools import pairwise

import torch
from regret_models import levelled
from torch import Tensor, nn


def lenet() -> nn.Sequential:
    """The network of luz's article on its finder, for MNIST."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1)),
        *(nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10)),
    )


def strided(*channels: int, norm: bool, pixels: int, classes: int = 10) -> nn.Sequential:
    """Convolutions that halve the picture each time, and a linear layer."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers.append(nn.Conv2d(before, after, 3, 2, 1, bias=not norm))
        layers += [*([nn.BatchNorm2d(after)] if norm else []), nn.ReLU()]
        pixels = (pixels + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * pixels**2, classes))


class Block(nn.Module):
    """A residual block after He et al., "Identity mappings in deep residual networks" (v2)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(
                nn.BatchNorm2d(before),
                nn.ReLU(),
                nn.Conv2d(before, after, 3, stride, 1, bias=False),
            ),
            *(nn.BatchNorm2d(after), nn.ReLU(), nn.Conv2d(after, after, 3, 1, 1, bias=False)),
        )
        same = stride == 1 and before == after
        self.skip = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


def resnet(*widths: int, stride: int = 2) -> nn.Sequential:
    """One residual block for each width; the first convolution strides already."""
    first = nn.Conv2d(3, widths[0], 3, stride, 1, bias=False)
    pairs = list(zip((widths[0], *widths), widths, strict=False))
    blocks = [Block(a, b, 1 if i == 0 else 2) for i, (a, b) in enumerate(pairs)]
    last = [nn.BatchNorm2d(widths[-1]), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(first, *blocks, *last, nn.Linear(widths[-1], 10))


def resnet18() -> nn.Sequential:
    """ResNet-18 v2 as on CIFAR-10: two blocks for each of four widths, the first at full size."""
    pairs = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    pairs += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    blocks = [Block(*pair) for pair in pairs]
    last = [nn.BatchNorm2d(512), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), *blocks, *last, nn.Linear(512, 10))


def matrices(*widths: int) -> nn.Sequential:
    """A network of matrices alone, as Muon takes nothing else."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after, bias=False), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Transformer(nn.Module):
    """Says what follows each of some characters."""

    def __init__(self, width: int, layers: int, length: int, characters: int = 118) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.say = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, characters))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, text: Tensor) -> Tensor:
        hidden = self.layers(self.embed(text) + self.place, mask=self.mask, is_causal=True)
        said: Tensor = self.say(hidden)
        return said.transpose(1, 2)  # as the cross-entropy wants it


class Recurrent(nn.Module):
    """Says what follows each of some characters, read one after another."""

    def __init__(self, width: int, kind: type[nn.GRU | nn.LSTM] = nn.GRU) -> None:
        super().__init__()
        self.embed = nn.Embedding(118, 32)
        self.read = kind(32, width, batch_first=True)
        self.say = nn.Linear(width, 118)

    def forward(self, text: Tensor) -> Tensor:
        said: Tensor = self.say(self.read(self.embed(text))[0])
        return said.transpose(1, 2)


def levelled_reader(embedded: int, *widths: int) -> nn.Sequential:
    """Says what follows eight characters, with LayerNorm after each hidden layer."""
    return nn.Sequential(
        nn.Embedding(118, embedded), nn.Flatten(), levelled(8 * embedded, *widths, 118)
    )


def skipgram(words: int, width: int) -> nn.Sequential:
    """The word beside a word, by an embedding of each."""
    return nn.Sequential(nn.Embedding(words, width), nn.Linear(width, words, bias=False))


def autoencoder(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
