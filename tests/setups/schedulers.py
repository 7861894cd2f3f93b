"""Schedulers and averages beside the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .loop import plain
from .parts import Probe, Setup, own_step


def scheduler_attached(probe: Probe) -> Setup:
    """A scheduler of the user's own, which the test does not know of."""
    return _scheduled(probe, lambda o: OneCycleLR(o, max_lr=0.1, total_steps=100))


def warm_up(probe: Probe) -> Setup:
    """The learning rate is zero when the test begins."""
    setup = _scheduled(probe, lambda o: LambdaLR(o, lambda n: n / 100))
    setup.warm = 0
    return setup


def _scheduled(probe: Probe, make: Callable[[Optimizer], LRScheduler]) -> Setup:
    setup = plain(probe)
    scheduler, step = make(setup.optimizer), setup.step

    def scheduled(batch: Any) -> Any:
        loss = step(batch)
        scheduler.step()
        return loss

    setup.step, setup.watched = scheduled, [scheduler]
    return setup


def scheduler_stepped(probe: Probe) -> Setup:
    """The user's own step moves the scheduler too."""
    setup = scheduler_attached(probe)
    return own_step(setup, *setup.watched)


def schedulers_in_sequence(probe: Probe) -> Setup:
    """Schedulers within a scheduler, moved by the user's own step, across the change of guard."""
    setup = _scheduled(
        probe,
        lambda o: SequentialLR(o, [LinearLR(o, 0.1), CosineAnnealingLR(o, 50)], milestones=[5]),
    )
    return own_step(setup, *setup.watched)


def averaged(probe: Probe) -> Setup:
    setup = plain(probe)
    average = AveragedModel(setup.model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    step = setup.step

    def averaging(batch: Any) -> Any:
        loss = step(batch)
        average.update_parameters(setup.model)
        return loss

    setup.step, setup.others = averaging, [average]
    return own_step(setup, average)


class Average:
    """An exponential average as people write it themselves."""

    def __init__(self, model: nn.Module) -> None:
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.updates = 0

    def update(self, model: nn.Module) -> None:
        self.updates += 1
        for name, p in model.named_parameters():
            self.shadow[name] = 0.9 * self.shadow[name] + 0.1 * p.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"shadow": self.shadow, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.shadow, self.updates = dict(state["shadow"]), state["updates"]


def averaged_by_hand(probe: Probe) -> Setup:
    setup = plain(probe)
    average, step = Average(setup.model), setup.step

    def averaging(batch: Any) -> Any:
        loss = step(batch)
        average.update(setup.model)
        return loss

    setup.step, setup.watched = averaging, [average]
    return own_step(setup, average)


SETUPS: dict[str, Callable[[Probe], Setup]] = {
    "scheduler-attached": scheduler_attached,
    "scheduler-stepped": scheduler_stepped,
    "scheduler-sequence": schedulers_in_sequence,
    "warm-up": warm_up,
    "averaged": averaged,
    "averaged-by-hand": averaged_by_hand,
}
