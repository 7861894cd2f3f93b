"""The data of `regret_tasks.py`: all made or found here, without a download."""

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
from functools import cache

import torch
from torch import Tensor

Data = tuple[Tensor, Tensor]


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


def standardised(values: Tensor) -> Tensor:
    return (values - values.mean(0)) / values.std(0)


def table(name: str) -> Data:
    """One of scikit-learn's small tables of measurements, standardised."""
    from sklearn import datasets

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return standardised(torch.tensor(inputs, dtype=torch.float32)), torch.tensor(targets)


@cache
def tumours() -> Data:
    return table("breast_cancer")


@cache
def wines() -> Data:
    return table("wine")


@cache
def diabetes() -> Data:
    """A measure of disease a year later, of which ten numbers tell about half."""
    inputs, targets = table("diabetes")
    return inputs, standardised(targets[:, None].float())


@cache
def friedman() -> Data:
    """The first function of Friedman (Ann. Stat. 19, 1991) with noise of 0.4 of its spread."""
    generator = torch.Generator().manual_seed(6)
    x = torch.rand(4096, 10, generator=generator)
    clean = 10 * torch.sin(torch.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    clean = standardised(clean + 10 * x[:, 3] + 5 * x[:, 4])[:, None]
    return 2 * x - 1, clean + 0.4 * torch.randn(4096, 1, generator=generator)


@cache
def terraces() -> Data:
    """Steps in three features, with errors of Student's t distribution."""
    generator = torch.Generator().manual_seed(7)
    x = 4 * torch.rand(4096, 3, generator=generator) - 2
    normal = torch.randn(4096, 4, generator=generator)
    error = normal[:, :1] / normal[:, 1:].square().mean(1, keepdim=True).sqrt()
    return x, x.round().sum(1, keepdim=True) / 2 + 0.5 * error


@cache
def counts() -> Data:
    """Rare events, whose rate hangs on eight features."""
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(4096, 8, generator=generator)
    rate = torch.exp(torch.sin(2 * x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3].clamp(-1, 1))
    return x, torch.poisson(rate.clamp(max=20), generator=generator)


@cache
def moons() -> Data:
    """Two half circles in each other's way."""
    generator = torch.Generator().manual_seed(9)
    angle = torch.pi * torch.rand(2048, generator=generator)
    kind = torch.arange(2048) % 2
    x = torch.stack([torch.cos(angle) + kind, torch.sin(angle)], 1)
    x[:, 1] *= 1 - 2 * kind
    return x + 0.2 * torch.randn(2048, 2, generator=generator), kind[:, None].float()


@cache
def spirals() -> Data:
    """Three arms, one turn each."""
    generator = torch.Generator().manual_seed(10)
    kind = torch.arange(3072) % 3
    radius = torch.rand(3072, generator=generator).sqrt()
    angle = 2 * torch.pi * (radius + kind / 3)
    x = 2 * torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
    return x + 0.08 * torch.randn(3072, 2, generator=generator), kind


@cache
def mislabelled() -> Data:
    """The digits, with three labels in ten drawn by lot."""
    generator = torch.Generator().manual_seed(11)
    inputs, targets = digits()
    wrong = torch.rand(len(targets), generator=generator) < 0.3
    drawn = torch.randint(10, targets.shape, generator=generator)
    return inputs, torch.where(wrong, drawn, targets)


@cache
def noisy_images() -> Data:
    """The digits as what is to be reproduced from noisy ones."""
    generator = torch.Generator().manual_seed(12)
    clean = digits()[0]
    return clean + 0.7 * torch.randn(clean.shape, generator=generator), clean


@cache
def gusts() -> Data:
    """A wave whose noise is loud where another feature says so."""
    generator = torch.Generator().manual_seed(13)
    x = 2 * torch.rand(4096, 5, generator=generator) - 1
    loud = torch.exp(1.5 * x[:, 3:4] - 0.5)
    clean = torch.sin(3 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]
    return x, clean + loud * torch.randn(4096, 1, generator=generator)


@cache
def delays() -> Data:
    """Waiting times on a logarithmic scale, after Weibull, with a few that were never ended."""
    generator = torch.Generator().manual_seed(14)
    x = torch.randn(4096, 7, generator=generator)
    scale = torch.tanh(x[:, :1]) + 0.7 * x[:, 1:2] * (x[:, 2:3] > 0) - 0.5 * x[:, 3:4].abs()
    waited = scale + torch.empty(4096, 1).exponential_(generator=generator).log() / 1.2
    return x, waited.clamp(max=2.0)


@cache
def lags() -> Data:
    """The next value of a series that swings by itself and is pushed at random, from eight."""
    generator = torch.Generator().manual_seed(15)
    pushes = 0.5 * torch.randn(4200, generator=generator)
    series = [0.1, 0.2]
    for push in pushes.tolist():
        series.append(1.6 * series[-1] / (1 + series[-1] ** 2) - 0.7 * series[-2] + push)
    each = standardised(torch.tensor(series))[100:].unfold(0, 9, 1)
    return each[:, :8].contiguous(), each[:, 8:].contiguous()


@cache
def ratings() -> Data:
    """What sixty people say of forty things, in whole numbers; each has four tastes."""
    generator = torch.Generator().manual_seed(16)
    tastes = torch.randn(100, 4, generator=generator)
    people = torch.randint(60, (6000,), generator=generator)
    things = torch.randint(60, 100, (6000,), generator=generator)
    liked = (tastes[people] * tastes[things]).sum(1, keepdim=True) / 2
    said = (3 + liked + torch.randn(6000, 1, generator=generator)).round().clamp(1, 5)
    return torch.stack([people, things], 1), said - 3


@cache
def clicks() -> Data:
    """Something that happens once in twelve times, and hangs on twelve features a little."""
    generator = torch.Generator().manual_seed(17)
    x = torch.randn(6000, 12, generator=generator)
    score = x[:, :1] + 0.8 * x[:, 1:2] * x[:, 2:3] - 0.6 * x[:, 3:4] - 3.2
    return x, torch.bernoulli(torch.sigmoid(score), generator=generator)


@cache
def blunders() -> Data:
    """A line in twelve features; one in twenty targets has nothing to do with them."""
    generator = torch.Generator().manual_seed(18)
    x = torch.randn(4096, 12, generator=generator)
    clean = x @ torch.randn(12, 1, generator=generator) / 12**0.5
    wrong = torch.rand(4096, 1, generator=generator) < 0.05
    noise = torch.randn(4096, 1, generator=generator)
    return x, torch.where(wrong, 8 * noise, clean + 0.4 * noise)


@cache
def irises() -> Data:
    return table("iris")


@cache
def rings() -> Data:
    """Four rings around each other, that touch."""
    generator = torch.Generator().manual_seed(19)
    kind = torch.arange(3000) % 4
    radius = 0.5 + kind / 2 + 0.15 * torch.randn(3000, generator=generator)
    angle = 2 * torch.pi * torch.rand(3000, generator=generator)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1), kind


