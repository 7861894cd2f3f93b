"""Whatever goes wrong, wherever, whenever: nothing is changed, and nothing is left.

A fault is put into each phase of training (loading, forward, backward, step), into the read-back,
the listener and the restore, in the first, a middle and the last step; the run ends by an
exception, an interrupt, a stop, a divergence, or because it is closed.
"""

from __future__ import annotations

import contextlib
import dis
import gc
import math
import multiprocessing
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import setups
import torch
from setups import ITERATIONS, SETUPS, VARIANTS, Probe, Setup, make
from support import DEVICE, classes
from torch import Tensor
from torch.nn.modules import module as modules
from torch.utils.data import DataLoader, Sampler

import lrfinder_widget.background.range_test
import lrfinder_widget.training.read_back
import lrfinder_widget.training.sweep_run
from lrfinder_widget import RangeTest, State, range_test, sweep, vary
from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.training.drive import Drive

pytestmark = [
    *(pytest.mark.filterwarnings(warning) for warning in setups.WARNINGS),
]

optimizers = sys.modules[torch.optim.Optimizer.__module__]  # `torch.optim` hides it

PATIENCE_S = 20  # more than any of this takes on a machine with much else to do


class Boom(Exception):
    pass


# -- nothing is left ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nothing")


@pytest.fixture(autouse=True)
def nothing_is_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold each test to it: no thread, process, hook of torch's own, setting or file."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("TMPDIR", str(place))
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # no pool competes for a small machine
    before = settings()
    threads, processes = set(threading.enumerate()), set(multiprocessing.active_children())
    yield
    if set(threading.enumerate()) - threads:
        gc.collect()  # an exception that nobody keeps may not have let go of its queues yet
    for thread in set(threading.enumerate()) - threads:  # a timer that was cancelled ends at once
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    # One that an earlier test has let go of may end during this one.
    assert set(multiprocessing.active_children()) - processes == set()
    assert settings() == before
    assert list(place.iterdir()) == []
    torch.set_num_threads(torch_threads)


def settings() -> dict[str, Any]:
    return {
        "switch interval": sys.getswitchinterval(),
        "gradients": torch.is_grad_enabled(),
        "autocast": torch.is_autocast_enabled(DEVICE.type),
        "default device": torch.get_default_device(),
        "hooks": [
            list(hooks)
            for hooks in (
                modules._global_forward_hooks,
                modules._global_forward_pre_hooks,
                optimizers._global_optimizer_pre_hooks,
                optimizers._global_optimizer_post_hooks,
            )
        ],
        "handler": signal.getsignal(signal.SIGINT),
    }


# -- the ways to end ------------------------------------------------------------------------------

Plant = Callable[[Callable[[], object]], object]  # has a function called when the time has come


def exception(setup: Setup, plant: Plant) -> None:
    _raised(setup, plant, Boom())


def interrupt(setup: Setup, plant: Plant) -> None:
    _raised(setup, plant, KeyboardInterrupt())


def _raised(setup: Setup, plant: Plant, error: BaseException) -> None:
    plant(_raising(error))
    with pytest.raises(type(error)) as caught:
        range_test(**setup.sweep)
    assert caught.value is error


