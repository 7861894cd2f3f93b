"""What `gpu.py` trains: the tasks of `overhead.py`, moved to a device and changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from overhead import Task
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader, TensorDataset

TIMES_AS_LARGE = (1, 64)
LAYERS, WIDTH, LENGTH = 8, 1024, 256  # 100 million parameters


def on_device(task: Task, times_as_large: int, device: torch.device) -> Task:
    batches = [
        (torch.cat([x] * times_as_large).to(device), torch.cat([y] * times_as_large).to(device))
        for x, y in task.batches
    ]
    return replace(task, make=lambda: task.make().to(device), batches=batches)


def from_host(task: Task, device: torch.device, *, pin: bool) -> Task:
    batches = [pinned(pair) if pin else pair for pair in task.batches]
    return replace(on_device(task, 1, device), batches=batches, device=device)


def pinned(pair: tuple[Tensor, Tensor]) -> Any:
    if not torch.accelerator.is_available():  # there is nothing to pin for
        return pair
    return tuple(part.pin_memory() for part in pair)


def from_workers(task: Task, device: torch.device) -> Task:
    # Many epochs in one, as each starts its workers anew.
    x, y = (torch.cat(parts * 20) for parts in zip(*task.batches, strict=True))
    batches = DataLoader(
        TensorDataset(x, y),
        batch_size=len(task.batches[0][0]),
        num_workers=2,
        pin_memory=torch.accelerator.is_available(),
    )
    return replace(on_device(task, 1, device), batches=batches, device=device)


def with_adamw(task: Task, device: torch.device, **options: bool) -> Task:
    return replace(on_device(task, 1, device), optimizer=partial(AdamW, lr=1e-3, **options))


class InBfloat16(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            output: Tensor = self.inner(x)
        return output.float()


def in_bfloat16(task: Task, device: torch.device) -> Task:
    task = on_device(task, 1, device)
    return replace(task, make=lambda: InBfloat16(task.make()))


class Classifier(nn.Module):
    """A transformer's encoder, whose mean output is classified."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 8, 4 * WIDTH, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.last = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.encoder(x).mean(1))


def large(device: torch.device) -> Task:
    batches = [(torch.randn(8, LENGTH, WIDTH), torch.randint(10, (8,))) for _ in range(4)]
    task = Task(make=Classifier, criterion=nn.CrossEntropyLoss(), batches=batches, steps=10)
    return replace(in_bfloat16(task, device), optimizer=partial(AdamW, lr=1e-4, fused=True))


KINDS: dict[str, Callable[[Task, torch.device], Task]] = {
    "batches on the device": lambda task, device: on_device(task, 1, device),
    "batches on the host": partial(from_host, pin=False),
    "batches on the host, pinned": partial(from_host, pin=True),
    "a loader with two workers": from_workers,
    "AdamW foreach": partial(with_adamw, foreach=True),
    "AdamW fused": partial(with_adamw, fused=True),
    "bfloat16": in_bfloat16,
}
