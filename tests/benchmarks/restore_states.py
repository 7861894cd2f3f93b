"""A training of `restore.py` with every kind of state, and a picture of it, to the bit."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from peers import Training
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.utils.data import DataLoader, Dataset

from lrfinder_widget import training_step

FAILS_AT = 5  # the step at which something happens
BATCH, FEATURES, CLASSES = 8, 6, 3


# -- what is trained ------------------------------------------------------------------------------


class Boom(Exception):
    pass


class Fault:
    """Called in the model, the data and the loss; acts at the one and the time it is told.

    What it counts belongs to the class: an object's own would be put back with the model.
    """

    where, left, acted = "", 0, False

    @classmethod
    def arm(cls, end: str) -> None:
        cls.where = "model" if end == "interrupt" else end
        cls.left = FAILS_AT * BATCH if end == "data" else FAILS_AT
        cls.act = cls.interrupt if end == "interrupt" else cls.fail

    @classmethod
    def __call__(cls, where: str) -> None:
        if where == cls.where:
            cls.left -= 1
            if cls.left == 0:
                cls.acted = True
                cls.act()

    @staticmethod
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    @staticmethod
    def fail() -> None:
        raise Boom


class Net(nn.Module):
    """Every kind of state: buffers kept and hidden, dropout, a layer frozen, one in eval mode."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = [fault]  # not looked at by anyone
        self.first, self.norm = nn.Linear(FEATURES, 8), nn.BatchNorm1d(8)
        self.frozen, self.frozen_norm = nn.Linear(8, 8).requires_grad_(False), nn.BatchNorm1d(8)
        self.frozen_norm.eval()
        self.last = nn.Linear(8, CLASSES)
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.fault[0]("model")
        self.calls.add_(1)
        x = self.frozen_norm(self.frozen(F.relu(self.norm(self.first(x)))))
        return self.last(F.dropout(x, 0.1, self.training))


class Noisy(Dataset[Any]):
    """Draws from NumPy's and Python's random numbers, as augmentations do."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.order = fault, list[int]()
        self.inputs, self.targets = torch.randn(40, FEATURES), torch.randint(CLASSES, (40,))

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        self.fault("data")
        self.order.append(i)
        noise = 0.01 * np.random.standard_normal() + 0.01 * random.random()
        return self.inputs[i] + noise, self.targets[i]


def begin(fault: Fault, without: Iterable[str]) -> Training:
    """Make a training that is some steps old."""
    torch.manual_seed(0)
    model, generator = Net(fault), torch.Generator().manual_seed(0)
    weights, biases = ([p for p in model.parameters() if p.ndim == n] for n in (2, 1))
    groups = [{"params": weights, "lr": 0.1}, {"params": biases, "lr": 0.01, "nesterov": True}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    loader = DataLoader(Noisy(fault), BATCH, shuffle=True, generator=generator)

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        fault("loss")
        return F.cross_entropy(output, target)

    training = Training(model, optimizer, criterion, loader)
    training.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=4)
    if "scheduler" not in without:
        training.scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    step = training_step(model, optimizer, criterion, scaler=training.scaler)
    for batch in loader:
        step(batch)
    if training.scheduler:
        training.scheduler.step()
    if "scaler" in without:
        training.scaler = None
    return training


# -- what is looked at ----------------------------------------------------------------------------


def picture(training: Training) -> dict[str, Any]:
    model, optimizer = training.model, training.optimizer
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    kept = model.state_dict().keys() & buffers.keys()
    owners = [optimizer, *model.modules()]
    hooks = [vars(owner)[key] for owner in owners for key in vars(owner) if "hook" in key]
    seen = {
        "parameters": [bits(p) for p in parameters.values()],
        "buffers": [bits(buffers[name]) for name in sorted(kept)],
        "buffers, not persistent": [bits(buffers[name]) for name in buffers.keys() - kept],
        "gradients": [bits(p.grad) for p in parameters.values()],
        "requires_grad": [p.requires_grad for p in parameters.values()],
        "training flags": [module.training for module in model.modules()],
        "optimizer's state": [
            {key: bits(value) for key, value in optimizer.state.get(p, {}).items()}
            for p in parameters.values()
        ],
        "optimizer's groups": [
            {key: bits(value) for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ],
        "hooks": [
            *([*hook.items()] for hook in hooks if isinstance(hook, dict)),
            *(set(vars(optimizer)), vars(optimizer).get("step")),
        ],
        "torch's random state": bits(torch.get_rng_state()),
        "NumPy's random state": repr(np.random.get_state()),
        "Python's random state": random.getstate(),
        "loader's order": next_epoch(training.loader),
        "threads": set(threading.enumerate()),
        "signal handlers": {s: signal.getsignal(s) for s in signal.valid_signals()},
    }
    for name in ("scheduler", "scaler"):
        if getattr(training, name) is not None:
            seen[name] = repr(getattr(training, name).state_dict())
    return seen


def bits(value: Any) -> Any:
    return value.detach().numpy().tobytes() if isinstance(value, Tensor) else value


def next_epoch(loader: Any) -> list[int]:
    """Look ahead, and put back what that took."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    ahead = loader.generator.get_state()
    loader.dataset.order.clear()
    for _ in loader:
        pass
    loader.generator.set_state(ahead)
    for put_back, state in zip(
        (torch.set_rng_state, np.random.set_state, random.setstate), states, strict=True
    ):
        put_back(state)
    return list(loader.dataset.order)


class Writes:
    """Notes which files Python opens for writing, and the folders it makes."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.watching = False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching or event not in ("open", "os.mkdir"):
            return
        path, _, flags = arguments
        writes = event == "os.mkdir" or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and not isinstance(path, int) and not str(path).startswith("/dev/"):
            self.seen.append(str(path))
