"""The tasks of `regret.py`: small, without a download, from a sixth of a millisecond a step.

Constants of the rules may be chosen on the DEVELOPMENT half, never on the other.
"""

from __future__ import annotations

import collections
import decimal
import difflib
import doctest
import importlib
import inspect
import optparse
import statistics
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

Array = NDArray[np.float64]

VERSION = 1  # of the tasks: raise it when one changes, or the cache holds the old truth

# What people begin with, and where to look for the truth.
DEFAULT_LR = {"sgd": 1e-1, "momentum": 1e-2, "adam": 1e-3, "adamw": 1e-3}
LOWEST_LR = {"sgd": 1e-4, "momentum": 1e-5, "adam": 1e-5, "adamw": 1e-5}
GRID_DECADES, GRID_POINTS = 5, 16
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "adam": partial(Adam, fused=True),
    "adamw": partial(AdamW, fused=True),
}

Data = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    data: Callable[[], Data]
    make: Callable[[], nn.Module]
    criterion: nn.Module
    optimizer: str
    batch_size: int
    trained_steps: int = 0
    trained_lr: float = 0.0

    def begin(self, seed: int) -> Start:
        """A fresh model or a trained one, with a new optimizer, and batches."""
        torch.manual_seed(seed)
        model = self.make()
        if self.trained_steps:
            model.load_state_dict(trained(self, seed))
        return model, self.optimizer_for(model), self.batches(seed)

    def optimizer_for(self, model: nn.Module) -> Optimizer:
        return OPTIMIZERS[self.optimizer](model.parameters(), lr=DEFAULT_LR[self.optimizer])

    def batches(self, seed: int) -> Batches:
        return Batches(*self.data(), self.batch_size, torch.Generator().manual_seed(seed))

    @property
    def grid(self) -> Array:
        lowest = LOWEST_LR[self.optimizer]
        return np.geomspace(lowest, lowest * 10**GRID_DECADES, GRID_POINTS)


@dataclass
class Batches:
    """A loader without its overhead: shuffled, begun again, whole batches only."""

    inputs: Tensor
    targets: Tensor
    size: int
    generator: torch.Generator

    def __iter__(self) -> Iterator[Data]:
        order = torch.randperm(len(self.inputs), generator=self.generator)
        for part in order.split(self.size):
            if len(part) == self.size:
                yield self.inputs[part], self.targets[part]


Start = tuple[nn.Module, Optimizer, Batches]


@lru_cache(maxsize=1)
def trained(task: Task, seed: int) -> dict[str, Tensor]:
    """The weights of a model after training."""
    fresh = replace(task, trained_steps=0)
    start = fresh.begin(seed + 10_000)
    train(start, task.criterion, [task.trained_lr] * task.trained_steps)
    return start[0].state_dict()


def train(start: Start, criterion: nn.Module, lrs: Sequence[float] | Array) -> Array:
    """The loss of each step; infinite from the step on in which it was not finite or huge."""
    model, optimizer, batches = start
    losses = np.full(len(lrs), np.inf)
    done = 0
    while True:
        for inputs, targets in batches:
            optimizer.param_groups[0]["lr"] = float(lrs[done])
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            value = loss.item()
            if not value < 1e6:
                return losses
            losses[done] = value
            done += 1
            if done == len(lrs):
                return losses


@cache
def digits() -> Data:
    from sklearn.datasets import load_digits

    inputs, targets = load_digits(return_X_y=True)
    return torch.tensor(inputs / 8 - 1, dtype=torch.float32), torch.tensor(targets)


def windows(text: str) -> Data:
    """Eight characters at each place, and the ninth."""
    codes = torch.tensor(list(text.encode("ascii", "replace")[:40_000])).clamp(9, 126) - 9
    each = codes.unfold(0, 9, 1)
    return each[:, :8].contiguous(), each[:, 8].contiguous()


@cache
def source(module: str) -> Data:
    """The source of a module of Python's own."""
    return windows(inspect.getsource(importlib.import_module(module)))


@cache
def prose() -> Data:
    """What Python's own modules say about themselves."""
    modules = (collections, decimal, difflib, doctest, optparse, statistics, typing)
    things = [thing for module in modules for _, thing in sorted(vars(module).items())]
    texts = [thing.__doc__ for thing in things if isinstance(thing.__doc__, str)]
    return windows("\n".join(texts))


