"""Losses on their way: whatever the device's delays, the curve is the one of a run that waits."""

from __future__ import annotations

import gc
import itertools
import math
import random
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import FEATURES, adamw, batchnorm_dropout, classes, picture, sgd_momentum
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from lrfinder_widget import RangeTest, State, range_test, sweep
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.training import sweep_run
from lrfinder_widget.training.read_back import IN_FLIGHT, Sender, can_fly, read_back

CE = nn.CrossEntropyLoss()
gpu = pytest.mark.gpu
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

delays = st.lists(st.integers(0, 12), max_size=40)
limits = st.integers(1, 8)


class Boom(Exception):
    pass


# -- arrivals whose delays are known --------------------------------------------------------------


class Clock:
    """A device's time: each step takes one, and whoever waits for a number lets it pass."""

    def __init__(self, delays: list[int]) -> None:
        self.now = 0
        self.delays = delays
        self.sent: list[Tensor] = []
        self.in_flight = self.most_in_flight = 0
        self.oldest_waited_for: list[int] = []

    def send(self, loss: Tensor) -> FakeArrival:
        delay = self.delays[len(self.sent) % len(self.delays)]
        self.sent.append(loss)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return FakeArrival(self, loss, delay)


class FakeArrival:
    def __init__(self, clock: Clock, loss: Tensor, delay: int) -> None:
        self.clock, self.due, self.number = clock, clock.now + delay, loss.item()

    def ready(self) -> bool:
        return self.clock.now >= self.due

    def value(self) -> float:
        self.clock.now = max(self.clock.now, self.due)
        self.clock.in_flight -= 1
        return self.number


def losses_of(n: int) -> list[float]:
    values = [math.sin(i) * 1.7**i for i in range(n)]
    if n > 3:
        values[3] = math.nan  # judged by whoever reads, not by the read-back
    return values


def steps_of(
    clock: Clock, n: int, fails_after: int | None = None, error: type[BaseException] = Boom
) -> Generator[tuple[float, float | Tensor], None, str]:
    for i, loss in enumerate(losses_of(n)):
        if i == fails_after:
            raise error(i)
        clock.now += 1
        yield float(i), torch.tensor(loss, dtype=torch.float64)
    if n == fails_after:
        raise error(n)
    return "the end"


def drained(points: Generator[tuple[float, float], None, Any]) -> tuple[list[Any], Any]:
    seen = []
    while True:
        try:
            seen.append(next(points))
        except StopIteration as end:
            return seen, end.value


@contextmanager
def suppress_into(raised: list[Any]) -> Iterator[None]:
    try:
        yield
    except Boom as error:
        raised.extend(error.args)


def bits(points: list[Any]) -> list[tuple[str, str]]:
    return [(lr.hex(), loss.hex()) for lr, loss in points]


@settings(max_examples=300, deadline=None)
@given(delays, limits)
def test_the_curve_is_that_of_a_blocking_run_for_every_delay_and_limit(
    delays: list[int], limit: int
) -> None:
    clock = Clock(delays or [0])
    points, end = drained(read_back(steps_of(clock, len(delays)), clock.send, limit))
    assert bits(points) == bits(list(enumerate_floats(len(delays))))
    assert end == "the end"
    assert clock.in_flight == 0
    assert clock.most_in_flight <= limit


def enumerate_floats(n: int) -> list[tuple[float, float]]:
    return [(float(i), loss) for i, loss in enumerate(losses_of(n))]


@settings(max_examples=300, deadline=None)
@given(delays.filter(len), limits, st.integers(0, 39))
def test_a_run_that_ends_at_a_point_has_trained_less_than_the_limit_beyond_it(
    delays: list[int], limit: int, ends_at: int
) -> None:
    clock = Clock(delays)
    ends_at %= len(delays)
    points = read_back(steps_of(clock, len(delays)), clock.send, limit)
    seen = list(itertools.islice(points, ends_at + 1))
    points.close()
    assert bits(seen) == bits(enumerate_floats(len(delays))[: ends_at + 1])
    assert len(clock.sent) - len(seen) <= limit - 1


