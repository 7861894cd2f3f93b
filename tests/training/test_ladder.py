"""The ladder: what is worth trying with an optimizer whose curve shows no candidate."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from itertools import islice, pairwise
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import batchnorm_dropout, lazy, linear, loader, picture, sgd_momentum, train
from torch import nn

from lrfinder_widget import Comparison, compare
from lrfinder_widget.runs.ladder import MOST_RUNGS, MOST_STEPS, next_rung, warm_up_and_decay
from lrfinder_widget.training.ladder import has_adapters, ladder, usual_lr
from lrfinder_widget.training.step import TrainingStep
from lrfinder_widget.training.task import TrainingTask
from lrfinder_widget.training.trials import Trials

SGD_RUNGS = (1e-3, 1e-2, 0.1)


def adam(lr: float = 1e-3, model: nn.Module | None = None) -> torch.optim.Optimizer:
    return torch.optim.AdamW((model or linear()).parameters(), lr=lr)


class Adapted(nn.Module):
    """A frozen layer with a low-rank adapter beside it, as peft makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(32, 32).requires_grad_(requires_grad=False)
        self.lora_A = nn.Linear(32, 2, bias=False)
        self.lora_B = nn.Linear(2, 32, bias=False)


def test_it_begins_with_the_own_rate_and_a_tenth_and_a_hundredth_of_what_is_usual() -> None:
    found = ladder(linear(), adam())
    assert found.lrs == (1e-5, 1e-4, 1e-3)
    assert found.reason == (
        "a ladder of learning rates from the optimizer's own 1.0e-03 and a tenth and a hundredth "
        "of the 1.0e-03 that is usual from scratch, each with a short warm-up and a decay"
    )


def test_a_model_whose_layers_have_no_size_yet_has_one_too() -> None:
    assert ladder(lazy(), adam()).lrs == (1e-5, 1e-4, 1e-3)


def test_what_is_close_to_the_own_rate_is_left_out() -> None:
    assert ladder(linear(), adam(2e-5)).lrs == (2e-5, 1e-4)


@given(own=st.floats(1e-9, 1e3))
def test_there_are_two_or_three_at_least_a_third_of_a_decade_apart_with_the_own_among_them(
    own: float,
) -> None:
    lrs = ladder(linear(), adam(own)).lrs
    assert len(lrs) in (2, 3)
    assert own in lrs
    assert all(math.log10(b / a) > 0.333 for a, b in pairwise(lrs))


def test_a_rate_of_zero_is_none() -> None:
    assert ladder(linear(), adam(0.0)).lrs == ladder(linear(), adam(1e-4)).lrs
    assert "own" not in ladder(linear(), adam(0.0)).reason


def test_in_a_schedule_the_own_rate_is_that_of_its_start_or_peak() -> None:
    optimizer = adam()
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.0)
    assert 1e-3 in ladder(linear(), optimizer).lrs
    optimizer.param_groups[0]["max_lr"] = 2e-3
    assert 2e-3 in ladder(linear(), optimizer).lrs


def test_adapters_get_ten_times_as_much() -> None:
    model = Adapted()
    assert has_adapters(model)
    found = ladder(model, adam(1e-4, model))
    assert found.lrs == (1e-4, 1e-3)
    assert "ten times a tenth and a hundredth" in found.reason
    assert not has_adapters(Adapted().requires_grad_(requires_grad=True))
    head = nn.Sequential(nn.Linear(32, 32).requires_grad_(requires_grad=False), nn.Linear(32, 2))
    assert not has_adapters(head)


class Muon(torch.optim.Optimizer):
    def __init__(self, params: Any, **settings: Any) -> None:
        super().__init__(params, {"lr": 0.02, **settings})


class Lion(torch.optim.Optimizer):
    def __init__(self, params: Any, lr: float = 1e-4) -> None:
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.99)})


class Around(torch.optim.Optimizer):
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups


@pytest.mark.parametrize(
    ("make", "usual"),
    [
        (lambda p: torch.optim.SGD(p, lr=3.0, momentum=0.9), 0.1),
        (lambda p: torch.optim.Adam(p, lr=3.0), 1e-3),
        (lambda p: torch.optim.NAdam(p, lr=3.0), 2e-3),
        (lambda p: Lion(p, lr=3.0), 1e-4),
        (lambda p: Around(Lion(p, lr=3.0)), 1e-4),
        (lambda p: Muon(p, ns_steps=5, momentum=0.95), 0.02),
        (lambda p: Muon(p, ns_steps=5, adjust_lr_fn="match_rms_adamw"), 1e-3),
        (lambda p: Muon([{"params": p, "use_muon": True}]), 0.02),
        (lambda p: Muon([{"params": p, "use_muon": False}]), 1e-3),
    ],
)
def test_what_is_usual_is_told_by_the_settings_or_the_default_of_the_class(
    make: Any, usual: float
) -> None:
    assert usual_lr(make(list(linear().parameters()))) == usual


