"""The same test for several values of another setting: each as alone, and everything put back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from support import (
    adamw,
    batchnorm_dropout,
    classes,
    loader,
    picture,
    sgd_momentum,
    train,
    two_groups,
)
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from lrfinder_widget import range_test, vary
from lrfinder_widget.curve.variation import Variation

CE = nn.CrossEntropyLoss()
RANGE: dict[str, Any] = {"start_lr": 1e-4, "end_lr": 1.0, "num_iter": 30}


def fresh(
    make: Callable[[nn.Module], torch.optim.Optimizer] = sgd_momentum,
) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    return model, make(model)


def alone(change: Callable[[Any], Any], make: Any = sgd_momentum, batches: Any = None) -> Any:
    model, optimizer = fresh(make)
    change(optimizer)
    return range_test(model, optimizer, batches or loader(), CE, **RANGE)


def set_in_groups(**values: Any) -> Callable[[Any], None]:
    def change(optimizer: Any) -> None:
        for group in optimizer.param_groups:
            group.update(values)

    return change


def test_each_weight_decay_is_a_test_of_its_own_from_the_same_start() -> None:
    model, optimizer = fresh()
    found = vary(model, optimizer, loader(), CE, weight_decay=[0.0, 1e-2, 1.0], **RANGE)
    assert found.names == ("weight_decay",)
    for value in (0.0, 1e-2, 1.0):
        assert found.curves[(value,)] == alone(set_in_groups(weight_decay=value))
    assert len({tuple(curve.losses) for curve in found.curves.values()}) == 3


def test_each_test_is_diagnosed_if_that_is_wanted() -> None:
    model, optimizer = fresh()
    found = vary(model, optimizer, loader(), CE, momentum=[0.0, 0.9], diagnose=True, **RANGE)
    for value in (0.0, 0.9):
        model, optimizer = fresh()
        optimizer.param_groups[0]["momentum"] = value
        single = range_test(model, optimizer, loader(), CE, diagnose=True, **RANGE)
        assert found.curves[(value,)].diagnosis == single.diagnosis
        assert single.diagnosis is not None


def test_momentum_is_the_first_of_the_betas_where_an_optimizer_has_them() -> None:
    model, optimizer = fresh()
    found = vary(model, optimizer, loader(), CE, momentum=[0.0, 0.5], **RANGE)
    assert found.curves[(0.0,)] == alone(set_in_groups(momentum=0.0))
    model, optimizer = fresh(adamw)
    found = vary(model, optimizer, loader(), CE, momentum=[0.5], **RANGE)
    second = optimizer.param_groups[0]["betas"][1]
    assert found.curves[(0.5,)] == alone(set_in_groups(betas=(0.5, second)), adamw)


def test_groups_without_weight_decay_stay_without() -> None:
    model, optimizer = fresh(two_groups)
    decays = [0.1, 0.0]
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        group["weight_decay"] = decay
    seen = []
    step = optimizer.step

    def spied(*args: Any) -> Any:
        seen.append([group["weight_decay"] for group in optimizer.param_groups])
        return step(*args)

    optimizer.step = spied  # type: ignore[method-assign]
    vary(model, optimizer, loader(), CE, weight_decay=[0.5], **RANGE)
    assert seen[0] == [0.5, 0.0]
    assert [group["weight_decay"] for group in optimizer.param_groups] == decays


def test_each_batch_size_has_a_loader_made_anew_with_the_same_data_and_options() -> None:
    model, optimizer = fresh()
    mine = loader(drop_last=True)
    found = vary(model, optimizer, mine, CE, batch_size=[4, 16], **RANGE)
    for size in (4, 16):
        anew = DataLoader(classes(), batch_size=size, shuffle=True, drop_last=True)
        expected = alone(lambda _: None, batches=anew)
        assert found.curves[(size,)] == expected


def test_batches_of_ones_own_are_made_by_a_function() -> None:
    x, y = torch.randn(64, 8), torch.randint(3, (64,))

    def make(size: int) -> Any:
        return list(zip(x.split(size), y.split(size), strict=True))

    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = vary(model, optimizer, make(8), CE, batch_size=[4, 32], make_batches=make, **RANGE)
    for size in (4, 32):
        assert found.curves[(size,)] == range_test(model, optimizer, make(size), CE, **RANGE)


def test_optimizers_take_the_place_of_the_one_that_is_passed() -> None:
    model, optimizer = fresh()
    makes = {"Adam": torch.optim.Adam, "rms": lambda p: torch.optim.RMSprop(p, alpha=0.9)}
    found = vary(model, optimizer, loader(), CE, optimizers=makes, **RANGE)
    for name, make in makes.items():
        expected = alone(lambda _: None, lambda model, make=make: make(list(model.parameters())))
        assert found.curves[(name,)] == expected
    assert optimizer.state == {}


def test_two_settings_are_tried_in_all_combinations() -> None:
    model, optimizer = fresh()
    found = vary(
        model, optimizer, loader(), CE, weight_decay=[0.0, 0.1], momentum=[0.0, 0.9], **RANGE
    )
    assert list(found.curves) == [(0.0, 0.0), (0.0, 0.9), (0.1, 0.0), (0.1, 0.9)]
    both = set_in_groups(weight_decay=0.1, momentum=0.0)
    assert found.curves[(0.1, 0.0)] == alone(both)


def test_everything_is_put_back_and_training_goes_on_as_without() -> None:
    after = []
    for varied in (True, False):
        model, optimizer = fresh()
        batches = loader()
        train(model, optimizer, batches, 5)
        before = picture(model, optimizer)
        if varied:
            both = {"weight_decay": [0.0, 0.1], "batch_size": [4, 8]}
            vary(model, optimizer, batches, CE, **both, **RANGE)  # type: ignore[arg-type]
        assert picture(model, optimizer) == before
        after.append(train(model, optimizer, batches, 5))
    assert after[0] == after[1]


def test_an_exception_says_where_and_keeps_the_curves_before_it() -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    calls = []

    def criterion(output: Any, target: Any) -> Any:
        if optimizer.param_groups[0]["weight_decay"] == 0.1:
            calls.append(1)
        if len(calls) == 7:
            raise ValueError("a bad batch")
        return CE(output, target)

    with pytest.raises(ValueError, match="a bad batch") as caught:
        vary(model, optimizer, loader(), criterion, weight_decay=[0.0, 0.1, 0.2], **RANGE)
    assert "weight_decay=0.1" in caught.value.__notes__[-1]
    error: Any = caught.value
    assert list(error.variation.curves) == [(0.0,)]
    assert picture(model, optimizer) == before


@pytest.mark.parametrize(("at", "complete"), [(1, 0), (20, 0), (70, 1), (100, 1)])
def test_an_interrupt_puts_everything_back_and_says_where(at: int, complete: int) -> None:
    model, optimizer = fresh()
    batches = loader()
    train(model, optimizer, batches, 5)
    before = picture(model, optimizer)
    left = iter(range(at, -1, -1))

    def criterion(output: Any, target: Any) -> Any:
        if next(left) == 0:
            raise KeyboardInterrupt
        return CE(output, target)

    both: dict[str, Any] = {"momentum": [0.0, 0.9], "batch_size": [4, 8]}
    with pytest.raises(KeyboardInterrupt) as caught:
        vary(model, optimizer, batches, criterion, stop=None, **both, **RANGE)
    assert picture(model, optimizer) == before
    error: Any = caught.value
    assert len(error.variation.curves) >= complete
    assert "momentum=" in error.__notes__[-1]
    assert "batch_size=" in error.__notes__[-1]


def test_the_candidate_of_each_test_is_for_its_own_kind_of_optimizer() -> None:
    model, optimizer = fresh()
    found = vary(model, optimizer, loader(), CE, momentum=[0.0, 0.9], **RANGE)
    assert [curve.budget.family for curve in found.curves.values()] == ["sgd", "momentum"]


def test_an_iterator_that_the_first_test_would_use_up_is_refused() -> None:
    model, optimizer = fresh()
    batches = iter(loader())
    with pytest.raises(ValueError, match="iterable more than once"):
        vary(model, optimizer, batches, CE, momentum=[0.0, 0.9])
    assert len(list(batches)) == len(loader())


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        while True:
            yield torch.ones(8), 0


def odd_sampler() -> Any:
    data = loader().dataset
    return DataLoader(data, batch_sampler=[[0, 1], [2, 3]])


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({}, ValueError, "got none"),
        ({"momentum": [0.1], "weight_decay": [0.1], "batch_size": [4]}, ValueError, "one or two"),
        ({"weight_decay": 0.1}, TypeError, "list of values"),
        ({"weight_decay": [0.1, 0.1]}, ValueError, "each given once"),
        ({"weight_decay": []}, ValueError, "each given once"),
        ({"weight_decay": itertools.count()}, ValueError, "at most 100 values; got more"),
        ({"weight_decay": [-1.0]}, ValueError, "not negative"),
        ({"weight_decay": [float("nan")]}, ValueError, "not negative"),
        ({"weight_decay": ["much"]}, ValueError, "must be a number"),
        ({"momentum": [1.0]}, ValueError, "below 1"),
        ({"batch_size": [0]}, ValueError, "at least 1"),
        ({"batch_size": [10**30]}, ValueError, "at most"),
        ({"weight_decay": b"12"}, TypeError, "list of values to try; got bytes"),
        ({"weight_decay": {0.1: 1}}, TypeError, "list of values to try; got dict"),
        ({"weight_decay": np.array(0.1)}, TypeError, "list of values to try; got ndarray"),
        ({"weight_decay": [True]}, ValueError, "finite and not negative; got True"),
        ({"weight_decay": [10**400]}, ValueError, "finite and not negative; got 1000"),
        ({"optimizers": ["Adam"]}, TypeError, "functions of the parameters"),
        ({"optimizers": {}}, ValueError, "optimizers must have values"),
        ({"batch_size": [4], "make_batches": 3}, TypeError, "make_batches must be a function"),
        ({"batch_size": [4], "make_batches": lambda n: None}, TypeError, "returned None"),
        ({"momentum": [0.5], "make_batches": lambda n: []}, ValueError, "which is not given"),
        ({"optimizers": [lambda p: None]}, TypeError, "returns"),
        ({"optimizers": "Adam"}, TypeError, "functions of the parameters"),
        ({"optimizers": [torch.optim.Adam] * 2}, ValueError, "different names"),
        ({"optimizers": [torch.optim.LBFGS], "momentum": [0.5]}, ValueError, "LBFGS has none"),
        ({"optimizers": [torch.optim.Adam], "step": len}, ValueError, "step of your own"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_anything_is_touched(
    given: dict[str, Any], error: type[Exception], said: str
) -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    with pytest.raises(error, match=said):
        vary(model, optimizer, loader(), None if "step" in given else CE, **given)
    assert picture(model, optimizer) == before


def test_an_exception_of_a_function_says_which_one_raised_it() -> None:
    def broken(_: Any) -> Any:
        raise ArithmeticError("here")

    for given, said in (
        ({"optimizers": [broken]}, "the function of optimizers that is named broken."),
        ({"batch_size": [4], "make_batches": broken}, "make_batches(4)."),
    ):
        model, optimizer = fresh()
        before = picture(model, optimizer)
        with pytest.raises(ArithmeticError) as caught:
            vary(model, optimizer, loader(), CE, **given)  # type: ignore[arg-type]
        assert said in caught.value.__notes__[0]
        assert picture(model, optimizer) == before


def test_random_numbers_that_the_functions_draw_are_given_back() -> None:
    def make(parameters: Any) -> torch.optim.Optimizer:
        torch.rand(3)
        return torch.optim.SGD(parameters, momentum=0.9)

    def make_batches(size: int) -> DataLoader[Any]:
        np.random.rand(2)
        return DataLoader(classes(), batch_size=size, shuffle=True)

    model, optimizer = fresh()
    before = picture(model, optimizer)
    found = vary(
        model,
        optimizer,
        loader(),
        CE,
        **{**RANGE, "optimizers": {"one": make}, "batch_size": [8], "make_batches": make_batches},
    )
    assert picture(model, optimizer) == before
    assert found.curves[(8, "one")] == alone(lambda _: None)


def test_a_diagnosis_that_is_impossible_is_refused_before_the_first_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lrfinder_widget.training.task.several_ranks", lambda: True)
    model, optimizer = fresh()
    with pytest.raises(ValueError, match="single process only") as caught:
        vary(model, optimizer, loader(), CE, momentum=[0.0], diagnose=True)
    assert not hasattr(caught.value, "variation")


@pytest.mark.parametrize("batches", [[(torch.ones(4, 8), torch.zeros(4).long())], odd_sampler()])
def test_a_loader_that_cannot_be_made_anew_is_refused(batches: Any) -> None:
    model, optimizer = fresh()
    with pytest.raises(ValueError, match="make_batches"):
        vary(model, optimizer, batches, CE, batch_size=[4])


def test_an_iterable_dataset_can_have_other_batches() -> None:
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = DataLoader(Endless(), batch_size=2)
    found = vary(model, optimizer, batches, CE, batch_size=[1, 4], **RANGE)
    assert [len(curve) for curve in found.curves.values()] == [30, 30]


def test_a_sampler_of_ones_own_is_kept() -> None:
    data = loader().dataset
    sampler = RandomSampler(data, generator=torch.Generator().manual_seed(3))  # type: ignore[arg-type]
    model, optimizer = fresh()
    before = sampler.generator.get_state()
    vary(model, optimizer, DataLoader(data, 8, sampler=sampler), CE, batch_size=[4], **RANGE)
    assert torch.equal(sampler.generator.get_state(), before)


def test_a_table_and_a_plot_show_what_each_curve_shows() -> None:
    mpl.use("Agg")
    model, optimizer = fresh()
    found = vary(model, optimizer, loader(), CE, weight_decay=[0.0, 0.1], **RANGE)
    frame = found.to_dataframe()
    assert frame["weight_decay"].tolist() == [0.0, 0.1]
    for row, curve in zip(found.rows, found.curves.values(), strict=True):
        assert (row["lr"], row["reason"]) == (curve.suggestion.lr, curve.reason)
    legend = found.plot().get_legend()
    assert legend.get_title().get_text() == "weight_decay"
    assert [text.get_text() for text in legend.get_texts()] == ["0.0", "0.1"]
    both = vary(
        model, optimizer, loader(), CE, weight_decay=[0.0, 0.1], momentum=[0.0, 0.9], **RANGE
    )
    ax = both.plot(of="lowest_loss")
    assert (ax.get_ylabel(), ax.get_xlabel()) == both.names
    assert len(ax.texts) == 4
    assert np.shape(ax.images[0].get_array()) == (2, 2)
    with pytest.raises(ValueError, match="nothing to draw"):
        Variation(("momentum",), {}).plot()
    with pytest.raises(ValueError, match="of must be one of"):
        both.plot(of="loss")  # type: ignore[arg-type]


def test_an_unknown_option_is_named_before_anything_else() -> None:
    with pytest.raises(TypeError, match=r"vary\(\) takes no mom\. .* step, .*, metric\."):
        vary(nn.Linear(2, 2), None, [], CE, mom=[0, 0.9])  # type: ignore[arg-type]