@cache
def heaps() -> Data:
    """Thirty heaps in sixteen dimensions, of ten kinds."""
    generator = torch.Generator().manual_seed(20)
    centres = torch.randn(30, 16, generator=generator)
    heap = torch.randint(30, (4096,), generator=generator)
    return centres[heap] + 0.6 * torch.randn(4096, 16, generator=generator), heap % 10


@cache
def halves() -> Data:
    """The lower halves of the digits, from the upper ones."""
    whole = digits()[0]
    return whole[:, :32].contiguous(), whole[:, 32:].contiguous()


@cache
def thumbnails() -> Data:
    """The digits, from a quarter of their pixels."""
    whole = digits()[0]
    small = torch.nn.functional.avg_pool2d(whole.view(-1, 1, 8, 8), 2)
    return small.flatten(1), whole


@cache
def chirps() -> Data:
    """Tones that rise, fall or stay, in noise."""
    generator = torch.Generator().manual_seed(21)
    kind = torch.arange(3000) % 3
    time = torch.linspace(0, 1, 32)
    start = 2 + 4 * torch.rand(3000, 1, generator=generator)
    phase = 2 * torch.pi * (start * time + 3 * (kind[:, None] - 1) * time**2)
    begin = 2 * torch.pi * torch.rand(3000, 1, generator=generator)
    return torch.sin(phase + begin) + 0.4 * torch.randn(3000, 32, generator=generator), kind


