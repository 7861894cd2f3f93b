"""The promise: after any end whatever, model, optimizer and random state are what they were."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import numpy as np
import pytest
import torch
from support import (
    DEVICE,
    MODELS,
    OPTIMIZERS,
    adamw,
    batchnorm_dropout,
    classes,
    linear,
    loader,
    picture,
    sgd_momentum,
    train,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

from lrfinder_widget import RangeTest, State, range_test, sweep

AT = 5  # the step at which something happens


class Boom(Exception):
    pass


class Fault:
    """Raises at its n-th call."""

    def __init__(self, error: BaseException, at: int = AT) -> None:
        self.error, self.left = error, at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def failing_loss(error: BaseException) -> Callable[..., Any]:
    fault, loss = Fault(error), nn.CrossEntropyLoss()

    def criterion(output: Any, target: Any) -> Any:
        result = loss(output, target)
        fault()
        return result

    return criterion


class FailingData:
    def __init__(self, error: BaseException) -> None:
        self.fault, self.loader = Fault(error), loader()

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            self.fault()
            yield batch


class NotFinite:
    def __init__(self) -> None:
        self.left = AT

    def __call__(self, output: Any, target: Any) -> Any:
        self.left -= 1
        return nn.functional.cross_entropy(output, target) * (float("nan") if not self.left else 1)


def normal(model: Any, optimizer: Any) -> None:
    curve = range_test(model, optimizer, loader(), nn.CrossEntropyLoss(), end_lr=0.1, num_iter=30)
    assert curve.reason == "completed"
    assert len(curve) == 30


def diverged(model: Any, optimizer: Any) -> None:
    curve = range_test(
        model, optimizer, loader(), nn.CrossEntropyLoss(), start_lr=1e-2, end_lr=1e6, num_iter=60
    )
    assert curve.reason in ("diverged", "non-finite")


def not_finite(model: Any, optimizer: Any) -> None:
    curve = range_test(model, optimizer, loader(), NotFinite())
    assert (curve.reason, len(curve)) == ("non-finite", AT)


def own_rule(model: Any, optimizer: Any) -> None:
    rule = lambda losses: len(losses) == AT  # noqa: E731
    curve = range_test(model, optimizer, loader(), nn.CrossEntropyLoss(), stop=rule)
    assert (curve.reason, len(curve)) == ("stop-rule", AT)


def plain_batches() -> list[Any]:
    """Give the data without drawing random numbers: this is called between the two pictures."""
    x, y = classes().tensors
    return list(zip(x.split(8), y.split(8), strict=True))


def used_up(model: Any, optimizer: Any) -> None:
    curve = range_test(model, optimizer, iter(plain_batches()[:AT]), nn.CrossEntropyLoss())
    assert (curve.reason, len(curve)) == ("exhausted", AT)


def stopped(model: Any, optimizer: Any) -> None:
    reached = threading.Event()
    points = sweep(model, optimizer, loader(), nn.CrossEntropyLoss(), num_iter=100_000, stop=None)
    test = RangeTest(points)
    test.listen(lambda test: len(test) and reached.set())
    test.start()
    assert reached.wait(20)
    test.stop()
    test.wait(20)
    assert test.state is State.STOPPED


def closed_early(model: Any, optimizer: Any) -> None:
    with closing(sweep(model, optimizer, loader(), nn.CrossEntropyLoss())) as points:
        for _ in range(AT):
            next(points)


def left_by_break(model: Any, optimizer: Any) -> None:
    for n, _ in enumerate(sweep(model, optimizer, loader(), nn.CrossEntropyLoss())):
        if n == AT:
            break


def loss_raises(model: Any, optimizer: Any) -> None:
    with pytest.raises(Boom):
        range_test(model, optimizer, loader(), failing_loss(Boom()))


def loss_raises_in_thread(model: Any, optimizer: Any) -> None:
    test = RangeTest(sweep(model, optimizer, loader(), failing_loss(Boom()))).start()
    with pytest.raises(Boom):
        test.wait(20)
    assert test.state is State.FAILED


def model_raises(model: Any, optimizer: Any) -> None:
    good = plain_batches()[:AT]
    bad = [(x[:, :-1], y) for x, y in good]  # one feature short
    with pytest.raises(RuntimeError, match="shape"):
        range_test(model, optimizer, [*good, *bad], nn.CrossEntropyLoss())


def data_raises(model: Any, optimizer: Any) -> None:
    with pytest.raises(Boom):
        range_test(model, optimizer, FailingData(Boom()), nn.CrossEntropyLoss())


def interrupted(model: Any, optimizer: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        range_test(model, optimizer, loader(), failing_loss(KeyboardInterrupt()))


ENDS = [
    normal,
    diverged,
    not_finite,
    own_rule,
    used_up,
    stopped,
    closed_early,
    left_by_break,
    loss_raises,
    loss_raises_in_thread,
    model_raises,
    data_raises,
    interrupted,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
@pytest.mark.parametrize("model_name", MODELS)
def test_everything_is_bitwise_what_it_was_after(
    model_name: str, optimizer_name: str, end: Callable[[Any, Any], None]
) -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    model = MODELS[model_name]()
    make, steps = OPTIMIZERS[optimizer_name]
    optimizer = make(model)
    train(model, optimizer, loader(), steps)
    before = picture(model, optimizer)
    with suppress(StopIteration):
        end(model, optimizer)
    assert picture(model, optimizer) == before


@pytest.mark.parametrize("model_name", MODELS)
def test_the_picture_itself_notices_training(model_name: str) -> None:
    model = MODELS[model_name]()
    optimizer = sgd_momentum(model)
    before = picture(model, optimizer)
    train(model, optimizer, loader(), 1)
    after = picture(model, optimizer)
    assert {key for key in before if before[key] != after.get(key)}
    assert before != after


@pytest.mark.parametrize("model_name", MODELS)
def test_training_goes_on_as_if_no_sweep_had_been(model_name: str) -> None:
    losses = []
    for with_sweep in (False, True):
        torch.manual_seed(3)
        model = MODELS[model_name]()
        optimizer = adamw(model)
        data = loader()
        train(model, optimizer, data, 5)
        if with_sweep:
            range_test(model, optimizer, data, nn.CrossEntropyLoss(), stop=None)
        losses.append(train(model, optimizer, data, 20))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("model_name", MODELS)
def test_two_runs_in_a_row_give_the_same_curve(model_name: str) -> None:
    model = MODELS[model_name]()
    optimizer = adamw(model)
    first, second = (
        range_test(model, optimizer, loader(), nn.CrossEntropyLoss(), num_iter=40) for _ in range(2)
    )
    assert first.losses.tobytes() == second.losses.tobytes()


def test_a_background_run_gives_the_same_curve_as_a_blocking_one() -> None:
    model = batchnorm_dropout()
    optimizer = adamw(model)
    blocking = range_test(model, optimizer, loader(), nn.CrossEntropyLoss())
    background = (
        RangeTest(sweep(model, optimizer, loader(), nn.CrossEntropyLoss())).start().wait(20)
    )
    assert background.curve == blocking


def test_the_users_own_generators_are_put_back() -> None:
    sampling, loading = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    data = classes()
    data.augment = np.random.default_rng(3)  # type: ignore[attr-defined]
    data.nested = [random.Random(4)]  # type: ignore[attr-defined]
    batches = DataLoader(
        data, batch_size=8, sampler=RandomSampler(data, generator=sampling), generator=loading
    )

    class Drawing:
        dataset = data

        def __init__(self) -> None:
            self.loader = batches

        def __iter__(self) -> Iterator[Any]:
            for batch in self.loader:
                data.augment.normal()  # type: ignore[attr-defined]
                data.nested[0].random()  # type: ignore[attr-defined]
                yield batch

    source = Drawing()
    source.data = data  # type: ignore[attr-defined]

    def states() -> list[Any]:
        return [
            sampling.get_state().tolist(),
            loading.get_state().tolist(),
            repr(data.augment.bit_generator.state),  # type: ignore[attr-defined]
            data.nested[0].getstate(),  # type: ignore[attr-defined]
        ]

    before = states()
    model = linear()
    range_test(model, sgd_momentum(model), source, nn.CrossEntropyLoss(), num_iter=20)
    assert states() == before


class SeededByEpoch(RandomSampler):
    """Like Accelerate's: the order of an epoch depends on its number, which it counts itself."""

    epoch = 0

    def __iter__(self) -> Iterator[int]:
        self.generator.manual_seed(self.epoch)
        yield from super().__iter__()
        self.epoch += 1