@settings(max_examples=300, deadline=None)
@given(delays.filter(len), limits, st.integers(0, 39), st.integers(0, 39))
def test_an_exception_is_raised_in_its_turn_or_never(
    delays: list[int], limit: int, fails_after: int, ends_at: int
) -> None:
    fails_after %= len(delays) + 1
    clock = Clock(delays)
    points = read_back(steps_of(clock, len(delays), fails_after), clock.send, limit)
    seen: list[Any] = []
    raised: list[Any] = []
    with closing(points), suppress_into(raised):
        seen.extend(itertools.islice(points, ends_at))
    assert len(seen) == min(ends_at, fails_after)
    assert raised == ([fails_after] if fails_after < ends_at else [])
    assert bits(seen) == bits(enumerate_floats(len(delays))[: len(seen)])


@pytest.mark.parametrize("limit", [1, 4, 8])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_does_not_wait_for_its_turn(limit: int, error: type[BaseException]) -> None:
    clock = Clock([100])
    points = read_back(steps_of(clock, 20, 10, error), clock.send, limit)
    seen: list[Any] = []
    with pytest.raises(error):
        seen.extend(points)
    assert len(seen) == 10 - (limit - 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=30), limits)
def test_a_float_among_the_tensors_keeps_its_place(
    kinds: list[tuple[bool, int]], limit: int
) -> None:
    """A step of the user's own may read its loss now and then, and return that."""
    clock = Clock([delay for _, delay in kinds] or [0])

    def steps() -> Any:
        for i, (is_float, _) in enumerate(kinds):
            clock.now += 1
            yield float(i), float(i) if is_float else torch.tensor(float(i))
        return "the end"

    points, _ = drained(read_back(steps(), clock.send, limit))
    assert points == [(float(i), float(i)) for i in range(len(kinds))]
    assert clock.most_in_flight <= limit


def test_floats_are_passed_on_at_once() -> None:
    trained: list[float] = []

    def steps() -> Any:
        for i in range(5):
            trained.append(i)
            yield float(i), float(i)

    for i, point in enumerate(read_back(steps(), lambda loss: pytest.fail("sent"))):
        assert point == (i, i)
        assert len(trained) == i + 1


def test_a_number_that_fails_to_arrive_is_raised_where_it_belongs() -> None:
    class Lost:
        def __init__(self, loss: Tensor) -> None:
            self.loss = loss.item()

        def ready(self) -> bool:
            return False

        def value(self) -> float:
            if self.loss == 5:
                raise Boom
            return self.loss

    steps = ((float(i), torch.tensor(float(i))) for i in range(10))
    seen: list[Any] = []
    with pytest.raises(Boom):
        seen.extend(read_back(steps, Lost))  # type: ignore[arg-type]
    assert seen == [(i, i) for i in range(5)]


def test_an_exception_that_is_dropped_holds_no_memory() -> None:
    """Its traceback reaches the batch and the graph of the step: on a device that is a lot."""

    class Batch:
        pass

    held: list[weakref.ref[Batch]] = []

    def failing() -> None:
        batch = Batch()
        held.append(weakref.ref(batch))
        raise Boom

    def steps() -> Any:
        for i in range(3):
            yield float(i), torch.tensor(1.0)
        failing()

    clock = Clock([100])
    gc.collect()
    gc.disable()
    try:
        points = read_back(steps(), clock.send, 8)
        assert next(points) == (0.0, 1.0)  # which is after the failure: nothing has arrived before
        assert held
        points.close()
        del points
        assert held[0]() is None
    finally:
        gc.enable()


# -- the real sender, on a device that is a queue -------------------------------------------------


END = -1


class Device:
    """A stream of work: done in order, later, in any portions; looks like `torch` to the sender."""

    def __init__(self) -> None:
        self.queue: deque[Callable[[], object]] = deque()
        self.queued = self.done = 0
        self.pinned = 0
        self.waits: list[int] = []  # how much was queued behind what somebody waited for

    def put(self, work: Callable[[], object]) -> None:
        self.queue.append(work)
        self.queued += 1

    def run(self, until: int) -> None:
        while self.done < min(until, self.queued):
            self.queue.popleft()()
            self.done += 1

    # -- what the sender asks of torch --

    def empty(self, size: Any, dtype: torch.dtype, pin_memory: bool, device: str) -> PinnedMemory:
        assert pin_memory
        assert device == "cpu", "whatever the default device is"
        self.pinned += 1
        return PinnedMemory(self, torch.full(size, -1, dtype=dtype))

    def get_device_module(self, device: torch.device) -> Any:
        stream = SimpleNamespace(device=self)
        return SimpleNamespace(Event=Event, current_stream=lambda device: stream)