@cache
def turned() -> Data:
    """The digits, each turned by some quarters; how many is asked."""
    generator = torch.Generator().manual_seed(22)
    square = digits()[0].reshape(-1, 8, 8)
    quarters = torch.randint(4, (len(square),), generator=generator)
    turns = [torch.rot90(one, int(k)) for one, k in zip(square, quarters, strict=True)]
    return torch.stack(turns).flatten(1), quarters


@cache
def sums() -> Data:
    """Two digits side by side, and their sum."""
    generator = torch.Generator().manual_seed(23)
    inputs, targets = digits()
    first, second = torch.randint(len(inputs), (2, 4096), generator=generator)
    return torch.cat([inputs[first], inputs[second]], 1), targets[first] + targets[second]


@cache
def odd() -> Data:
    """Whether a digit is odd."""
    inputs, targets = digits()
    return inputs, (targets % 2).float()[:, None]


@cache
def bowl() -> Data:
    """A bell over eight features, tilted."""
    generator = torch.Generator().manual_seed(24)
    inputs = torch.randn(4096, 8, generator=generator)
    bell = torch.exp(-inputs[:, :4].square().sum(1, keepdim=True) / 4)
    targets = 4 * bell + inputs[:, 4:5] - inputs[:, 5:6]
    return inputs, targets + 0.1 * torch.randn(4096, 1, generator=generator)


@cache
def kinks() -> Data:
    """Absolute values of a few directions."""
    generator = torch.Generator().manual_seed(25)
    inputs = torch.randn(4096, 10, generator=generator)
    targets = (inputs @ torch.randn(10, 5, generator=generator)).abs().sum(1, keepdim=True)
    return inputs, standardised(targets) + 0.2 * torch.randn(4096, 1, generator=generator)


@cache
def pendulum() -> Data:
    """Angle and speed of a damped pendulum, and both a little later."""
    generator = torch.Generator().manual_seed(26)
    inputs = torch.rand(4096, 2, generator=generator) * 4 - 2
    angle, speed = inputs.unbind(1)
    for _ in range(50):
        speed = speed - 0.02 * (4 * torch.sin(angle) + 0.3 * speed)
        angle = angle + 0.02 * speed
    return inputs, torch.stack([angle, speed], 1)


@cache
def sensors() -> Data:
    """Three signals, and what two dozen sensors make of them with noise of their own."""
    generator = torch.Generator().manual_seed(27)
    signals = torch.randn(4096, 3, generator=generator)
    mixed = signals @ torch.randn(3, 24, generator=generator)
    return mixed + 0.5 * torch.randn(4096, 24, generator=generator), signals


@cache
def prices() -> Data:
    """What a few features multiply to, with noise that multiplies too: a long tail."""
    generator = torch.Generator().manual_seed(28)
    inputs = torch.randn(4096, 9, generator=generator)
    log_price = inputs @ torch.randn(9, 1, generator=generator) / 4
    noise = 0.3 * torch.randn(4096, 1, generator=generator)
    return inputs, standardised(torch.exp(log_price + noise))


@cache
def fans() -> Data:
    """A line whose noise grows along another."""
    generator = torch.Generator().manual_seed(29)
    inputs = torch.randn(4096, 5, generator=generator)
    deviation = 0.2 * torch.exp(inputs[:, 1:2] / 2)
    noise = deviation * torch.randn(4096, 1, generator=generator)
    return inputs, torch.sin(2 * inputs[:, :1]) + noise
