"""Whether the learning rate drives anything: who is found out, who is not, and what it leaves."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import (
    adamw,
    batchnorm_dropout,
    linear,
    loader,
    picture,
    sgd_momentum,
    sweep_run,
    two_groups,
)
from torch import Tensor, nn

from lrfinder_widget import LossCurve, LRFinder, compare, range_test, sweep, training_step
from lrfinder_widget.background.state import State
from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.training import drive

CE = nn.CrossEntropyLoss()
SHORT: dict[str, Any] = {"num_iter": 25, "stop": None, "end_lr": 1e-2}

# -- optimizers that go their own way, and some that do not ----------------------------------------


class OwnRate(torch.optim.SGD):
    """Uses a rate of its own."""

    def step(self, closure: Any = None) -> Any:
        given = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = 0.05
        super().step(closure)
        for group, lr in zip(self.param_groups, given, strict=True):
            group["lr"] = lr


class Relative(torch.optim.Optimizer):
    """Sets its step from the size of the weights, as Adafactor can, and counts the steps."""

    def __init__(self, parameters: Any, lr: float = 0.1) -> None:
        super().__init__(parameters, {"lr": lr})
        self.count = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        self.count += 1
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(p.grad.sign() * self.size(group, p))

    def size(self, group: Any, p: Tensor) -> Any:
        return p.norm() / 100 / self.count**0.5


class WithNoise(Relative):
    """As that, and adds noise from the global generator."""

    def size(self, group: Any, p: Tensor) -> Any:
        return super().size(group, p) + torch.rand_like(p) / 100


class Noisy(Relative):
    """Noise of the size that the rate says."""

    def size(self, group: Any, p: Tensor) -> Any:
        return torch.rand_like(p) * group["lr"]


class WarmUp(Relative):
    """Reads the rate only after fifty steps."""

    def size(self, group: Any, p: Tensor) -> Any:
        return 0.01 if self.count < 50 else group["lr"]


class Careful(Relative):
    """Refuses a rate that makes no sense."""

    def size(self, group: Any, p: Tensor) -> Any:
        if group["lr"] > 1e-4:
            raise ValueError("lr is too high")
        return group["lr"]


class EveryThird(Relative):
    """Moves the weights at each third step only."""

    def size(self, group: Any, p: Tensor) -> Any:
        return 0.0 if self.count % 3 else 0.01


class FirstGroup(Relative):
    """Reads the rate of its first group only."""

    def size(self, group: Any, p: Tensor) -> Any:
        return group["lr"] if group is self.param_groups[0] else 0.01


class Late(Relative):
    """Reads the rate at the end of a step, for the next one."""

    size_next = 0.01

    def step(self, closure: Any = None) -> None:
        super().step(closure)
        self.size_next = self.param_groups[0]["lr"]

    def size(self, group: Any, p: Tensor) -> Any:
        return self.size_next


def rprop(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Rprop(model.parameters(), lr=0.01)


IGNORANT: dict[str, tuple[Any, int]] = {
    "rprop": (rprop, 0),
    "rprop in mid-training": (rprop, 4),
    "own rate": (lambda m: OwnRate(m.parameters(), lr=0.1, momentum=0.9), 0),
    "own rate in mid-training": (lambda m: OwnRate(m.parameters(), lr=0.1, momentum=0.9), 4),
    "relative steps": (lambda m: Relative(m.parameters()), 0),
    "warm-up": (lambda m: WarmUp(m.parameters()), 4),
    "every third": (lambda m: EveryThird(m.parameters()), 1),
    "with noise": (lambda m: WithNoise(m.parameters()), 0),
}
DRIVEN: dict[str, tuple[Any, int]] = {
    "sgd": (sgd_momentum, 3),
    "adamw": (adamw, 0),
    "two groups": (two_groups, 3),
    "noise of its size": (lambda m: Noisy(m.parameters()), 0),
    "a tensor": (lambda m: torch.optim.AdamW(m.parameters(), lr=torch.tensor(0.01)), 0),
    "first group only": (
        lambda m: FirstGroup([{"params": [p], "lr": 0.1} for p in m.parameters()]),
        0,
    ),
    "after its warm-up": (lambda m: WarmUp(m.parameters()), 60),
    "lbfgs": (lambda m: torch.optim.LBFGS(m.parameters(), lr=0.1), 0),
    "late": (lambda m: Late(m.parameters()), 0),
    "asgd": (lambda m: torch.optim.ASGD(m.parameters()), 3),
    "zero for now": (lambda m: torch.optim.SGD(m.parameters(), lr=0.0), 0),
}


def trained(make: Any, steps: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    optimizer = make(model)
    step = training_step(model, optimizer, CE)
    for batch in itertools.islice(itertools.cycle(loader()), steps):
        step(batch)
    return model, optimizer


def own_loop(
    model: nn.Module, optimizer: Any, every: int = 1, then: Callable[[], object] = lambda: None
) -> Any:
    """Make a step of one's own, that counts in a place that nobody knows of."""
    count = 0

    def step(batch: Any) -> Tensor:
        nonlocal count
        count += 1
        loss = CE(model(batch[0]), batch[1])
        (loss / every).backward()
        if count % every == 0:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            then()
        return loss

    return step


