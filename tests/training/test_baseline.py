"""The baseline: what is read with it, when it is taken, what it is to the bit, what it leaves."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from setups import Probe
from support import picture
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lrfinder_widget import LossCurve, LRFinder, RangeTest, State, range_test, sweep, training_step
from lrfinder_widget.curve.rules import RULES
from lrfinder_widget.training import baseline as module
from lrfinder_widget.training.engine import Sweep

MSE = nn.MSELoss()
POINTS = 60
OPTIONS: dict[str, Any] = {"start_lr": 1e-5, "end_lr": 1.0, "num_iter": POINTS}


# -- what is read with it -------------------------------------------------------------------------


def hidden(
    fall: float = 0.8, own: float = 0.05, seed: int = 0, n: int = 100
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A fall near 1e-2 under the scatter of batches, whose standard deviation is 1."""
    random = np.random.default_rng(seed)
    lrs = np.geomspace(1e-6, 1.0, n)
    batches = random.normal(size=n)
    part = 1 / (1 + np.exp(-4 * (np.log10(lrs) + 2.5)))
    rise = np.expm1(np.minimum(lrs / 0.2, 50.0)) * (lrs > 0.03)
    losses = 5 - fall * part + rise + batches + own * part * random.normal(size=n)
    return lrs, losses, 5 + batches


def test_a_fall_that_batches_hide_is_seen_beside_the_same_batches_at_the_start() -> None:
    refused = 0
    for seed in range(40):
        lrs, losses, baseline = hidden(seed=seed)
        refused += LossCurve(lrs, losses).suggestion.lr is None
        found = LossCurve(lrs, losses, baseline=baseline).suggestion
        assert found.lr is not None
        assert 3e-3 < found.lr < 0.1
        assert "the same batches at the starting weights" in found.reason
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.lr <= found.high
    assert refused > 20


def test_a_small_fall_as_that_of_a_trained_model_is_none() -> None:
    for seed in range(40):
        lrs, losses, baseline = hidden(fall=0.1, own=0.02, seed=seed)
        curve = LossCurve(lrs, losses, baseline=baseline)
        assert curve.suggestion.lr is None
        assert "trained model" in curve.suggestion.reason


@pytest.mark.parametrize(("own", "most"), [(0.1, 1), (0.3, 12)])
def test_noise_that_a_baseline_explains_is_no_fall(own: float, most: int) -> None:
    found = 0
    for seed in range(300):
        lrs, losses, baseline = hidden(fall=0.0, own=own, seed=seed)
        found += LossCurve(lrs, losses, baseline=baseline).suggestion.lr is not None
    assert found <= most


def test_a_baseline_that_tells_nothing_adds_no_noise() -> None:
    lrs, losses, _ = hidden(fall=8.0)
    for seed in range(20):
        other = np.random.default_rng(seed + 100).normal(size=len(lrs))
        with_it = LossCurve(lrs, losses, baseline=other).smooth()
        without = LossCurve(lrs, losses).smooth()
        assert np.median(np.abs(with_it - without)) < 0.2


def test_a_batch_that_is_an_outlier_is_taken_off_too() -> None:
    lrs, losses, baseline = hidden()
    for at in (20, 60, 75):
        losses[at] += 50
        baseline[at] += 50
    found = LossCurve(lrs, losses, baseline=baseline).suggestion.lr
    assert found is not None
    assert 3e-3 < found < 0.1


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-1e4, 1e4),
    st.sampled_from([1e-6, 0.3, 17.0, 1e8]),
    st.sampled_from([1e-3, 10.0]),
)
def test_offset_scale_and_shift_do_not_matter(
    seed: int, offset: float, scale: float, factor: float
) -> None:
    lrs, losses, baseline = hidden(seed=seed)
    candidates = LossCurve(lrs, losses, baseline=baseline).candidates()
    others = LossCurve(
        factor * lrs, scale * (losses + offset), baseline=scale * (baseline + offset)
    ).candidates()
    for rule in RULES:
        lr = candidates[rule]
        assert others[rule] == (None if lr is None else pytest.approx(factor * lr, rel=1e-6))


anything = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(st.floats(), anything), min_size=1, max_size=30))
def test_any_baseline_can_be_read(pairs: list[tuple[float, float]]) -> None:
    losses, baseline = zip(*pairs, strict=True)
    curve = LossCurve(np.geomspace(1e-6, 1, len(pairs)), losses, baseline=baseline)
    assert np.isfinite(curve.smooth()).tolist() == np.isfinite(losses).tolist()
    assert set(curve.candidates()) == set(RULES)
    assert LossCurve.from_json(curve.to_json()) == curve


def test_the_losses_stay_what_they_are_and_the_smoothed_ones_are_without_the_batches() -> None:
    lrs, losses, baseline = hidden(own=0.0, fall=0.0)
    curve = LossCurve(lrs, losses, baseline=baseline)
    assert curve.losses.tolist() == losses.tolist()
    assert curve.smooth(0)[:70].tolist() == losses[:70].tolist()
    assert curve.smooth()[:70] == pytest.approx(np.full(70, baseline[:75].mean()), abs=0.2)


def test_it_belongs_to_the_value_of_a_curve() -> None:
    lrs, losses, baseline = hidden()
    curve = LossCurve(lrs, losses, baseline=baseline)
    assert curve != LossCurve(lrs, losses)
    assert curve != LossCurve(lrs, losses, baseline=baseline + 1)
    for twin in (copy.copy(curve), copy.deepcopy(curve), LossCurve.from_json(curve.to_json())):
        assert twin == curve
        assert twin.baseline is not None
        assert twin.baseline.tolist() == baseline.tolist()
        assert not twin.baseline.flags.writeable
    frame = curve.to_dataframe()
    assert frame.columns.tolist() == ["lr", "loss", "smoothed", "baseline"]
    assert frame["baseline"].tolist() == baseline.tolist()


