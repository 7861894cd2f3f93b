"""Trial runs judged on held-out batches: evaluations say what is so, and change nothing."""

from __future__ import annotations

import math
import random
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from support import (
    CLASSES,
    FEATURES,
    MODELS,
    batchnorm_dropout,
    classes,
    loader,
    picture,
    sgd_momentum,
    train,
    two_groups,
)
from torch import nn

from lrfinder_widget import compare, training_step
from lrfinder_widget.training.task import TrainingTask
from lrfinder_widget.training.trials import Trials

CE = nn.CrossEntropyLoss()
HELD_OUT = [classes(24, seed=9)[:][i] for i in range(2)]
HELD_OUT = [(HELD_OUT[0][i : i + 8], HELD_OUT[1][i : i + 8]) for i in (0, 8, 16)]


def fresh(name: str = "batchnorm-dropout") -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = MODELS[name]()
    return model, sgd_momentum(model)


class OwnGenerator(nn.Module):
    """Noise from a generator of its own, and from NumPy and Python, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)
        self.dice = torch.Generator().manual_seed(1)

    def forward(self, x: Any) -> Any:
        noise = torch.randn(x.shape, generator=self.dice) + random.random() + np.random.rand()
        return self.linear(x + noise + torch.rand(()))


# -- what is measured -----------------------------------------------------------------------------


def evaluated(model: nn.Module) -> list[float]:
    model.eval()
    with torch.no_grad():
        return [CE(model(x), y).item() for x, y in HELD_OUT]


def test_they_are_the_losses_in_eval_mode_at_the_start_and_on_the_way() -> None:
    found = compare(*fresh(), loader(), CE, lrs=[0.01, 0.1], steps=40, held_out=HELD_OUT)
    assert found.held_out is not None
    assert found.held_out.tolist() == evaluated(fresh()[0])
    assert found.baseline is None  # not needed
    for trial in found.trials:
        assert list(trial.held_out) == [10, 20, 40]
        for steps, losses in trial.held_out.items():
            model, optimizer = fresh()
            optimizer.param_groups[0]["lr"] = trial.lr
            train(model, optimizer, loader(), steps)
            assert losses.tolist() == evaluated(model)


def test_with_a_schedule_only_the_end_counts() -> None:
    found = compare(
        *fresh(),
        loader(),
        CE,
        lrs=[0.1],
        steps=20,
        schedule=lambda i: 1 - i / 20,
        held_out=HELD_OUT,
    )
    assert list(found.trials[0].held_out) == [20]
    assert found.scheduled


def test_halving_goes_on_with_those_that_generalise() -> None:
    def evaluate(model: nn.Module, batches: Any) -> float:
        return abs(math.log10(optimizer.param_groups[0]["lr"]) + 3)

    model, optimizer = fresh()
    lrs = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    found = compare(
        model,
        optimizer,
        loader(),
        CE,
        lrs=lrs,
        steps=40,
        halving=True,
        held_out=HELD_OUT,
        evaluate=evaluate,
    )
    assert found.winner == 1e-3
    lengths = {trial.lr: (len(trial.losses), list(trial.held_out)) for trial in found.trials}
    assert lengths[1e-3] == (40, [10, 20, 40])
    assert lengths[1e-1] == (10, [2, 5, 10])


def test_a_step_made_by_training_step_is_evaluated_with_its_precision() -> None:
    model, optimizer = fresh()
    step = training_step(model, optimizer, CE, autocast=torch.bfloat16)
    found = compare(model, optimizer, loader(), step=step, lrs=[0.1], steps=10, held_out=HELD_OUT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = evaluated(fresh()[0])
    assert found.held_out is not None
    assert found.held_out.tolist() == expected


def test_an_evaluation_of_ones_own_gets_the_model_and_the_batches() -> None:
    model, optimizer = fresh()
    seen: list[Any] = []

    def evaluate(given: nn.Module, batches: Any) -> Any:
        seen.append((given is model, given.training, torch.is_grad_enabled(), len(batches)))
        return torch.tensor(float(len(seen)))

    def step(batch: Any) -> float:
        return 1.0

    found = compare(
        model,
        optimizer,
        loader(),
        step=step,
        lrs=[0.1],
        steps=12,
        held_out=HELD_OUT,
        evaluate=evaluate,
    )
    assert seen == [(True, False, False, 3)] * 4
    assert found.held_out_losses == {0.1: {0: 1.0, 3: 2.0, 6: 3.0, 12: 4.0}}


class Averaging(torch.optim.SGD):
    """Keeps an average of the weights aside, and swaps it in for evaluation; no exact way back."""

    mode = "train"

    def step(self, closure: Any = None) -> Any:
        assert self.mode == "train"
        result = super().step(closure)
        for p in self.param_groups[0]["params"]:
            state = self.state[p]
            state["mean"] = (state.get("mean", p.detach()) + p.detach()) / 2
        return result

    def eval(self) -> None:
        self.mode = "eval"
        for p in self.param_groups[0]["params"]:
            if p in self.state:
                p.data.mul_(1e-3).add_(self.state[p]["mean"] - p.data)

    def train(self) -> None:
        self.mode = "train"


def test_an_optimizer_that_averages_weights_is_evaluated_with_them_and_trains_on_without() -> None:
    def run(**options: Any) -> Any:
        model, _ = fresh()
        optimizer = Averaging(model.parameters(), lr=0.1)
        before = picture(model, optimizer)
        found = compare(model, optimizer, loader(), CE, lrs=[0.1], steps=12, **options)
        assert picture(model, optimizer) == before
        return found.trials[0]

    judged = run(held_out=HELD_OUT)
    assert judged.losses.tolist() == run().losses.tolist()
    model, _ = fresh()
    optimizer = Averaging(model.parameters(), lr=0.1)
    train(model, optimizer, loader(), 12)
    optimizer.eval()
    assert judged.held_out[12].tolist() == evaluated(model)


@pytest.mark.parametrize("how", ["wrapped", "in place", "a layer"])
def test_a_compiled_model_is_evaluated_without_compiling_it_again(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_the_whole_process(*_: object) -> None:
        raise AssertionError("what a cell has compiled must stay so")

    monkeypatch.setattr(torch.compiler, "set_stance", of_the_whole_process)

    def run(**options: Any) -> Any:
        model, optimizer = fresh()
        if how == "wrapped":
            model = torch.compile(model, backend=backend)
        elif how == "in place":
            model.compile(backend=backend)
        else:
            model = nn.Sequential(torch.compile(model, backend=backend))
        return compare(model, optimizer, loader(), CE, lrs=[0.1], steps=12, **options)

    compilations: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compilations.append(graph)
        return graph.forward

    plain, counted = run(), len(compilations)
    torch.compiler.reset()
    compilations.clear()
    judged = run(held_out=HELD_OUT)
    assert len(compilations) == counted == 1
    assert judged.trials[0].losses.tolist() == plain.trials[0].losses.tolist()
    torch.compiler.reset()


def test_a_trial_that_explodes_has_only_what_it_reached() -> None:
    model, optimizer = fresh()
    count = iter(range(1000))

    def step(batch: Any) -> float:
        return math.inf if optimizer.param_groups[0]["lr"] > 1 and next(count) == 12 else 1.0

    found = compare(
        model,
        optimizer,
        loader(),
        step=step,
        lrs=[10.0, 0.1],
        steps=40,
        held_out=HELD_OUT,
        evaluate=lambda model, batches: optimizer.param_groups[0]["lr"] < 1,
    )
    assert [list(trial.held_out) for trial in found.trials] == [[10], [10, 20, 40]]
    assert found.ranking == [0.1, 10.0]


# -- it changes nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MODELS, "own-generator"])
def test_the_training_losses_are_the_same_to_the_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "own-generator", OwnGenerator)
    losses = []
    for options in ({}, {"held_out": HELD_OUT}):
        model, optimizer = fresh(name)
        before = picture(model, optimizer)
        random.seed(5)
        np.random.seed(5)
        found = compare(model, optimizer, loader(), CE, lrs=[0.01, 0.1], steps=20, **options)
        losses.append([trial.losses.tolist() for trial in found.trials])
        assert not differing(before, picture(model, optimizer))
    assert losses[0] == losses[1]


def differing(before: Any, after: Any) -> list[str]:
    """Name what differs, but for the random state, which the test has set."""
    return [key for key in before if before[key] != after[key] and "random state" not in key]


def test_nor_does_an_evaluation_of_ones_own_whatever_it_does() -> None:
    def evaluate(model: nn.Module, batches: Any) -> float:
        model.train()
        for x, y in batches:
            CE(model(x), y)
        model[4].weight.add_(1)
        model.extra = random.random() + np.random.rand() + torch.rand(()).item()
        next(iter(data))
        return 1.0

    losses = []
    for options in ({}, {"held_out": HELD_OUT, "evaluate": evaluate}):
        model, optimizer = fresh()
        random.seed(5)
        np.random.seed(5)
        data = loader(generator=torch.Generator().manual_seed(3))
        before = picture(model, optimizer)
        found = compare(model, optimizer, data, CE, lrs=[0.01, 0.1], steps=20, **options)
        losses.append([trial.losses.tolist() for trial in found.trials])
        assert picture(model, optimizer) == before
        assert not hasattr(model, "extra")
    assert losses[0] == losses[1]


def test_nor_under_autocast_around_the_call() -> None:
    losses = []
    for options in ({}, {"held_out": HELD_OUT}):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = compare(*fresh(), loader(), CE, lrs=[0.1], steps=20, **options)
        losses.append(found.trials[0].losses.tolist())
    assert losses[0] == losses[1]
    assert len(set(losses[0])) > 10


# -- any end of it --------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 3, 5])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_everything_is_put_back_when_an_evaluation_fails(at: int, error: Any) -> None:
    model, optimizer = fresh()
    train(model, optimizer, loader(), 3)
    calls = iter(range(100))

    def evaluate(model: nn.Module, batches: Any) -> float:
        model.train()
        model(batches[0][0])
        if (call := next(calls)) == at:
            raise error
        return 1.0 - call / 10  # the last is the best, so a ladder goes on

    before = picture(model, optimizer)
    with pytest.raises(error):
        compare(
            model,
            optimizer,
            loader(),
            CE,
            lrs="ladder" if at == 5 else [0.01, 0.1],
            steps=12,
            held_out=HELD_OUT,
            evaluate=evaluate,
        )
    assert picture(model, optimizer) == before


@pytest.mark.parametrize("after", [0, 1, 13, 60])
def test_a_ladder_can_be_stopped_at_any_time_and_keeps_what_it_has(after: int) -> None:
    model, optimizer = fresh()
    train(model, optimizer, loader(), 3)
    before = picture(model, optimizer)
    task = TrainingTask(model, optimizer, loader(), CE)
    trials = Trials(task, "ladder", 12, held_out=HELD_OUT)
    assert trials.steps_in_all == 8 * 12
    assert trials.seconds_per_step is None
    with closing(trials.points()) as points:
        for _ in range(after):
            next(points)
    assert picture(model, optimizer) == before
    found = trials.comparison
    assert (found.held_out is None) == (after == 0)
    assert len(found.trials) == -(-after // 12)
    assert (trials.seconds_per_step or 0) >= 0


def test_what_has_been_measured_can_be_read_on_the_way() -> None:
    task = TrainingTask(*fresh(), loader(), CE)
    trials = Trials(task, [0.1, 0.2], 20, held_out=HELD_OUT)
    with closing(trials.points()) as points:
        for _ in range(11):
            next(points)
        found = trials.comparison
        assert list(found.held_out_losses[0.1]) == [0, 5, 10]
        assert found.winner is None
        for _ in range(10):
            next(points)
        assert trials.seconds_per_step is not None
        assert trials.comparison.winner == 0.1


# -- wrong arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"held_out": []}, ValueError, "held_out must contain at least one batch"),
        ({"held_out": loader()}, TypeError, "held_out must be a list of a few fixed batches"),
        ({"held_out": HELD_OUT, "evaluate": 3}, TypeError, "evaluate must be a function evaluate"),
        ({"evaluate": lambda model, batches: 1.0}, ValueError, r"evaluate needs held_out=\[…\]"),
        (
            {"held_out": HELD_OUT, "criterion": None, "step": lambda batch: 1.0},
            ValueError,
            "with a step of your own, held_out needs evaluate=…",
        ),
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


@pytest.mark.parametrize("bad", [None, "low", torch.ones(2), [1.0, 2.0]])
def test_an_evaluation_that_gives_no_number_is_told(bad: Any) -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    with pytest.raises(TypeError, match="evaluate must return the loss as a single number; got"):
        compare(
            model,
            optimizer,
            loader(),
            CE,
            lrs=[0.1],
            held_out=HELD_OUT,
            evaluate=lambda model, batches: bad,
        )
    assert picture(model, optimizer) == before


def test_several_processes_could_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrfinder_widget.training.held_out.several_ranks", lambda: True)
    with pytest.raises(ValueError, match="held_out works in a single process only"):
        compare(*fresh(), loader(), CE, lrs=[0.1], held_out=HELD_OUT)


# -- one learning rate for each group -------------------------------------------------------------


def test_a_tuple_has_a_learning_rate_for_each_group() -> None:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    optimizer = two_groups(model)
    before = picture(model, optimizer)
    rates = [(0.02, 0.001), (0.03, 0.3)]
    found = compare(model, optimizer, loader(), CE, lrs=[*rates, 0.1], steps=20, held_out=HELD_OUT)
    assert picture(model, optimizer) == before
    assert found.lrs == [*rates, 0.1]
    for own in [*rates, (0.01, 0.1)]:  # a single number keeps the ratios
        torch.manual_seed(0)
        again = batchnorm_dropout()
        other = two_groups(again)
        for group, lr in zip(other.param_groups, own, strict=True):
            group["lr"] = lr
        key = own if own in rates else 0.1
        assert found.losses[key] == pytest.approx(train(again, other, loader(), 20), rel=1e-5)


def test_a_tensor_is_filled_in_place() -> None:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    parameters = list(model.parameters())
    tensors = [torch.tensor(0.1), torch.tensor(0.2)]
    groups = [
        {"params": parameters[:1], "lr": tensors[0]},
        {"params": parameters[1:], "lr": tensors[1]},
    ]
    optimizer = torch.optim.AdamW(groups, foreach=False)
    before = picture(model, optimizer)
    found = compare(model, optimizer, loader(), CE, lrs=[(1e-3, 1e-2)], steps=10)
    assert picture(model, optimizer) == before
    assert found.winner == (1e-3, 1e-2)
    for group in optimizer.param_groups:
        group["lr"] = tensors[0]
    with pytest.raises(ValueError, match="share one tensor as their learning rate"):
        compare(model, optimizer, loader(), CE, lrs=[(1e-3, 1e-2)])


@pytest.mark.parametrize(
    ("lrs", "message"),
    [
        (
            [(0.1, 0.2, 0.3)],
            "one learning rate for each parameter group of the optimizer",
        ),
        ([(0.1,)], r"which has 2; got \(0.1,\)"),
        ([(0.1, -0.2)], "positive learning rates"),
        ([(0.1, 0.2), (0.1, 0.2)], "each once"),
        ("fast", "or \"ladder\"; got 'fast'"),
    ],
)
def test_wrong_rates_are_refused(lrs: Any, message: str) -> None:
    model = batchnorm_dropout()
    optimizer = two_groups(model)
    before = picture(model, optimizer)
    with pytest.raises(ValueError, match=message):
        compare(model, optimizer, loader(), CE, lrs=lrs)
    assert picture(model, optimizer) == before