def test_the_schedule_warms_up_and_decays_and_never_stands_still() -> None:
    factor = warm_up_and_decay(200)
    factors = [factor(i) for i in range(200)]
    assert max(factors) == 1.0
    assert factors.index(1.0) == 9
    assert factors[:10] == sorted(factors[:10])
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert 0 < min(factors) < 0.1
    assert all(0 < warm_up_and_decay(10)(i) <= 1 for i in range(10))


def test_it_takes_at_most_two_thousand_steps_in_all_however_far_it_is_extended() -> None:
    found = ladder(linear(), adam())
    assert [found.steps(n) for n in (50, 250, 500, 10_000)] == [50, 250, 250, 250]
    assert found.steps(10_000) * MOST_RUNGS <= MOST_STEPS


# -- extended where an end is best ----------------------------------------------------------------


def test_it_goes_on_a_decade_beyond_an_end_that_is_best_then_halfway_to_its_neighbours() -> None:
    assert next_rung([1e-3, 1e-2, 0.1], 0.1) == 1.0
    assert next_rung([1e-3, 1e-2, 0.1], 1e-3) == 1e-4
    assert next_rung([1e-3, 1e-2, 0.1], None) == 1e-4  # all were too high
    assert next_rung([1e-3, 1e-2, 0.1, 1.0], 0.1) == 0.316
    assert next_rung([1e-3, 1e-2, 0.1, 1.0, 0.316], 0.1) == 0.0316
    assert next_rung([1e-3, 1e-2, 0.1, 1.0, 0.316, 0.0316], 0.1) is None
    assert next_rung([2e-5, 1e-4, 4.47e-5], 4.47e-5) is None


def test_where_the_lowest_changes_nothing_it_fills_the_gap_above_and_goes_no_lower() -> None:
    assert next_rung([1e-7, 1e-5, 1e-4], 1e-7, lower=False) == 1e-6
    assert next_rung([1e-7, 1e-6, 1e-5, 1e-4], 1e-7, lower=False) is None


def test_what_helps_in_a_gap_is_found() -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)  # the next rung is 1e-3
    peaks = [0.0]

    def step(batch: Any) -> float:
        peaks[-1] = max(peaks[-1], optimizer.param_groups[0]["lr"])
        return 1.0

    def evaluate(*_: Any) -> float:  # of the starting weights, then of each trial
        peak = peaks[-1]
        peaks.append(0.0)
        return 2.0 if peak > 1e-4 else 0.5 if peak > 1e-5 else 1.0

    options: Any = {"lrs": "ladder", "steps": 20, "held_out": [1], "evaluate": evaluate}
    found = compare(model, optimizer, loader(), step=step, **options)
    assert found.lrs[:3] == [1e-6, 1e-3, 1e-2]
    assert found.improves
    assert 1e-5 < found.winner < 1e-4  # type: ignore[operator]


@given(
    own=st.floats(1e-9, 1e3),
    centre=st.floats(-12, 6),
)
def test_the_best_is_known_to_half_a_decade_or_eight_were_tried(own: float, centre: float) -> None:
    lrs = list(ladder(linear(), adam(own)).lrs)

    def best() -> float:
        return min(lrs, key=lambda lr: abs(math.log10(lr) - centre))

    while (rung := next_rung(lrs, best())) is not None:
        assert rung not in lrs
        lrs.append(rung)
    assert len(lrs) <= MOST_RUNGS
    if len(lrs) < MOST_RUNGS:
        assert abs(math.log10(best()) - centre) < 0.36


def climbed(best: float, **options: Any) -> Comparison:
    """Compare a ladder whose loss says how far its learning rate is from the best; SGD at 0.1."""
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Any) -> float:
        lr: float = optimizer.param_groups[0]["lr"]
        return 1.0 + abs(math.log10(lr / best))

    before = picture(model, optimizer)
    found = compare(
        model, optimizer, loader(), step=step, lrs="ladder", schedule=lambda i: 1.0, **options
    )
    assert picture(model, optimizer) == before
    return found


def test_a_ladder_goes_on_until_its_best_is_known_to_half_a_decade() -> None:
    assert climbed(1e-2, steps=10).lrs == [*SGD_RUNGS, 3.16e-2, 3.16e-3]
    assert climbed(1.2, steps=10).lrs == [*SGD_RUNGS, 1.0, 10.0, 3.16, 0.316]
    assert climbed(0.3, steps=10).lrs == [*SGD_RUNGS, 1.0, 0.316]
    assert climbed(3e-4, steps=10).lrs == [*SGD_RUNGS, 1e-4, 1e-5, 3.16e-4]


@pytest.mark.parametrize("best", [1e9, 1e-15])
def test_a_ladder_that_is_extended_to_its_end_keeps_its_budget(best: float) -> None:
    found = climbed(best, steps=10_000)
    assert sum(map(len, found.losses.values())) == MOST_STEPS
    assert len(found.lrs) == MOST_RUNGS


def test_numbers_that_were_given_are_not_extended() -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Any) -> float:
        return float(optimizer.param_groups[0]["lr"])

    found = compare(model, optimizer, loader(), step=step, lrs=[1e-3, 1e-2], steps=10)
    assert found.lrs == [1e-3, 1e-2]


