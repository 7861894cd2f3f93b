"""A background run lets Python switch threads more often; afterwards all is as it was."""

from __future__ import annotations

import itertools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import classes, linear, sgd_momentum

from lrfinder_widget import RangeTest, range_test, sweep
from lrfinder_widget.background.switch_interval import WANTED_S, short_switch_interval

CE = torch.nn.CrossEntropyLoss()


class Boom(Exception):
    pass


def set_interval(seconds: float) -> float:
    """Set it, and return what it reads back as: whole microseconds, rounded down."""
    sys.setswitchinterval(seconds)
    return sys.getswitchinterval()


SHORT = set_interval(WANTED_S)
USUAL = set_interval(0.005)


@pytest.fixture(autouse=True)
def usual_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(USUAL)
    yield
    while Run.begun:
        Run.begun.pop().end()  # of a test that has failed
    sys.setswitchinterval(before)


class Run:
    """A background run that stands at its first point until it is let go."""

    begun: ClassVar[list[Run]] = []

    def __init__(self, end: Callable[[], Any] = lambda: None) -> None:
        self.begun.append(self)
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.seen: list[float] = []
        self.test = RangeTest(self._points(end)).start()
        assert self.reached.wait(20)

    def _points(self, end: Callable[[], Any]) -> Any:
        self.seen.append(sys.getswitchinterval())
        self.reached.set()
        assert self.go_on.wait(20)
        yield 1e-3, 1.0
        end()
        yield 1e-2, 1.0

    def end(self) -> None:
        self.go_on.set()
        assert self.test.join(20)


def raises(error: BaseException) -> Callable[[], Any]:
    def end() -> None:
        raise error

    return end


# -- one run --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [None, Boom(), KeyboardInterrupt(), SystemExit(), GeneratorExit()],
    ids=lambda end: type(end).__name__,
)
def test_it_is_short_during_a_run_and_put_back_at_its_end(end: BaseException | None) -> None:
    run = Run() if end is None else Run(raises(end))
    assert run.seen == [SHORT]
    assert sys.getswitchinterval() == SHORT
    run.end()
    assert sys.getswitchinterval() == USUAL
    assert run.test.exception is end


@pytest.mark.parametrize("how", ["stop", "stop-while-paused"])
def test_it_is_put_back_when_a_run_is_stopped(how: str) -> None:
    run = Run()
    if how != "stop":
        run.test.pause()
    run.test.stop()
    run.end()
    assert sys.getswitchinterval() == USUAL


def test_a_pause_gives_it_back_meanwhile() -> None:
    run = Run(lambda: run.seen.append(sys.getswitchinterval()))
    assert sys.getswitchinterval() != USUAL
    run.test.pause()
    run.go_on.set()
    deadline = time.monotonic() + 20
    while sys.getswitchinterval() != USUAL and time.monotonic() < deadline:
        time.sleep(0.001)  # the setting has no event
    assert sys.getswitchinterval() == USUAL
    run.test.resume()
    run.end()
    assert len(run.seen) == 2
    assert USUAL not in run.seen
    assert sys.getswitchinterval() == USUAL


def test_it_is_put_back_before_the_end_is_published() -> None:
    run = Run()
    seen: list[float] = []
    run.test.listen(lambda test: test.state.ended and seen.append(sys.getswitchinterval()))
    run.end()
    assert seen == [USUAL]


def test_it_is_put_back_when_the_points_cannot_begin() -> None:
    test = RangeTest(5).start()  # type: ignore[arg-type]
    assert test.join(20)
    assert isinstance(test.exception, TypeError)
    assert sys.getswitchinterval() == USUAL


def data() -> list[Any]:
    x, y = classes().tensors
    return list(zip(x.split(8), y.split(8), strict=True))


def seen_by_each_step(**faults: Any) -> tuple[Any, list[float]]:
    """Prepare a sweep whose loss looks at the interval, and perhaps raises."""
    model = linear()
    seen: list[float] = []

    def criterion(output: Any, target: Any) -> Any:
        seen.append(sys.getswitchinterval())
        if len(seen) == faults.get("raises_at"):
            raise Boom
        return CE(output, target) * (math.nan if len(seen) == faults.get("nan_at") else 1)

    options: dict[str, Any] = {"num_iter": 20, "stop": faults.get("stop")}
    return ((model, sgd_momentum(model), data(), criterion), options), seen


ENDS: dict[str, dict[str, Any]] = {
    "completed": {},
    "failed": {"raises_at": 5},
    "non-finite": {"nan_at": 5},
    "stop-rule": {"stop": lambda losses: len(losses) == 5},
}


