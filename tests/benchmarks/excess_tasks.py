"""The tasks of `excess.py`: held-out data, and lengths of training that people really use.

Constants of the rules may be chosen on the tasks of DEVELOPMENT and JUDGED, never on the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from excess_data import (
    Split,
    chaos,
    cifar,
    gates,
    grades,
    mnist,
    neighbours,
    pixels,
    ridges,
    ripples,
    segments,
    shells,
    small,
    teacher,
    text,
)
from excess_models import (
    Recurrent,
    Transformer,
    autoencoder,
    lenet,
    levelled_reader,
    matrices,
    resnet,
    resnet18,
    skipgram,
    strided,
)
from numpy.typing import NDArray
from regret_models import conv, dropping, mlp, reader
from regret_tasks import DEFAULT_LR, OPTIMIZERS, Batches
from torch import nn
from torch.optim import Optimizer

Array = NDArray[np.float64]

# The middle of the grid.
MIDDLE_LR = {"sgd": 1e-1, "momentum": 1e-2, "adam": 1e-3, "adamw": 1e-3, "muon": 1e-2}
GRID_POINTS, STEP = 8, 0.5  # in decades
CLASSES, SQUARES = nn.CrossEntropyLoss(), nn.MSELoss()
WARM_UP = 0.05  # of the steps, where a task has one


@dataclass(frozen=True)
class Task:
    """What is trained, for how long, and how the learning rate decays."""

    data: Callable[[], Split]
    make: Callable[[], nn.Module]
    optimizer: str
    batch_size: int
    criterion: nn.Module = CLASSES
    constant: tuple[int, ...] = (500, 2000, 8000)
    decayed: tuple[int, ...] = (500, 2000, 8000)
    decay: str = "linear"
    warm_up: bool = False
    starts: int = 3
    rates: int = GRID_POINTS  # more are added where the best is at an end
    autocast: torch.dtype | None = None

    def begin(self, seed: int) -> tuple[nn.Module, Optimizer, Batches]:
        """A fresh model with a new optimizer, and batches."""
        torch.manual_seed(seed)
        model = self.make()
        optimizer = OPTIMIZERS[self.optimizer](model.parameters(), lr=DEFAULT_LR[self.optimizer])
        return model, optimizer, self.batches(seed)

    def batches(self, seed: int) -> Batches:
        data = self.data()
        generator = torch.Generator().manual_seed(seed)
        return Batches(data.inputs, data.targets, self.batch_size, generator)

    @property
    def grid(self) -> list[float]:
        """The exponents, to base ten, of the rates to begin with."""
        middle = math.log10(MIDDLE_LR[self.optimizer])
        lowest = (self.rates - 1) // 2
        return [round(middle + STEP * (i - lowest), 3) for i in range(self.rates)]

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Schedule and number of steps of each row of the truth."""
        constant = [("constant", n) for n in self.constant]
        return constant + [(self.decay, n) for n in self.decayed]

    def factors(self, schedule: str, steps: int) -> Array:
        """The factor on the learning rate at each step."""
        done = np.arange(steps) / steps
        if schedule == "constant":
            factors = np.ones(steps)
        elif schedule == "linear":
            factors = 1 - done
        else:
            factors = (1 + np.cos(np.pi * done)) / 2
        if self.warm_up:
            ramp = max(1, round(WARM_UP * min(steps, 2000)))
            factors = factors * np.minimum(1, (np.arange(steps) + 1) / ramp)
        return factors