class PinnedMemory:
    def __init__(self, device: Device, memory: Tensor) -> None:
        self.device, self.memory = device, memory
        self.dtype = memory.dtype

    def copy_(self, source: Tensor, non_blocking: bool) -> None:
        assert non_blocking
        assert not source.requires_grad
        self.device.put(lambda: self.memory.copy_(source))

    def item(self) -> float:
        return self.memory.item()

    def tolist(self) -> Any:
        return self.memory.tolist()


class Event:
    device: Device

    def record(self, stream: Any) -> None:
        self.device, self.position = stream.device, stream.device.queued

    def query(self) -> bool:
        return self.device.done >= self.position

    def synchronize(self) -> None:
        if not self.query():
            self.device.waits.append(self.device.queued - self.position)
            self.device.run(self.position)


def on_the_device(
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    limit: int,
    *,
    in_place: bool = False,
    dtypes: tuple[torch.dtype, ...] = (torch.float32,),
) -> tuple[list[Any], list[Any], Device]:
    """Return the points as read back, as they are right, and the device after all of it."""
    rng = random.Random(seed)
    device = Device()
    monkeypatch.setattr("lrfinder_widget.training.read_back.torch", device)
    static = torch.full((1, 1), 77, dtype=dtypes[0])
    right: list[Any] = []

    def steps() -> Any:
        for i in range(rng.randrange(40)):
            value = rng.uniform(-10, 10)
            dtype = dtypes[i % len(dtypes)]
            loss = static if in_place else torch.full((), 77, dtype=dtype)
            loss.requires_grad_(dtype.is_floating_point)
            right.append((float(i), torch.tensor(value, dtype=dtype).item()))
            device.put(lambda loss=loss, value=value: loss.detach().fill_(value))
            device.run(device.done + rng.choice([0, 0, 1, 2, 10]))  # the device, behind
            yield float(i), loss
        device.waits.append(END)

    points, _ = drained(read_back(steps(), Sender(limit), limit))
    return points, right, device


@pytest.mark.parametrize("in_place", [False, True], ids=["new-losses", "one-static-loss"])
@pytest.mark.parametrize("limit", range(1, 9))
def test_the_sender_brings_every_loss_through_memory_that_is_used_again(
    monkeypatch: pytest.MonkeyPatch, limit: int, in_place: bool
) -> None:
    for seed in range(40):
        points, right, device = on_the_device(monkeypatch, seed, limit, in_place=in_place)
        assert points == right
        assert device.pinned <= limit + 1


def test_small_arrays_arrive_through_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    device, send, flying = Device(), Sender(limit=2), deque[Any]()
    monkeypatch.setattr("lrfinder_widget.training.read_back.torch", device)
    static, found = torch.zeros(3), []
    for i in range(20):
        shape = 3 if i < 10 else 2
        device.put(lambda i=i: static.copy_(torch.arange(3) + i))
        flying.append(send(static[:shape]))
        if len(flying) > 2:
            found.append(flying.popleft().values())
    found += [one.values() for one in flying]
    assert found == [[i + k for k in range(3 if i < 10 else 2)] for i in range(20)]
    assert device.pinned <= 6