# A test that was completed may take its baseline: as many losses again.
STEPS = {end: (20, 40) if end == "completed" else (5,) for end in ENDS}


@pytest.mark.parametrize("end", ENDS)
def test_every_step_of_a_background_sweep_has_it_short(end: str) -> None:
    (arguments, options), seen = seen_by_each_step(**ENDS[end])
    test = RangeTest(sweep(*arguments, **options)).start()
    with suppress(Boom):
        test.wait(20)
    assert test.reason == end
    assert set(seen) == {SHORT}
    assert len(seen) in STEPS[end]
    assert sys.getswitchinterval() == USUAL


@pytest.mark.parametrize("end", ENDS)
def test_a_blocking_run_does_not_touch_it(end: str) -> None:
    (arguments, options), seen = seen_by_each_step(**ENDS[end])
    with suppress(Boom):
        range_test(*arguments, **options)
    assert set(seen) == {USUAL}
    assert len(seen) in STEPS[end]


def test_a_sweep_in_the_calling_thread_does_not_touch_it() -> None:
    (arguments, options), seen = seen_by_each_step()
    with closing(sweep(*arguments, **options)) as points:
        next(points)
        assert sys.getswitchinterval() == USUAL
        next(points)
    assert set(seen) == {USUAL}


# -- several runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_of_several_runs_the_last_puts_it_back_whichever_that_is(order: tuple[int, ...]) -> None:
    runs = [Run() for _ in range(3)]
    assert [run.seen for run in runs] == [[SHORT]] * 3
    for i in order[:-1]:
        runs[i].end()
        assert sys.getswitchinterval() == SHORT
    runs[order[-1]].end()
    assert sys.getswitchinterval() == USUAL


def test_runs_that_overlap_in_a_chain_leave_nothing_behind() -> None:
    current = Run()
    for _ in range(5):
        following = Run()
        current.end()
        assert sys.getswitchinterval() == SHORT
        current = following
    current.end()
    assert sys.getswitchinterval() == USUAL


def test_many_runs_at_once_leave_nothing_behind() -> None:
    tests = [RangeTest([(1e-3, 1.0)] * 20) for _ in range(30)]
    for test in tests:
        test.start()
    for test in tests:
        test.wait(20)
    assert sys.getswitchinterval() == USUAL


def test_a_failing_run_among_others_counts_as_well() -> None:
    first, failing = Run(), Run(raises(Boom()))
    failing.end()
    assert sys.getswitchinterval() == SHORT
    first.end()
    assert sys.getswitchinterval() == USUAL


# -- the user's own setting -----------------------------------------------------------------------


@pytest.mark.parametrize("microseconds", [1, 5, 20, 50, 86, 91, 99, 100])
def test_a_setting_that_is_short_enough_is_left_alone(microseconds: int) -> None:
    own = set_interval(microseconds * 1e-6)
    run = Run()
    assert run.seen == [own]
    run.end()
    assert sys.getswitchinterval() == own


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 10**6))
def test_any_setting_reads_the_same_afterwards(microseconds: int) -> None:
    own = set_interval(microseconds * 1e-6)
    with short_switch_interval():
        assert sys.getswitchinterval() == min(own, SHORT)
    assert sys.getswitchinterval() == own


def test_a_setting_does_not_creep_from_run_to_run() -> None:
    own = set_interval(142e-6)
    for _ in range(10):
        with short_switch_interval():
            pass
    assert sys.getswitchinterval() == own


@pytest.mark.parametrize("seconds", [0.02, 2e-5], ids=["longer", "shorter"])
def test_a_change_by_the_user_meanwhile_is_respected(seconds: float) -> None:
    run = Run()
    changed = set_interval(seconds)
    run.end()
    assert sys.getswitchinterval() == changed


@pytest.mark.parametrize("seconds", [0.02, 2e-5], ids=["longer", "shorter"])
def test_a_change_between_overlapping_runs_is_respected(seconds: float) -> None:
    first = Run()
    changed = set_interval(seconds)
    second = Run()
    assert second.seen == [changed]
    first.end()
    assert sys.getswitchinterval() == changed
    second.end()
    assert sys.getswitchinterval() == changed


def test_after_a_change_by_the_user_the_next_run_begins_from_there() -> None:
    run = Run()
    changed = set_interval(0.02)
    run.end()
    following = Run()
    assert following.seen == [SHORT]
    following.end()
    assert sys.getswitchinterval() == changed
