"""While a test owns a model, nobody else trains or saves it; and the guard harms nobody else."""

from __future__ import annotations

import _thread
import copy
import io
import itertools
import math
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, adamw, classes, picture, sgd_momentum, sweep_run
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lrfinder_widget import RangeTest, State, range_test, sweep
from lrfinder_widget.restore.tensors import Values

CE = nn.CrossEntropyLoss()
OURS = "an LR range test is training this"
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
torch_deprecates_its_own = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Boom(Exception):
    pass


class Net(nn.Module):
    """At module level, so that it can be pickled."""

    def __init__(self, recompute: bool | None = None) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, 8)
        self.last = nn.Linear(8, CLASSES)
        self.recompute = recompute  # None, or whether in the reentrant way

    def forward(self, x: Tensor) -> Tensor:
        if self.recompute is None or not torch.is_grad_enabled():
            return self.last(torch.relu(self.first(x)))
        hidden = checkpoint(self.first, x, use_reentrant=self.recompute)
        return self.last(torch.relu(hidden))


def fresh(make: Callable[[], nn.Module] = Net) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = make()
    return model, sgd_momentum(model)


def data() -> list[Any]:
    x, y = classes().tensors
    return list(zip(x.split(8), y.split(8), strict=True))


X = data()[0][0]


class Held:
    """A loss that holds the worker in the middle of its fifth step until it is let go."""

    def __init__(self, at: int = 5) -> None:
        self.calls = itertools.count(1)
        self.at = at
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        if next(self.calls) == self.at:
            self.reached.set()
            assert self.go_on.wait(20)
        return CE(output, target)