def test_what_is_waited_for_is_a_few_steps_old(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 4
    work_per_step = 2  # the loss, and its copy
    waits = [on_the_device(monkeypatch, seed, limit)[2].waits for seed in range(40)]
    steady = [wait for run in waits for wait in run[: run.index(END)]]
    assert len(steady) > 40
    assert set(steady) == {(limit - 1) * work_per_step}


def test_a_loss_of_another_dtype_is_not_rounded_to_the_firsts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dtypes = (torch.bfloat16, torch.float32, torch.float64)
    for seed in range(10):
        points, right, _ = on_the_device(monkeypatch, seed, 4, dtypes=dtypes)
        assert points == right


def test_what_arrives_is_a_float_whatever_the_losses_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    points, right, _ = on_the_device(monkeypatch, 1, 4, dtypes=(torch.int64,))
    assert right
    assert all(type(loss) is float for _, loss in points)


def test_a_loss_on_another_device_has_an_event_of_that_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lrfinder_widget.training.read_back.torch", Device())
    send = Sender(limit=0)
    events = [
        send(torch.ones((), device=where))._event  # type: ignore[attr-defined]
        for where in ("cpu", "cpu", "meta", "meta", "cpu")
    ]
    changes = [before is not after for before, after in itertools.pairwise(events)]
    assert changes == [False, True, False, True]


def test_only_devices_with_events_send() -> None:
    with FakeTensorMode():  # tensors of devices that are not there
        losses = {kind: torch.ones((), device=kind) for kind in ("cpu", "cuda", "mps", "xpu")}
        flying = {kind: can_fly(loss) for kind, loss in losses.items()}
    assert flying == {"cpu": False, "cuda": True, "mps": False, "xpu": True}


# -- the whole sweep ------------------------------------------------------------------------------


def data() -> list[Any]:
    x, y = classes().tensors
    return list(zip(x.split(8), y.split(8), strict=True))


def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    return model, adamw(model)


@pytest.fixture(params=[0, 1, 5, 100], ids=lambda delay: f"delay-{delay}")
def slow_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the losses of a CPU travel like those of an accelerator."""
    rng = random.Random(request.param)
    clock = Clock([rng.randint(0, request.param) for _ in range(37)])

    def as_loss(loss: Any) -> Tensor:
        clock.now += 1
        return torch.as_tensor(loss).detach().clone()

    monkeypatch.setattr(sweep_run, "as_loss", as_loss)
    monkeypatch.setattr(sweep_run, "Sender", lambda: clock.send)
    return clock


def noisy(losses: Any) -> Callable[..., Tensor]:
    """Give a criterion with an exception, or another value, at a call of one's choice."""
    calls = itertools.count(1)

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        what = losses.get(next(calls))
        if isinstance(what, BaseException):
            raise what
        return CE(output, target) if what is None else CE(output, target) * 0 + what

    return criterion


ENDS: dict[str, Any] = {
    "completed": (lambda: {"num_iter": 30, "stop": None}, {}),
    "diverged": (lambda: {"start_lr": 1e-2, "end_lr": 1e6, "num_iter": 60}, {}),
    "non-finite": (lambda: {"stop": None}, {12: math.nan}),
    "stop-rule": (lambda: {"stop": lambda losses: len(losses) == 12}, {}),
    "exhausted": (lambda: {"stop": None}, {}),
    "failed-beyond-a-rule": (
        lambda: {"stop": lambda losses: len(losses) == 12},
        {13: Boom(), 14: Boom()},
    ),
    "failed-beyond-a-nan": (lambda: {"stop": None}, {12: math.nan, 13: Boom()}),
}


@pytest.mark.parametrize("end", [end for end, (_, faults) in ENDS.items() if not faults])
def test_on_a_slow_device_each_diagnosis_is_that_of_its_point(slow_device: Clock, end: str) -> None:
    options, _ = ENDS[end]
    curves = []
    for how in ("blocking", "slow"):
        batches = iter(data() * 3) if end == "exhausted" else data()
        with pytest.MonkeyPatch.context() as patch:
            if how == "blocking":
                patch.setattr(sweep_run, "as_loss", lambda loss: loss.item())
            curves.append(range_test(*fresh(), batches, CE, **options(), diagnose=True))
    assert curves[0].diagnosis is not None
    assert curves[0] == curves[1]


@pytest.mark.parametrize("end", ENDS)
def test_a_sweep_on_a_slow_device_is_the_same_to_the_bit(slow_device: Clock, end: str) -> None:
    options, faults = ENDS[end]

    def batches() -> Any:
        return iter(data() * 3) if end == "exhausted" else data()

    with pytest.MonkeyPatch.context() as blocking:
        blocking.setattr(sweep_run, "as_loss", lambda loss: loss.item())
        expected = range_test(*fresh(), batches(), noisy(faults), **options())
    assert expected.reason == {"failed-beyond-a-rule": "stop-rule"}.get(
        end, end if "beyond" not in end else "non-finite"
    )
    model, optimizer = fresh()
    before = picture(model, optimizer)
    curve = range_test(model, optimizer, batches(), noisy(faults), **options())
    assert curve.losses.tobytes() == expected.losses.tobytes()
    assert curve == expected
    assert slow_device.sent
    of_baseline = 0 if curve.baseline is None else len(curve)
    assert len(slow_device.sent) <= len(curve) + IN_FLIGHT - 1 + of_baseline
    assert picture(model, optimizer) == before


def test_a_stop_rule_sees_the_same_losses_in_the_same_order(slow_device: Clock) -> None:
    def run() -> list[list[float]]:
        seen: list[list[float]] = []

        def rule(losses: Any) -> bool:
            seen.append(losses.tolist())
            return len(losses) == 17

        range_test(*fresh(), data(), CE, stop=rule)
        return seen

    later = run()
    with pytest.MonkeyPatch.context() as blocking:
        blocking.setattr(sweep_run, "as_loss", lambda loss: loss.item())
        assert run() == later


def test_a_failing_step_is_raised_after_all_points_before_it(slow_device: Clock) -> None:
    error = Boom()
    model, optimizer = fresh()
    before = picture(model, optimizer)
    test = RangeTest(sweep(model, optimizer, data(), noisy({20: error}), stop=None)).start()
    with pytest.raises(Boom) as caught:
        test.wait(20)
    assert caught.value is error
    assert (test.state, len(test)) == (State.FAILED, 19)
    assert picture(model, optimizer) == before


@pytest.mark.parametrize("at", [1, 2, 5, 100])
def test_an_interrupt_at_any_step_restores_everything(slow_device: Clock, at: int) -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    with pytest.raises(KeyboardInterrupt):
        range_test(model, optimizer, data(), noisy({at: KeyboardInterrupt()}), stop=None)
    assert picture(model, optimizer) == before


@pytest.mark.parametrize("points_taken", [0, 1, 5, 100])
def test_closing_with_losses_in_flight_restores_everything(
    slow_device: Clock, points_taken: int
) -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    with closing(sweep(model, optimizer, data(), CE, stop=None)) as points:
        assert len(list(itertools.islice(points, points_taken))) == points_taken
    assert next(points, None) is None
    assert picture(model, optimizer) == before


def test_stop_is_answered_within_the_steps_in_flight(slow_device: Clock) -> None:
    test: RangeTest
    trained_at_stop: list[int] = []

    def stop_at_ten(_: RangeTest) -> None:
        if len(slow_device.sent) >= 10 and not trained_at_stop:
            trained_at_stop.append(len(slow_device.sent))
            test.stop()

    def step(batch: Any) -> Tensor:
        stop_at_ten(test)
        return torch.ones(())

    test = RangeTest(sweep(*fresh(), data(), step=step, num_iter=100_000, stop=None))
    test.start().wait(20)
    assert (test.state, test.reason) == (State.STOPPED, "stopped")
    assert len(slow_device.sent) <= trained_at_stop[0] + IN_FLIGHT


# -- a real device --------------------------------------------------------------------------------

STEPS = 100


def convolutions() -> nn.Module:
    """Deterministic on CUDA, and it draws from the device's random state."""
    return nn.Sequential(
        nn.Linear(FEATURES, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 3)
    ).cuda()


def on_cuda() -> tuple[nn.Module, torch.optim.Optimizer, list[Any]]:
    torch.manual_seed(0)
    model = convolutions()
    x, y = classes(256).tensors
    batches = list(zip(x.pin_memory().split(32), y.pin_memory().split(32), strict=True))
    return model, sgd_momentum(model), batches


def all_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Any]:
    """List every bit that training on the device changes."""
    tensors = [*model.parameters(), *model.buffers()]
    state = [
        (key, value.tolist() if isinstance(value, Tensor) else value)
        for values in optimizer.state.values()
        for key, value in values.items()
    ]
    return [
        *(tensor.detach().cpu().view(torch.uint8).tolist() for tensor in tensors if tensor.dim()),
        *(tensor.item() for tensor in tensors if not tensor.dim()),
        *(None if p.grad is None else p.grad.cpu().tolist() for p in model.parameters()),
        *(repr({k: v for k, v in g.items() if k != "params"}) for g in optimizer.param_groups),
        state,
        torch.get_rng_state().tolist(),
        [torch.cuda.get_rng_state(i).tolist() for i in range(torch.cuda.device_count())],
        [module.training for module in model.modules()],
    ]