# -- the verdict -----------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", IGNORANT)
def test_an_optimizer_that_ignores_the_rate_gets_no_candidate(name: str, own: bool) -> None:
    model, optimizer = trained(*IGNORANT[name])
    before = picture(model, optimizer)
    door = {"step": own_loop(model, optimizer)} if own else {"criterion": CE}
    curve = range_test(model, optimizer, loader(), **door)
    assert curve.reason == "no-effect"
    assert 2 <= len(curve) <= 8
    assert curve.suggestion.lr is None
    assert "no effect" in curve.suggestion.reason
    assert picture(model, optimizer) == before


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", DRIVEN)
def test_one_that_heeds_it_is_swept(name: str, own: bool) -> None:
    model, optimizer = trained(*DRIVEN[name])
    own = own and name != "lbfgs"
    door = {"step": own_loop(model, optimizer)} if own else {"criterion": CE}
    assert range_test(model, optimizer, loader(), **door, **SHORT).reason == "completed"


def test_a_step_that_uses_another_optimizer_gets_no_candidate() -> None:
    model, optimizer = trained(sgd_momentum)
    plain, adam = torch.optim.SGD(model.parameters(), lr=0.1), adamw(model)
    for other, preserve in ((plain, []), (plain, [plain]), (adam, [adam])):
        step = own_loop(model, other)
        curve = range_test(model, optimizer, loader(), step=step, preserve=preserve)
        assert curve.reason == "no-effect"


def test_a_step_that_was_captured_with_its_rate_gets_no_candidate() -> None:
    model, optimizer = trained(sgd_momentum)

    class Captured:
        """As a captured graph, that calls nothing of the optimizer's."""

        param_groups = optimizer.param_groups

        def __init__(self, rate: Callable[[], float]) -> None:
            self.rate = rate

        @torch.no_grad()
        def step(self) -> None:
            for p in model.parameters():
                p.sub_(self.rate() * p.grad if p.grad is not None else 0.0)

        def zero_grad(self, set_to_none: bool) -> None:
            model.zero_grad()

    fixed, read = Captured(lambda: 0.1), Captured(lambda: optimizer.param_groups[0]["lr"])
    assert range_test(model, optimizer, loader(), step=own_loop(model, fixed)).reason == "no-effect"
    curve = range_test(model, optimizer, loader(), step=own_loop(model, read), **SHORT)
    assert curve.reason == "completed"


def test_a_step_that_sets_its_own_rate_gets_no_candidate() -> None:
    model, optimizer = trained(sgd_momentum)
    inner = own_loop(model, optimizer)

    def step(batch: Any) -> Tensor:
        optimizer.param_groups[0]["lr"] = 0.05
        return inner(batch)

    assert range_test(model, optimizer, loader(), step=step).reason == "no-effect"


