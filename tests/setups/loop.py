"""Loops: a criterion, a step of one's own, accumulation, mixed precision."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from support import DEVICE, batchnorm_dropout, moved
from torch import Tensor, nn

from lrfinder_widget import training_step

from .parts import Criterion, Probe, Setup, Stream, mlp, own_step, pairs, sgd, usual


def plain(probe: Probe) -> Setup:
    model = batchnorm_dropout()
    return usual(probe, model, sgd(model.parameters()))


def untrained(probe: Probe) -> Setup:
    model = batchnorm_dropout()
    return usual(probe, model, torch.optim.AdamW(model.parameters()), warm=0)


def own_loop(probe: Probe) -> Setup:
    return own_step(plain(probe))


def accumulation(probe: Probe) -> Setup:
    model, criterion = batchnorm_dropout(), Criterion(probe)
    optimizer = torch.optim.AdamW(model.parameters())

    def step(parts: Any) -> Tensor:
        optimizer.zero_grad()
        losses = []
        for x, y in parts:
            loss = criterion(model(x), y) / 3
            loss.backward()
            losses.append(loss.detach())
        optimizer.step()
        return torch.stack(losses).sum()

    arguments = {"criterion": criterion, "accumulate": 3}
    return usual(probe, model, optimizer, step=step, arguments=arguments, accumulate=3)


def gradients_pending(probe: Probe) -> Setup:
    """Half an accumulation is done: the gradients that are there count."""
    setup = plain(probe)
    setup.model(moved(pairs()[0][0])).sum().backward()
    step = setup.step

    def accumulating(batch: Any) -> Any:
        Criterion(probe)(setup.model(batch[0]), batch[1]).backward()
        setup.optimizer.step()
        return step(batch)

    setup.step, setup.warm = accumulating, 0
    return setup


def validation(probe: Probe) -> Setup:
    setup = plain(probe)
    setup.arguments["val_batches"] = pairs(24)
    return setup


def eval_mode(probe: Probe) -> Setup:
    setup = plain(probe)
    setup.model.eval()
    return setup


def mappings(probe: Probe) -> Setup:
    """Batches are dictionaries, and the model returns its loss."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.criterion = mlp(), Criterion(probe)

        def forward(self, x: Tensor, labels: Tensor) -> Any:
            return SimpleNamespace(loss=self.criterion(self.inner(x), labels))

    model = Named()
    optimizer = torch.optim.AdamW(model.parameters())

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        return loss.detach()

    batches = Stream([{"x": x, "labels": y} for x, y in pairs()], probe)
    return usual(probe, model, optimizer, batches=batches, step=step, arguments={})


def bf16(probe: Probe) -> Setup:
    return _textbook(probe, autocast=torch.bfloat16)


def fp16(probe: Probe) -> Setup:
    scaler = torch.amp.GradScaler(DEVICE.type, init_scale=2.0**20, growth_interval=4)
    return _textbook(probe, autocast=torch.float16, scaler=scaler, clip_grad_norm=0.5)


def fp16_untrained(probe: Probe) -> Setup:
    setup = fp16(probe)
    setup.warm = 0
    return setup


def clipping(probe: Probe) -> Setup:
    return _textbook(probe, clip_grad_norm=0.1)


def _textbook(probe: Probe, **options: Any) -> Setup:
    model = batchnorm_dropout()
    optimizer = torch.optim.AdamW(model.parameters())
    step = training_step(model, optimizer, Criterion(probe), **options)
    watched = [options["scaler"]] if "scaler" in options else []
    setup = usual(probe, model, optimizer, step=step, watched=watched)
    return own_step(setup)


def fp16_own_loop(probe: Probe) -> Setup:
    return _scaled(probe, batchnorm_dropout(), fused=False)


def fp16_fused(probe: Probe) -> Setup:
    """The scaler hands its scale to the optimizer, as attributes for the time of its step."""
    return _scaled(probe, batchnorm_dropout(), fused=True)


def _scaled(probe: Probe, model: nn.Module, *, fused: bool) -> Setup:
    criterion, scaler = Criterion(probe), torch.amp.GradScaler(DEVICE.type, growth_interval=4)
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.float16):
            loss = criterion(model(batch[0]), batch[1])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return own_step(usual(probe, model, optimizer, step=step, watched=[scaler]), scaler)


SETUPS: dict[str, Callable[[Probe], Setup]] = {
    "plain": plain,
    "untrained": untrained,
    "own-loop": own_loop,
    "accumulation": accumulation,
    "gradients-pending": gradients_pending,
    "validation": validation,
    "eval-mode": eval_mode,
    "mappings": mappings,
    "bf16": bf16,
    "fp16": fp16,
    "fp16-untrained": fp16_untrained,
    "fp16-own-loop": fp16_own_loop,
    "fp16-fused": fp16_fused,
    "clipping": clipping,
}
