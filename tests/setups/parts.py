"""What every set-up is made of: the set-up itself, the probe, batches and small models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import support
import torch
from support import CLASSES, DEVICE, FEATURES, classes, moved
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

WARM = 3  # steps of training before the test
ITERATIONS = 8  # learning rates of a test


class Probe:
    """Called at each phase of training: counts the calls, and acts at the one it is told.

    The phases are "load" (a batch), "forward", "backward" (at its start, and before the gradient of
    the first parameter is stored), "step" (of an optimizer, before it) and "stepped" (after it).

    What it has counted is kept outside of it: as a part of loaders and criterions, it would be put
    back with them.
    """

    @property
    def _notes(self) -> _Notes:
        return _NOTES.setdefault(self, _Notes())

    @property
    def calls(self) -> Counter[str]:
        return self._notes.calls

    @property
    def factor(self) -> float:
        """Every loss is multiplied by it."""
        return self._notes.factor

    @factor.setter
    def factor(self, factor: float) -> None:
        self._notes.factor = factor

    @property
    def offset(self) -> float:
        """Every loss stands higher by this, which doubles each time."""
        return self._notes.offset

    @offset.setter
    def offset(self, offset: float) -> None:
        self._notes.offset = offset

    def arm(self, phase: str, at: int, act: Callable[[], object]) -> None:
        """Act at the `at`-th call of `phase` from now on."""
        self.calls.clear()
        self._notes.armed = phase, at, act

    def __call__(self, phase: str) -> None:
        notes = self._notes
        notes.calls[phase] += 1
        if notes.armed is not None and notes.armed[:2] == (phase, notes.calls[phase]):
            notes.armed[2]()


@dataclass
class _Notes:
    calls: Counter[str] = field(default_factory=Counter)
    factor: float = 1.0
    offset: float = 0.0
    armed: tuple[str, int, Callable[[], object]] | None = None


_NOTES: WeakKeyDictionary[Probe, _Notes] = WeakKeyDictionary()


@dataclass
class Setup:
    """What somebody has in their notebook when they think of a learning-rate range test."""

    model: nn.Module
    optimizer: Optimizer
    batches: Iterable[Any]
    step: Callable[[Any], Any]  # the body of their own training loop
    arguments: dict[str, Any]  # what `sweep` takes besides model, optimizer and batches
    probe: Probe
    others: Sequence[nn.Module | Optimizer] = ()
    watched: Sequence[Any] = ()  # what else has a state: schedulers, scalers, averages
    generators: Sequence[Any] = ()
    accumulate: int = 1
    warm: int = WARM
    optimizer_hooks: bool = True
    hooks: list[Any] = field(default_factory=list)

    @property
    def sweep(self) -> dict[str, Any]:
        """All arguments of a test, short and without a stop rule."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "batches": self.batches,
            "start_lr": 1e-4,
            "end_lr": 0.1,
            "num_iter": ITERATIONS,
            "stop": None,
            **self.arguments,
        }

    def train(self, steps: int) -> list[float]:
        """Go on with the training, from the beginning of an epoch; return the losses."""
        batches = self.endless()
        return [self.train_once(batches) for _ in range(steps)]

    def train_once(self, batches: Iterator[Any]) -> float:
        parts = [moved(next(batches)) for _ in range(self.accumulate)]
        return float(self.step(parts if self.accumulate > 1 else parts[0]))

    def endless(self) -> Iterator[Any]:
        while True:
            yield from self.batches

    def picture(self) -> dict[str, Any]:
        """Describe all state, to the bit, with the identities of the objects that carry it."""
        modules = [self.model, *(m for m in self.others if isinstance(m, nn.Module))]
        optimizers = [self.optimizer, *(o for o in self.others if isinstance(o, Optimizer))]
        shown: dict[str, Any] = {}
        for i in range(max(len(modules), len(optimizers))):
            described = support.picture(modules[i % len(modules)], optimizers[i % len(optimizers)])
            shown.update({f"{i}: {key}": value for key, value in described.items()})
        shown["all of the optimizers"] = [exact(vars(optimizer)) for optimizer in optimizers]
        shown["hooks of the parameters"] = [
            [list(getattr(p, name) or ()) for name in ("_backward_hooks", "_post_" + HOOK)]
            for module in modules
            for p in module.parameters()
        ]
        shown["watched"] = [exact(vars(thing)) for thing in self.watched]
        shown["what they say"] = [
            exact(thing.state_dict(), identities=False) for thing in self.watched
        ]
        shown["own generators"] = [_state(generator) for generator in self.generators]
        return shown

    def values(self) -> list[Any]:
        """Describe the values alone: they can be compared with those of another, equal set-up."""
        modules = [self.model, *self.others]
        states = [exact(m.state_dict(), identities=False) for m in modules]
        watched = [exact(w.state_dict(), identities=False) for w in self.watched]
        optimizer = exact(self.optimizer.state_dict(), identities=False)
        return [states, optimizer, watched, support.random_bits()]