@gpu
@needs_cuda
@pytest.mark.parametrize("background", [False, True])
def test_on_cuda_the_curve_is_that_of_a_plain_loop_that_waits(background: bool) -> None:
    model, optimizer, batches = on_cuda()
    expected = []
    for i, lr in enumerate(SweepPlan(1e-5, 1.0, STEPS).lrs):
        optimizer.param_groups[0]["lr"] = lr
        x, y = (part.cuda() for part in batches[i % len(batches)])
        optimizer.zero_grad()
        loss = CE(model(x), y)
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    model, optimizer, batches = on_cuda()
    points = sweep(
        model, optimizer, batches, CE, start_lr=1e-5, end_lr=1.0, num_iter=STEPS, stop=None
    )
    test = RangeTest(points)
    losses = (
        test.start().wait(60).curve.losses.tolist() if background else [loss for _, loss in points]
    )
    assert losses == expected


@gpu
@needs_cuda
@pytest.mark.parametrize("end", ["completed", "stopped", "failed", "stop-rule"])
def test_on_cuda_everything_and_the_random_state_are_put_back(end: str) -> None:
    model, optimizer, batches = on_cuda()
    for _ in range(3):  # in the middle of training
        x, y = (part.cuda() for part in batches[0])
        optimizer.zero_grad()
        CE(model(x), y).backward()
        optimizer.step()
    before = all_of(model, optimizer)
    stop = (lambda losses: len(losses) == 20) if end == "stop-rule" else None
    criterion = noisy({50: Boom()} if end == "failed" else {})
    with closing(sweep(model, optimizer, batches, criterion, stop=stop)) as points:
        try:
            seen = list(itertools.islice(points, 30 if end == "stopped" else None))
        except Boom:
            assert end == "failed"
        else:
            assert len(seen) == {"stopped": 30, "stop-rule": 20, "completed": 100}[end]
    assert all_of(model, optimizer) == before


