"""The data of `excess_tasks.py`, each with a held-out part; nothing is downloaded.

MNIST and CIFAR-10 are read from the folder ``LRFINDER_DATA``, where they lie as the notebooks take
them (``MNIST/raw/`` as torchvision keeps it, and ``cifar10_part.npz``).
"""

from __future__ import annotations

import gzip
import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import regret_data
import torch
from torch import Tensor

MOST_HELD_OUT = 2000


@dataclass(frozen=True)
class Split:
    """What is trained on, and what is held out."""

    inputs: Tensor
    targets: Tensor
    held_inputs: Tensor
    held_targets: Tensor


def split(inputs: Tensor, targets: Tensor, *, shuffle: bool = True) -> Split:
    """Hold out a quarter, at most 2,000; of text the end, as neighbours share characters."""
    n = len(inputs)
    held = min(n // 4, MOST_HELD_OUT)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    order = order if shuffle else torch.arange(n)
    first, last = order[: n - held], order[n - held :]
    return Split(inputs[first], targets[first], inputs[last], targets[last])


@cache
def small(name: str) -> Split:
    """One of the data sets of `regret_data`."""
    make: Callable[[], regret_data.Data] = getattr(regret_data, name)
    return split(*make())


@cache
def mnist(flat: bool = False) -> Split:
    folder = Path(os.environ["LRFINDER_DATA"]) / "MNIST" / "raw"

    def read(name: str, header: int) -> Tensor:
        path = folder / name
        packed = path.with_name(f"{name}.gz")
        content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
        return torch.tensor(np.frombuffer(content, np.uint8, offset=header).copy())

    def images(part: str) -> Tensor:
        pixels = read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).float() / 255
        pixels = (pixels - 0.1307) / 0.3081
        return pixels.flatten(1) if flat else pixels

    targets = [read(f"{part}-labels-idx1-ubyte", 8).long() for part in ("train", "t10k")]
    held = slice(MOST_HELD_OUT)
    return Split(images("train"), targets[0], images("t10k")[held], targets[1][held])


@cache
def pixels() -> Split:
    """MNIST, to be reproduced: pixels from 0 to 1."""
    digits = mnist(flat=True)
    inputs, held = digits.inputs * 0.3081 + 0.1307, digits.held_inputs * 0.3081 + 0.1307
    return Split(inputs, inputs, held, held)


