"""Data: loaders with samplers, generators and worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from support import FEATURES, classes
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler

from .parts import Collate, Probe, Setup, mlp, sgd, usual


def _with_loader(make: Callable[[Probe], tuple[Any, list[Any]]]) -> Callable[[Probe], Setup]:
    def setup(probe: Probe) -> Setup:
        batches, generators = make(probe)
        model = mlp()
        optimizer = sgd(model.parameters())
        return usual(probe, model, optimizer, batches=batches, generators=generators)

    return setup


def _loader(probe: Probe) -> tuple[Any, list[Any]]:
    return DataLoader(classes(40), batch_size=8, shuffle=True, collate_fn=Collate(probe)), []


def _sampler(probe: Probe) -> tuple[Any, list[Any]]:
    data, order, seeds = classes(40), torch.Generator(), torch.Generator()
    sampler = RandomSampler(data, replacement=True, num_samples=30, generator=order)
    batches = DataLoader(
        data, batch_size=8, sampler=sampler, generator=seeds, collate_fn=Collate(probe)
    )
    return batches, [order, seeds]


class Bucketed(BatchSampler):
    """Shuffles its batches with a generator of NumPy's."""

    def __init__(self, data: Any) -> None:
        super().__init__(RandomSampler(data, generator=torch.Generator()), 6, drop_last=True)
        self.rng = np.random.default_rng(3)

    def __iter__(self) -> Iterator[list[int]]:
        batches = list(super().__iter__())
        yield from (batches[i] for i in self.rng.permutation(len(batches)))


def _batch_sampler(probe: Probe) -> tuple[Any, list[Any]]:
    data = classes(40)
    sampler = Bucketed(data)
    batches = DataLoader(data, batch_sampler=sampler, collate_fn=Collate(probe))
    return batches, [sampler.rng, sampler.sampler.generator]


class Endless(IterableDataset[Any]):
    """Samples drawn as they are asked for, from a generator of its own."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(4)

    def __iter__(self) -> Iterator[Any]:
        x, y = classes(40).tensors
        for i in self.rng.permutation(40):
            yield x[i] + torch.rand(()), y[i]


def _iterable(probe: Probe) -> tuple[Any, list[Any]]:
    data = Endless()
    return DataLoader(data, batch_size=8, collate_fn=Collate(probe)), [data.rng]


class Augmented(torch.utils.data.Dataset[Any]):
    """Adds noise, in the worker process, from the generator that the worker was given."""

    def __init__(self) -> None:
        self.x, self.y = classes(40).tensors

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> Any:
        return self.x[i] + 0.1 * torch.randn(FEATURES), self.y[i]


def _workers(probe: Probe) -> tuple[Any, list[Any]]:
    return DataLoader(Augmented(), batch_size=8, shuffle=True, num_workers=2), []


def _persistent(probe: Probe) -> tuple[Any, list[Any]]:
    data = Augmented()
    return DataLoader(data, batch_size=8, shuffle=True, num_workers=2, persistent_workers=True), []


def _pinned(probe: Probe) -> tuple[Any, list[Any]]:
    return DataLoader(classes(40), batch_size=8, shuffle=True, pin_memory=True), []


SETUPS: dict[str, Callable[[Probe], Setup]] = {
    "loader": _with_loader(_loader),
    "loader-sampler": _with_loader(_sampler),
    "loader-batch-sampler": _with_loader(_batch_sampler),
    "loader-iterable": _with_loader(_iterable),
    "loader-workers": _with_loader(_workers),
    "loader-persistent": _with_loader(_persistent),
    "loader-pinned": _with_loader(_pinned),
}