def repeated(starts: int, fall: float = 0.8) -> LossCurve:
    """Three repeats, so many of them with their baseline."""
    singles = [hidden(fall=fall, own=0.02, seed=seed) for seed in range(3)]
    return LossCurve.median(
        [
            LossCurve(lrs, losses, baseline=start if i < starts else None)
            for i, (lrs, losses, start) in enumerate(singles)
        ]
    )


def test_repeats_are_read_beside_their_baselines() -> None:
    found = repeated(3).suggestion
    assert found.lr is not None
    assert 3e-3 < found.lr < 0.1
    assert found.spread is not None
    assert "the same batches at the starting weights" in found.reason
    assert "candidates of 3 repeats" in found.reason
    assert repeated(3, fall=0.1).suggestion.lr is None


def test_of_repeats_most_must_have_one() -> None:
    for starts, there in ((0, False), (1, False), (2, True), (3, True)):
        curve = repeated(starts)
        assert (curve.baseline is not None) == there
        for twin in (copy.deepcopy(curve), LossCurve.from_json(curve.to_json())):
            assert twin == curve
            assert twin.suggestion == curve.suggestion


@pytest.mark.parametrize("wrong", [[1.0], [[1.0, 2.0]], [1.0, np.nan], [np.inf, 1.0]])
def test_what_is_no_baseline_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="2 finite losses"):
        LossCurve([1e-3, 1e-2], [1.0, 2.0], baseline=wrong)


def test_only_a_curve_that_went_as_far_as_it_should_and_shows_no_clear_fall_needs_one() -> None:
    lrs, losses, baseline = hidden()
    assert LossCurve(lrs, losses).needs_baseline
    assert LossCurve(lrs, losses, "diverged").needs_baseline
    assert not LossCurve(lrs, losses, "stopped").needs_baseline
    assert not LossCurve(lrs, losses, "stop-rule").needs_baseline
    assert not LossCurve(lrs, losses, baseline=baseline).needs_baseline
    assert not LossCurve(lrs[:9], losses[:9]).needs_baseline
    assert not LossCurve(*hidden(fall=8.0)[:2]).needs_baseline


# -- when it is taken, and what it is -------------------------------------------------------------


def noisy(size: int = 4, n: int = POINTS) -> list[tuple[Tensor, Tensor]]:
    """Small batches, whose noise hides what there is to be learned."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, size, 6, generator=generator)
    y = 0.3 * x.sum(2, keepdim=True) + 1.5 * torch.randn(n, size, 1, generator=generator)
    return list(zip(x, y, strict=True))


def fresh(*layers: nn.Module) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), *layers, nn.Linear(8, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)


def by_hand(model: nn.Module, batches: Any, seed: int | None = None) -> list[float]:
    if seed is not None:
        torch.manual_seed(seed)
    with torch.no_grad():
        return [MSE(model(x), y).item() for x, y in batches]


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
    with torch.autocast("cpu", torch.bfloat16):
        curve = range_test(model, optimizer, noisy(), MSE, **OPTIONS)
        assert curve.baseline is not None
        assert curve.baseline.tolist() == by_hand(model, noisy()[: len(curve)])
    step = training_step(model, optimizer, MSE, autocast=torch.bfloat16)
    assert range_test(model, optimizer, noisy(), step=step, **OPTIONS) == curve


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
    test = RangeTest(Sweep(*fresh(), batches, MSE, **options).points())
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
        return training_step(model, optimizer, MSE)(batch)

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
    assert forwards(model) == count


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
    return picture(model, optimizer), torch.get_rng_state().tolist()


def fill(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    MSE(model(noisy()[0][0]), noisy()[0][1]).backward()
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
        assert curve == LossCurve(expected.lrs, expected.losses)
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
    assert forwards(model) == POINTS + 2
    assert state(model, optimizer) == before


def test_a_stop_in_it_ends_it_at_once() -> None:
    model, optimizer = counted()
    before = state(model, optimizer)
    test = RangeTest(sweep(model, optimizer, noisy(), MSE, **quiet()))
    model.probe.arm("forward", POINTS + 2, test.stop)
    test.start().wait(20)
    assert (test.state, len(test)) == (State.STOPPED, POINTS)
    assert test.curve.baseline is None
    assert forwards(model) == POINTS + 2
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
    points = Sweep(model, optimizer, noisy(), MSE, **quiet()).points()
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


@pytest.mark.parametrize("act", [None, raiser(SystemExit)])
def test_no_batch_is_kept_longer_than_the_run(act: Callable[[], None] | None) -> None:
    kept: list[weakref.ref[Tensor]] = []
    points = Sweep(*counted(act), watched(kept), MSE, **quiet()).points()
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
    points = Sweep(model, optimizer, watched(kept), MSE, **quiet()).points()
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


def test_tensors_of_worker_processes_hold_no_file_open() -> None:
    x, y = (torch.cat(parts) for parts in zip(*noisy(), strict=True))
    loader = DataLoader(TensorDataset(x, y), 4, num_workers=1)
    points = Sweep(*fresh(), loader, MSE, **quiet()).points()
    points.ask_for_baseline()
    with closing(points):
        for _ in range(POINTS):
            next(points)
        kept = [t for t in gc.get_objects() if type(t) is Tensor and t.shape == (4, 6)]
        assert len(kept) >= POINTS
        assert sum(t.is_shared() for t in kept) <= 6  # those that the loader has ready