def test_a_ladder_of_which_all_explode_goes_down() -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Any) -> float:
        lr: float = optimizer.param_groups[0]["lr"]
        return math.nan if lr > 5e-4 else 1.0 + abs(math.log10(lr) + 3.5)

    found = compare(
        model, optimizer, loader(), step=step, lrs="ladder", steps=10, schedule=lambda i: 1.0
    )
    assert found.lrs == [*SGD_RUNGS, 1e-4, 1e-5, 3.16e-4]
    assert found.winner == 3.16e-4


def test_it_goes_no_lower_than_where_nothing_changes() -> None:
    def found(losses: list[float]) -> list[float]:
        model = linear()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        held_out = iter(losses)
        return cast(
            list[float],
            compare(
                *(model, optimizer, loader()),
                step=lambda batch: 1.0,
                lrs="ladder",
                steps=10,
                held_out=[0],
                evaluate=lambda model, batches: next(held_out),
            ).lrs,
        )

    assert found([1.0, 1.001, 1.5, 2.0]) == list(SGD_RUNGS)  # as the starting weights
    assert found([1.0, 1.5, 2.0, 3.0, 1.2, 1.001]) == [*SGD_RUNGS, 1e-4, 1e-5]  # worse, at first
    assert found([1.0, 0.8, 0.9, 0.9, 0.999, 0.7]) == [*SGD_RUNGS, 1e-4, 3.16e-3]  # better


def test_halving_goes_on_from_the_best_of_the_last_round() -> None:
    found = climbed(1.2, steps=40, halving=True)
    assert found.lrs[3:] == [1.0, 10.0, 3.16, 0.316]
    assert [len(found.losses[lr]) for lr in found.lrs[3:]] == [40] * 4
    assert len(found.losses[1e-3]) == 20
    assert found.winner == 1.0


def trials_and_before(
    losses: Callable[[int, float], float],
) -> tuple[Trials, nn.Module, torch.optim.Optimizer, Any]:
    """A ladder that trains for real on held-out batches; its own loss is what is given."""
    torch.manual_seed(0)
    model = batchnorm_dropout()
    optimizer = sgd_momentum(model)
    train(model, optimizer, loader(), 3)
    textbook, done = TrainingStep(model, optimizer, nn.CrossEntropyLoss()), 0

    def step(batch: Any) -> float:
        nonlocal done
        done += 1
        textbook(batch)
        return losses(done, optimizer.param_groups[0]["lr"])

    def evaluate(model: nn.Module, batches: Any) -> float:
        return -float(done)  # the later, the better

    before = picture(model, optimizer), torch.get_rng_state()
    task = TrainingTask(model, optimizer, loader(), step=step)
    trials = Trials(task, "ladder", 10, held_out=[0], evaluate=evaluate)
    return trials, model, optimizer, before


@pytest.mark.parametrize("after", [31, 35, 40, 41, 79, 80, None])
def test_all_is_put_back_after_a_stop_or_the_end_of_an_extended_ladder(after: int | None) -> None:
    trials, model, optimizer, before = trials_and_before(lambda done, lr: 1.0)
    with closing(trials.points()) as points:
        for _ in islice(points, after):
            pass
    assert (picture(model, optimizer), torch.get_rng_state().tolist()) == (
        before[0],
        before[1].tolist(),
    )
    assert trials.unrestored == []
    assert sum(map(len, trials.comparison.losses.values())) == after or after is None
    assert len(trials.lrs) == (8 if after is None else 3 + math.ceil((after - 30) / 10))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [31, 40, 80])
def test_all_is_put_back_after_an_error_in_an_extended_ladder(at: int, error: Any) -> None:
    def loss(done: int, lr: float) -> float:
        if done == at:
            raise error
        return 1.0

    trials, model, optimizer, before = trials_and_before(loss)
    with pytest.raises(error):
        for _ in trials.points():
            pass
    assert picture(model, optimizer) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_at_most_what_it_takes_is_known_before() -> None:
    trials, *_ = trials_and_before(lambda done, lr: 1.0)
    assert trials.steps_in_all == 80
    assert len(list(trials.points())) == 80


# -- what it ends in ------------------------------------------------------------------------------


def test_in_code_it_is_named_ladder_and_ends_in_a_number_or_in_a_refusal() -> None:
    torch.manual_seed(0)
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    held_out = list(loader())[:4]
    before = picture(model, optimizer)
    criterion = nn.CrossEntropyLoss()
    found = compare(
        model, optimizer, loader(), criterion, lrs="ladder", steps=40, held_out=held_out
    )
    assert picture(model, optimizer) == before
    assert found.scheduled
    assert found.improves
    assert found.suggest().lr is not None
    optimizer.zero_grad()

    def away(output: Any, target: Any) -> Any:  # nothing can be learnt from this
        return criterion(output, torch.randint(0, 3, target.shape))

    found = compare(
        model,
        optimizer,
        loader(),
        away,
        lrs="ladder",
        steps=40,
        held_out=held_out,
        evaluate=lambda model, batches: criterion(model(batches[0][0]) * 0, batches[0][1]),
    )
    assert found.improves is False
    assert found.suggest().lr is None
    assert found.reason.startswith("training on does not help")
