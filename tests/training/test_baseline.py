"""The baseline: when it is taken, what it is to the bit, what it leaves."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from setups import Probe
from support import DEVICE, moved, picture, sweep_run
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lrfinder_widget import LossCurve, LRFinder, RangeTest, State, range_test, sweep, training_step
from lrfinder_widget.training import baseline as module
from lrfinder_widget.training.read_back import IN_FLIGHT

MSE = nn.MSELoss()
POINTS = 60
OPTIONS: dict[str, Any] = {"start_lr": 1e-5, "end_lr": 1.0, "num_iter": POINTS}
# Forward passes that are queued on an accelerator before the loss is read that ends the run.
AHEAD = 0 if DEVICE.type == "cpu" else IN_FLIGHT - 1
moves_batches = pytest.mark.skipif(
    DEVICE.type != "cpu", reason="what is kept is the batch's copy on the device"
)


# -- when it is taken, and what it is -------------------------------------------------------------


def noisy(size: int = 4, n: int = POINTS) -> list[tuple[Tensor, Tensor]]:
    """Small batches, whose noise hides what there is to be learned."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, size, 6, generator=generator)
    y = 0.3 * x.sum(2, keepdim=True) + 1.5 * torch.randn(n, size, 1, generator=generator)
    return list(zip(x, y, strict=True))


def fresh(*layers: nn.Module) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), *layers, nn.Linear(8, 1)).to(DEVICE)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)


def by_hand(model: nn.Module, batches: Any, seed: int | None = None) -> list[float]:
    if seed is not None:
        torch.manual_seed(seed)
    with torch.no_grad():
        return [MSE(model(x), y).item() for x, y in map(moved, batches)]


def test_it_holds_the_losses_of_the_same_batches_at_the_starting_weights() -> None:
    model, optimizer = fresh()
    curve = range_test(model, optimizer, noisy(), MSE, **OPTIONS)
    assert curve.baseline is not None
    assert curve.baseline.tolist() == by_hand(model, noisy()[: len(curve)])
    assert curve.losses[0] == curve.baseline[0]


def test_a_one_shot_iterator_is_enough() -> None:
    model, optimizer = fresh()
    curve = range_test(model, optimizer, iter(noisy()), MSE, **OPTIONS)
    assert curve.baseline is not None
    assert curve == range_test(model, optimizer, noisy(), MSE, **OPTIONS)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_shuffling_loader_gave_is_not_asked_for_again(workers: int) -> None:
    model, optimizer = fresh()
    x, y = (torch.cat(parts) for parts in zip(*noisy(), strict=True))
    loader = DataLoader(
        TensorDataset(x, y),
        4,
        shuffle=True,
        generator=torch.Generator().manual_seed(3),
        num_workers=workers,
    )
    curve = range_test(model, optimizer, loader, MSE, **OPTIONS)
    assert curve.baseline is not None
    loader.generator.manual_seed(3)
    assert curve.baseline.tolist() == by_hand(model, list(loader)[: len(curve)])


def test_what_is_dropped_out_is_the_same() -> None:
    model, optimizer = fresh(nn.BatchNorm1d(8), nn.Dropout(0.5))
    torch.manual_seed(5)
    curve = range_test(model, optimizer, noisy(), MSE, **OPTIONS)
    assert curve.baseline is not None
    assert curve.losses[0] == curve.baseline[0]
    assert curve.baseline.tolist() == by_hand(model, noisy()[: len(curve)], seed=5)


def test_micro_batches_are_taken_together() -> None:
    model, optimizer = fresh()
    batches = noisy(size=2, n=2 * POINTS)
    curve = range_test(model, optimizer, batches, MSE, accumulate=2, **OPTIONS)
    assert curve.baseline is not None
    single = by_hand(model, batches)
    expected = [(a + b) / 2 for a, b in zip(single[::2], single[1::2], strict=True)]
    assert curve.baseline == pytest.approx(expected[: len(curve)], rel=1e-6)


def test_mappings_and_models_that_return_their_loss_have_one() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = fresh()[0]

        def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
            return {"loss": MSE(self.body(x), y)}

    model = Own()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    batches = [{"x": x, "y": y} for x, y in noisy()]
    assert range_test(model, optimizer, batches, **OPTIONS) == range_test(
        *fresh(), noisy(), MSE, **OPTIONS
    )