def test_a_step_that_scales_the_rate_is_swept() -> None:
    model, optimizer = trained(sgd_momentum)
    inner = own_loop(model, optimizer)

    def step(batch: Any) -> Tensor:
        optimizer.param_groups[0]["lr"] *= 0.5
        return inner(batch)

    assert range_test(model, optimizer, loader(), step=step, **SHORT).reason == "completed"


@pytest.mark.parametrize("every", [2, 4, 8, 16])
def test_an_own_loop_that_accumulates_is_judged_by_its_updates(every: int) -> None:
    model, optimizer = trained(sgd_momentum)
    step = own_loop(model, optimizer, every)
    options = {"num_iter": 3 * every, "stop": None, "end_lr": 1e-3}
    assert range_test(model, optimizer, loader(), step=step, **options).reason == "completed"
    model, optimizer = trained(rprop)
    step = own_loop(model, optimizer, every)
    curve = range_test(model, optimizer, loader(), step=step, **options)
    assert (curve.reason, len(curve)) == ("no-effect", 2 * every)


def test_where_no_weight_moves_there_is_no_verdict() -> None:
    model, optimizer = trained(rprop)
    losses = iter(range(100))
    curve = range_test(model, optimizer, loader(), step=lambda _: next(losses), num_iter=60)
    assert curve.losses.tolist() == list(range(60))
    assert curve.reason == "completed"


def test_frozen_weights_do_not_count() -> None:
    model, optimizer = trained(lambda m: OwnRate(m.parameters(), lr=0.1))
    model[0].requires_grad_(False)
    assert range_test(model, optimizer, loader(), CE).reason == "no-effect"


def test_a_scaler_that_skips_the_first_steps_is_waited_for() -> None:
    for make, reason in ((rprop, "no-effect"), (sgd_momentum, "completed")):
        model, optimizer = trained(make)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-20)
        step = training_step(model, optimizer, lambda *pair: 1e6 * CE(*pair), scaler=scaler)
        options = {**SHORT, "start_lr": 1e-11, "end_lr": 1e-9}
        assert range_test(model, optimizer, loader(), step=step, **options).reason == reason


# -- what cannot be judged -------------------------------------------------------------------------


def test_a_rate_that_the_optimizer_refuses_does_not_end_the_test() -> None:
    model, optimizer = trained(lambda m: Careful(m.parameters()))
    curve = range_test(model, optimizer, loader(), CE, end_lr=1e-4, num_iter=20, stop=None)
    assert (curve.reason, len(curve)) == ("completed", 20)


