"""What comes back of loaders, samplers, data sets and transforms, of whatever make."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support import classes, linear
from torch import Tensor, nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    TensorDataset,
    default_collate,
)

from lrfinder_widget import range_test
from lrfinder_widget.restore.data_state import MOST_OBJECTS, data_states

X, Y = classes(64).tensors


class Noise:
    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, x: Tensor) -> Tensor:
        return x + float(self.rng.normal())


class SlottedNoise:
    __slots__ = ("rng",)

    def __init__(self) -> None:
        self.rng = random.Random(1)

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.rng.random()


class Compose:
    def __init__(self, *parts: Any) -> None:
        self.transforms = list(parts)

    def __call__(self, x: Tensor) -> Tensor:
        for part in self.transforms:
            x = part(x)
        return x


class ByName(dict[str, Any]):
    """A subclass of dict with transforms."""

    def __call__(self, x: Tensor) -> Tensor:
        return self["train"](x)


class Data(Dataset[Any]):
    def __init__(self, transform: Any = lambda x: x) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return len(Y)

    def __getitem__(self, i: int) -> Any:
        return self.transform(X[i]), Y[i]


class CountsEpochs(IterableDataset[Any]):
    def __init__(self) -> None:
        self.epoch = 0

    def __iter__(self) -> Iterator[Any]:
        order = np.random.default_rng(7 + self.epoch).permutation(len(Y))
        self.epoch += 1
        for i in order:
            yield X[i], Y[i]


class Resumes(IterableDataset[Any]):
    def __init__(self) -> None:
        self.position = 0

    def __iter__(self) -> Iterator[Any]:
        for _ in range(len(Y)):
            self.position += 1
            yield X[self.position % len(Y)], Y[self.position % len(Y)]


class SharedRng(Dataset[Any]):
    """Its generator belongs to the class."""

    rng = np.random.default_rng(5)

    def __len__(self) -> int:
        return len(Y)

    def __getitem__(self, i: int) -> Any:
        return X[i] + float(self.rng.normal()), Y[i]


GLOBAL = np.random.default_rng(6)


class GlobalRng(SharedRng):
    """Its generator is a global variable, as in a notebook."""

    def __getitem__(self, i: int) -> Any:
        return X[i] + sum(float(GLOBAL.normal()) for _ in range(2)), Y[i]


class LazyMask:
    """Makes its generator at the first batch."""

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None

    def __call__(self, rows: Any) -> Any:
        if self.generator is None:
            self.generator = torch.Generator().manual_seed(5)
        x, y = default_collate(rows)
        return x * (torch.rand(x.shape, generator=self.generator) > 0.2), y

    def collate(self, rows: Any) -> Any:
        return self(rows)


def mix(rows: Any, rng: Any) -> Any:
    x, y = default_collate(rows)
    return x + float(rng.normal()), y


def mixing() -> Callable[[Any], Any]:
    rng = np.random.default_rng(11)
    return lambda rows: mix(rows, rng)


class Shuffled:
    """A sampler of nobody's class, that shuffles its order in place at each epoch."""

    def __init__(self, order: Any, n: int) -> None:
        self.order, self.rng, self.n = order, np.random.RandomState(2), n

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        if isinstance(self.order, Tensor):
            self.order[:] = self.order[torch.from_numpy(self.rng.permutation(len(self.order)))]
        else:
            self.rng.shuffle(self.order)
        return iter([int(i) % len(Y) for i in self.order[: self.n]])


class ByClass(Sampler[int]):
    """Keeps the samples of many classes in a dict, and shuffles them in place."""

    def __init__(self) -> None:
        self.members = {label: np.arange(2) + 2 * label for label in range(100)}
        self.rng = np.random.RandomState(3)

    def __iter__(self) -> Iterator[int]:
        for label in range(16):
            self.rng.shuffle(self.members[label])
            yield from self.members[label].tolist()


class OwnLoader:
    """No `DataLoader`: shuffles an array of its own."""

    def __init__(self) -> None:
        self.order = np.arange(len(Y))

    def __iter__(self) -> Iterator[Any]:
        np.random.shuffle(self.order)
        for part in self.order.reshape(-1, 8):
            yield X[part], Y[part]


