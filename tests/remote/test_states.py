"""What a finder on a cluster says and does, whatever happens there. No engine is installed."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import numpy as np
import pytest
import torch
from remote_support import ANSWER, HANG, LATE, LOSE, Place, finder_on, parts, scripted, source_on
from torch.utils.data import DataLoader, TensorDataset
from widget_support import WAIT_S, click, fill, in_thread, problem, status

from lrfinder_widget import LRFinder, State, compare, range_test, vary
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.remote import WorkerLost, source, worker

PLAN = {"num_iter": 12, "start_lr": 1e-4, "end_lr": 1.0}


def until(finder: LRFinder, text: str) -> None:
    """Wait until the status line says so."""
    there = threading.Event()

    def look(*_: Any) -> None:
        if text in status(finder) or text in finder.trials.get("text", ""):
            there.set()

    finder.observe(look, names=["status", "trials"])
    look()
    assert there.wait(WAIT_S), status(finder)


def after(answers: int, fate: int) -> Callable[[], int]:
    """Answer so many calls, then let something happen once, and answer again."""
    fates = itertools.chain([ANSWER] * answers, [fate], itertools.repeat(ANSWER))
    return lambda: next(fates)


@pytest.fixture
def made() -> Iterator[Callable[..., LRFinder]]:
    finders: list[LRFinder] = []

    def make(*on: Place, **options: Any) -> LRFinder:
        finders.append(finder_on(*on, **options))
        return finders[-1]

    yield make
    for finder in finders:
        in_thread(finder.close)()


# -- all is well ----------------------------------------------------------------------------------


def test_a_test_has_the_points_of_one_in_this_process(made: Any) -> None:
    finder = made(Place()).start().wait(WAIT_S)
    assert finder.state is State.FINISHED
    assert finder.curve == range_test(**parts(), **PLAN)
    assert finder.start().wait(WAIT_S).curve == finder.curves[0]  # all was put back


@pytest.mark.parametrize("setup", [parts, lambda: parts(val_batches=parts()["batches"][:2])])
def test_so_have_its_repeats_and_its_baseline(made: Any, setup: Any) -> None:
    plan = PLAN | {"end_lr": 1e-3, "repeats": 3}  # too low to show a fall
    finder = made(Place(), setup=setup, **plan).start().wait(WAIT_S)
    expected = range_test(**setup(), **plan)
    assert finder.curve == expected
    assert finder.curve.repeats == expected.repeats
    assert [curve.baseline is None for curve in finder.curve.repeats] == [
        curve.baseline is None for curve in expected.repeats
    ]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_trial_runs_have_the_results_of_those_in_this_process(made: Any, workers: int) -> None:
    lrs = [1e-1, 1e-3, 1e-2]
    on = [Place(index) for index in range(workers)]
    slowly = itertools.cycle([ANSWER, *[LATE] * 9])
    on[0].fate = itertools.chain([ANSWER] * 4, slowly).__next__  # so that others are done earlier
    finder = made(*on).compare(lrs, 20).wait(WAIT_S)
    expected, found = compare(**parts(), lrs=lrs, steps=20), finder.comparison
    assert found.lrs == expected.lrs
    assert np.array_equal(found.baseline, expected.baseline)
    assert found.family == expected.family is not None
    assert all(map(np.array_equal, found.losses.values(), expected.losses.values()))
    assert finder.trials["text"].startswith("After 20 steps")


@pytest.mark.parametrize("judged", [False, True])
def test_so_has_a_ladder_whose_rungs_follow_from_each_other(made: Any, judged: bool) -> None:
    options = {"held_out": parts()["batches"][:4]} if judged else {}
    finder = made(Place(0), Place(1)).compare("ladder", 10, **options).wait(WAIT_S)
    expected, found = compare(**parts(), lrs="ladder", steps=10, **options), finder.comparison
    assert found.lrs == expected.lrs
    assert all(map(np.array_equal, found.losses.values(), expected.losses.values()))
    assert found.held_out_losses == expected.held_out_losses
    assert finder._session.trials.about == finder._session.source.ladder().reason


def loaded() -> dict[str, Any]:
    """With a loader that can be made anew for another batch size."""
    made = parts()
    x, y = (torch.cat(each) for each in zip(*made["batches"], strict=True))
    return made | {"batches": DataLoader(TensorDataset(x, y), batch_size=4)}


VARIED: list[dict[str, Any]] = [
    {"weight_decay": [0.0, 0.1, 1.0]},
    {"momentum": [0.0, 0.9], "batch_size": [2, 8]},
    {"optimizers": {"Adam": torch.optim.Adam, "rms": torch.optim.RMSprop}},
]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("given", VARIED, ids=" and ".join)
def test_varied_tests_are_those_in_this_process(made: Any, workers: int, given: Any) -> None:
    on = [Place(index) for index in range(workers)]
    slowly = itertools.cycle([ANSWER, *[LATE] * 9])
    on[0].fate = itertools.chain([ANSWER] * 4, slowly).__next__  # so that others are done earlier
    plan = PLAN | {"repeats": 2}
    finder = made(*on, setup=loaded, **plan).vary(**given).wait(WAIT_S)
    expected, found = vary(**loaded(), **given, **plan), finder.variation
    assert found.names == expected.names
    assert list(found.curves) == list(expected.curves)  # in this order, too
    assert found.curves == expected.curves
    assert found.rows == expected.rows


def test_a_setting_that_cannot_be_varied_there_is_told(made: Any) -> None:
    finder = made(Place())
    finder.vary(batch_size=[2, 4])  # what the worker has is not known yet
    with pytest.raises(ValueError, match="The batch size cannot be varied"):
        finder.wait(WAIT_S)
    assert finder.varied["state"] == "failed"
    fill(finder, vary="batch_size")
    assert finder.blocked["vary"].startswith("The batch size cannot be varied")
    fill(finder, vary="momentum", vary_values="0, 0.9")
    click(finder, "vary")
    finder.wait(WAIT_S)
    assert finder.variation.curves == vary(**parts(), momentum=[0.0, 0.9], **PLAN).curves
    with pytest.raises(TypeError, match="cannot be sent to a worker"):
        finder.vary(optimizers={"lock": Lock().acquire})


def test_a_worker_that_is_lost_while_settings_are_varied_leaves_what_is_complete(
    made: Any,
) -> None:
    place = Place()
    finder = made(place, setup=scripted)

    place.fate = lambda: LOSE if finder.variation and finder.variation.curves else ANSWER
    finder.vary(momentum=[0.0, 0.9, 0.99])
    with pytest.raises(WorkerLost):
        finder.wait(WAIT_S)
    assert 0 < len(finder.variation.curves) < 3
    place.fate = lambda: ANSWER
    finder.vary(momentum=[0.0]).wait(WAIT_S)  # another one takes its place
    assert len(finder.variation.curves) == 1


def test_all_workers_take_part_in_trial_runs_and_varied_tests(made: Any) -> None:
    on = [Place(0), Place(1)]
    finder = made(*on).compare([1e-3, 1e-2, 1e-1], 20).wait(WAIT_S)
    assert all("take" in place.heard for place in on)
    for place in on:
        place.heard.clear()
    finder.vary(momentum=[0.0, 0.5, 0.9]).wait(WAIT_S)
    assert all("take" in place.heard for place in on)


def test_pause_asks_no_more_and_stop_restores_over_there(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHUNK_S", 0.0)  # one point at a time
    place, asked = Place(), threading.Event()
    fates = itertools.chain([ANSWER] * 4, iter(lambda: asked.set() or LATE, ANSWER))
    place.fate = lambda: next(fates)
    finder = made(place).start()
    assert asked.wait(WAIT_S)
    finder.pause()
    assert (finder.state, len(finder.curve) > 0) == (State.PAUSED, True)
    assert status(finder) == f"Paused after {len(finder.curve)} of 12 steps."
    place.fate = lambda: ANSWER
    finder.stop()
    assert finder.state is State.STOPPED
    assert "close" in place.heard
    assert finder.start().wait(WAIT_S).curve == range_test(**parts(), **PLAN)


def test_the_widget_on_it_from_set_up_to_the_namespace(made: Any) -> None:
    names: dict[str, Any] = {}
    finder = made(Place(0), Place(1), namespace=names, end_lr=10.0, num_iter=60)
    assert status(finder) == "Start trains 60 steps on a worker, one per learning rate."
    fill(finder, num_iter="30")
    click(finder, "start")
    finder.wait(WAIT_S)
    assert len(finder.curve) <= 30
    assert finder.settings["num_iter"] == "30"
    assert any("epoch" in label for _, label in finder.offers)
    assert "restored" not in status(finder)
    finder.pick(0.03)
    assert names["lr"] == 0.03
    assert "SGD" in finder.code
    click(finder, "start")
    finder.wait(WAIT_S)
    assert [run["name"] for run in finder.runs] == ["SGD", "SGD #2"]
    fill(finder, trial_lrs="1e-3, 1e-2", trial_steps="10")
    click(finder, "try")
    finder.wait(WAIT_S)
    assert finder.comparison.lrs == [1e-3, 1e-2]


def test_a_pick_is_applied_only_to_an_optimizer_of_this_process(made: Any) -> None:
    finder = made(Place())
    finder.pick(0.03)
    click(finder, "apply")
    assert problem(finder).startswith("The optimizer is on the worker")
    with pytest.raises(RuntimeError, match=r"apply\(optimizer\)"):
        finder.apply()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    finder.apply(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.03


# -- no room --------------------------------------------------------------------------------------


def test_without_room_it_says_so_and_can_be_stopped(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place()
    place.room = False
    finder = made(place).start()
    until(finder, "Waiting for a worker.")
    monkeypatch.setattr(source, "NO_ROOM_S", 0.0)
    until(finder, "No worker yet")
    finder.stop()
    assert finder.state is State.STOPPED
    place.room = True
    assert finder.start().wait(WAIT_S).state is State.FINISHED


def test_trial_runs_begin_with_the_workers_that_there_are(made: Any) -> None:
    on = [Place(0), Place(1)]
    on[0].room = False
    finder = made(*on).compare([1e-3, 1e-2], 10).wait(WAIT_S)
    assert finder.comparison.lrs == [1e-3, 1e-2]
    assert on[0].heard == []


def test_two_workers_in_one_process_count_as_one(made: Any) -> None:
    on = [Place(7), Place(7)]
    finder = made(*on).compare([1e-3, 1e-2], 10).wait(WAIT_S)
    assert finder.comparison.lrs == [1e-3, 1e-2]
    assert sum("take" in place.heard for place in on) == 1


def test_another_finder_in_the_same_process_is_not_disturbed(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # of what lets several be under way here
    there = source_on(Place(0))
    items = there.begin(SweepPlan(**PLAN), threading.Event())
    while next(items) is None:
        pass
    finder = made(Place(0)).start()
    with pytest.raises(RuntimeError, match="another finder's run is in progress"):
        finder.wait(WAIT_S)
    items.close()
    assert finder.start().wait(WAIT_S).state is State.FINISHED
    items = there.begin(SweepPlan(**PLAN), threading.Event())
    while next(items) is None:
        pass
    finder.start()  # where both have been set up
    with pytest.raises(RuntimeError, match="another finder's run is in progress"):
        finder.wait(WAIT_S)
    items.close()


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_lost_worker_keeps_the_curve_and_the_next_start_takes_another(made: Any) -> None:
    finder = made(Place(fate=after(4, LOSE))).start()
    with pytest.raises(WorkerLost, match=r"the worker on .* was lost \(ConnectionError: the co"):
        finder.wait(WAIT_S)
    assert finder.state is State.FAILED
    assert len(finder.curve) >= 1
    assert "the next start takes another" in status(finder)
    assert finder.start().wait(WAIT_S).curve == range_test(**parts(), **PLAN)


@pytest.mark.parametrize("run", ["test", "trials"])
def test_a_worker_that_is_lost_between_two_runs_is_replaced_the_next_time(
    made: Any, run: str
) -> None:
    place = Place()
    finder = made(place)

    def start() -> LRFinder:
        return finder.start() if run == "test" else finder.compare([1e-3, 1e-2], 10)

    start().wait(WAIT_S)
    place.lost = True
    with pytest.raises(WorkerLost):
        start().wait(WAIT_S)
    start().wait(WAIT_S)


class Odd(Exception):
    """What its constructor wants is not what it keeps."""

    def __init__(self, batch: int, why: str) -> None:
        super().__init__(f"batch {batch}: {why}")


def failing(error: Callable[[], BaseException]) -> Callable[[], Any]:
    def setup() -> Any:
        made, count = parts(), itertools.count()
        criterion = made["criterion"]

        def loss(output: Any, target: Any) -> Any:
            if next(count) == 3:
                raise error()
            return criterion(output, target)

        return made | {"criterion": loss}

    return setup


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (lambda: ValueError("a bad batch"), ValueError, "a bad batch"),
        (lambda: KeyError("label"), KeyError, "'label'"),
        (lambda: Odd(3, "too short"), Odd, "batch 3: too short"),
        (lambda: OSError(2, "No such file", "x"), FileNotFoundError, "No such file"),
        (lambda: type("Elsewhere", (Exception,), {})("?"), RuntimeError, r"Elsewhere: \?"),
        (lambda: ValueError(threading.Lock()), ValueError, "lock"),
    ],
)
def test_an_exception_of_the_users_comes_with_its_class_and_the_workers_traceback(
    made: Any, error: Any, kind: type[Exception], text: str
) -> None:
    finder = made(Place(), setup=failing(error)).start()
    with pytest.raises(kind, match=text) as caught:
        finder.wait(WAIT_S)
    assert finder.state is State.FAILED
    assert len(finder.curve) == 3  # those before it are not lost
    trace = caught.value.__notes__[-1]
    assert trace.startswith("Traceback of the worker on ")
    assert "raise error()" in trace
    assert "lrfinder_widget" not in trace.partition("raise error()")[0].partition("File")[0]
    assert "Traceback" not in status(finder)
    assert "raise error()" in finder.status["traceback"]


def test_so_does_one_of_setup(made: Any) -> None:
    def setup() -> Any:
        import a_package_that_is_not_there  # noqa: F401

    finder = made(Place(), setup=setup).start()
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        finder.wait(WAIT_S)
    assert (finder.state, len(finder.curve)) == (State.FAILED, 0)


def test_a_setup_that_cannot_be_sent_is_refused_at_once() -> None:
    lock = threading.Lock()
    place = Place()

    def setup() -> Any:
        return lock

    with pytest.raises(TypeError, match=r"setup\(\) cannot be sent to a worker: cannot pickle"):
        finder_on(place, setup=setup)
    assert place.work is None


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (lambda: 3, r"setup\(\) must return \(model, optimizer, batches, criterion\)"),
        (lambda: {**parts(), "end_lr": 1.0}, r"with 'end_lr'; .* LRFinder\.remote takes"),
        (lambda: {**parts(), "loss": 1}, r"with 'loss'; it may have model, .*, device, metric\."),
        (lambda: {"model": 3}, "a dict without 'optimizer', 'batches'"),
        (lambda: {**parts(), "model": 3}, "model must be"),
    ],
)
def test_what_setup_returns_is_checked(made: Any, told: Any, text: str) -> None:
    finder = made(Place(), setup=told).start()
    with pytest.raises(TypeError, match=text):
        finder.wait(WAIT_S)


def test_held_out_batches_are_checked_before_a_worker_is_asked(made: Any) -> None:
    place = Place()
    finder = made(place)
    with pytest.raises(TypeError, match="held_out must be a list of a few fixed batches"):
        finder.compare([1e-3], 10, held_out=(batch for batch in [1]))
    assert (finder.comparison, place.heard) == (None, [])


def test_an_engine_that_is_gone_is_told_to_code_and_to_a_hand(made: Any) -> None:
    class Gone(Exception):
        """What a client that is closed raises."""

    def make() -> None:
        raise Gone("Client is closed. Can't send.")

    place = Place(fate=after(4, LOSE))
    finder = made(place).start()
    with pytest.raises(WorkerLost):
        finder.wait(WAIT_S)
    place.make = make  # type: ignore[method-assign]
    told = r"`on` makes no worker \(Gone: Client is closed\. Can't send\)\. If its cluster is gone"
    with pytest.raises(RuntimeError, match=told):
        finder.start()
    click(finder, "start")
    assert problem(finder).startswith("`on` makes no worker")
    with pytest.raises(RuntimeError, match=told):
        finder_on(place)


def test_a_worker_without_this_package_is_told_apart(made: Any) -> None:
    place = Place()

    def is_there() -> bool:
        raise ModuleNotFoundError("No module named 'lrfinder_widget'")

    place.is_there = is_there  # type: ignore[method-assign]
    finder = made(place).start()
    with pytest.raises(RuntimeError, match="the worker has no lrfinder_widget"):
        finder.wait(WAIT_S)


def test_another_version_of_this_package_is_refused(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"lrfinder_widget": "9.9", "torch": "1.0.0", "Python": "3.11.1"}
    monkeypatch.setattr(worker, "versions", lambda: here)
    finder = made(Place()).start()
    with pytest.raises(RuntimeError, match=r"has lrfinder_widget .*, the notebook has 9\.9"):
        finder.wait(WAIT_S)


def test_another_version_of_torch_is_said(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = worker.versions() | {"torch": "1.0.0"}
    monkeypatch.setattr(worker, "versions", lambda: here)
    finder = made(Place()).start().wait(WAIT_S)
    assert finder._session.source.about.device.endswith(f"(torch {torch.__version__}, here 1.0.0)")


starts = itertools.count()


def another_start_each_time() -> Any:
    made = parts()
    with torch.no_grad():
        made["model"].weight.mul_(next(starts))
    return made


def test_another_start_on_each_worker_is_found_out(made: Any) -> None:
    finder = made(Place(0), Place(1), setup=another_start_each_time)
    finder.compare([1e-3, 1e-2, 1e-1], 20)
    with pytest.raises(RuntimeError, match=r"setup\(\) gives another start on each worker"):
        finder.wait(WAIT_S)


def test_a_setup_that_seeds_nothing_starts_alike_everywhere(made: Any) -> None:
    def setup() -> Any:
        import random

        import numpy as np
        import torch
        from remote_support import parts

        drawn = torch.randn(3, 6) * np.random.rand() * random.random()
        made = parts()
        with torch.no_grad():
            made["model"].weight.copy_(drawn)
        return made

    torch.seed()
    on = [Place(0), Place(1)]
    finder = made(*on, setup=setup).compare([1e-3, 1e-2, 1e-1], 20).wait(WAIT_S)
    assert all("take" in place.heard for place in on)
    assert len({losses[0] for losses in finder.comparison.losses.values()}) == 1


@pytest.mark.parametrize("paused", [False, True])
def test_a_worker_that_hangs_is_given_up_by_stop(
    made: Any, paused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE_S", 0.0)
    hangs = threading.Event()
    place = Place(fate=after(4, HANG))
    go_on = place.go_on

    def noted() -> None:
        go_on()
        if place.hangs:
            hangs.set()

    place.go_on = noted  # type: ignore[method-assign]
    finder = made(place).start()
    assert hangs.wait(WAIT_S)
    if paused:
        finder.pause()
    finder.stop()
    assert (finder.state, len(finder.curve) > 0) == (State.STOPPED, True)
    assert place.work is None
    assert finder.start().wait(WAIT_S).state is State.FINISHED  # on another one


@pytest.mark.parametrize(
    "hello", [{"pid": "1"}, {"versions": None}, {"error": 3}, {"error": {"args": [], "notes": 1}}]
)
def test_a_worker_that_does_not_say_what_it_is_is_refused(made: Any, hello: Any) -> None:
    place = Place()
    answered = Place.call

    def call(name: str, *args: Any) -> Any:
        answer = answered(place, name, *args)
        if name == "hello":
            result = answer.result
            answer.result = lambda: result() | hello  # type: ignore[method-assign]
        return answer

    place.call = call  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="the worker sent a"):
        made(place).start().wait(WAIT_S)


@pytest.mark.parametrize("wrong", [["a", 1.0], [1.0, None], {"lr": 1}, "no reason", True, 3])
def test_what_is_no_point_is_refused(made: Any, wrong: Any) -> None:
    place = Place()
    answered = Place.call

    def call(name: str, *args: Any) -> Any:
        answer = answered(place, name, *args)
        if name == "take":
            result = answer.result
            answer.result = lambda: {**result(), "items": [[1e-3, 1.0], wrong]}  # type: ignore[method-assign]
        return answer

    place.call = call  # type: ignore[method-assign]
    finder = made(place).start()
    with pytest.raises(ValueError, match="the worker sent a"):
        finder.wait(WAIT_S)


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [False, True])
def test_close_lets_the_workers_go(made: Any, running: bool) -> None:
    on = [Place(0), Place(1)]
    finder = made(*on)
    if running:
        finder.start()
    finder.close()
    assert [place.work for place in on] == [None, None]
    with pytest.raises(RuntimeError, match="is closed"):
        finder.start()


def test_so_does_the_garbage_collector() -> None:
    on = [Place(0), Place(1)]
    made = source_on(*on)
    assert all(place.work for place in on)
    del made
    gc.collect()
    assert [place.work for place in on] == [None, None]