@cache
def images() -> Data:
    """The digits as what is to be reproduced."""
    return digits()[0], digits()[0]


@cache
def surface() -> Data:
    """A random network's output with a tenth of noise."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4096, 16, generator=generator)
    first, second = (torch.randn(size, generator=generator) for size in ((16, 32), (32, 1)))
    clean = torch.tanh(inputs @ first / 2) @ second
    return inputs, (clean + 0.1 * torch.randn(4096, 1, generator=generator)) / clean.std()


@cache
def waves() -> Data:
    """A sum of sines in few directions, far from zero."""
    generator = torch.Generator().manual_seed(1)
    inputs = 2 * torch.rand(4096, 6, generator=generator) - 1
    phases = 3 * inputs @ torch.randn(6, 3, generator=generator)
    noise = 0.2 * torch.randn(4096, 1, generator=generator)
    return inputs, torch.sin(phases).sum(1, keepdim=True) + 2 + noise


@cache
def ill_conditioned() -> Data:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.randn(4096, 20, generator=generator) * torch.logspace(0, -1, 20)
    targets = inputs @ torch.randn(20, 1, generator=generator)
    return inputs, targets + 0.1 * torch.randn(4096, 1, generator=generator)


@cache
def ripples() -> Data:
    """A wave that runs outwards, with heavy-tailed noise."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(4096, 4, generator=generator)
    noise = torch.randn(4096, 1, generator=generator)
    radius = inputs.norm(dim=1, keepdim=True)
    return inputs, 1.5 * torch.cos(2 * radius) + 0.5 * inputs[:, :1] + 0.1 * noise**3


@cache
def saddle() -> Data:
    """Products and squares of a few features."""
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(4096, 6, generator=generator)
    targets = inputs[:, :1] * inputs[:, 1:2] + 0.5 * inputs[:, 2:3] ** 2 - inputs[:, 3:4]
    return inputs, targets + 0.2 * torch.randn(4096, 1, generator=generator)


@cache
def rotated() -> Data:
    """A line in forty features that hang together, with as much noise as a third of it."""
    generator = torch.Generator().manual_seed(4)
    mixing = torch.linalg.qr(torch.randn(40, 40, generator=generator))[0]
    inputs = torch.randn(4096, 40, generator=generator) * torch.logspace(0.3, -1, 40) @ mixing
    targets = inputs @ torch.randn(40, 1, generator=generator)
    return inputs, targets / targets.std() + 0.3 * torch.randn(4096, 1, generator=generator)


def mlp(*widths: int, norm: bool = False, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), *([nn.BatchNorm1d(after)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def conv(channels: int) -> nn.Sequential:
    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]

    twice = 2 * channels
    body = [*block(1, channels), *block(channels, twice), nn.Flatten(), nn.Linear(4 * twice, 10)]
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *body)


def reader(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Embedding(118, 12), nn.Flatten(), *mlp(96, width, 118))