@pytest.mark.parametrize("make", [rprop, sgd_momentum])
def test_a_closure_is_called_no_more_often_than_without(make: Any) -> None:
    model, optimizer = trained(make)
    calls = 0

    def step(batch: Any) -> Any:
        def closure() -> Tensor:
            nonlocal calls
            calls += 1
            optimizer.zero_grad()
            loss = CE(model(batch[0]), batch[1])
            loss.backward()
            return loss

        return optimizer.step(closure)

    assert range_test(model, optimizer, loader(), step=step, **SHORT).reason == "completed"
    assert calls == SHORT["num_iter"]


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
@pytest.mark.parametrize("other", [False, True])
def test_gradients_with_a_graph_are_used_once(other: bool) -> None:
    class SecondOrder(torch.optim.SGD):
        """Takes the gradients' own gradients, as AdaHessian does."""

        def step(self, closure: Any = None) -> None:
            weights = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
            curvature = torch.autograd.grad([p.grad.sum() for p in weights], weights)
            with torch.no_grad():
                for p, c in zip(weights, curvature, strict=True):
                    p.sub_(0.01 * p.grad / (1 + c.abs()))

    def make() -> tuple[Any, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        return model, SecondOrder(model.parameters(), lr=0.1)

    def run(how: Any) -> LossCurve:
        model, optimizer = make()
        used = SecondOrder(model.parameters(), lr=0.1) if other else optimizer

        def step(batch: Any) -> Tensor:
            loss = CE(model(batch[0]), batch[1])
            loss.backward(create_graph=True)
            used.step()
            return loss.detach()

        def step_and_clean(batch: Any) -> Tensor:
            model.zero_grad()
            return step(batch)

        return how(model, optimizer, loader(), step=step_and_clean, **SHORT)

    torch.manual_seed(3)
    curve = run(range_test)
    torch.manual_seed(3)
    assert curve == run(without)
    assert curve.reason == "completed"


def test_a_batch_that_cannot_be_copied_leaves_it_open() -> None:
    class Uncopyable(list[Any]):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError

    model, optimizer = trained(sgd_momentum)
    other = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = [Uncopyable(batch) for batch in loader()]
    curve = range_test(model, optimizer, batches, step=own_loop(model, other), **SHORT)
    assert curve.reason == "completed"


def test_where_there_is_no_room_for_a_copy_it_is_not_tried(monkeypatch: Any) -> None:
    monkeypatch.setattr(Snapshot, "is_beside", False)
    model, optimizer = trained(rprop)
    assert range_test(model, optimizer, loader(), CE, **SHORT).reason == "completed"


# -- what it leaves --------------------------------------------------------------------------------


def without(*given: Any, **options: Any) -> LossCurve:
    """Run the same without looking."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drive._Weights, "note", lambda self: False)
        return range_test(*given, **options)


@pytest.mark.parametrize("own", [0, 1, 3])
@pytest.mark.parametrize("name", DRIVEN)
def test_the_curve_is_the_same_to_the_bit_as_without(name: str, own: int) -> None:
    def run(how: Any) -> tuple[LossCurve, Any]:
        model, optimizer = trained(*DRIVEN[name])
        if own and name != "lbfgs":
            door: Any = {"step": own_loop(model, optimizer, own)}
        else:
            door = {"criterion": CE}
        torch.manual_seed(7)
        curve = how(model, optimizer, loader(), **door, **SHORT)
        return curve, picture(model, optimizer)

    with_it, left = run(range_test)
    plainly, left_plainly = run(without)
    assert len(with_it) == SHORT["num_iter"]
    assert with_it == plainly
    assert left["torch random state"] == left_plainly["torch random state"]


def test_without_looking_nobody_is_found_out() -> None:
    assert without(*trained(rprop), loader(), CE, **SHORT).reason == "completed"


def test_an_iterator_loses_no_batch() -> None:
    model, optimizer = trained(sgd_momentum)
    batches = list(loader())
    curve = range_test(model, optimizer, iter(batches), CE, stop=None)
    assert (curve.reason, len(curve)) == ("exhausted", len(batches))
    assert curve.losses.tolist() == without(model, optimizer, batches, CE).losses[:8].tolist()


@pytest.mark.parametrize(("by", "more"), [("its own", 0), ("another", 1)])
def test_a_step_of_ones_own_is_called_once_more_only_if_it_calls_no_update(
    by: str, more: int
) -> None:
    model, optimizer = trained(sgd_momentum)
    rate = optimizer.param_groups[0]

    class Manual:
        @torch.no_grad()
        def step(self) -> None:
            for p in model.parameters():
                p.sub_(rate["lr"] * p.grad if p.grad is not None else 0.0)

        def zero_grad(self, set_to_none: bool) -> None:
            model.zero_grad()

    inner = own_loop(model, optimizer if by == "its own" else Manual())
    seen: list[Any] = []

    def step(batch: Any) -> Any:
        seen.append(batch)
        return inner(batch)

    batches = list(loader())
    curve = range_test(model, optimizer, batches, step=step, **SHORT)
    assert (curve.reason, len(seen)) == ("completed", len(curve) + more)
    assert all(a is b for a, b in zip(seen, batches[: 2 + more - 1], strict=False))


def test_a_batch_that_the_step_changes_is_changed_once() -> None:
    model, optimizer = trained(sgd_momentum)
    other = torch.optim.SGD(model.parameters(), lr=0.1)
    inner = own_loop(model, other)

    def step(batch: Any) -> Any:
        batch[0].mul_(0.5)
        return inner(batch)

    batches = list(loader())
    before = [x.clone() for x, _ in batches]
    assert range_test(model, optimizer, batches, step=step).reason == "no-effect"
    assert all(torch.equal(x, b / 2) for (x, _), b in zip(batches[:2], before[:2], strict=True))
    assert all(torch.equal(x, b) for (x, _), b in zip(batches[2:], before[2:], strict=True))


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_kept_traceback_keeps_no_copy(error: type[BaseException], other: bool) -> None:
    others = weakref.WeakSet(copies_kept())  # of runs that other tests have left under way
    model, optimizer = trained(sgd_momentum)
    used = torch.optim.SGD(model.parameters(), lr=0.1) if other else optimizer
    inner = own_loop(model, used)
    count = 0

    def step(batch: Any) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            raise error
        return inner(batch)

    with pytest.raises(error) as caught:
        range_test(model, optimizer, loader(), step=step)
    assert caught.value.__traceback__ is not None
    assert [thing for thing in copies_kept() if thing not in others] == []


def copies_kept() -> list[Any]:
    return [
        thing
        for thing in gc.get_objects()
        if type(thing) is Snapshot or (type(thing) is drive._Weights and thing._copies)
    ]


@pytest.mark.parametrize("other", [False, True])
def test_a_run_that_has_ended_is_gone_without_the_garbage_collector(other: bool) -> None:
    model, optimizer = trained(sgd_momentum)
    used = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9) if other else optimizer
    step = own_loop(model, used)
    gone = weakref.ref(step)
    gc.collect()
    gc.disable()
    try:
        range_test(model, optimizer, loader(), step=step, num_iter=12)
        del step
        assert gone() is None
    finally:
        gc.enable()


# -- all doors -------------------------------------------------------------------------------------


def test_a_loop_over_the_points_is_warned() -> None:
    model, optimizer = trained(rprop)
    before = picture(model, optimizer)
    with pytest.warns(UserWarning, match="no effect") as caught:
        points = list(sweep(model, optimizer, loader(), CE))
    assert len(points) == 2
    assert caught[0].filename == __file__
    assert picture(model, optimizer) == before


def test_the_widget_says_so() -> None:
    model, optimizer = trained(rprop)
    finder = LRFinder(model, optimizer, loader(), CE, variable=None).start().wait(20)
    assert (finder.state, finder.reason) == (State.FINISHED, "no-effect")
    status = finder.status["text"]
    assert "Ended after 2 of 100 steps. Everything has been restored." in status
    assert "The learning rate has no effect" in status
    with pytest.raises(RuntimeError, match="no effect"):
        finder.pick()
    finder.close()


def test_no_repeat_follows() -> None:
    model, optimizer = trained(rprop)
    curve = range_test(model, optimizer, loader(), CE, repeats=3)
    assert (curve.reason, curve.repeats) == ("no-effect", ())


def test_only_the_first_repeat_is_watched(monkeypatch: Any) -> None:
    watched: list[bool] = []
    old = drive.Drive.__init__

    def note(self: Any, *given: Any, watch: bool) -> None:
        watched.append(watch)
        old(self, *given, watch=watch)

    monkeypatch.setattr(drive.Drive, "__init__", note)
    model, optimizer = trained(sgd_momentum)
    list(sweep_run(model, optimizer, loader(), CE, repeats=3, num_iter=4).items())
    assert watched == [True, False, False]


def test_trial_runs_are_not_watched() -> None:
    model, optimizer = trained(rprop)
    result = compare(model, optimizer, loader(), CE, lrs=[0.01, 0.1], steps=20)
    assert all(trial.completed for trial in result.trials)


def test_a_curve_that_says_so_survives_json_and_suggests_nothing_by_any_rule() -> None:
    curve = LossCurve([0.1 * 1.1**i for i in range(60)], range(60, 0, -1), "no-effect")
    assert LossCurve.from_json(curve.to_json()) == curve
    assert set(curve.candidates().values()) == {None}
    assert not curve.needs_baseline


def test_a_model_that_is_lazy_is_judged(monkeypatch: Any) -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
    curve = range_test(model, rprop(model), loader(), CE, **SHORT)
    assert curve.reason == "no-effect"


def test_linear_models_are_too() -> None:
    model = linear()
    assert range_test(model, rprop(model), loader(), CE).reason == "no-effect"