def _raising(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def failure_in_the_background(setup: Setup, plant: Plant) -> None:
    error = Boom()
    plant(_raising(error))
    test = RangeTest(sweep(**setup.sweep)).start()
    with pytest.raises(Boom):
        test.wait(PATIENCE_S)
    assert (test.state, test.reason) == (State.FAILED, "failed")
    assert test.exception is error


def stop(setup: Setup, plant: Plant) -> None:
    test = RangeTest(sweep(**setup.sweep))
    plant(test.stop)
    test.start().wait(PATIENCE_S)
    assert (test.state, test.reason) == (State.STOPPED, "stopped")


def divergence(setup: Setup, plant: Plant) -> None:
    plant(lambda: setattr(setup.probe, "offset", 1.0))
    curve = range_test(**{**setup.sweep, "num_iter": 3 * ITERATIONS, "stop": "divergence"})
    assert curve.reason == "diverged"


def non_finite(setup: Setup, plant: Plant) -> None:
    plant(lambda: setattr(setup.probe, "factor", math.nan))
    curve = range_test(**{**setup.sweep, "num_iter": ITERATIONS + 1})
    assert curve.reason == "non-finite"


def close(setup: Setup, plant: Plant) -> None:
    due: list[bool] = []
    plant(lambda: due.append(True))
    with closing(sweep(**setup.sweep)) as points:
        for _ in points:
            if due:
                break
    assert due


ENDS = (exception, interrupt, failure_in_the_background, stop, divergence, non_finite, close)
POSITIONS = ("first", "middle", "last")


@cache
def calls(name: str) -> dict[str, int]:
    """Count how often each phase comes by in an undisturbed test."""
    setup = make(name)
    setup.probe.calls.clear()
    range_test(**setup.sweep)
    return dict(setup.probe.calls)


@cache
def tried(name: str) -> dict[str, range]:
    """Find the calls that are made by the updates that are only tried, and taken back."""
    setup, numbers = make(name), {}
    old = Drive._compare_updates

    def note(self: Any, *call: Any) -> None:
        before = setup.probe.calls.copy()
        old(self, *call)
        for phase, count in (setup.probe.calls - before).items():
            numbers[phase] = range(before[phase] + 1, before[phase] + count + 1)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Drive, "_compare_updates", note)
        setup.probe.calls.clear()
        range_test(**setup.sweep)
    return numbers


