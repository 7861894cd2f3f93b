"""A schedule as code: it runs as pasted, peaks where it should, and lasts as long as planned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import linear, loader
from torch import nn
from widget_support import DESCENT, RISE, Script, fill, finished

from lrfinder_widget import LRFinder

STEPS = 400
KINDS = ("warmup", "1cycle", "cosine", "wsd")


def pasted(code: str, optimizer: torch.optim.Optimizer, steps: int = STEPS) -> list[list[float]]:
    """Run the code after the optimizer was made; return the groups' learning rates by step."""
    variables: dict[str, Any] = {"optimizer": optimizer}
    exec(compile(code, "pasted", "exec"), variables)
    rates = []
    for _ in range(steps):
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        variables["scheduler"].step()
    return rates


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD(linear().parameters(), lr=7.0)


@pytest.fixture
def finder(make: Any) -> LRFinder:
    return finished(make(namespace={}, train_steps=STEPS))


@pytest.mark.parametrize("kind", ["warmup", "cosine", "wsd"])
def test_its_peak_is_the_pick(finder: LRFinder, kind: Any) -> None:
    finder.pick(0.0123)
    code = finder.schedule_code(kind)
    assert finder.code in code.splitlines()
    rates = [rate for (rate,) in pasted(code, sgd())]
    assert max(rates) == pytest.approx(0.0123)
    if kind == "warmup":
        assert rates[: STEPS // 20] == sorted(set(rates[: STEPS // 20]))
        assert set(rates[STEPS // 20 :]) == {0.0123}
    else:
        assert rates[-1] < 0.02 * 0.0123
    if kind == "wsd":
        assert rates[0] == pytest.approx(0.0123 / (STEPS // 20))
        assert rates[STEPS // 20 : STEPS * 4 // 5] == [0.0123] * (STEPS * 3 // 4)


@pytest.mark.parametrize("kind", ["warmup", "cosine", "wsd"])
def test_without_a_pick_it_is_the_candidate_for_that_kind_of_schedule(
    finder: LRFinder, kind: Any
) -> None:
    schedule: Any = "constant" if kind == "warmup" else "decay"
    found = finder.curve.suggest(schedule=schedule).lr
    assert max(pasted(finder.schedule_code(kind), sgd()))[0] == pytest.approx(found, rel=0.01)


def test_the_ends_of_1cycle_are_those_of_the_band(finder: LRFinder) -> None:
    finder.pick(0.5)
    found = finder.curve.suggest(schedule="decay")
    rates = [rate for (rate,) in pasted(finder.schedule_code("1cycle"), sgd())]
    assert rates[0] == pytest.approx(found.low, rel=0.01)
    assert max(rates) == pytest.approx(found.high, rel=0.01)
    assert rates[-1] < rates[0] / 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make_optimizer",
    [
        sgd,
        lambda: torch.optim.AdamW(linear().parameters()),
        lambda: torch.optim.Adagrad(linear().parameters()),  # no momentum that could be cycled
    ],
)
def test_it_runs_with_any_optimizer_and_after_another_schedule(
    finder: LRFinder, kind: Any, make_optimizer: Any
) -> None:
    optimizer = make_optimizer()
    torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)  # which leaves its initial_lr
    finder.pick(0.01)
    highest = finder.curve.suggest(schedule="decay").high if kind == "1cycle" else 0.01
    rates = pasted(finder.schedule_code(kind), optimizer)
    assert max(rates)[0] == pytest.approx(highest, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100_000])
def test_any_length_runs(make: Any, kind: Any, steps: int) -> None:
    finder = finished(make(namespace={}, train_steps=steps))
    finder.pick(0.01)
    rates = pasted(finder.schedule_code(kind), sgd(), steps=min(steps, 50))
    assert all(0 <= rate <= 1 for (rate,) in rates)
    assert max(rates)[0] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_groups_keep_their_ratios(kind: Any) -> None:
    def two_groups() -> torch.optim.Optimizer:
        body, head = nn.Linear(2, 2), nn.Linear(2, 2)
        groups = [{"params": body.parameters(), "lr": 0.1}, {"params": head.parameters()}]
        return torch.optim.SGD(groups, lr=1.0)

    step = Script(DESCENT)
    finder = LRFinder(linear(), two_groups(), [0], step=step, train_steps=STEPS, num_iter=60)
    finished(finder).pick(0.01)
    rates = pasted(finder.schedule_code(kind), two_groups())
    for body, head in rates:
        assert body == pytest.approx(head / 10)
    peak = 0.01 if kind != "1cycle" else finder.curve.suggest(schedule="decay").high
    assert max(head for _, head in rates) == pytest.approx(peak, rel=0.01)
    finder.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body_lr", [0.1, 1.0])
def test_a_tensor_is_filled_so_that_a_compiled_step_sees_it(kind: Any, body_lr: float) -> None:
    def made(of: Any) -> torch.optim.Optimizer:
        body, head = nn.Linear(2, 2), nn.Linear(2, 2)
        groups = [{"params": body.parameters(), "lr": of(body_lr)}, {"params": head.parameters()}]
        return torch.optim.Adam(groups, lr=of(1.0), foreach=False)

    step = Script(DESCENT)
    finder = LRFinder(linear(), made(torch.tensor), [0], step=step, train_steps=STEPS, num_iter=60)
    finished(finder).pick(0.01)
    code = finder.schedule_code(kind)
    peak = 0.01 if kind != "1cycle" else finder.curve.suggest(schedule="decay").high
    finder.close()
    optimizer = made(torch.tensor)
    tensors = [group["lr"] for group in optimizer.param_groups]
    rates = pasted(code, optimizer)
    assert all(group["lr"] is t for group, t in zip(optimizer.param_groups, tensors, strict=True))
    assert max(rates) == pytest.approx([body_lr * peak, peak], rel=0.01)
    assert max(pasted(code, made(float))) == pytest.approx(max(rates))  # made anew, with numbers


def test_the_name_is_the_variables(make: Any) -> None:
    finder = make(namespace={}, variable="rate", train_steps=STEPS)
    finder.pick(0.01)
    code = finder.schedule_code("cosine")
    assert 'group["initial_lr"] = rate' in code
    assert max(pasted(code, sgd())) == [0.01]


def test_it_works_on_a_closed_finder(finder: LRFinder) -> None:
    code = finder.schedule_code("1cycle")
    finder.close()
    assert finder.schedule_code("1cycle") == code


def test_without_a_length_there_is_no_schedule(make: Any) -> None:
    finder = finished(make(namespace={}))
    with pytest.raises(RuntimeError, match="enter it in Set up, or pass train_steps="):
        finder.schedule_code("cosine")
    fill(finder, train_steps="300")
    assert "T_max=300" in finder.schedule_code("cosine")


def test_without_a_candidate_there_is_no_band_but_a_pick_is_enough_for_the_others(
    make: Any,
) -> None:
    finder = finished(make(RISE, namespace={}, train_steps=STEPS))
    for kind in KINDS:
        with pytest.raises(RuntimeError, match="suggests no learning rate: The loss rises"):
            finder.schedule_code(kind)
    finder.pick(0.01)
    assert max(pasted(finder.schedule_code("cosine"), sgd())) == [0.01]
    with pytest.raises(RuntimeError, match="suggests no learning rate"):
        finder.schedule_code("1cycle")


@pytest.mark.parametrize("kind", ["step", None, []])
def test_an_unknown_kind_is_named(finder: LRFinder, kind: Any) -> None:
    with pytest.raises(ValueError, match=r"kind must be one of .*'wsd'.*; got"):
        finder.schedule_code(kind)


def test_a_real_training_with_it_goes_down() -> None:
    torch.manual_seed(0)
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    finder = LRFinder(model, optimizer, loader(), criterion, namespace={}, train_steps=50)
    finished(finder).pick(0.1)
    variables: dict[str, Any] = {"optimizer": optimizer}
    exec(finder.schedule_code("wsd"), variables)
    finder.close()
    batch, target = next(iter(loader()))
    losses = []
    for _ in range(50):
        loss = criterion(model(batch), target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        variables["scheduler"].step()
    assert losses[-1] < losses[0]