SHORT = (500, 2000)
DEVELOPMENT = {
    # Those of the table that the former measure did not see.
    "mnist-lenet-adam-32": Task(
        mnist, lenet, "adam", 32, constant=(500, 1000, 1875, 4000), decayed=(4000,)
    ),
    "digits-conv-adamw-32": Task(
        partial(small, "digits"), partial(conv, 8), "adamw", 32, constant=(1000,), decayed=(1000,)
    ),
    "digits-mlp-adam-32": Task(
        partial(small, "digits"),
        partial(mlp, 64, 64, 10),
        "adam",
        32,
        constant=(1000, 5000),
        decayed=(1000, 5000),
    ),
    "digits-mlp-momentum-32": Task(
        partial(small, "digits"),
        partial(mlp, 64, 64, 10),
        "momentum",
        32,
        constant=(250, 1000, 5000, 20_000),
        decayed=(250, 1000, 5000),
    ),
    # Others, of each optimizer.
    "mnist-mlp-momentum-64": Task(
        partial(mnist, flat=True), partial(mlp, 784, 64, 10), "momentum", 64
    ),
    "mnist-normed-adamw-64": Task(
        partial(mnist, flat=True), partial(mlp, 784, 64, 64, 10, norm=True), "adamw", 64
    ),
    "mnist-strided-sgd-32": Task(
        mnist, partial(strided, 1, 8, 16, norm=True, pixels=28), "sgd", 32, decay="cosine"
    ),
    "mnist-mlp-muon-64": Task(
        partial(mnist, flat=True), partial(matrices, 784, 64, 64, 10), "muon", 64
    ),
    "tools-reader-adam-64": Task(
        partial(text, "tools", 8), partial(reader, 64), "adam", 64, decay="cosine"
    ),
    "tools-reader-momentum-128": Task(
        partial(text, "tools", 8), partial(reader, 96), "momentum", 128
    ),
    "tools-levelled-adamw-16": Task(
        partial(text, "types", 8),
        partial(levelled_reader, 12, 64),
        "adamw",
        16,
    ),
    "teacher-mlp-adam-64": Task(
        teacher, partial(mlp, 32, 64, 64, 1), "adam", 64, SQUARES, decay="cosine"
    ),
    "teacher-mlp-momentum-32": Task(
        teacher, partial(mlp, 32, 96, 1), "momentum", 32, SQUARES, decay="cosine"
    ),
    "teacher-mlp-sgd-16": Task(teacher, partial(mlp, 32, 64, 1), "sgd", 16, SQUARES),
    "segments-mlp-adamw-128": Task(segments, partial(mlp, 40, 96, 8), "adamw", 128),
    "segments-mlp-muon-32": Task(segments, partial(matrices, 40, 96, 64, 8), "muon", 32),
    "segments-normed-momentum-16": Task(
        segments, partial(mlp, 40, 64, 8, norm=True), "momentum", 16, decay="cosine"
    ),
    "types-transformer-adamw-16": Task(
        partial(text, "types", 16, every=True),
        partial(Transformer, 32, 1, 16),
        "adamw",
        16,
        decay="cosine",
        warm_up=True,
    ),
    "tools-gru-adam-16": Task(
        partial(text, "tools", 12, every=True), partial(Recurrent, 32), "adam", 16
    ),
    "cifar-strided-momentum-32": Task(
        cifar, partial(strided, 3, 12, 24, 48, norm=True, pixels=32), "momentum", 32
    ),
    "cifar-strided-adam-32": Task(
        cifar, partial(strided, 3, 12, 24, norm=False, pixels=32), "adam", 32, decay="cosine"
    ),
    # The article that the second example follows.
    "cifar-resnet18-sgd-128": Task(
        cifar,
        resnet18,
        "sgd",
        128,
        constant=(500,),
        decayed=(),
        starts=1,
        rates=5,
        autocast=torch.bfloat16,
    ),
}
# They judged earlier versions. Since then, those of Muon and of plain SGD have chosen lines.
JUDGED = {
    "mnist-strided-adamw-32": Task(
        mnist, partial(strided, 1, 24, 48, 128, norm=False, pixels=28), "adamw", 32, decay="cosine"
    ),
    "mnist-wide-momentum-128": Task(
        partial(mnist, flat=True), partial(mlp, 784, 192, 96, 10), "momentum", 128
    ),
    "mnist-autoencoder-adam-128": Task(
        pixels, partial(autoencoder, 784, 96, 24, 96, 784), "adam", 128, SQUARES
    ),
    "mnist-matrices-muon-128": Task(
        partial(mnist, flat=True), partial(matrices, 784, 192, 96, 10), "muon", 128, decay="cosine"
    ),
    "cifar-strided-sgd-32": Task(
        cifar, partial(strided, 3, 24, 48, 96, norm=True, pixels=32), "sgd", 32
    ),
    "cifar-matrices-muon-256": Task(
        partial(cifar, flat=True),
        partial(matrices, 3072, 256, 128, 10),
        "muon",
        256,
        constant=SHORT,
        decayed=SHORT,
    ),
    "network-gru-adam-16": Task(
        partial(text, "network", 16, every=True), partial(Recurrent, 144), "adam", 16
    ),
    "numbers-lstm-momentum-16": Task(
        partial(text, "numbers", 16, every=True),
        partial(Recurrent, 128, nn.LSTM),
        "momentum",
        16,
        decay="cosine",
    ),
    "network-skipgram-adam-256": Task(
        partial(neighbours, "network"), partial(skipgram, 1000, 64), "adam", 256
    ),
    "gates-mlp-adamw-32": Task(
        gates, partial(mlp, 48, 256, 256, 128, 1), "adamw", 32, SQUARES, decay="cosine"
    ),
    "chaos-mlp-momentum-16": Task(
        chaos, partial(mlp, 16, 256, 256, 64, 1, act=nn.Tanh), "momentum", 16, SQUARES
    ),
    "numbers-levelled-sgd-32": Task(
        partial(text, "numbers", 8),
        partial(levelled_reader, 32, 256, 256),
        "sgd",
        32,
    ),
    # Picked later. Since then, they have chosen what is guessed where a curve shows little.
    "cifar-resnet-momentum-64": Task(
        cifar,
        partial(resnet, 16, 32, 64),
        "momentum",
        64,
        constant=SHORT,
        decayed=SHORT,
        decay="cosine",
        starts=5,
    ),
    "chaos-matrices-muon-64": Task(chaos, partial(matrices, 16, 128, 128, 1), "muon", 64, SQUARES),
    "digits-matrices-muon-32": Task(
        partial(small, "digits"), partial(matrices, 64, 128, 64, 10), "muon", 32, decay="cosine"
    ),
    "teacher-matrices-muon-16": Task(
        teacher, partial(matrices, 32, 96, 48, 1), "muon", 16, SQUARES, decay="cosine"
    ),
    "mnist-normed-momentum-32": Task(
        partial(mnist, flat=True),
        partial(mlp, 784, 128, 10, norm=True),
        "momentum",
        32,
        decay="cosine",
    ),
    "mnist-strided-momentum-16": Task(
        mnist, partial(strided, 1, 16, 32, 64, norm=False, pixels=28), "momentum", 16
    ),
    "cifar-strided-adamw-32": Task(
        cifar,
        partial(strided, 3, 32, 64, 128, 256, norm=True, pixels=32),
        "adamw",
        32,
        constant=SHORT,
        decayed=SHORT,
        decay="cosine",
    ),
    "cifar-mlp-momentum-128": Task(
        partial(cifar, flat=True),
        partial(mlp, 3072, 160, 10),
        "momentum",
        128,
        constant=SHORT,
        decayed=SHORT,
        decay="cosine",
    ),
    "cifar-normed-adam-64": Task(
        partial(cifar, flat=True),
        partial(mlp, 3072, 128, 64, 10, norm=True),
        "adam",
        64,
        constant=SHORT,
        decayed=SHORT,
    ),
    "files-levelled-adamw-64": Task(
        partial(text, "files", 8), partial(levelled_reader, 24, 192, 128), "adamw", 64
    ),
    "files-lstm-adam-32": Task(
        partial(text, "files", 8, every=True),
        partial(Recurrent, 64, nn.LSTM),
        "adam",
        32,
        decay="cosine",
    ),
    "numbers-skipgram-adamw-64": Task(
        partial(neighbours, "numbers"), partial(skipgram, 1000, 96), "adamw", 64, decay="cosine"
    ),
    "ridges-mlp-adam-32": Task(
        ridges, partial(mlp, 24, 256, 128, 1, act=nn.GELU), "adam", 32, SQUARES
    ),
    "ridges-mlp-sgd-64": Task(
        ridges, partial(mlp, 24, 256, 256, 1), "sgd", 64, SQUARES, decay="cosine"
    ),
    "grades-mlp-momentum-64": Task(
        grades, partial(mlp, 28, 256, 128, 5, act=nn.SiLU), "momentum", 64
    ),
    "grades-matrices-muon-64": Task(grades, partial(matrices, 28, 128, 64, 5), "muon", 64),
}
# Picked before any learning rate was tried on them; they judge the rule with that guess.
JUDGING = {
    "files-transformer-adamw-16": Task(
        partial(text, "files", 32, every=True),
        partial(Transformer, 64, 2, 32),
        "adamw",
        16,
        decay="cosine",
        warm_up=True,
    ),
    "mnist-mlp-adam-256": Task(
        partial(mnist, flat=True), partial(mlp, 784, 128, 64, 10), "adam", 256
    ),
    "mnist-conv-adam-64": Task(
        mnist, partial(strided, 1, 16, 32, norm=True, pixels=28), "adam", 64, decay="cosine"
    ),
    "mnist-mlp-sgd-64": Task(partial(mnist, flat=True), partial(mlp, 784, 128, 10), "sgd", 64),
    "mnist-deep-adamw-16": Task(
        partial(mnist, flat=True), partial(mlp, 784, 96, 96, 96, 10), "adamw", 16
    ),
    "mnist-matrices-muon-32": Task(
        partial(mnist, flat=True), partial(matrices, 784, 96, 10), "muon", 32
    ),
    "mnist-autoencoder-momentum-64": Task(
        pixels, partial(autoencoder, 784, 64, 784), "momentum", 64, SQUARES, decay="cosine"
    ),
    "cifar-strided-adam-128": Task(
        cifar,
        partial(strided, 3, 16, 32, 64, norm=False, pixels=32),
        "adam",
        128,
        constant=SHORT,
        decayed=SHORT,
    ),
    "cifar-normed-sgd-32": Task(
        partial(cifar, flat=True),
        partial(mlp, 3072, 96, 10, norm=True),
        "sgd",
        32,
        constant=SHORT,
        decayed=SHORT,
        decay="cosine",
    ),
    "types-gru-momentum-32": Task(
        partial(text, "types", 8, every=True), partial(Recurrent, 96), "momentum", 32
    ),
    "types-reader-adamw-128": Task(
        partial(text, "types", 8), partial(reader, 160), "adamw", 128, decay="cosine"
    ),
    "types-skipgram-adam-64": Task(
        partial(neighbours, "types"), partial(skipgram, 1000, 48), "adam", 64
    ),
    "ripples-mlp-momentum-16": Task(
        ripples, partial(mlp, 20, 192, 96, 1, act=nn.Tanh), "momentum", 16, SQUARES, decay="cosine"
    ),
    "shells-dropping-adamw-32": Task(shells, partial(dropping, 16, 256, 128, 6), "adamw", 32),
}
TASKS = {**DEVELOPMENT, **JUDGED, **JUDGING}