@gpu
@needs_cuda
def test_on_cuda_no_step_of_the_steady_state_synchronises() -> None:
    model, optimizer, batches = on_cuda()
    with closing(sweep(model, optimizer, batches, CE, num_iter=STEPS, stop=None)) as points:
        list(itertools.islice(points, 10))
        torch.cuda.set_sync_debug_mode("error")
        try:
            list(itertools.islice(points, STEPS - 20))
        finally:
            torch.cuda.set_sync_debug_mode("default")


@gpu
@needs_cuda
def test_on_cuda_no_synchronising_call_is_in_a_trace_of_the_steady_state() -> None:
    from torch.profiler import ProfilerActivity, profile, record_function

    model, optimizer, batches = on_cuda()
    with closing(sweep(model, optimizer, batches, CE, num_iter=STEPS, stop=None)) as points:
        list(itertools.islice(points, 10))
        with (
            profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace,
            record_function("steady state"),
        ):
            list(itertools.islice(points, STEPS - 20))
    events = list(trace.events())
    steady = next(  # the device has an event of that name too
        event
        for event in events
        if event.name == "steady state" and event.device_type == torch.autograd.DeviceType.CPU
    ).time_range
    names = {
        event.name
        for event in events  # the profiler itself synchronises at its end
        if steady.start <= event.time_range.start <= steady.end
    }
    assert any(name.startswith("cudaLaunchKernel") for name in names), "an empty trace"
    assert names & {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaMemcpy"} == set()