@cache
def cifar(flat: bool = False) -> Split:
    part = np.load(Path(os.environ["LRFINDER_DATA"]) / "cifar10_part.npz")
    means = torch.tensor([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1)
    deviations = torch.tensor([0.2470, 0.2435, 0.2616]).reshape(3, 1, 1)

    def images(name: str) -> Tensor:
        values = (torch.tensor(part[name]).float() / 255 - means) / deviations
        return values.flatten(1) if flat else values

    targets = [torch.tensor(part[name]).long() for name in ("y_train", "y_test")]
    return Split(images("x_train"), targets[0], images("x_test"), targets[1])


TEXTS = {
    "network": ("asyncio.base_events", "http.client", "smtplib", "ssl", "urllib.request", "ftplib"),
    "numbers": ("_pydecimal", "fractions", "statistics", "random", "datetime", "calendar"),
    "tools": ("argparse", "optparse", "doctest", "pdb", "cmd", "trace", "unittest.mock"),
    "files": ("tarfile", "zipfile", "shutil", "pathlib", "mailbox", "tempfile", "configparser"),
    "types": ("typing", "dataclasses", "enum", "inspect", "functools", "collections"),
}
CHARACTERS = 118


@cache
def codes(name: str) -> Tensor:
    sources = (inspect.getsource(importlib.import_module(module)) for module in TEXTS[name])
    return torch.tensor(list("".join(sources).encode("ascii", "replace"))).clamp(9, 126) - 9


@cache
def text(name: str, length: int, *, every: bool = False) -> Split:
    """Windows of the source of some modules of Python's own, and the next character.

    With `every`, the target is what follows each character of the window, not only the last.
    """
    windows = codes(name).unfold(0, length + 1, 1 if not every else max(1, length // 8))
    inputs = windows[:, :-1].contiguous()
    targets = windows[:, 1:].contiguous() if every else windows[:, -1].contiguous()
    return split(inputs, targets, shuffle=False)


@cache
def neighbours(name: str) -> Split:
    """Words of a text and one that stands within two of them, as for word2vec."""
    raw = "".join(chr(int(c) + 9) for c in codes(name))
    words = "".join(c if c.isalpha() else " " for c in raw).split()
    common: dict[str, int] = {}
    for word in words:
        common[word] = common.get(word, 0) + 1
    kept = sorted(common, key=lambda w: (-common[w], w))[:1000]
    number = {word: i for i, word in enumerate(kept)}
    line = torch.tensor([number[word] for word in words if word in number])
    pairs = torch.cat([torch.stack([line[:-k], line[k:]], 1) for k in (1, 2)])
    place = torch.cat([torch.arange(len(line) - k) for k in (1, 2)])
    pairs = pairs[place.argsort(stable=True)]
    return split(pairs[:, 0].contiguous(), pairs[:, 1].contiguous(), shuffle=False)


def generated(seed: int, features: int, n: int = 20_000) -> tuple[Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, features, generator=generator), generator


@cache
def teacher() -> Split:
    """What a random network of two layers makes of 32 features, with noise of a tenth."""
    inputs, generator = generated(11, 32)
    first = torch.randn(32, 64, generator=generator) / 32**0.5
    second = torch.randn(64, 64, generator=generator) / 8
    last = torch.randn(64, 1, generator=generator) / 8
    clean = torch.relu(torch.tanh(2 * inputs @ first) @ second) @ last
    clean = (clean - clean.mean()) / clean.std()
    return split(inputs, clean + 0.1 * torch.randn(clean.shape, generator=generator))


@cache
def gates() -> Split:
    """Products of a few of 48 features, of which most say nothing, and noise of 0.3."""
    inputs, generator = generated(12, 48)
    clean = inputs[:, 0] * (inputs[:, 1] > 0) + inputs[:, 2] * inputs[:, 3] + inputs[:, 4].abs()
    clean = ((clean - clean.mean()) / clean.std()).unsqueeze(1)
    return split(inputs, clean + 0.3 * torch.randn(clean.shape, generator=generator))


@cache
def segments() -> Split:
    """Which of eight random directions a point in 40 dimensions leans to most; one in ten lies."""
    inputs, generator = generated(13, 40)
    targets = (inputs @ torch.randn(40, 8, generator=generator)).argmax(1)
    lies = torch.rand(len(targets), generator=generator) < 0.1
    others = torch.randint(8, targets.shape, generator=generator)
    return split(inputs, torch.where(lies, others, targets))


@cache
def chaos() -> Split:
    """Sixteen values of a logistic map coupled to its neighbour, and the next, with noise."""
    generator = torch.Generator().manual_seed(14)
    x = torch.rand(2, generator=generator)
    values = []
    for _ in range(24_000):
        x = 0.85 * 3.8 * x * (1 - x) + 0.15 * 3.8 * x.flip(0) * (1 - x.flip(0))
        values.append(float(x[0]))
    series = torch.tensor(values) + 0.02 * torch.randn(len(values), generator=generator)
    windows = (series - series.mean()).div(series.std()).unfold(0, 17, 1)
    return split(windows[:, :-1].contiguous(), windows[:, -1:].contiguous(), shuffle=False)


@cache
def ridges() -> Split:
    """Sines along six of the directions in 24 dimensions, with noise of long tails."""
    inputs, generator = generated(15, 24)
    angles = 2 * inputs @ torch.randn(24, 6, generator=generator) / 24**0.5
    clean = torch.sin(angles + 6 * torch.rand(6, generator=generator)).sum(1, keepdim=True)
    clean = (clean - clean.mean()) / clean.std()
    share = torch.rand(clean.shape, generator=generator) - 0.5
    return split(inputs, clean - 0.2 * share.sign() * torch.log1p(-2 * share.abs() + 1e-6))


@cache
def grades() -> Split:
    """One of five grades, from a half to a twentieth of all, by a curved score and chance."""
    inputs, generator = generated(16, 28)
    score = inputs[:, :4].square().sum(1) + 2 * inputs[:, 4] * inputs[:, 5] + inputs[:, 6]
    score += 0.5 * torch.randn(len(score), generator=generator)
    bounds = score.quantile(torch.tensor([0.5, 0.75, 0.875, 0.95]))
    return split(inputs, torch.bucketize(score, bounds))


@cache
def ripples() -> Split:
    """A wave about a centre, over a slope, in 20 dimensions; its noise grows to one side."""
    inputs, generator = generated(17, 20)
    distance = inputs[:, :6].square().sum(1, keepdim=True).sqrt()
    clean = torch.sin(3 * distance) + inputs @ torch.randn(20, 1, generator=generator) / 4
    clean = (clean - clean.mean()) / clean.std()
    noise = torch.randn(clean.shape, generator=generator) * (0.3 * inputs[:, :1]).exp()
    return split(inputs, clean + 0.2 * noise)


@cache
def shells() -> Split:
    """In which of six shells about the nearest of three centres a point in 16 dimensions lies."""
    inputs, generator = generated(18, 16)
    centres = 1.5 * torch.randn(3, 16, generator=generator)
    nearest = torch.cdist(inputs, centres).min(1).values
    nearest = nearest + 0.2 * torch.randn(len(nearest), generator=generator)
    bounds = nearest.quantile(torch.arange(1, 6) / 6)
    return split(inputs, torch.bucketize(nearest, bounds))