@contextmanager
def held(model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> Iterator[RangeTest]:
    """Run a test in the background, stand in the middle of a step, and let it end."""
    hold = Held()
    test = started(hold, sweep(model, optimizer, data(), hold, num_iter=20, stop=None, **options))
    try:
        yield test
    finally:
        hold.go_on.set()
        assert test.join(20)
    assert test.exception is None
    assert len(test) == 20


def started(hold: Held, points: Any) -> RangeTest:
    """Start it, and return when its worker is held."""
    test = RangeTest(points)
    test.listen(lambda test: test.state.ended and hold.reached.set())
    test.start()
    assert hold.reached.wait(20)
    if test.state.ended:
        test.wait(20)  # raises what it failed with
    return test


def elsewhere(act: Callable[[], Any]) -> Any:
    """Do it in another thread; return what it returned, raise what it raised."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(act())
        except BaseException as error:  # noqa: BLE001
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    if failure:
        raise failure[0]
    return result[0]


def hooks(*things: Any) -> list[Any]:
    """List every hook that hangs on a module or an optimizer."""
    return [
        (key, list(value.values()))
        for thing in things
        for key, value in vars(thing).items()
        if key.endswith("_hooks") and value
    ]


# -- who is kept off ------------------------------------------------------------------------------

INTRUSIONS: dict[str, Callable[[Any, Any], Any]] = {
    "forward": lambda model, optimizer: model(X),
    "state_dict": lambda model, optimizer: model.state_dict(),
    "save": lambda model, optimizer: torch.save(model.state_dict(), io.BytesIO()),
    "load_state_dict": lambda model, optimizer: model.load_state_dict({}, strict=False),
    "optimizer.step": lambda model, optimizer: optimizer.step(),
    "optimizer.state_dict": lambda model, optimizer: optimizer.state_dict(),
    "optimizer.load_state_dict": lambda model, optimizer: optimizer.load_state_dict(
        {
            "state": {},
            "param_groups": [
                {**group, "params": list(range(len(group["params"])))}
                for group in optimizer.param_groups
            ],
        }
    ),
}


@pytest.mark.parametrize("where", ["cell", "callback"])
@pytest.mark.parametrize("name", INTRUSIONS)
def test_another_thread_hears_a_clear_error_and_the_run_is_not_harmed(
    name: str, where: str
) -> None:
    undisturbed = range_test(*fresh(), data(), CE, num_iter=20, stop=None)
    model, optimizer = fresh()
    before = picture(model, optimizer)
    with held(model, optimizer) as test:
        what = "optimizer" if name.startswith("optimizer") else "model"
        with pytest.raises(RuntimeError, match=rf"{OURS} {what} .*wait\(\) or stop\(\)"):
            intrude(name, where, model, optimizer)
    assert test.curve == undisturbed
    assert picture(model, optimizer) == before
    intrude(name, where, model, optimizer)


def intrude(name: str, where: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    act = INTRUSIONS[name]
    if where == "cell":
        act(model, optimizer)
    else:
        elsewhere(lambda: act(model, optimizer))


def test_the_run_itself_may_do_all_of_that() -> None:
    model, optimizer = fresh()
    steps = itertools.count(1)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        is_last = next(steps) == 10
        for name, act in INTRUSIONS.items():
            # It replaces the groups, so later learning rates would have no effect.
            if is_last or name != "optimizer.load_state_dict":
                act(model, optimizer)
        return loss

    before = picture(model, optimizer)
    test = RangeTest(sweep(model, optimizer, data(), step=step, num_iter=10, end_lr=0.1)).start()
    assert test.wait(20).reason == "completed"
    assert picture(model, optimizer) == before


def test_a_paused_run_is_guarded_too() -> None:
    model, optimizer = fresh()
    hold = Held()
    test = started(hold, sweep(model, optimizer, data(), hold, num_iter=20, stop=None))
    test.pause()
    hold.go_on.set()
    for act in INTRUSIONS.values():
        with pytest.raises(RuntimeError, match=OURS):
            act(model, optimizer)
    test.resume()
    assert test.wait(20).state is State.FINISHED
    assert hooks(model, optimizer) == []


def test_the_guard_is_on_before_start_returns() -> None:
    """`start()` returns when the data has been opened: the next statement may train."""
    model, optimizer = fresh()
    seen: list[list[Any]] = []

    class Opened(threading.Event):
        def set(self) -> None:
            seen.append(hooks(model, optimizer))
            super().set()

    points = sweep_run(model, optimizer, data(), CE, opened=Opened()).points()
    next(points)
    assert len(seen) == 1
    assert [key for key, _ in seen[0]] == [
        "_forward_pre_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_optimizer_step_pre_hooks",
        "_optimizer_state_dict_pre_hooks",
        "_optimizer_load_state_dict_pre_hooks",
    ]
    points.close()


class Slow:
    """Something at the end of a run that takes its time."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def take_time(self) -> None:
        self.begun.set()
        assert self.may_end.wait(20)

    def __iter__(self) -> Iterator[Any]:
        """Be a loader that is slow to close, as one with workers is."""
        try:
            while True:
                yield from data()
        finally:
            self.take_time()

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        """Be an object that is slow to restore."""
        self.take_time()


@pytest.mark.parametrize("name", INTRUSIONS)
@pytest.mark.parametrize("phase", ["loader", "object", "tensors"])
def test_the_guard_stays_until_everything_is_put_back(
    monkeypatch: pytest.MonkeyPatch, phase: str, name: str
) -> None:
    slow = Slow()
    copy_back = Values.restore

    def slow_copy_back(values: Values) -> None:
        slow.take_time()
        copy_back(values)

    if phase == "tensors":
        monkeypatch.setattr(Values, "restore", slow_copy_back)
    model, optimizer = fresh()
    before = picture(model, optimizer)
    batches = slow if phase == "loader" else data()
    preserve = [slow] if phase == "object" else []
    test = RangeTest(sweep(model, optimizer, batches, CE, num_iter=5, preserve=preserve)).start()
    try:
        assert slow.begun.wait(20)
        with pytest.raises(RuntimeError, match=OURS):
            INTRUSIONS[name](model, optimizer)
    finally:
        slow.may_end.set()
        assert test.join(20)
    assert test.wait().state is State.FINISHED
    assert picture(model, optimizer) == before


def test_a_sweep_goes_on_in_whatever_thread_asks_for_its_next_point() -> None:
    """`next(points)` in a cell, the rest in the background; callbacks change threads, too."""
    expected = range_test(*fresh(), data(), CE, num_iter=20, stop=None).losses.tolist()
    model, optimizer = fresh()
    points = sweep(model, optimizer, data(), CE, num_iter=20, stop=None)
    losses = [next(points)[1], elsewhere(lambda: next(points))[1], next(points)[1]]
    losses += RangeTest(points).start().wait(20).curve.losses.tolist()
    assert losses == expected


def test_a_sweep_may_be_closed_in_another_thread() -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    points = sweep(model, optimizer, data(), CE)
    next(points)
    elsewhere(points.close)
    assert picture(model, optimizer) == before


# -- when it is gone ------------------------------------------------------------------------------


def fails_at(n: int, error: BaseException) -> Callable[..., Tensor]:
    calls = itertools.count(1)

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        if next(calls) == n:
            raise error
        return CE(output, target)

    return criterion


def stopped(model: Any, optimizer: Any) -> None:
    hold = Held()
    test = started(hold, sweep(model, optimizer, data(), hold, stop=None))
    test.stop()
    hold.go_on.set()
    assert test.wait(20).state is State.STOPPED


def closed(model: Any, optimizer: Any) -> None:
    with closing(sweep(model, optimizer, data(), CE)) as points:
        next(points)


def never_begun(model: Any, optimizer: Any) -> None:
    sweep(model, optimizer, data(), CE).close()


def no_data(model: Any, optimizer: Any) -> None:
    with pytest.raises(ValueError, match="yielded nothing"):
        range_test(model, optimizer, [], CE)


def cannot_open(model: Any, optimizer: Any) -> None:
    class Broken:
        def __iter__(self) -> Iterator[Any]:
            raise Boom

    with pytest.raises(Boom):
        range_test(model, optimizer, Broken(), CE)


ENDS: dict[str, Callable[[Any, Any], object]] = {
    "completed": lambda m, o: range_test(m, o, data(), CE, num_iter=5),
    "diverged": lambda m, o: range_test(m, o, data(), CE, start_lr=1e-2, end_lr=1e6),
    "non-finite": lambda m, o: range_test(m, o, data(), lambda a, b: CE(a, b) * math.nan),
    "stop-rule": lambda m, o: range_test(m, o, data(), CE, stop=lambda losses: True),
    "exhausted": lambda m, o: range_test(m, o, iter(data()), CE),
    "stopped": stopped,
    "closed": closed,
    "never-begun": never_begun,
    "no-data": no_data,
    "cannot-open": cannot_open,
    "failed": lambda m, o: range_test(m, o, data(), fails_at(3, Boom())),
    "interrupted": lambda m, o: range_test(m, o, data(), fails_at(3, KeyboardInterrupt())),
}


@pytest.mark.parametrize("end", ENDS)
def test_after_every_end_the_guard_is_gone_and_the_users_hooks_are_not(end: str) -> None:
    model, optimizer = fresh()
    heard: list[str] = []
    model.register_forward_pre_hook(lambda *_: heard.append("forward"))
    optimizer.register_step_pre_hook(lambda *_: heard.append("step"))
    before = hooks(model, optimizer)
    with suppress(Boom, KeyboardInterrupt):
        ENDS[end](model, optimizer)
    assert hooks(model, optimizer) == before
    heard.clear()
    for act in INTRUSIONS.values():
        act(model, optimizer)
        elsewhere(lambda act=act: act(model, optimizer))
    assert heard == ["forward"] * 2 + ["step"] * 2


def test_a_hook_that_a_step_left_behind_goes_with_the_guard() -> None:
    model, optimizer = fresh()

    def step(batch: Any) -> float:
        model.register_forward_pre_hook(lambda *_: None)
        return 1.0

    range_test(model, optimizer, data(), step=step, num_iter=3)
    assert hooks(model, optimizer) == []


def test_a_guard_that_cannot_be_put_on_is_taken_off_as_far_as_it_got() -> None:
    class Unwilling(torch.optim.SGD):
        def register_step_pre_hook(self, hook: Any) -> Any:
            raise Boom

    model, _ = fresh()
    optimizer = Unwilling(model.parameters(), lr=0.1)
    before = picture(model, optimizer)
    with pytest.raises(Boom):
        range_test(model, optimizer, data(), CE)
    assert picture(model, optimizer) == before
    assert hooks(model, optimizer) == []
    elsewhere(lambda: model(X))


# -- copies ---------------------------------------------------------------------------------------


def by_save(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "save": by_save,
}


def copied_during_a_run(how: Callable[[nn.Module], Any]) -> tuple[list[Any], Held, RangeTest]:
    model, optimizer = fresh()
    copies: list[Any] = []
    hold = Held()

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = hold(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        if not copies:
            copies.append(how(model))
        return loss

    points = sweep(model, optimizer, data(), step=step, num_iter=20, stop=None)
    return copies, hold, started(hold, points)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_that_a_step_makes_can_be_used_by_anyone_at_once(how: str) -> None:
    copies, hold, test = copied_during_a_run(COPIES[how])
    try:
        (taken,) = copies
        expected = taken.last(torch.relu(taken.first(X)))
        assert torch.equal(taken(X), expected)
        assert torch.equal(elsewhere(lambda: taken(X)), expected)
        assert set(taken.state_dict()) == {"first.weight", "first.bias", "last.weight", "last.bias"}
        again = copy.deepcopy(taken)
        assert torch.equal(again(X), expected)
    finally:
        hold.go_on.set()
        assert test.wait(20).reason == "completed"


def test_a_model_saved_by_a_step_is_read_without_the_package() -> None:
    copies, hold, test = copied_during_a_run(pickle.dumps)
    hold.go_on.set()
    assert test.wait(20).reason == "completed"
    assert b"Net" in copies[0]
    assert b"lrfinder" not in copies[0]


def test_an_averaged_model_is_kept_and_used_in_the_step() -> None:
    model, optimizer = fresh()
    averages: list[torch.optim.swa_utils.AveragedModel] = []

    def step(batch: Any) -> Tensor:
        if not averages:
            averages.append(torch.optim.swa_utils.AveragedModel(model))
        optimizer.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        averages[0].update_parameters(model)
        averages[0](batch[0])
        return loss

    test = RangeTest(sweep(model, optimizer, data(), step=step, num_iter=10)).start().wait(20)
    assert len(test) == 10
    averages[0](X)


# -- what else calls a model ----------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_is_recomputed_in_the_backward_pass_is_the_runs_own(reentrant: bool) -> None:
    with warnings.catch_warnings():
        # the input of the first layer needs no gradient: the reentrant way warns, and trains less
        warnings.filterwarnings("ignore", message="None of the inputs have requires_grad=True")
        expected = range_test(*fresh(lambda: Net(reentrant)), data(), CE, num_iter=10)
        points = sweep(*fresh(lambda: Net(reentrant)), data(), CE, num_iter=10)
        assert RangeTest(points).start().wait(20).curve == expected
    if not reentrant:
        assert expected == range_test(*fresh(), data(), CE, num_iter=10)


def test_the_whole_model_may_be_recomputed_in_the_backward_pass() -> None:
    expected = range_test(*fresh(), data(), CE, num_iter=10)
    model, optimizer = fresh()

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = CE(checkpoint(model, batch[0], use_reentrant=False), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    points = sweep(model, optimizer, data(), step=step, num_iter=10)
    assert RangeTest(points).start().wait(20).curve == expected


def test_a_thread_that_is_not_pythons_own_passes() -> None:
    """Autograd recomputes a checkpoint on its device's thread, which Python has not started."""
    model, optimizer = fresh()
    with held(model, optimizer):
        done = threading.Event()
        outputs: list[Any] = []

        def recompute() -> None:
            try:
                outputs.append(model(X))
            finally:
                done.set()

        _thread.start_new_thread(recompute, ())
        assert done.wait(20)
        assert len(outputs) == 1


@pytest.mark.gpu
@needs_cuda
def test_on_cuda_the_whole_model_may_be_recomputed_in_the_backward_pass() -> None:
    model, _ = fresh()
    model.cuda()
    optimizer = sgd_momentum(model)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = CE(checkpoint(model, batch[0], use_reentrant=False), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    points = sweep(model, optimizer, data(), step=step, device="cuda", num_iter=10)
    assert RangeTest(points).start().wait(60).reason == "completed"


def test_a_replica_of_data_parallelism_passes_in_any_thread() -> None:
    model, optimizer = fresh()
    with held(model, optimizer):
        replica = model._replicate_for_data_parallel()
        replica._parameters = dict(model._parameters)
        for name, child in model.named_children():
            replica._modules[name] = child
        assert hooks(replica)  # they travel with it
        assert torch.equal(replica(X), elsewhere(lambda: replica(X)))


def test_the_model_inside_a_parallel_wrapper_is_guarded_too() -> None:
    model, optimizer = fresh(lambda: nn.DataParallel(Net()))
    inner = model.module
    with held(model, optimizer):
        for guarded_one in (model, inner):
            with pytest.raises(RuntimeError, match=OURS):
                guarded_one(X)
            with pytest.raises(RuntimeError, match=OURS):
                guarded_one.state_dict()
    assert hooks(model, inner, optimizer) == []


def test_a_layer_that_happens_to_be_called_module_is_not_taken_for_the_model() -> None:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.module(x)

    model, optimizer = fresh(Head)
    with held(model, optimizer):
        assert hooks(model)
        assert not hooks(model.module)


@torch_deprecates_its_own
def test_a_scripted_model_is_swept_with_its_optimizer_guarded() -> None:
    model, optimizer = fresh(lambda: torch.jit.script(nn.Sequential(nn.Linear(FEATURES, CLASSES))))
    weight = next(model.parameters())
    before = weight.detach().clone()
    with held(model, optimizer):
        model(X)  # it takes no hooks
        for name in ("optimizer.step", "optimizer.state_dict"):
            with pytest.raises(RuntimeError, match=OURS):
                INTRUSIONS[name](model, optimizer)
    assert torch.equal(weight, before)
    optimizer.step()


class Wrapper(torch.optim.Optimizer):
    """As Accelerate's: an optimizer by its type, whose own constructor has never run."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def state(self) -> Any:
        return self.optimizer.state

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups

    @property
    def defaults(self) -> Any:
        return self.optimizer.defaults

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)

    def state_dict(self) -> Any:
        return self.optimizer.state_dict()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.optimizer.step(closure)


def test_an_optimizer_that_wraps_another_is_guarded_and_put_back() -> None:
    expected = range_test(*fresh(), data(), CE, num_iter=20, stop=None)
    model, inner = fresh()
    optimizer = Wrapper(inner)
    before = picture(model, inner)
    with held(model, optimizer) as test:
        for one in (optimizer, inner):
            with pytest.raises(RuntimeError, match=OURS):
                one.step()
            with pytest.raises(RuntimeError, match=OURS):
                one.state_dict()
    assert test.curve == expected
    assert picture(model, inner) == before


def test_an_optimizer_with_another_one_inside_is_put_back() -> None:
    """As sharpness-aware minimization does it: the state is the inner one's."""

    class Sharpness(torch.optim.Optimizer):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {"lr": 0.05})
            self.base = torch.optim.SGD(self.param_groups, lr=0.05, momentum=0.9)
            self.param_groups = self.base.param_groups

        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            self.base.step()

    model, _ = fresh()
    optimizer = Sharpness(model.parameters())
    before = picture(model, optimizer.base)
    range_test(model, optimizer, data(), CE, num_iter=5)
    assert picture(model, optimizer.base) == before


def test_two_tests_of_different_models_run_side_by_side() -> None:
    alone = [range_test(*fresh(), data(), CE, num_iter=20, stop=None) for _ in range(2)]
    (a, of_a), (b, of_b) = fresh(), fresh()
    with held(a, of_a) as first, held(b, of_b) as second:
        for model, optimizer in ((a, of_a), (b, of_b)):
            for act in INTRUSIONS.values():
                with pytest.raises(RuntimeError, match=OURS):
                    act(model, optimizer)
    assert [first.curve, second.curve] == alone
    assert hooks(a, of_a, b, of_b) == []


def test_one_test_at_a_time_trains_a_model() -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    with held(model, optimizer), pytest.raises(RuntimeError, match=OURS):
        range_test(model, optimizer, data(), CE)
    assert picture(model, optimizer) == before


def test_the_later_of_two_tests_of_a_model_is_refused_before_it_begins() -> None:
    """Else it would copy what the other has changed, and put that back after it."""
    undisturbed = range_test(*fresh(), data(), CE, num_iter=20, stop=None)
    model, optimizer = fresh()
    CE(model(X), data()[0][1]).backward()
    before = picture(model, optimizer)
    asked_for: list[str] = []

    class Batches:
        def __iter__(self) -> Iterator[Any]:
            asked_for.append("batches")
            return iter(data())

    same_weights = nn.Sequential(model.first, nn.ReLU(), model.last)
    others = (model, adamw(model)), (same_weights, optimizer)
    with held(model, optimizer) as test:
        for what, other in zip(("model", "optimizer"), others, strict=True):
            of_both = hooks(*other)
            with pytest.raises(RuntimeError, match=rf"{OURS} {what} .*wait\(\) or stop\(\)"):
                range_test(*other, Batches(), CE)
            assert hooks(*other) == of_both
    assert asked_for == []
    assert test.curve == undisturbed
    assert picture(model, optimizer) == before
    assert hooks(model, optimizer) == []
    assert range_test(model, optimizer, data(), CE, num_iter=20, stop=None) == undisturbed


def test_a_test_in_the_background_is_told_of_one_in_the_foreground() -> None:
    """As of `range_test` in a cell, right after `finder.vary()`: there is nothing to stop."""
    model, optimizer = fresh()
    points = sweep(model, optimizer, data(), CE)
    next(points)
    late = RangeTest(sweep(model, optimizer, data(), CE)).start()
    with pytest.raises(RuntimeError, match=rf"{OURS} model in the foreground.*has ended\.$"):
        late.wait(20)
    points.close()


def test_another_optimizer_of_the_same_kind_is_left_alone() -> None:
    model, optimizer = fresh()
    other = adamw(nn.Linear(2, 2))
    with held(model, optimizer):
        other.step()
        other.state_dict()
        Net()(X)


# -- compiled models ------------------------------------------------------------------------------


class Counting:
    """A backend that runs what it is given as it is, and counts."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


@pytest.fixture
def backend() -> Iterator[Counting]:
    torch._dynamo.reset()
    yield Counting()
    torch._dynamo.reset()


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_compiled_model_is_guarded_and_not_compiled_again(
    backend: Counting, when: str, fullgraph: bool
) -> None:
    expected = range_test(*fresh(), data(), CE, num_iter=20, stop=None)
    model, optimizer = fresh(lambda: torch.compile(Net(), backend=backend, fullgraph=fullgraph))
    inner = model._orig_mod
    if when == "before":
        model(X)
    with held(model, optimizer) as test:
        with pytest.raises(RuntimeError, match=OURS):
            model(X)
        for guarded_one in (model, inner):
            with pytest.raises(RuntimeError, match=OURS):
                guarded_one.state_dict()
        with pytest.raises(RuntimeError, match=OURS):
            optimizer.step()
    assert test.curve == expected
    assert backend.graphs == 1
    model(X)
    elsewhere(lambda: model(X))
    range_test(model, optimizer, data(), CE, num_iter=5)
    model(X)
    assert backend.graphs == 1
    assert hooks(model, inner, optimizer) == []


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_model_compiled_in_place_is_guarded_by_its_optimizer_and_not_compiled_again(
    backend: Counting, when: str, fullgraph: bool
) -> None:
    model, optimizer = fresh()
    model.compile(backend=backend, fullgraph=fullgraph)
    if when == "before":
        model(X)
    with held(model, optimizer):
        for name in ("state_dict", "optimizer.step"):
            with pytest.raises(RuntimeError, match=OURS):
                INTRUSIONS[name](model, optimizer)
    assert backend.graphs == 1
    model(X)
    elsewhere(lambda: model(X))
    range_test(model, optimizer, data(), CE, num_iter=5)
    assert backend.graphs == 1


@pytest.mark.parametrize("fullgraph", [False, True])
def test_a_compiled_function_may_call_the_model(backend: Counting, fullgraph: bool) -> None:
    model, optimizer = fresh()

    @torch.compile(backend=backend, fullgraph=fullgraph)
    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return CE(model(x), y)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(*batch)
        loss.backward()
        optimizer.step()
        return loss

    expected = range_test(*fresh(), data(), CE, num_iter=10)
    test = RangeTest(sweep(model, optimizer, data(), step=step, num_iter=10)).start().wait(20)
    assert test.curve == expected
    assert backend.graphs == 1


@torch_deprecates_its_own
def test_a_compiled_optimizer_step_is_guarded(backend: Counting) -> None:
    model, optimizer = fresh()
    compiled = torch.compile(optimizer.step, backend=backend)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = hold(model(batch[0]), batch[1])
        loss.backward()
        compiled()
        return loss

    hold = Held()
    before = picture(model, optimizer)
    points = sweep(model, optimizer, data(), step=step, num_iter=10, stop=None)
    test = started(hold, points)
    try:
        with pytest.raises(RuntimeError, match=OURS):
            compiled()
    finally:
        hold.go_on.set()
        assert test.join(20)
    assert test.exception is None
    assert picture(model, optimizer) == before