def test_autocast_is_that_of_the_run() -> None:
    model, optimizer = fresh()
    with torch.autocast(DEVICE.type, torch.bfloat16):
        curve = range_test(model, optimizer, noisy(), MSE, **OPTIONS)
        assert curve.baseline is not None
        assert curve.baseline.tolist() == by_hand(model, noisy()[: len(curve)])
    step = training_step(model, optimizer, MSE, autocast=torch.bfloat16)
    assert range_test(model, optimizer, noisy(), step=step, device=DEVICE, **OPTIONS) == curve


def test_all_doors_give_the_same_curve() -> None:
    expected = range_test(*fresh(), noisy(), MSE, **OPTIONS)
    assert expected.baseline is not None
    assert RangeTest(sweep(*fresh(), noisy(), MSE, **OPTIONS)).start().wait(20).curve == expected
    finder = LRFinder(*fresh(), noisy(), MSE, variable=None, **OPTIONS)
    assert finder.start().wait(20).curve == expected
    finder.close()


def test_all_doors_give_the_same_repeats() -> None:
    options = {**OPTIONS, "repeats": 3}
    batches = noisy(n=3 * POINTS)
    expected = range_test(*fresh(), batches, MSE, **options)
    assert expected.baseline is not None
    test = RangeTest(sweep_run(*fresh(), batches, MSE, **options).points())
    assert test.start().wait(20).curve == expected
    finder = LRFinder(*fresh(), batches, MSE, variable=None, **options)
    assert finder.start().wait(20).curve == expected
    finder.close()


def test_each_repeat_has_its_own() -> None:
    batches = noisy(n=3 * POINTS)
    model, optimizer = fresh()
    curve = range_test(model, optimizer, batches, MSE, **OPTIONS, repeats=3)
    begin = 0
    for repeat in curve.repeats:
        assert repeat.baseline is not None
        its_own = batches[begin : begin + len(repeat)]
        assert repeat.baseline.tolist() == by_hand(model, its_own)
        begin += len(repeat)
    starts = [
        repeat.baseline[: len(curve)] for repeat in curve.repeats if repeat.baseline is not None
    ]
    assert curve.baseline is not None
    assert curve.baseline.tolist() == np.median(starts, axis=0).tolist()


