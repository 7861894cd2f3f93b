"""What is refused or warned of before anything is touched: frozen weights, factors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import linear, loader, picture, train
from torch import nn

from lrfinder_widget import LRFinder, compare, range_test, sweep
from lrfinder_widget.background.state import State

CE = nn.CrossEntropyLoss()

# -- all frozen ------------------------------------------------------------------------------------


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def everything() -> Any:
    model = two_layers().requires_grad_(False)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def what_the_optimizer_holds() -> Any:
    model = two_layers()
    model[0].requires_grad_(False)
    return model, torch.optim.SGD(model[0].parameters(), lr=0.1)


class Watched:
    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.begun = 0

    def __iter__(self) -> Any:
        self.begun += 1
        return iter(self.batches)


FROZEN: dict[str, tuple[Callable[[], Any], str]] = {
    "everything": (everything, r"every parameter of the model is frozen .* 4 of 4"),
    "what it holds": (what_the_optimizer_holds, r"all that it holds is frozen .* 2 of 2"),
}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", FROZEN)
def test_a_run_of_frozen_weights_is_refused_before_anything_is_touched(
    name: str, own: bool
) -> None:
    make, message = FROZEN[name]
    model, optimizer = make()
    before = picture(model, optimizer)
    asked: list[Any] = []
    door: dict[str, Any] = {"step": asked.append} if own else {"criterion": CE}
    batches = Watched(loader())
    for run in (range_test, sweep):
        with pytest.raises(ValueError, match=message):
            run(model, optimizer, batches, **door)
    with pytest.raises(ValueError, match=message):
        compare(model, optimizer, loader(), lrs=[0.1], **door)
    finder = LRFinder(model, optimizer, batches, variable=None, **door)
    with pytest.raises(ValueError, match=message):
        finder.start()
    with pytest.raises(ValueError, match=message):
        finder.compare([0.1])
    assert finder.state is State.READY
    finder.close()
    assert (asked, batches.begun) == ([], 0)
    assert picture(model, optimizer) == before


def test_what_is_unfrozen_before_the_start_is_tested() -> None:
    model, optimizer = everything()
    finder = LRFinder(model, optimizer, loader(), CE, variable=None, num_iter=12)
    model.requires_grad_(True)
    assert len(finder.start().wait(20).curve) == 12
    finder.close()


def test_weights_beside_the_models_own_may_have_gradients_made_by_hand() -> None:
    model = linear()
    master = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(master, lr=0.1)

    def step(batch: Any) -> Any:
        loss = CE(model(batch[0]), batch[1])
        grads = torch.autograd.grad(loss, list(model.parameters()))
        for kept, p, grad in zip(master, model.parameters(), grads, strict=True):
            kept.grad = grad
            p.data.copy_(kept)
        optimizer.step()
        return loss

    assert len(range_test(model, optimizer, loader(), step=step, num_iter=12)) == 12


# -- a rate that is a factor -----------------------------------------------------------------------


class Estimating(torch.optim.SGD):
    """Keeps an estimate of its step size where Prodigy and D-Adaptation do."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=1.0)
        for group in self.param_groups:
            group |= {"d": 1e-6, "k": 0}


@pytest.mark.parametrize("door", [range_test, sweep, LRFinder])
def test_an_optimizer_that_estimates_its_step_is_warned_of(door: Any) -> None:
    model = linear()
    with pytest.warns(UserWarning, match=r"Estimating estimates .* factor on it") as caught:
        made = door(model, Estimating(model.parameters()), loader(), CE)
    assert caught[0].filename == __file__
    if door is not range_test:
        made.close()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.Adafactor])
def test_no_other_is(kind: Any) -> None:
    model = linear()
    optimizer = kind(model.parameters())
    train(model, optimizer, loader(), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        range_test(model, optimizer, loader(), CE, num_iter=12)
