"""What a step uses and nobody named: found by how it is reached, and put back by what it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support import linear, loader, sgd_momentum
from torch import Tensor, nn

from lrfinder_widget import RangeTest, range_test, sweep, training_step
from lrfinder_widget.restore.uses import uses_of

F = nn.functional


class Average:
    """An exponential moving average by hand."""

    def __init__(self, model: nn.Module) -> None:
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.updates = 0

    def update(self, model: nn.Module) -> None:
        self.updates += 1
        for name, parameter in model.named_parameters():
            self.shadow[name].mul_(0.9).add_(parameter.detach(), alpha=0.1)


class Meter:
    """A metric by hand, with a list of what it has seen."""

    def __init__(self) -> None:
        self.n, self.total, self.log, self.muted = 0, 0.0, [], False

    def add(self, value: float) -> None:
        self.n += 1
        self.total += value
        self.log.append(value)
        self.muted = True


PARTS = [
    "model", "optimizer", "other", "other_optimizer", "scheduler", "average", "meter", "total",
    "table", "rng",
]  # fmt: skip


class Everything:
    """What a training has beside its model and optimizer."""

    def __init__(self) -> None:
        self.model = linear()
        self.optimizer = sgd_momentum(self.model)
        self.other = linear()
        self.other_optimizer = torch.optim.Adam(self.other.parameters())
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.other_optimizer, 2)
        self.average, self.meter = Average(self.model), Meter()
        self.total, self.table = torch.zeros(()), {"w": torch.ones(2)}
        self.rng = np.random.default_rng(0)

    def picture(self) -> Any:
        optimizer = self.other_optimizer
        return (
            [p.tolist() for p in self.other.parameters()],
            (len(optimizer.state), optimizer.param_groups[0]["lr"]),
            (self.scheduler.last_epoch, self.scheduler._step_count),
            {name: t.tolist() for name, t in self.average.shadow.items()},
            (self.average.updates, self.meter.n, self.meter.total),
            (self.total.item(), self.table["w"].tolist(), self.rng.bit_generator.state),
        )


def work(
    batch: Any, model: Any, optimizer: Any, other: Any, other_optimizer: Any, scheduler: Any,
    average: Any, meter: Any, total: Any, table: Any, rng: Any,
) -> Tensor:  # fmt: skip
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    optimizer.step()
    other_optimizer.zero_grad()
    other(batch[0]).square().mean().backward()
    other_optimizer.step()
    scheduler.step()
    average.update(model)
    meter.add(float(loss.detach()))
    total.add_(loss.detach())
    table["w"] = table["w"] * 2
    rng.normal()
    return loss.detach()


def by_closure(own: Everything) -> Callable[[Any], Tensor]:
    model, optimizer, other, other_optimizer = (
        own.model, own.optimizer, own.other, own.other_optimizer,
    )  # fmt: skip
    scheduler, average, meter = own.scheduler, own.average, own.meter
    total, table, rng = own.total, own.table, own.rng

    def helper(batch: Any) -> Tensor:  # the step itself names only this one
        return work(
            batch, model, optimizer, other, other_optimizer, scheduler, average, meter, total,
            table, rng,
        )  # fmt: skip

    def step(batch: Any) -> Tensor:
        return sum(helper(b) for b in (batch,))  # type: ignore[return-value]

    return step


def by_partial(own: Everything) -> Callable[[Any], Tensor]:
    return functools.partial(work, **{name: getattr(own, name) for name in PARTS})


OWN: dict[str, Any] = {}


def by_global(own: Everything) -> Callable[[Any], Tensor]:
    OWN["all"] = own

    def step(batch: Any) -> Tensor:
        return work(batch, *vars(OWN["all"]).values())

    return step


class Trainer(Everything):
    def train_once(self, batch: Any) -> Tensor:
        return work(batch, *(vars(self)[name] for name in PARTS))


def wrapped(own: Everything) -> Callable[[Any], Tensor]:
    inner = by_closure(own)

    @functools.wraps(inner)
    def outer(*arguments: Any) -> Tensor:
        return inner(*arguments)

    return outer


WAYS: dict[str, Any] = {
    "closure": (Everything, by_closure),
    "partial": (Everything, by_partial),
    "global": (Everything, by_global),
    "bound method": (Trainer, lambda own: own.train_once),
    "decorated": (Everything, wrapped),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_step_uses_is_put_back_however_it_is_reached(way: str) -> None:
    kind, step_of = WAYS[way]
    own = kind()
    step = step_of(own)
    for batch in list(loader())[:2]:
        step(batch)
    before, identities = own.picture(), [id(t) for t in own.average.shadow.values()]
    range_test(own.model, own.optimizer, loader(), step=step, num_iter=5, end_lr=1e-3)
    assert own.picture() == before
    assert [id(t) for t in own.average.shadow.values()] == identities


def test_lists_and_flags_of_objects_without_tensors_stay() -> None:
    own = Everything()
    step = by_closure(own)
    range_test(own.model, own.optimizer, loader(), step=step, num_iter=5, end_lr=1e-3)
    assert (own.meter.n, len(own.meter.log), own.meter.muted) == (0, 5, True)


def test_lists_that_the_step_writes_to_keep_what_it_wrote() -> None:
    model, notes, values = linear(), [], np.zeros(5)
    optimizer = sgd_momentum(model)
    train = training_step(model, optimizer, nn.CrossEntropyLoss())

    def step(batch: Any) -> Tensor:
        values[len(notes)] = 1
        notes.append(train(batch))
        return notes[-1]

    range_test(model, optimizer, loader(), step=step, num_iter=5, end_lr=1e-3)
    assert len(notes) == values.sum() == 5


class Logging(Trainer):
    """A trainer that notes what it sees, and queues tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.log, self.queue, self.recent = [0.5], [torch.zeros(1)], [1, 2]
        self.module = nn.Linear(1, 1)
        self.module.calls = []  # type: ignore[assignment]

    def train_once(self, batch: Any) -> Tensor:
        loss = work(batch, *(vars(self)[name] for name in PARTS))
        self.log.append(loss.item())
        self.queue.append(loss)
        self.recent = [*self.recent, 3]
        self.module.calls.append(1)  # type: ignore[operator, union-attr]
        return loss


