"""Models: with state in odd places, traced, scripted and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from support import CLASSES, DEVICE, FEATURES, Counting, Tied, batchnorm_dropout
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

from .parts import Criterion, Probe, Setup, loop_body, mlp, own_step, sgd, usual


def _of(make: Callable[[], nn.Module], **changes: Any) -> Callable[[Probe], Setup]:
    def setup(probe: Probe) -> Setup:
        model = make().to(DEVICE)
        return usual(probe, model, torch.optim.AdamW(model.parameters()), **changes)

    return setup


def _frozen() -> nn.Module:
    model = nn.Sequential(mlp(), nn.BatchNorm1d(CLASSES), nn.Linear(CLASSES, CLASSES))
    model[0].requires_grad_(False)
    model[1].eval()
    return model


def _no_bias() -> nn.Module:
    return mlp(bias=False)


def loss_with_parameters(probe: Probe) -> Setup:
    class Tempered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.temperature = nn.Parameter(torch.ones(()))
            self.register_buffer("seen", torch.zeros(()))
            self.inner = Criterion(probe)

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            self.seen += len(target)
            return self.inner(output / self.temperature, target)

    model, criterion = mlp(), Tempered().to(DEVICE)
    optimizer = sgd([*model.parameters(), *criterion.parameters()])
    return usual(
        probe,
        model,
        optimizer,
        step=loop_body(model, optimizer, criterion),
        arguments={"criterion": criterion},
        others=[criterion],
    )


def _complex() -> nn.Module:
    class Spectrum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filter = nn.Parameter(torch.randn(FEATURES // 2 + 1, dtype=torch.complex64))
            self.register_buffer("phase", torch.ones((), dtype=torch.complex64))
            self.last = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            self.phase *= 1j
            return self.last(torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=FEATURES))

    return Spectrum()


def _parametrized() -> nn.Module:
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(FEATURES, 8)),
        parametrizations.spectral_norm(nn.Linear(8, 8)),
        parametrizations.orthogonal(nn.Linear(8, 8)),
        nn.Linear(8, CLASSES),
    )


def _old_spectral_norm() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(FEATURES, 8)), nn.Linear(8, CLASSES))


def _pruned() -> nn.Module:
    model = mlp()
    prune.l1_unstructured(model[0], "weight", amount=0.3)
    return model


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 5, num_layers=2, dropout=0.2, batch_first=True)
        self.last = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.rnn(x.view(-1, 3, 2))[0][:, -1])


class Checkpointed(nn.Module):
    """Recomputes its first part in the backward pass, random numbers and all."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(0.3), nn.ReLU())
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(checkpoint(self.first, x, use_reentrant=False))


def _lazy() -> nn.Module:
    return nn.Sequential(
        nn.LazyLinear(8), nn.Dropout(0.2), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(CLASSES)
    )


def own_generators(probe: Probe) -> Setup:
    """Noise from generators that the model owns."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()
            self.noise = torch.Generator(DEVICE).manual_seed(5)
            self.drops = np.random.default_rng(6)

        def forward(self, x: Tensor) -> Tensor:
            x = x * float(self.drops.uniform(0.9, 1.1))
            return self.inner(x + 0.1 * torch.randn(x.shape, generator=self.noise, device=DEVICE))

    model = Noisy()
    optimizer = sgd(model.parameters())
    return usual(probe, model, optimizer, generators=[model.noise, model.drops])


def traced(probe: Probe) -> Setup:
    model = torch.jit.trace(mlp(), torch.zeros(8, FEATURES, device=DEVICE))
    return usual(probe, model, sgd(model.parameters()))


def scripted(probe: Probe) -> Setup:
    model = torch.jit.script(batchnorm_dropout())
    return usual(probe, model, sgd(p for p in model.parameters() if p.requires_grad))


class Net(nn.Module):
    """A class of the user's own: torch compiles no `Sequential` in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = batchnorm_dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def compiled(probe: Probe) -> Setup:
    model = torch.compile(Net(), backend="eager")
    return usual(probe, model, sgd(model.parameters()))


def compiled_untrained(probe: Probe) -> Setup:
    """Compiled in the middle of the test, and from then on."""
    setup = compiled(probe)
    setup.warm = 0
    return setup


def compiled_whole(probe: Probe) -> Setup:
    model = torch.compile(Net(), backend="eager", fullgraph=True)
    return usual(probe, model, sgd(model.parameters()))


def compiled_in_place(probe: Probe) -> Setup:
    model = Net()
    model.compile(backend="eager")
    return usual(probe, model, sgd(model.parameters()))


def compiled_step(probe: Probe) -> Setup:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.05), momentum=0.9)
    step = torch.compile(loop_body(model, optimizer, nn.CrossEntropyLoss()), backend="eager")
    return own_step(usual(probe, model, optimizer, step=step, optimizer_hooks=False))


SETUPS: dict[str, Callable[[Probe], Setup]] = {
    "tied": _of(Tied),
    "frozen": _of(_frozen),
    "no-buffers": _of(_no_bias),
    "hidden-state": _of(Counting),
    "loss-with-parameters": loss_with_parameters,
    "complex": _of(_complex),
    "parametrized": _of(_parametrized),
    "old-spectral-norm": _of(_old_spectral_norm),
    "pruned": _of(_pruned),
    "rnn": _of(Recurrent),
    "checkpointed": _of(Checkpointed),
    "lazy": _of(_lazy, warm=0),
    "own-generators": own_generators,
    "traced": traced,
    "scripted": scripted,
    "compiled": compiled,
    "compiled-untrained": compiled_untrained,
    "compiled-whole": compiled_whole,
    "compiled-in-place": compiled_in_place,
    "compiled-step": compiled_step,
}
