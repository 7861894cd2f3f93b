"""Random walks of calls and faults: no point is lost or doubled, whatever an engine does."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from remote_support import (
    ANEW,
    ANSWER,
    HANG,
    LATE,
    LOSE,
    Place,
    finder_on,
    parts,
    scripted,
    source_on,
)
from widget_support import WAIT_S

from lrfinder_widget import State, compare, range_test
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Recorder
from lrfinder_widget.remote import WorkerLost

PLAN = SweepPlan(1e-4, 1.0, 8)
LRS = [1e-3, 1e-2, 1e-1]
FAULTS = {"good": (), "lossy": (LOSE,), "elsewhere": (ANEW,), "hanging": (HANG,)}
# A real training is slow, so there are fewer walks with it.
SETUPS = {"trained": (parts, 26), "scripted": (scripted, 110)}


def run_here(setup: Any) -> dict[str, Any]:
    """What comes of it in this process, one after another."""
    curve = range_test(**setup(), start_lr=1e-4, end_lr=1.0, num_iter=8)
    points = list(zip(curve.lrs.tolist(), curve.losses.tolist(), strict=True))
    arguments = setup()
    arguments.pop("stop", None)
    compared = compare(**arguments, lrs=LRS, steps=10)
    return {"points": points, "reason": curve.reason, "trials": compared}


def fates(luck: random.Random, faults: tuple[int, ...]) -> Any:
    """Answer mostly, sometimes late, and rarely with a fault."""
    return lambda: luck.choices([ANSWER, LATE, *faults], [6, 3, *(0.2 for _ in faults)])[0]


def walk_through_a_test(
    luck: random.Random, source: Any, expected: dict[str, Any], faulty: bool
) -> bool:
    """Run a test to its end, or leave it somewhere; return whether it has come to one."""
    items = source.begin(PLAN, threading.Event())
    recorder, leave = Recorder(), luck.choice([None, None, luck.randrange(40)])
    given_up = 200 if leave is None else leave
    reason = None
    try:
        for _ in range(given_up):
            if (item := next(items)) is not None:
                recorder.take(item)
    except StopIteration as end:
        reason = end.value
    except WorkerLost:
        assert faulty
        reason = "lost"
    finally:
        items.close()
    seen = recorder.curves[-1]
    points = list(zip(seen.lrs.tolist(), seen.losses.tolist(), strict=True))
    assert points == expected["points"][: len(points)]  # none lost, doubled or out of order
    if reason not in (None, "lost"):
        assert (reason, points) == (expected["reason"], expected["points"])
        assert source.about.summary == "SGD"
    assert source.waiting == ""
    return reason is not None or leave is not None


def walk_through_trials(
    luck: random.Random, source: Any, expected: dict[str, Any], faulty: bool
) -> bool:
    trials, items = source.begin_trials(LRS, 10)
    leave = luck.choice([400, luck.randrange(60)])
    whole = lost = False
    try:
        for _ in range(leave):
            next(items)
    except StopIteration:
        whole = True
    except WorkerLost:
        assert faulty
        lost = True
    finally:
        items.close()
    found, reference = trials.comparison, expected["trials"]
    for trial in found.trials:
        serial = reference.losses[trial.lr]
        assert np.array_equal(trial.losses, serial[: len(trial.losses)])
    if whole:
        assert [t.lr for t in found.trials] == LRS
        assert all(t.completed for t in found.trials)
        assert (found.baseline is None) == (reference.baseline is None)
        assert found.baseline is None or np.array_equal(found.baseline, reference.baseline)
        assert (found.ranking, found.reason) == (reference.ranking, reference.reason)
    assert not trials._running
    return whole or lost or leave < 400


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("kind", FAULTS)
def test_a_walk_loses_nothing_and_ends_in_bounded_steps(kind: str, setup: str) -> None:
    threads = threading.active_count()
    make, walks = SETUPS[setup]
    expected = run_here(make)
    for seed in range(walks):
        luck = random.Random(f"{kind} {seed}")
        fate = fates(luck, FAULTS[kind])
        places = [Place(index, fate) for index in range(luck.randint(1, 3))]
        source = source_on(*places, setup=make)
        for _ in range(luck.randint(1, 3)):
            walk = luck.choice([walk_through_a_test, walk_through_a_test, walk_through_trials])
            assert walk(luck, source, expected, kind != "good") or kind == "hanging"
        source.release()
        assert not any(place.work for place in places)
    assert threading.active_count() == threads


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("kind", FAULTS)
def test_any_calls_of_a_finder_leave_it_usable_and_nothing_behind(kind: str) -> None:
    """Whatever they meet, it is told by an error that they have; and points are never wrong."""
    expected = run_here(scripted)["points"]
    for seed in range(8):
        luck = random.Random(f"calls {kind} {seed}")
        places = [Place(index, fates(luck, FAULTS[kind])) for index in range(2)]
        finder = finder_on(*places, setup=scripted, num_iter=8)
        calls = {
            "start": finder.start,
            "compare": lambda finder=finder: finder.compare(LRS, 10),
            "pause": finder.pause,
            "resume": finder.resume,
            "stop": finder.stop,
            "look": lambda finder=finder: finder.wait(0.01),
            "pick": lambda finder=finder: finder.pick(0.1),
        }
        for name in luck.choices(list(calls), k=15):
            with suppress(RuntimeError, TimeoutError):  # among them WorkerLost
                calls[name]()
            curve = finder.curve
            points = list(zip(curve.lrs.tolist(), curve.losses.tolist(), strict=True))
            assert points == expected[: len(points)]
        finder.close()
        assert finder.state in (State.READY, State.FINISHED, State.STOPPED, State.FAILED)
        assert not any(place.work for place in places)
        for thread in threading.enumerate():
            if thread.name == "LR range test":  # it has said that it ends, and just does
                thread.join(WAIT_S)
                assert not thread.is_alive()
