"""Trial runs: the same start and the same batches for each, a ranking, and everything put back."""

from __future__ import annotations

import itertools
import math
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from support import batchnorm_dropout, linear, loader, moved, picture, sgd_momentum, train
from torch import nn

from lrfinder_widget import LRFinder, compare
from lrfinder_widget.training.task import TrainingTask
from lrfinder_widget.training.trials import Trials

CE = nn.CrossEntropyLoss()


def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    return model, sgd_momentum(model)


# -- the runs -------------------------------------------------------------------------------------


def test_each_trial_is_a_plain_loop_at_that_learning_rate_from_the_same_start() -> None:
    lrs = [0.5, 0.001, 0.05]
    model, optimizer = fresh()
    batches = loader()
    found = compare(model, optimizer, batches, CE, lrs=lrs, steps=20)
    assert found.lrs == lrs
    for lr in lrs:
        model, optimizer = fresh()
        optimizer.param_groups[0]["lr"] = lr
        assert found.losses[lr].tolist() == plain_loop(model, optimizer, 20)


def plain_loop(model: nn.Module, optimizer: Any, steps: int, schedule: Any = None) -> list[float]:
    losses: list[float] = []
    base = optimizer.param_groups[0]["lr"]
    while True:
        for inputs, target in map(moved, loader()):
            if schedule is not None:
                optimizer.param_groups[0]["lr"] = base * schedule(len(losses))
            optimizer.zero_grad()
            loss = CE(model(inputs), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == steps:
                return losses


def test_a_schedule_is_a_factor_step_by_step() -> None:
    def schedule(i: int) -> float:
        return 1 - i / 20

    model, optimizer = fresh()
    found = compare(model, optimizer, loader(), CE, lrs=[0.1], steps=20, schedule=schedule)
    model, optimizer = fresh()
    optimizer.param_groups[0]["lr"] = 0.1
    assert found.losses[0.1].tolist() == plain_loop(model, optimizer, 20, schedule)


def test_everything_is_put_back_and_a_second_comparison_is_the_same() -> None:
    model, optimizer = fresh()
    train(model, optimizer, loader(), 3)
    before, random = picture(model, optimizer), torch.get_rng_state()
    batches = loader()
    one, two = (compare(model, optimizer, batches, CE, lrs=[0.01, 0.1], steps=12) for _ in range(2))
    assert picture(model, optimizer) == before
    assert torch.equal(torch.get_rng_state(), random)
    for lr in (0.01, 0.1):
        assert np.array_equal(one.losses[lr], two.losses[lr])


@pytest.mark.parametrize("at", [0, 7, 23])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_everything_is_put_back_when_a_trial_fails(at: int, error: Any) -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    calls = iter(range(100))

    def criterion(output: Any, target: Any) -> Any:
        if next(calls) == at:
            raise error
        return CE(output, target)

    with pytest.raises(error):
        compare(model, optimizer, loader(), criterion, lrs=[0.01, 0.1], steps=12)
    assert picture(model, optimizer) == before


def test_it_can_be_stopped_at_any_time_and_keeps_what_it_has() -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    trials = Trials(TrainingTask(model, optimizer, loader(), CE), [0.01, 0.1], 12)
    with closing(trials.points()) as points:
        seen = [cast(tuple[float, float], next(points))[0] for _ in range(17)]
    assert seen == [0.01] * 12 + [0.1] * 5
    assert picture(model, optimizer) == before
    assert [len(losses) for losses in trials.comparison.losses.values()] == [12, 5]
    assert trials.comparison.winner == 0.01


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_trial_whose_loss_is_not_finite_is_given_up_at_once(bad: float) -> None:
    model, optimizer = fresh()

    def step(batch: Any) -> float:
        lr: float = optimizer.param_groups[0]["lr"]
        return bad if lr > 1 else 1.0 + lr

    found = compare(model, optimizer, loader(), step=step, lrs=[10.0, 0.1, 0.01], steps=30)
    assert [len(found.losses[lr]) for lr in (10.0, 0.1, 0.01)] == [1, 30, 30]
    assert found.ranking == [0.01, 0.1, 10.0]
    assert math.isnan(found.results[10.0])


def test_a_trial_that_explodes_is_given_up() -> None:
    model, optimizer = fresh()
    count = iter(range(1000))

    def step(batch: Any) -> float:
        i = next(count) % 200
        noise = 0.01 * (-1) ** i
        lr: float = optimizer.param_groups[0]["lr"]
        return 1.0 + noise + (1.3**i if lr > 1 else -0.001 * i)

    found = compare(model, optimizer, loader(), step=step, lrs=[0.1, 10.0], steps=200)
    assert len(found.losses[0.1]) == 200
    assert 25 <= len(found.losses[10.0]) < 60
    assert found.winner == 0.1


def test_halving_goes_on_with_the_better_half() -> None:
    model, optimizer = fresh()

    def step(batch: Any) -> float:
        lr: float = optimizer.param_groups[0]["lr"]
        return abs(math.log10(lr) + 2)

    lrs = np.geomspace(1e-6, 1.0, 12).tolist()
    found = compare(model, optimizer, loader(), step=step, lrs=lrs, steps=80, halving=True)
    lengths = sorted(len(losses) for losses in found.losses.values())
    assert lengths == [10] * 6 + [20] * 3 + [40] + [80] * 2
    assert found.winner == min(lrs, key=lambda lr: abs(math.log10(lr) + 2))
    assert found.ranking == sorted(lrs, key=lambda lr: abs(math.log10(lr) + 2))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lrs": []}, ValueError, "lrs must be a list of positive"),
        ({"lrs": [0.1, 0.1]}, ValueError, "each once"),
        ({"lrs": itertools.count(1)}, ValueError, "at most 100 learning rates; got more"),
        ({"lrs": [0.1, -1]}, ValueError, "positive"),
        ({"lrs": 0.1}, ValueError, "lrs must be"),
        ({"lrs": [10**400]}, ValueError, "lrs must be"),
        ({"lrs": "3"}, ValueError, "lrs must be"),  # no list of digits
        ({"lrs": b"3"}, ValueError, "lrs must be"),
        ({"steps": 5}, ValueError, "steps must be a whole number, at least 10"),
        ({"schedule": 3}, TypeError, "schedule must be a function"),
        ({"schedule": lambda i: None}, ValueError, r"schedule\(0\) returned None"),
        ({"schedule": lambda i: math.nan}, ValueError, "finite and not negative"),
        ({"schedule": lambda i: 1 - i / 300}, ValueError, r"schedule\(301\) returned -0.00"),
        ({"halving": 3}, TypeError, "halving must be True or False; got 3"),
        ({"batches": iter([1])}, ValueError, "more than once"),
        ({"stop": None}, TypeError, "compare takes no stop"),
        ({"num_iter": 10}, TypeError, "compare takes no num_iter"),
        ({"criterion": 3}, TypeError, "criterion must be"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_touched(
    change: dict[str, Any], error: Any, message: str
) -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    arguments = {"batches": loader(), "criterion": CE, "lrs": [0.1], **change}
    with pytest.raises(error, match=message):
        compare(model, optimizer, **arguments)
    assert picture(model, optimizer) == before


def test_options_are_those_of_a_sweep() -> None:
    torch.manual_seed(0)
    model = linear()
    optimizer = sgd_momentum(model)
    scaler = SimpleNamespace(n=0, state_dict=dict, load_state_dict=lambda state: None)
    batches = list(loader())
    options: dict[str, Any] = {"accumulate": 2, "val_batches": batches[:1], "preserve": [scaler]}
    found = compare(model, optimizer, batches, CE, lrs=[1e-9], steps=10, **options)
    assert len(set(np.round(found.losses[1e-9], 6))) == 1  # one held batch, hardly any training


# -- the starting weights -------------------------------------------------------------------------


def test_the_losses_of_the_starting_weights_are_those_on_the_same_batches() -> None:
    model, optimizer = fresh()
    torch.manual_seed(3)
    found = compare(model, optimizer, loader(), CE, lrs=[0.1, 0.01], steps=20)
    torch.manual_seed(3)
    assert found.baseline is not None
    expected: list[float] = []
    with torch.no_grad():
        while len(expected) < 20:
            expected += [CE(model(x), y).item() for x, y in map(moved, loader())]
    assert found.baseline.tolist() == expected[:20]
    assert {losses[0] for losses in found.losses.values()} == {expected[0]}


def test_a_finder_takes_them_too_and_says_what_they_show() -> None:
    expected = compare(*fresh(), loader(), CE, lrs=[1e-9, 1e-8], steps=20)
    finder = LRFinder(*fresh(), loader(), CE, variable=None)
    found = finder.compare([1e-9, 1e-8], steps=20).wait(20).comparison
    assert found is not None
    assert found.baseline is not None
    assert expected.baseline is not None
    assert found.baseline.tolist() == expected.baseline.tolist()
    assert "as is common for a trained model" in finder.trials["text"]
    assert finder.trials["lines"][-1]["name"] == "starting weights"
    lengths = [len(one["line"]["y"]) for one in finder.trials["lines"]]
    assert lengths == [20 * 8] * 3  # a float64 for each step
    finder.close()


def test_micro_batches_are_taken_together() -> None:
    model, optimizer = fresh()
    batches = list(loader())
    single = compare(model, optimizer, batches, CE, lrs=[0.1], steps=20).baseline
    double = compare(model, optimizer, batches, CE, lrs=[0.1], steps=10, accumulate=2).baseline
    assert single is not None
    assert double is not None
    assert double == pytest.approx(single.reshape(10, 2).mean(1), rel=1e-6)


def test_a_gain_is_told_from_none() -> None:
    model, optimizer = fresh()
    found = compare(model, optimizer, loader(), CE, lrs=[1e-9, 0.1], steps=60)
    assert found.improves
    assert "starting weights" not in found.reason
    found = compare(model, optimizer, loader(), CE, lrs=[1e-9, 1e-8], steps=60)
    assert found.improves is False
    assert "as is common for a trained model" in found.reason
    assert found.winner is not None


def test_after_halving_they_are_those_of_the_longest() -> None:
    model, optimizer = fresh()
    lrs = [0.1, 0.01, 1e-3, 1e-4, 1e-5]
    found = compare(model, optimizer, loader(), CE, lrs=lrs, steps=40, halving=True)
    assert found.baseline is not None
    assert len(found.baseline) == 40


def test_a_step_of_your_own_has_no_such_losses() -> None:
    model, optimizer = fresh()
    found = compare(model, optimizer, loader(), step=lambda batch: 1.0, lrs=[0.1], steps=10)
    assert found.baseline is None
    assert found.improves is None
    held = list(loader())[:1]
    found = compare(model, optimizer, loader(), CE, lrs=[0.1], steps=10, val_batches=held)
    assert found.baseline is None


class NotWithoutGradients(nn.Module):
    def __init__(self, inner: nn.Module, error: BaseException) -> None:
        super().__init__()
        self.inner = inner
        self.error = error

    def forward(self, x: Any) -> Any:
        if not torch.is_grad_enabled():
            raise self.error
        return self.inner(x)


def test_what_raises_in_them_costs_nothing_else() -> None:
    inner, optimizer = fresh()
    model = NotWithoutGradients(inner, ZeroDivisionError())
    before = picture(model, optimizer)
    found = compare(model, optimizer, loader(), CE, lrs=[0.1, 0.01], steps=12)
    assert found.baseline is None
    assert [len(losses) for losses in found.losses.values()] == [12, 12]
    assert picture(model, optimizer) == before


def test_an_interrupt_in_them_puts_everything_back() -> None:
    inner, optimizer = fresh()
    model = NotWithoutGradients(inner, KeyboardInterrupt())
    before = picture(model, optimizer)
    with pytest.raises(KeyboardInterrupt):
        compare(model, optimizer, loader(), CE, lrs=[0.1], steps=12)
    assert picture(model, optimizer) == before


def test_a_stop_in_them_keeps_the_trials() -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    trials = Trials(TrainingTask(model, optimizer, loader(), CE), [0.01, 0.1], 12)
    with closing(trials.points()) as points:
        seen = [next(points) for _ in range(28)]
    assert [isinstance(item, float) for item in seen] == [False] * 24 + [True] * 4
    assert picture(model, optimizer) == before
    assert trials.comparison.baseline is None
    assert trials.comparison.winner is not None