def test_of_a_trainer_only_its_notes_stay() -> None:
    own = Logging()
    picture, recent, queue = own.picture(), own.recent, list(own.queue)
    range_test(own.model, own.optimizer, loader(), step=own.train_once, num_iter=5, end_lr=1e-3)
    assert len(own.log) == 6
    assert own.picture() == picture
    assert own.recent is recent
    assert [id(t) for t in own.queue] == [id(t) for t in queue]
    assert own.module.calls == []


class Steering(Trainer):
    """A trainer that has a finder of its own, and is used while that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen, self.tried = 0.1, [0]
        self.finder = RangeTest(())


def test_the_attributes_of_what_holds_the_finder_stay_what_they_hold_is_put_back() -> None:
    own = Steering()
    picture = own.picture()
    points = sweep(own.model, own.optimizer, loader(), step=own.train_once, num_iter=5, end_lr=1e-3)
    next(points)
    own.chosen, own.tried[0] = 0.2, 1  # by another cell
    points.close()
    assert (own.chosen, own.tried) == (0.2, [1])
    assert own.picture() == picture


class Remembering:
    """A loss with memory: no module, no `state_dict`."""

    def __init__(self) -> None:
        self.mean, self.calls = torch.zeros(()), 0

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        loss = F.cross_entropy(output, target)
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        self.calls += 1
        return loss - self.mean


def test_a_criterion_with_a_memory_is_put_back() -> None:
    model, criterion = linear(), Remembering()
    mean = criterion.mean
    range_test(model, sgd_momentum(model), loader(), criterion, num_iter=5, end_lr=1e-3)
    assert criterion.mean is mean
    assert criterion.calls == 0


def test_a_large_data_set_in_a_tensor_is_not_copied() -> None:
    table, model = torch.zeros(2_000_000), linear()

    def step(batch: Any) -> Any:
        return model(batch[0]).sum() + table[0]

    uses = uses_of(step)
    assert uses.objects == [model]
    assert [thing is table for thing, _ in uses.watched] == [True]


def test_names_of_attributes_are_no_variables() -> None:
    def step(batch: Any) -> Any:
        return batch.OWN_MODEL

    assert uses_of(step).objects == []


OWN_MODEL = linear()


def test_a_function_of_a_library_is_not_followed() -> None:
    assert uses_of(lambda batch: F.cross_entropy(*batch)).objects == []


def test_a_variable_that_is_not_assigned_yet_is_no_obstacle() -> None:
    def step(batch: Any) -> Any:
        return late(batch)

    assert uses_of(step).objects == []
    late = linear()
    assert uses_of(step).objects == [late]