def call_number(position: str, total: int, but: range = range(0)) -> int:
    """Choose a call, but none of a certain range."""
    number = {"first": 1, "middle": (total + 1) // 2, "last": total}[position]
    return but.stop if number in but else number


# -- a fault in training --------------------------------------------------------------------------

PHASES = ("load", "forward", "backward", "step", "stepped")

# In these, every end at every phase and every step; in the others, every end at every phase, now at
# one step and now at another.
THOROUGH = ("plain", "accumulation", "fp16", "gan", "lbfgs", "averaged-by-hand", "hidden-state")

NOT_WATCHED = ("compiled-step", "loader-pinned", "loader-workers", "loader-persistent")
OPTIMIZERS = [
    f"{name}{variant and '-'}{variant}" for name, variants in VARIANTS for variant in variants
]
OTHERS = [
    name
    for name in SETUPS
    if name not in (*THOROUGH, *NOT_WATCHED, *OPTIMIZERS) and not name.startswith("compiled")
]


def cases() -> Iterator[Any]:
    def case(name: str, phase: str, end: Any, position: str) -> Any:
        return pytest.param(
            name, phase, end, position, id=f"{name}-{phase}-{end.__name__}-{position}"
        )

    for name in THOROUGH:
        for phase in PHASES:
            for end in ENDS:
                for position in POSITIONS:
                    yield case(name, phase, end, position)
    for i, name in enumerate(OTHERS):
        for j, phase in enumerate(PHASES):
            for k, end in enumerate(ENDS):
                yield case(name, phase, end, POSITIONS[(i + j + k) % 3])


@pytest.mark.parametrize(("name", "phase", "end", "position"), list(cases()))
def test_nothing_is_changed_by_a_fault_in_training(
    name: str, phase: str, end: Callable[[Setup, Plant], None], position: str
) -> None:
    at = call_number(position, calls(name)[phase], tried(name).get(phase, range(0)))
    setup = make(name)
    before = setup.picture()
    end(setup, lambda act: setup.probe.arm(phase, at, act))
    assert setup.picture() == before


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("phase", ["step", "stepped"])
@pytest.mark.parametrize("name", [name for name in THOROUGH if name != "lbfgs"])
def test_a_fault_in_an_update_that_is_only_tried_ends_nothing(
    name: str, phase: str, which: int
) -> None:
    at = tried(name)[phase][which]
    expected = range_test(**make(name).sweep)
    setup = make(name)
    before = setup.picture()
    error = Boom()
    setup.probe.arm(phase, at, _raising(error))
    assert range_test(**setup.sweep) == expected
    assert error.__traceback__ is not None  # it was raised
    assert setup.picture() == before
    setup.probe.arm(phase, at, _raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        range_test(**setup.sweep)
    assert setup.picture() == before


# -- a fault in the read-back ---------------------------------------------------------------------


class Slow:
    """Sends numbers as from an accelerator: none arrives before it is waited for."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __call__(self, loss: Tensor) -> Slow.Number:
        self.probe("send")
        return Slow.Number(self.probe, loss.item())

    class Number:
        def __init__(self, probe: Probe, number: float) -> None:
            self.probe, self.number = probe, number

        def ready(self) -> bool:
            return False

        def value(self) -> float:
            self.probe("arrive")
            return self.number * self.probe.factor


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("phase", ["send", "arrive"])
@pytest.mark.parametrize("name", ["plain", "fp16", "gan", "lazy", "averaged-by-hand"])
def test_nothing_is_changed_by_a_fault_in_the_read_back(
    name: str,
    phase: str,
    end: Callable[[Setup, Plant], None],
    position: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = make(name)
    monkeypatch.setattr(lrfinder_widget.training.read_back, "can_fly", lambda loss: True)
    monkeypatch.setattr(lrfinder_widget.training.sweep_run, "Sender", lambda: Slow(setup.probe))
    at = call_number(position, ITERATIONS)
    before = setup.picture()
    end(setup, lambda act: setup.probe.arm(phase, at, act))
    assert setup.picture() == before


# -- a fault in a listener ------------------------------------------------------------------------


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("kind", ["exception", "interrupt", "stop", "divergence", "close"])
@pytest.mark.parametrize("name", ["plain", "fp16", "gan", "lazy", "averaged-by-hand"])
def test_nothing_is_changed_by_a_fault_in_a_listener(
    name: str,
    kind: str,
    position: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(
        lrfinder_widget.background.range_test, "REFRESH_S", 0.0
    )  # it hears of every point
    setup = make(name)
    before = setup.picture()
    points = sweep(**setup.sweep)
    test = RangeTest(points)
    act = {
        "exception": _raising(Boom()),
        "interrupt": _raising(KeyboardInterrupt()),
        "stop": test.stop,
        "divergence": lambda: setattr(setup.probe, "factor", math.nan),
        "close": points.close,
    }[kind]
    # It is told of the start, of each point, and of the end.
    setup.probe.arm("listener", call_number(position, ITERATIONS + 2), act)
    test.listen(lambda test: setup.probe("listener"))
    with suppress(KeyboardInterrupt):
        test.start()
    if test.state is not State.READY:
        with suppress(KeyboardInterrupt):
            test.wait(PATIENCE_S)
        assert test.state.ended
    assert setup.picture() == before
    if kind == "exception":  # the run does not care
        assert (test.state, len(test)) == (State.FINISHED, ITERATIONS)
        assert [record.exc_info[0] for record in caplog.records] == [Boom]


# -- a fault in the restore -----------------------------------------------------------------------


class Fragile:
    """Something to be put back, first of all, that may fail in it."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.probe("restore")


@pytest.mark.parametrize("points", [1, ITERATIONS // 2, ITERATIONS])
@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
@pytest.mark.parametrize("end", ["exception", "interrupt", "stop", "divergence", "close"])
@pytest.mark.parametrize("name", ["plain", "fp16-own-loop", "gan", "lazy", "averaged-by-hand"])
def test_nothing_else_is_changed_by_a_fault_at_the_start_of_the_restore(
    name: str, end: str, error: type[BaseException], points: int
) -> None:
    setup = make(name)
    # No `exact` on it: its probe counts on.
    arguments = {**setup.sweep, "preserve": [Fragile(Rest(setup.probe, error()))]}
    arguments["preserve"] += setup.sweep.get("preserve", [])
    before = setup.picture()
    if end in ("exception", "interrupt"):
        act = _raising(Boom() if end == "exception" else KeyboardInterrupt())
        setup.probe.arm("load", _load_of(name, points), act)
        with pytest.raises((Boom, KeyboardInterrupt)):
            range_test(**arguments)
    elif end == "divergence":
        setup.probe.arm("load", _load_of(name, points), lambda: _spoil(setup))
        with pytest.raises(error):
            range_test(**arguments)
    elif end == "stop":
        test = RangeTest(sweep(**arguments))
        setup.probe.arm("load", _load_of(name, points), test.stop)
        with pytest.raises(error):
            test.start().wait(PATIENCE_S)
        assert test.state is State.FAILED
    else:
        run = sweep(**arguments)
        for _ in range(points):
            next(run)
        with pytest.raises(error):
            run.close()
    assert setup.picture() == before


class Rest:
    """A probe that raises at its first call only."""

    def __init__(self, probe: Probe, error: BaseException) -> None:
        self.error: BaseException | None = error

    def __call__(self, phase: str) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


def _load_of(name: str, points: int) -> int:
    return points * calls(name)["load"] // ITERATIONS


def _spoil(setup: Setup) -> None:
    setup.probe.factor = math.nan


@pytest.mark.parametrize("points", [1, ITERATIONS // 2, ITERATIONS])
@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
def test_data_that_cannot_be_closed_does_not_keep_the_model_from_its_restore(
    error: type[BaseException], points: int
) -> None:
    class Unclosable:
        def __iter__(self) -> Iterator[Any]:
            try:
                while True:
                    yield from setups.pairs()
            finally:
                raise error

    setup = make("plain")
    before = setup.picture()
    run = sweep(**{**setup.sweep, "batches": Unclosable()})
    for _ in range(points):
        next(run)
    with pytest.raises(error):
        run.close()
    assert setup.picture() == before


# -- interrupts from outside ----------------------------------------------------------------------


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_the_middle_of_a_blocking_test_restores_everything(
    phase: str, position: str
) -> None:
    setup = make("plain")
    before = setup.picture()
    at = call_number(position, calls("plain")[phase])
    setup.probe.arm(phase, at, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        range_test(**setup.sweep)
    assert setup.picture() == before


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_from_another_thread_at_any_moment_restores_everything(phase: str) -> None:
    setup = make("plain")
    before = setup.picture()
    kill = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT))
    setup.probe.arm(phase, 20, kill.start)
    with pytest.raises(KeyboardInterrupt):
        range_test(**{**setup.sweep, "num_iter": 1_000_000})
    kill.join(PATIENCE_S)
    assert setup.picture() == before


@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_of_the_wait_leaves_the_run_alone(phase: str) -> None:
    setup = make("plain")
    before = setup.picture()
    setup.probe.arm(phase, 20, lambda: os.kill(os.getpid(), signal.SIGINT))
    test = RangeTest(sweep(**{**setup.sweep, "num_iter": 1_000_000}))
    with pytest.raises(KeyboardInterrupt):
        test.start().wait(PATIENCE_S)
    assert test.state is State.RUNNING
    test.stop()
    assert test.wait(PATIENCE_S).state is State.STOPPED
    assert setup.picture() == before


# Where Python looks whether a signal has come: when a function begins or goes on, after a call, and
# before a loop begins anew.
LOOKS = {
    code
    for name, code in dis.opmap.items()
    if name in ("RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX") or "BACKWARD" in name
}
PACKAGE = str(Path(lrfinder_widget.__file__).parent)
BELOW = (contextlib.__file__, threading.__file__)  # called from the package


class Moments:
    """Every moment at which a signal may be heard in the package; one of them can be chosen."""

    def __init__(self, chosen: int | None = None, below: tuple[str, ...] = BELOW) -> None:
        self.chosen = chosen
        self.below = below
        self.seen: list[tuple[str, int]] = []

    def __enter__(self) -> Moments:
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: Any, event: str, argument: Any) -> Any:
        if not self._counts(frame):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        code, looked = frame.f_code.co_code, True  # it has just begun, or goes on

        def follow(frame: Any, event: str, argument: Any) -> Any:
            nonlocal looked
            if event == "opcode":
                if looked:
                    self._moment(frame)
                looked = code[frame.f_lasti] in LOOKS
            elif event == "exception":  # the call did not return
                looked = False
            return follow

        return follow

    def _counts(self, frame: Any) -> bool:
        file = "" if frame is None else frame.f_code.co_filename
        return file.startswith(PACKAGE) or (file in self.below and self._counts(frame.f_back))

    def _moment(self, frame: Any) -> None:
        if self.chosen == len(self.seen):
            raise KeyboardInterrupt
        self.seen.append((f"{frame.f_code.co_filename}:{frame.f_lineno}", frame.f_lasti))


def moments_of(act: Callable[[], object], **options: Any) -> dict[str, list[int]]:
    """Find every place in the package where a signal may be heard, the first and the last time."""
    act()  # what is done only once is done now
    with Moments(**options) as moments:
        act()
    places: dict[tuple[str, int], list[int]] = {}
    for i, place in enumerate(moments.seen):
        places.setdefault(place, []).append(i)
    return {f"{line}+{offset}": [found[0], found[-1]] for (line, offset), found in places.items()}


SHORT = {"num_iter": 2}


def places_of(name: str) -> dict[str, list[int]]:
    setup = make(name)
    return moments_of(lambda: range_test(**{**setup.sweep, **SHORT}))


@pytest.mark.parametrize("part", range(4))  # one of several that may run side by side
@pytest.mark.parametrize("name", ["validation", pytest.param("fp16", marks=pytest.mark.slow)])
def test_an_interrupt_at_any_moment_restores_everything(name: str, part: int) -> None:
    places = places_of(name)
    assert len(places) > 200
    assert_restored(name, dict(list(places.items())[part::4]))


def test_an_interrupt_where_only_a_scaler_and_autocast_lead_restores_everything() -> None:
    elsewhere = places_of("validation")
    places = {place: times for place, times in places_of("fp16").items() if place not in elsewhere}
    assert len(places) > 10
    assert_restored("fp16", places)


def test_an_interrupt_where_only_a_setting_is_varied_restores_everything() -> None:
    def run(setup: Setup) -> None:
        vary(**{**setup.sweep, **SHORT}, weight_decay=[0.0, 0.1])

    elsewhere, setup = places_of("plain"), make("plain")
    there = moments_of(lambda: run(setup))
    places = {place: times for place, times in there.items() if place not in elsewhere}
    assert len(places) > 100
    assert_restored("plain", places, run)


def short_test(setup: Setup) -> None:
    range_test(**{**setup.sweep, **SHORT})


def assert_restored(
    name: str, places: dict[str, list[int]], run: Callable[[Setup], None] = short_test
) -> None:
    """Interrupt a test at each of these places, the first and the last time."""
    broken = []
    setup = make(name)
    before = setup.picture(), settings()
    for place, times in places.items():
        for time in set(times):
            with Moments(chosen=time), suppress(KeyboardInterrupt):
                run(setup)
            if (setup.picture(), settings()) != before:
                broken.append(place)
                torch.set_grad_enabled(True)
                setup = make(name)
                before = setup.picture(), settings()
    assert broken == []


def test_an_interrupt_at_any_moment_of_the_start_leaves_a_run_that_can_be_stopped() -> None:
    def run() -> RangeTest:
        setup = make("plain")
        return RangeTest(sweep(**{**setup.sweep, "num_iter": 1_000_000}))

    def begin_and_end(test: RangeTest) -> None:
        test.start()
        test.stop()

    # What Python's own threads do with an interrupt in their own start is not ours to mend.
    broken, tests = [], [run(), run()]
    for place, times in moments_of(lambda: begin_and_end(tests.pop()), below=()).items():
        test = run()
        with Moments(chosen=times[0], below=()), suppress(KeyboardInterrupt):
            begin_and_end(test)
        test.stop()
        if not test.join(PATIENCE_S) or not (test.state.ended or test.state is State.READY):
            broken.append(place)
    assert broken == []


# -- worker processes -----------------------------------------------------------------------------


class Breaking:
    """Joins samples; at a batch that holds a certain one it raises, in the worker process."""

    def __call__(self, samples: Any) -> Any:
        if any(float(x[0]) == BAD for x, _ in samples):
            raise Boom
        return torch.utils.data.default_collate(samples)


BAD = 77.0


class Order(Sampler[int]):
    """Gives the indices in order, and fails before one of them."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __iter__(self) -> Iterator[int]:
        for i in range(64):
            if i == self.at:
                raise Boom
            yield i


def _bad_sample(at: int) -> Any:
    data = classes(64)
    data.tensors[0][at, 0] = BAD
    return DataLoader(data, batch_size=8, num_workers=2, collate_fn=Breaking())


def _bad_order(at: int) -> Any:
    return DataLoader(classes(64), batch_size=8, num_workers=2, sampler=Order(at))


@pytest.mark.parametrize("at", [0, 30, 63])
@pytest.mark.parametrize("make_loader", [_bad_sample, _bad_order])
@pytest.mark.parametrize("background", [False, True])
def test_a_failing_loader_with_workers_leaves_none(
    make_loader: Callable[[int], Any], at: int, background: bool
) -> None:
    setup = make("plain")
    before = setup.picture()
    arguments = {**setup.sweep, "batches": make_loader(at)}
    test = RangeTest(sweep(**arguments))
    with pytest.raises(Boom):
        test.start().wait(PATIENCE_S) if background else range_test(**arguments)
    # The exception is still there, in `test` or as the last one.
    assert setup.picture() == before
    assert multiprocessing.active_children() == []


def test_an_interrupt_while_workers_start_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = make("plain")
    before = setup.picture()
    # Called when they have been started, and before the loader is ready to end them in order.
    started = torch.utils.data._utils.signal_handling
    monkeypatch.setattr(started, "_set_worker_pids", lambda *_: _raising(KeyboardInterrupt())())
    batches = DataLoader(classes(64), batch_size=8, num_workers=2)
    with pytest.raises(KeyboardInterrupt):
        range_test(**{**setup.sweep, "batches": batches})
    assert setup.picture() == before
    assert multiprocessing.active_children() == []


def test_workers_stay_at_work_when_an_interrupt_reaches_them_too() -> None:
    setup = make("plain")
    batches = DataLoader(classes(64), batch_size=8, num_workers=2)
    with closing(sweep(**{**setup.sweep, "batches": batches, "num_iter": 20})) as points:
        for n, _ in enumerate(points):
            if n == 2:
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, signal.SIGINT)
        assert n == 19


def test_a_worker_that_is_killed_ends_the_run_and_everything_is_restored() -> None:
    setup = make("plain")
    before = setup.picture()
    batches = DataLoader(classes(64), batch_size=2, num_workers=2)
    points = sweep(**{**setup.sweep, "batches": batches, "num_iter": 100})
    for _ in range(3):
        next(points)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"exited unexpectedly|is killed"):
        list(points)
    assert setup.picture() == before


# -- memory ---------------------------------------------------------------------------------------


def test_the_exception_of_a_failed_run_keeps_no_copy_of_the_model() -> None:
    setup = make("plain")
    others = weakref.WeakSet(_snapshots())  # of runs that other tests have left under way
    snapshots: list[Any] = []
    setup.probe.arm("step", calls("plain")["step"], _remembering(snapshots, others))
    test = RangeTest(sweep(**setup.sweep)).start()
    with pytest.raises(Boom):
        test.wait(PATIENCE_S)
    gc.collect()
    assert isinstance(test.exception, Boom)  # it is kept, with its traceback
    assert snapshots
    assert not any(snapshot() for snapshot in snapshots)


def _snapshots() -> list[Snapshot]:
    return [thing for thing in gc.get_objects() if type(thing) is Snapshot]


def _remembering(snapshots: list[Any], others: weakref.WeakSet[Any]) -> Callable[[], object]:
    def act() -> None:
        snapshots.extend(weakref.ref(o) for o in _snapshots() if o not in others)
        raise Boom

    return act