HOOK = "accumulate_grad_hooks"


def exact(value: Any, *, identities: bool = True) -> Any:
    """Describe a value and what it holds, through containers, to the bit."""
    deeper = lambda item: exact(item, identities=identities)  # noqa: E731
    who = id(value) if identities else None
    if isinstance(value, (nn.Module, Optimizer, LRScheduler)):
        return who
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return who, "uninitialised"
    if isinstance(value, Tensor):
        grad = value.grad if value.is_leaf else None
        return who, _tensor(value), None if grad is None else (id(grad) * identities, _tensor(grad))
    if isinstance(value, dict):
        return who, [(id(k) if isinstance(k, Tensor) else k, deeper(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple, set)):
        return who, [deeper(item) for item in value]
    if isinstance(value, np.ndarray):
        return who, value.tobytes()
    return repr(value) if identities or " at 0x" not in repr(value) else type(value)


def _tensor(tensor: Tensor) -> Any:
    tensor = tensor.detach()
    if tensor.is_sparse:
        tensor = tensor.coalesce()
        return _tensor(tensor.indices()), _tensor(tensor.values())
    return support.bits(tensor)


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return support.bits(generator.get_state())
    return repr(generator.bit_generator.state)


# -- the parts -------------------------------------------------------------------------------------


class Criterion:
    """Cross-entropy, with the probe at its side."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.probe("forward")
        if output.requires_grad:
            output.register_hook(self._backward)
        self.probe.offset *= 2
        return F.cross_entropy(output, target) * self.probe.factor + self.probe.offset

    def _backward(self, grad: Tensor) -> None:
        self.probe("backward")


class Stream:
    """Batches in a new order in each epoch."""

    def __init__(self, batches: Sequence[Any], probe: Probe) -> None:
        self.batches, self.probe = batches, probe

    def __iter__(self) -> Iterator[Any]:
        for i in torch.randperm(len(self.batches)).tolist():
            self.probe("load")
            yield self.batches[i]


class Collate:
    """Joins samples in a worker process or here, with the probe at its side."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __call__(self, samples: Sequence[Any]) -> Any:
        self.probe("load")
        return torch.utils.data.default_collate(samples)


def pairs(n: int = 64) -> list[tuple[Tensor, Tensor]]:
    x, y = classes(n).tensors
    return list(zip(x.split(8), y.split(8), strict=True))


def mlp(**options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(FEATURES, 8, **options), nn.ReLU(), nn.Linear(8, CLASSES, **options)
    ).to(DEVICE)


def sgd(parameters: Any, **options: Any) -> Optimizer:
    return torch.optim.SGD(parameters, **{"lr": 0.05, "momentum": 0.9, **options})


def usual(probe: Probe, model: nn.Module, optimizer: Optimizer, **changes: Any) -> Setup:
    """Train on pairs with a criterion: what most people do."""
    criterion = Criterion(probe)
    given = {
        "batches": Stream(pairs(), probe),
        "step": loop_body(model, optimizer, criterion),
        "arguments": {"criterion": criterion},
        **changes,
    }
    return Setup(model=model, optimizer=optimizer, probe=probe, **given)


def own_step(setup: Setup, *preserve: Any) -> Setup:
    """Hand in the body of the loop instead of a criterion."""
    setup.arguments = {"step": setup.step, "preserve": list(preserve), "device": DEVICE}
    return setup


def loop_body(model: nn.Module, optimizer: Optimizer, criterion: Any) -> Callable[[Any], Tensor]:
    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