def test_the_epoch_that_a_sampler_counts_is_put_back() -> None:
    data = classes()
    sampler = SeededByEpoch(data, generator=torch.Generator())
    batches = DataLoader(data, batch_size=8, sampler=sampler)
    list(batches)
    model = linear()
    range_test(model, sgd_momentum(model), batches, nn.CrossEntropyLoss(), num_iter=20, stop=None)
    assert sampler.epoch == 1  # 20 steps are two epochs and a half


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_a_half_done_epoch_goes_on_untouched(workers: int, persistent: bool) -> None:
    def epoch(with_sweep: bool) -> list[Any]:
        model = linear()
        torch.manual_seed(0)
        batches = loader(num_workers=workers, persistent_workers=persistent)
        list(batches)
        iterator = iter(batches)
        seen = [next(iterator)[1].tolist() for _ in range(2)]
        if with_sweep:
            range_test(model, sgd_momentum(model), batches, nn.CrossEntropyLoss(), num_iter=20)
        return [*seen, *(y.tolist() for _, y in iterator), *(y.tolist() for _, y in batches)]

    assert epoch(with_sweep=True) == epoch(with_sweep=False)


def test_gradients_come_back_as_the_same_objects() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    model(torch.randn(2, 6, device=DEVICE)).sum().backward()
    model.bias.grad = None
    grad, values = model.weight.grad, model.weight.grad.clone()
    range_test(model, optimizer, loader(), nn.CrossEntropyLoss())
    assert model.weight.grad is grad
    assert torch.equal(grad, values)
    assert model.bias.grad is None