load = functools.partial(DataLoader, batch_size=8)
nested = lambda: Compose(Compose(Noise(1), Compose(Noise(2))))  # noqa: E731
CASES: dict[str, Callable[[], Any]] = {
    "transform": lambda: load(Data(Noise())),
    "compose": lambda: load(Subset(Data(Compose(Noise(1), Noise(2))), range(64))),
    "nested compose": lambda: load(ConcatDataset([Subset(Data(nested()), range(40))])),
    "dict": lambda: load(Data(ByName(train=Noise()))),
    "namespace": lambda: load(Data(SimpleNamespace(t=Noise()).t)),
    "slots": lambda: load(Data(Compose(SlottedNoise()))),
    "module": lambda: load(Data(nn.Sequential(nn.Identity(), ModuleNoise()))),
    "class attribute": lambda: load(SharedRng()),
    "global": lambda: load(GlobalRng()),
    "bound method": lambda: load(Data(), collate_fn=LazyMask().collate),
    "object": lambda: load(Data(), collate_fn=LazyMask()),
    "partial": lambda: load(
        Data(), collate_fn=functools.partial(mix, rng=np.random.default_rng(3))
    ),
    "closure": lambda: load(Data(), collate_fn=mixing()),
    "epochs": lambda: load(CountsEpochs()),
    "position": lambda: load(Resumes()),
    "list of a sampler": lambda: load(Data(), sampler=Shuffled(list(range(64)), 64)),
    "long list of a sampler": lambda: load(Data(), sampler=Shuffled(list(range(200_000)), 64)),
    "array of a sampler": lambda: load(Data(), sampler=Shuffled(np.arange(64.0), 64)),
    "tensor of a sampler": lambda: load(Data(), sampler=Shuffled(torch.arange(64), 64)),
    "classes of a sampler": lambda: load(Data(), sampler=ByClass()),
    "own loader": OwnLoader,
}


class ModuleNoise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(9)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(x.shape, generator=self.generator)


def epoch_after(make: Callable[[], Any], *, test: bool) -> list[Any]:
    global GLOBAL
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    GLOBAL, SharedRng.rng = np.random.default_rng(6), np.random.default_rng(5)
    batches, model = make(), linear()
    list(batches)  # training has begun
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if test:
        range_test(model, optimizer, batches, nn.CrossEntropyLoss(), num_iter=12, end_lr=1e-3)
    return [(x.numpy().tobytes(), y.tolist()) for x, y in batches]


@pytest.mark.parametrize("name", CASES)
def test_the_next_epoch_is_the_one_that_would_have_come(name: str) -> None:
    assert epoch_after(CASES[name], test=True) == epoch_after(CASES[name], test=False)


def test_what_a_test_adds_to_data_is_taken_off_again() -> None:
    data = Data()
    data.cache = {0: X[0]}  # type: ignore[attr-defined]
    restores = data_states([data])
    data.cache[1] = X[1]  # type: ignore[attr-defined]
    data.file = "open"  # type: ignore[attr-defined]
    for put_back in restores:
        put_back()
    assert list(data.cache) == [0]  # type: ignore[attr-defined]
    assert not hasattr(data, "file")


def test_samples_are_neither_copied_nor_looked_through() -> None:
    samples = [Noise(i) for i in range(100)]
    data = Data()
    data.samples = samples  # type: ignore[attr-defined]
    restores = data_states([DataLoader(TensorDataset(X, Y)), data])
    state = samples[0].rng.bit_generator.state
    samples[0](X[0])
    X[0] += 1
    for put_back in restores:
        put_back()
    X[0] -= 1
    assert samples[0].rng.bit_generator.state != state


def test_a_search_without_end_ends() -> None:
    chain: Any = None
    for _ in range(3 * MOST_OBJECTS):
        chain = [chain]
    assert 0 < len(data_states([chain])) <= MOST_OBJECTS
    while chain:  # a long chain that goes at once overflows the stack
        chain = chain.pop()


def test_locks_and_threads_of_a_loader_are_left_alone() -> None:
    class Prefetch(threading.Thread):
        pass

    thread = Prefetch()
    restores = data_states([SimpleNamespace(lock=threading.Lock(), thread=thread)])
    thread.mark = 1  # type: ignore[attr-defined]
    for put_back in restores:
        put_back()
    assert thread.mark == 1  # type: ignore[attr-defined]


def test_a_plain_loader_is_looked_through_in_half_a_millisecond() -> None:
    data = TensorDataset(torch.zeros(60_000, 8), torch.zeros(60_000, dtype=torch.int64))
    loader = DataLoader(data, sampler=RandomSampler(data))

    def seconds() -> float:
        begun = time.thread_time()
        data_states([loader])
        return time.thread_time() - begun

    assert min(seconds() for _ in range(20)) < 5e-4
