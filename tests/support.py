"""What several tests need: small models and data, and a picture of all state, to the bit."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.training.sweep_run import SweepRun
from lrfinder_widget.training.task import TrainingTask

FEATURES, CLASSES = 6, 3

DEVICE = torch.device(os.environ.get("LRFINDER_DEVICE", "cpu"))
"""Where the models are; data is on the host, as from a loader."""

if DEVICE.type != "cpu":  # results are compared to the bit
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, FEATURES)
        self.second = nn.Linear(FEATURES, FEATURES)
        self.second.weight = self.first.weight
        self.last = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))))


class Counting(nn.Module):
    """State where `state_dict` does not look: hidden and rebound buffers, plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)
        self.register_buffer("hidden", torch.zeros(3), persistent=False)
        self.register_buffer("rebound", torch.zeros(2))
        self.calls = 0
        self.history: list[float] = []
        self.running = torch.ones(2)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.history.append(float(x.sum()))
        self.hidden.add_(1)
        self.rebound = self.rebound + 1
        self.running.mul_(1.5)
        return self.linear(x) + self.hidden.mean()


def linear() -> nn.Module:
    return nn.Linear(FEATURES, CLASSES).to(DEVICE)


def batchnorm_dropout() -> nn.Module:
    model = nn.Sequential(
        nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, CLASSES)
    )
    model[1].eval()  # a frozen layer stays frozen
    model[4].bias.requires_grad_(False)
    return model.to(DEVICE)


def lazy() -> nn.Module:
    layers = nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(CLASSES)
    return nn.Sequential(*layers).to(DEVICE)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "linear": linear,
    "batchnorm-dropout": batchnorm_dropout,
    "tied": lambda: Tied().to(DEVICE),
    "hidden-state": lambda: Counting().to(DEVICE),
    "lazy": lazy,
}


def sgd_momentum(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01)


def two_groups(model: nn.Module) -> torch.optim.Optimizer:
    parameters = list(model.parameters())
    return torch.optim.SGD(
        [{"params": parameters[:1], "lr": 0.01}, {"params": parameters[1:], "lr": 0.1}],
        momentum=0.9,
    )


# name -> (how to make it, training steps taken before the test)
OPTIMIZERS: dict[str, tuple[Callable[[nn.Module], torch.optim.Optimizer], int]] = {
    "sgd-momentum": (sgd_momentum, 0),
    "sgd-momentum-trained": (sgd_momentum, 3),
    "adamw": (adamw, 0),
    "adamw-trained": (adamw, 3),
    "two-groups-trained": (two_groups, 3),
}


class ByEpochs:
    """A scheduler as timm's: it is told the epoch, or the update, and knows rates of its own."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        last: int,
        warmup: int = 0,
        first: float = 0.0,
        by_updates: bool = False,
    ) -> None:
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_values = [group["initial_lr"] for group in optimizer.param_groups]
        self.warmup_t, self.last, self.t_in_epochs = warmup, last, not by_updates
        self.warmup_lr_init = first
        self.warmup_steps = [(v - first) / warmup if warmup else 1 for v in self.base_values]
        self._set(0)

    def _set(self, t: int) -> None:
        for i, group in enumerate(self.optimizer.param_groups):
            rising = self.warmup_lr_init + t * self.warmup_steps[i]
            falling = self.base_values[i] * max(0.0, 1 - t / self.last)
            group["lr"] = rising if t < self.warmup_t else falling

    def step(self, epoch: int, metric: float | None = None) -> None:
        if self.t_in_epochs:
            self._set(epoch)

    def step_update(self, num_updates: int, metric: float | None = None) -> None:
        if not self.t_in_epochs:
            self._set(num_updates)


def classes(n: int = 64, seed: int = 0) -> TensorDataset:
    """Make a problem with something to learn."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, FEATURES, generator=generator)
    weights = torch.randn(FEATURES, CLASSES, generator=generator)
    return TensorDataset(x, (x @ weights).argmax(1))


def loader(**options: Any) -> DataLoader[Any]:
    return DataLoader(classes(), batch_size=8, shuffle=True, **options)


def moved(batch: Any) -> Any:
    """Put the tensors of a batch on the device, as a training loop does."""
    if isinstance(batch, Tensor):
        return batch.to(DEVICE)
    if isinstance(batch, dict):
        return {key: moved(item) for key, item in batch.items()}
    return type(batch)([moved(item) for item in batch])


def sweep_run(*given: Any, opened: Any = None, **options: Any) -> SweepRun:
    """Make a run as the finder does, of what `range_test` takes."""
    names = ("start_lr", "end_lr", "num_iter", "mode", "repeats")
    plan = SweepPlan(**{name: options.pop(name) for name in names if name in options})
    task = TrainingTask(*given, **options)
    return SweepRun(task, plan.lrs, stop=task.stop, repeats=plan.repeats, opened=opened)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: Any, steps: int
) -> list[float]:
    """Train in the plain way, for so many steps; return the losses."""
    losses: list[float] = []
    while len(losses) < steps:
        for x, y in map(moved, batches):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == steps:
                break
    return losses


def picture(
    model: nn.Module, optimizer: torch.optim.Optimizer, *generators: torch.Generator
) -> dict[str, Any]:
    """Describe all state, to the bit, with the identities of the objects that carry it.

    Written without a word of the package, so that it can disagree with it.
    """
    shown: dict[str, Any] = {}
    for name, module in model.named_modules():
        shown[f"{name}: class"] = type(module)
        shown[f"{name}: training"] = module.training
        for key, value in vars(module).items():
            if isinstance(value, dict):
                shown[f"{name}.{key}"] = [(k, id(v)) for k, v in value.items()]
            elif not isinstance(value, (set, Tensor)):
                shown[f"{name}.{key}"] = repr(value)
            if isinstance(value, Tensor):
                shown[f"{name}.{key}"] = bits(value)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        shown[f"{name}: tensor"] = (id(tensor), type(tensor), tensor.requires_grad, bits(tensor))
        shown[f"{name}: grad"] = (
            None if tensor.grad is None else (id(tensor.grad), bits(tensor.grad))
        )
    for i, group in enumerate(optimizer.param_groups):
        shown[f"group {i}"] = {
            key: [id(p) for p in value] if key == "params" else bits(value)
            for key, value in group.items()
        }
    shown["optimizer state"] = [
        (id(parameter), [(key, id(value), bits(value)) for key, value in state.items()])
        for parameter, state in optimizer.state.items()
    ]
    shown["optimizer attributes"] = sorted(
        (key, repr(value))
        for key, value in vars(optimizer).items()
        if key not in ("state", "param_groups")
    )
    shown["torch random state"] = random_bits()
    shown["numpy random state"] = repr(np.random.get_state())
    shown["python random state"] = random.getstate()
    shown["generators"] = [bits(g.get_state()) for g in generators]
    return shown


def random_bits() -> list[Any]:
    """Describe torch's random state, on the host and on every accelerator that is in use."""
    states = [torch.get_rng_state()]
    for module in (torch.cuda, torch.xpu):
        if module.is_initialized():
            states += module.get_rng_state_all()
    if DEVICE.type == "mps":
        states.append(torch.mps.get_rng_state())
    return [bits(state) for state in states]


def bits(value: Any) -> Any:
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return "uninitialised"
    if not isinstance(value, Tensor):
        return repr(value)
    device, value = value.device, value.detach().cpu()
    return (
        device,
        value.dtype,
        tuple(value.shape),
        value.contiguous().view(torch.uint8).numpy().tobytes()
        if value.dim()
        else repr(value.item()),
    )