def test_gradients_that_a_captured_step_writes_into_are_put_back() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    model(torch.randn(2, 6)).sum().backward()
    static = [parameter.grad for parameter in model.parameters()]
    values = [grad.clone() for grad in static]

    def replay(batch: Any) -> float:
        with torch.no_grad():
            for parameter, grad in zip(model.parameters(), static, strict=True):
                grad.add_(1)
                parameter.sub_(optimizer.param_groups[0]["lr"] * grad)
        return float(model.bias.detach().sum())

    range_test(model, optimizer, loader(), step=replay, num_iter=3)
    assert [parameter.grad for parameter in model.parameters()] == static
    assert all(map(torch.equal, static, values))


def test_gradients_in_the_memory_of_a_graphed_module_are_put_back() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    model(torch.randn(2, 6)).sum().backward()
    static = [parameter.grad for parameter in model.parameters()]
    values = [grad.clone() for grad in static]
    forward = model.forward

    def graphed(x: Tensor) -> Tensor:
        for grad in static:
            grad.zero_()
        return forward(x)

    graphed.__module__ = "torch.cuda.graphs"  # as that of `make_graphed_callables`
    model.forward = graphed  # type: ignore[method-assign]
    range_test(model, optimizer, loader(), nn.CrossEntropyLoss(), num_iter=3)
    assert [parameter.grad for parameter in model.parameters()] == static
    assert all(map(torch.equal, static, values))


def test_preserved_objects_are_put_back() -> None:
    model, other = linear(), linear()
    optimizer = sgd_momentum(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    before = picture(other, optimizer), scheduler.state_dict()

    def step(batch: Any) -> Any:
        with torch.no_grad():
            other.weight.add_(1)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    range_test(model, optimizer, loader(), step=step, preserve=[other, scheduler], device=DEVICE)
    assert (picture(other, optimizer), scheduler.state_dict()) == before


def test_restoring_twice_is_as_good_as_once() -> None:
    from lrfinder_widget.restore.snapshot import Snapshot

    model = batchnorm_dropout()
    optimizer = adamw(model)
    train(model, optimizer, loader(), 3)
    before = picture(model, optimizer)
    snapshot = Snapshot([model, optimizer])
    for _ in range(3):
        train(model, optimizer, loader(), 2)
        snapshot.restore()
        assert picture(model, optimizer) == before


def test_an_interrupt_in_the_middle_of_the_restore_does_not_stop_it() -> None:
    from lrfinder_widget.restore.snapshot import Snapshot

    model = batchnorm_dropout()
    optimizer = adamw(model)
    before = picture(model, optimizer)
    snapshot = Snapshot([model, optimizer])
    train(model, optimizer, loader(), 2)
    fault = Fault(KeyboardInterrupt(), at=1)
    snapshot._containers.insert(2, fault)
    with pytest.raises(KeyboardInterrupt):
        snapshot.restore()
    snapshot._containers.remove(fault)
    assert picture(model, optimizer) == before


def test_a_part_that_cannot_be_restored_does_not_keep_the_others() -> None:
    class Broken:
        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Any) -> None:
            raise Boom

    model = linear()
    optimizer = adamw(model)
    before = picture(model, optimizer)
    with pytest.raises(Boom):
        range_test(model, optimizer, loader(), nn.CrossEntropyLoss(), preserve=[Broken()])
    assert picture(model, optimizer) == before


def test_expanded_and_shared_memory_is_restored() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            flat = torch.arange(12.0, device=DEVICE)
            self.weight = nn.Parameter(flat[:6].view(2, 3).t())  # transposed, on shared memory
            self.register_buffer("wide", torch.ones(3, 1, device=DEVICE).expand(3, 4))
            self.register_buffer("tail", flat[6:])

        def forward(self, x: Any) -> Any:
            self.wide.data.as_strided((3,), (1,)).add_(1)
            self.tail.mul_(2)
            return x @ self.weight

    model = Odd()
    storage = model.weight.untyped_storage().data_ptr()
    optimizer = sgd_momentum(model)
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]))]
    before = picture(model, optimizer)
    range_test(model, optimizer, batches, nn.CrossEntropyLoss(), num_iter=20)
    assert picture(model, optimizer) == before
    assert model.weight.untyped_storage().data_ptr() == storage
    assert model.tail.untyped_storage().data_ptr() == storage


def test_data_replaced_in_a_step_goes_back_into_its_old_memory() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    address = model.weight.data_ptr()
    before = picture(model, optimizer)

    def step(batch: Any) -> float:
        model.weight.data = model.weight.data.clone() + 1
        return 1.0

    range_test(model, optimizer, loader(), step=step, num_iter=10)
    assert model.weight.data_ptr() == address
    assert picture(model, optimizer) == before


def test_memory_that_a_step_gives_back_is_allocated_and_filled_again() -> None:
    model = linear()
    before = model.weight.detach().clone()  # no picture: NumPy pins the memory that it has seen

    def step(batch: Any) -> float:
        model.weight.untyped_storage().resize_(0)
        return 1.0

    range_test(model, sgd_momentum(model), loader(), step=step, num_iter=2)
    assert torch.equal(model.weight, before)