@pytest.mark.parametrize("own", [True, False])
def test_repeats_see_the_same_batches_with_it_and_without(
    own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses() -> list[list[float]]:
        model, optimizer = fresh(nn.Dropout(0.5))
        x, y = (torch.cat(parts) for parts in zip(*noisy(), strict=True))
        generator = torch.Generator().manual_seed(3) if own else None
        loader = DataLoader(TensorDataset(x, y), 4, shuffle=True, generator=generator)
        torch.manual_seed(7)
        curve = range_test(model, optimizer, loader, MSE, **quiet(), repeats=3)
        assert (curve.baseline is None) == (module.MOST_BYTES == 0)
        assert len({tuple(one.losses) for one in curve.repeats}) == 3
        return [one.losses.tolist() for one in curve.repeats]

    with_it = losses()
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    assert losses() == with_it


def test_a_loop_over_a_sweep_sees_points_alone() -> None:
    curve = range_test(*fresh(), noisy(), MSE, **OPTIONS)
    points = list(sweep(*fresh(), noisy(), MSE, **OPTIONS))
    assert points == list(zip(curve.lrs, curve.losses, strict=True))


class Counted(nn.Module):
    """Tells a probe of each forward call."""

    def __init__(self, inner: nn.Module, probe: Probe) -> None:
        super().__init__()
        self.inner = inner
        self.probe = probe

    def forward(self, x: Tensor) -> Tensor:
        self.probe("forward")
        return self.inner(x)


def counted(act: Callable[[], object] | None = None) -> tuple[Any, torch.optim.Optimizer]:
    """Make the model with a probe, that acts in the second forward call of a baseline."""
    model, optimizer = fresh()
    probe = Probe()
    if act is not None:
        probe.arm("forward", POINTS + 2, act)
    return Counted(model, probe), optimizer


def forwards(model: Any) -> int:
    return model.probe.calls["forward"]


def own_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    def step(batch: Any) -> Tensor:
        return training_step(model, optimizer, MSE)(moved(batch))

    return step


WITHOUT: dict[str, tuple[dict[str, Any], int]] = {
    "own step": ({}, POINTS),
    "val_batches": ({"val_batches": noisy()[:1]}, 2 * POINTS),
    "stop rule": ({"stop": lambda losses: len(losses) == 30}, 30),
    "a few points": ({"num_iter": 9}, 9),
    "data ran out": ({"batches": iter(noisy(n=30))}, 30),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_there_are_runs_without_one(name: str) -> None:
    model, optimizer = counted()
    options, count = WITHOUT[name]
    options = {"batches": noisy(), **OPTIONS, "stop": None, "end_lr": 0.05, **options}
    door = {"step": own_step(model, optimizer)} if name == "own step" else {"criterion": MSE}
    curve = range_test(model, optimizer, **door, **options)
    assert curve.baseline is None
    ahead = AHEAD if name == "stop rule" else 0
    assert count <= forwards(model) <= count + ahead


def test_a_clear_curve_costs_no_forward_more() -> None:
    model, optimizer = counted()
    x = torch.randn(256, 6)
    batches = [(x, 5 * x.sum(1, keepdim=True))] * POINTS
    curve = range_test(model, optimizer, batches, MSE, **{**OPTIONS, "end_lr": 0.01})
    assert curve.suggestion.lr is not None or "still falling" in curve.suggestion.reason
    assert curve.baseline is None
    assert forwards(model) == len(curve)


# -- what it leaves -------------------------------------------------------------------------------


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    return picture(model, optimizer)


def fill(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    x, y = moved(noisy()[0])
    MSE(model(x), y).backward()
    optimizer.step()


def test_everything_is_put_back_after_it() -> None:
    model, optimizer = fresh(nn.BatchNorm1d(8), nn.Dropout(0.5))
    fill(optimizer, model)
    model.eval()
    before = state(model, optimizer)
    assert range_test(model, optimizer, noisy(), MSE, **OPTIONS).baseline is not None
    assert state(model, optimizer) == before


def quiet() -> dict[str, Any]:
    """Options of a run that goes to its end, so that the count of its steps is known."""
    return {**OPTIONS, "stop": None, "end_lr": 0.05}


class Boom(Exception):
    pass


def raiser(error: type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
def test_what_is_raised_in_it(error: type[BaseException]) -> None:
    expected = range_test(*fresh(), noisy(), MSE, **quiet())
    assert expected.baseline is not None
    model, optimizer = counted(raiser(error))
    before = state(model, optimizer)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            range_test(model, optimizer, noisy(), MSE, **quiet())
    else:  # the run itself went well
        curve = range_test(model, optimizer, noisy(), MSE, **quiet())
        assert curve == LossCurve(expected.lrs, expected.losses, budget=expected.budget)
    assert forwards(model) == POINTS + 2
    assert state(model, optimizer) == before


def test_a_loss_in_it_that_is_not_finite_ends_it() -> None:
    def criterion(output: Tensor, target: Tensor) -> Tensor:
        loss = MSE(output, target)
        return loss * float("nan") if forwards(model) == POINTS + 2 else loss

    model, optimizer = counted()
    before = state(model, optimizer)
    curve = range_test(model, optimizer, noisy(), criterion, **quiet())
    assert curve.baseline is None
    assert (len(curve), curve.reason) == (POINTS, "completed")
    assert POINTS + 2 <= forwards(model) <= POINTS + 2 + AHEAD
    assert state(model, optimizer) == before


def test_a_stop_in_it_ends_it_at_once() -> None:
    model, optimizer = counted()
    before = state(model, optimizer)
    test = RangeTest(sweep(model, optimizer, noisy(), MSE, **quiet()))
    model.probe.arm("forward", POINTS + 2, test.stop)
    test.start().wait(20)
    assert (test.state, len(test)) == (State.STOPPED, POINTS)
    assert test.curve.baseline is None
    assert POINTS + 2 <= forwards(model) <= POINTS + 2 + AHEAD
    assert state(model, optimizer) == before


def test_a_pause_in_it_goes_on_to_the_same_curve() -> None:
    expected = range_test(*fresh(), noisy(), MSE, **quiet())
    model, optimizer = counted()
    test = RangeTest(sweep(model, optimizer, noisy(), MSE, **quiet()))
    model.probe.arm("forward", POINTS + 2, test.pause)
    test.start()
    while test.state is not State.PAUSED:
        assert not test.join(0.01)
    assert len(test) == POINTS
    assert test.curve.baseline is None
    test.resume()
    assert test.wait(20).curve == expected


def test_a_generator_that_is_closed_in_it_puts_back() -> None:
    model, optimizer = counted()
    before = state(model, optimizer)
    points = sweep_run(model, optimizer, noisy(), MSE, **quiet()).points()
    points.ask_for_baseline()
    with closing(points):
        items = [next(points) for _ in range(POINTS + 3)]
        assert [isinstance(item, float) for item in items[-4:]] == [False, True, True, True]
    assert state(model, optimizer) == before


# -- what it keeps --------------------------------------------------------------------------------


def watched(kept: list[weakref.ref[Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    for x, y in noisy():
        fresh_x = x.clone()
        kept.append(weakref.ref(fresh_x))
        yield fresh_x, y
        del fresh_x


def alive(kept: list[weakref.ref[Tensor]]) -> int:
    gc.collect()
    return sum(ref() is not None for ref in kept)


@moves_batches
@pytest.mark.parametrize("act", [None, raiser(SystemExit)])
def test_no_batch_is_kept_longer_than_the_run(act: Callable[[], None] | None) -> None:
    kept: list[weakref.ref[Tensor]] = []
    points = sweep_run(*counted(act), watched(kept), MSE, **quiet()).points()
    points.ask_for_baseline()
    for _ in range(POINTS):
        next(points)
    assert alive(kept) == POINTS
    if act is None:
        assert len(list(points)) == POINTS
        assert alive(kept) == 0
    else:
        with pytest.raises(SystemExit) as raised:
            list(points)
        assert raised.tb is not None  # with the frames of the run
        assert alive(kept) <= 2  # those under way


def test_a_plain_loop_keeps_no_batch() -> None:
    kept: list[weakref.ref[Tensor]] = []
    points = sweep(*fresh(), watched(kept), MSE, **quiet())
    for _ in range(30):
        next(points)
    assert alive(kept) <= 2
    points.close()


def test_more_than_a_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = range_test(*fresh(), noisy(), MSE, **quiet())
    each = sum(tensor.nbytes for tensor in noisy()[0])
    monkeypatch.setattr(module, "MOST_BYTES", POINTS * each + 1)
    assert range_test(*fresh(), noisy(), MSE, **quiet()) == expected
    monkeypatch.setattr(module, "MOST_BYTES", POINTS * each - 1)
    kept: list[weakref.ref[Tensor]] = []
    model, optimizer = counted()
    points = sweep_run(model, optimizer, watched(kept), MSE, **quiet()).points()
    points.ask_for_baseline()
    items = [next(points) for _ in range(POINTS)]
    assert alive(kept) <= 2
    assert list(points) == []
    assert items == list(zip(expected.lrs, expected.losses, strict=True))
    assert forwards(model) == POINTS


def test_what_nobody_can_measure_is_not_kept() -> None:
    class Note:
        pass

    model, optimizer = counted()
    batches = [(x, y, Note()) for x, y in noisy()]
    assert range_test(model, optimizer, batches, MSE, **quiet()).baseline is None
    assert forwards(model) == POINTS


@moves_batches
def test_tensors_of_worker_processes_hold_no_file_open() -> None:
    x, y = (torch.cat(parts) for parts in zip(*noisy(), strict=True))
    loader = DataLoader(TensorDataset(x, y), 4, num_workers=1)
    points = sweep_run(*fresh(), loader, MSE, **quiet()).points()
    points.ask_for_baseline()
    with closing(points):
        for _ in range(POINTS):
            next(points)
        kept = [t for t in gc.get_objects() if type(t) is Tensor and t.shape == (4, 6)]
        assert len(kept) >= POINTS
        assert sum(t.is_shared() for t in kept) <= 6  # those that the loader has ready


class Summed(nn.Module):
    """A linear model of bags of words."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((6, 1), 0.1, device=DEVICE))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sparse.mm(x, self.weight)


def sparse_csr(x: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it a beta
        return x.to_sparse_csr()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # as a worker's batch is rebuilt
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("sparse", [Tensor.to_sparse, sparse_csr])
def test_sparse_batches_can_be_kept(sparse: Callable[[Tensor], Tensor], workers: int) -> None:
    model = Summed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [(sparse(x * (x > 0)), y) for x, y in noisy()]
    loader = DataLoader(batches, None, num_workers=workers)  # type: ignore[arg-type]
    curve = range_test(model, optimizer, loader, MSE, **OPTIONS)
    assert curve.baseline is not None
    assert curve.baseline.tolist() == by_hand(model, batches[: len(curve)])


def test_a_sparse_batch_is_as_large_as_what_it_holds() -> None:
    eye = torch.eye(100)
    assert module._bytes(eye.to_sparse()) == 100 * (2 * 8 + 4)
    assert module._bytes(sparse_csr(eye)) == 101 * 8 + 100 * (8 + 4)