CLASSES, SQUARES = nn.CrossEntropyLoss(), nn.MSELoss()
DEVELOPMENT = {
    "mlp-sgd-64": Task(digits, partial(mlp, 64, 64, 10), CLASSES, "sgd", 64),
    "mlp-adam-16": Task(digits, partial(mlp, 64, 64, 10), CLASSES, "adam", 16),
    "conv-momentum-32": Task(digits, partial(conv, 8), CLASSES, "momentum", 32),
    "normed-adam-128": Task(digits, partial(mlp, 64, 96, 10, norm=True), CLASSES, "adam", 128),
    "surface-adamw-32": Task(surface, partial(mlp, 16, 64, 1), SQUARES, "adamw", 32),
    "linear-momentum-16": Task(ill_conditioned, partial(mlp, 20, 1), SQUARES, "momentum", 16),
    "reader-adam-64": Task(partial(source, "argparse"), partial(reader, 64), CLASSES, "adam", 64),
    "trained-mlp-momentum-32": Task(
        digits, partial(mlp, 64, 64, 10), CLASSES, "momentum", 32, 1500, 0.03
    ),
    "trained-reader-adamw-64": Task(
        partial(source, "argparse"), partial(reader, 64), CLASSES, "adamw", 64, 1500, 3e-3
    ),
    # The following judged the first version of the default rule, so they cannot judge another.
    "mlp-momentum-16": Task(digits, partial(mlp, 64, 48, 48, 10), CLASSES, "momentum", 16),
    "conv-adamw-64": Task(digits, partial(conv, 6), CLASSES, "adamw", 64),
    "normed-sgd-32": Task(digits, partial(mlp, 64, 64, 10, norm=True), CLASSES, "sgd", 32),
    "waves-sgd-64": Task(waves, partial(mlp, 6, 64, 1), SQUARES, "sgd", 64),
    "tanh-adam-256": Task(waves, partial(mlp, 6, 48, 48, 1, act=nn.Tanh), SQUARES, "adam", 256),
    "softmax-adam-32": Task(digits, partial(mlp, 64, 10), CLASSES, "adam", 32),
    "reader-momentum-32": Task(
        partial(source, "argparse"), partial(reader, 96), CLASSES, "momentum", 32
    ),
    "trained-normed-adam-64": Task(
        digits, partial(mlp, 64, 64, 10, norm=True), CLASSES, "adam", 64, 1500, 3e-3
    ),
    "trained-surface-sgd-32": Task(
        surface, partial(mlp, 16, 64, 1), SQUARES, "sgd", 32, 2000, 0.05
    ),
}
JUDGING = {
    "wide-momentum-64": Task(digits, partial(mlp, 64, 128, 10), CLASSES, "momentum", 64),
    "conv-sgd-32": Task(digits, partial(conv, 4), CLASSES, "sgd", 32),
    "deep-normed-momentum-64": Task(
        digits, partial(mlp, 64, 48, 48, 10, norm=True), CLASSES, "momentum", 64
    ),
    "ripple-adam-32": Task(ripples, partial(mlp, 4, 64, 32, 1), SQUARES, "adam", 32),
    "ripple-momentum-16": Task(
        ripples, partial(mlp, 4, 96, 1, act=nn.Tanh), SQUARES, "momentum", 16
    ),
    "rotated-linear-sgd-32": Task(rotated, partial(mlp, 40, 1), SQUARES, "sgd", 32),
    "writer-adamw-128": Task(prose, partial(reader, 48), CLASSES, "adamw", 128),
    "writer-sgd-32": Task(prose, partial(reader, 64), CLASSES, "sgd", 32),
    "trained-wide-adamw-32": Task(
        digits, partial(mlp, 64, 128, 10), CLASSES, "adamw", 32, 1500, 2e-3
    ),
    "trained-writer-adam-64": Task(prose, partial(reader, 48), CLASSES, "adam", 64, 2000, 3e-3),
    "trained-ripple-momentum-32": Task(
        ripples, partial(mlp, 4, 64, 1), SQUARES, "momentum", 32, 2000, 0.02
    ),
    "narrow-momentum-32": Task(digits, partial(mlp, 64, 32, 10), CLASSES, "momentum", 32),
    "deep-normed-adamw-32": Task(
        digits, partial(mlp, 64, 48, 48, 10, norm=True), CLASSES, "adamw", 32
    ),
    "saddle-adam-64": Task(saddle, partial(mlp, 6, 64, 1), SQUARES, "adam", 64),
    "saddle-sgd-16": Task(saddle, partial(mlp, 6, 48, 1, act=nn.Tanh), SQUARES, "sgd", 16),
    "softmax-momentum-64": Task(digits, partial(mlp, 64, 10), CLASSES, "momentum", 64),
    "coder-adam-32": Task(partial(source, "typing"), partial(reader, 40), CLASSES, "adam", 32),
    "autoencoder-adamw-64": Task(images, partial(mlp, 64, 16, 64), SQUARES, "adamw", 64),
    "trained-saddle-adamw-64": Task(
        saddle, partial(mlp, 6, 64, 1), SQUARES, "adamw", 64, 1500, 5e-3
    ),
    "trained-narrow-sgd-32": Task(digits, partial(mlp, 64, 32, 10), CLASSES, "sgd", 32, 1500, 0.1),
}
TASKS = {**DEVELOPMENT, **JUDGING}
