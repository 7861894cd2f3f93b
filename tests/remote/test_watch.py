"""A finder of points from elsewhere: what it shows, what it cannot, and how it steers a run."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support import linear
from widget_support import DESCENT, POINTS, WAIT_S, Script, click, in_thread, problem, status

from lrfinder_widget import LossCurve, LRFinder, State, follow, publish
from lrfinder_widget.background import at_exit
from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.remote import lines
from lrfinder_widget.remote.follow import Followed
from lrfinder_widget.runs.source import About

ELSEWHERE = "points from elsewhere"
LRS = np.geomspace(1e-5, 1.0, POINTS).tolist()
PAIRS = list(zip(LRS, DESCENT, strict=True))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK_S", 0.001)
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)


@pytest.fixture
def watch() -> Iterator[Callable[..., LRFinder]]:
    made: list[LRFinder] = []

    def watch(points: Any, **options: Any) -> LRFinder:
        made.append(LRFinder.watch(points, **{"namespace": {}, **options}))
        return made[-1]

    yield watch
    for finder in made:
        in_thread(finder.close)()


class Job:
    """A run in a folder, as if of another process; its orders are read without a wait."""

    def __init__(self, folder: Path, run: str = "a1", **first: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.run = folder, run
        new = folder / "new"
        new.write_text("")
        self.path = folder / "points.jsonl"
        new.replace(self.path)
        plan = {"start_lr": 1e-5, "end_lr": 1.0, "num_iter": POINTS}
        told = {"format": 1, "run": run, "host": "node7", "device": "cuda:0", "family": "momentum"}
        self.write({**told, "summary": "SGD, batch 32", "plan": plan, **first})

    def write(self, *contents: Any) -> None:
        with self.path.open("a") as file:
            file.write("".join(json.dumps(content) + "\n" for content in contents))

    @property
    def order(self) -> str:
        told = json.loads((self.folder / "orders.json").read_bytes())
        assert told["run"] == self.run
        return str(told["do"])


def until(finder: LRFinder, true: Callable[[], bool]) -> None:
    """Return once it is true after a change of the run."""
    changed = threading.Event()
    finder._session.test.listen(lambda test: changed.set() if true() else None)
    assert true() or changed.wait(WAIT_S)


def test_pairs_are_shown_and_read_as_those_of_a_run(watch: Any) -> None:
    namespace: dict[str, Any] = {}
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    plan: dict[str, Any] = {"num_iter": POINTS, "start_lr": 1e-5, "end_lr": 1.0, "stop": None}
    here = LRFinder(model, optimizer, [0], step=Script(DESCENT), namespace={}, **plan)
    here.start().wait(WAIT_S)
    finder = watch(PAIRS, namespace=namespace).start().wait(WAIT_S)
    assert (finder.state, finder.reason) == (State.FINISHED, "completed")
    assert finder.curve.with_budget(here.curve.budget) == here.curve
    assert finder.suggestion.lr is not None
    assert f"All {POINTS} steps done. " in status(finder)
    assert "restored" not in status(finder)
    assert finder.chart["total"] == 0
    assert finder.chart["n"] == POINTS
    assert finder.pick() == namespace["lr"] == finder.lr
    assert finder.code.startswith(f"lr = {finder.lr:.2e}  # LR range test, {ELSEWHERE}, 2")
    assert json.loads(finder.to_json())["runs"]
    here.close()


def test_a_run_in_a_folder_is_shown_as_it_comes(watch: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finder = watch(follow(folder))
    assert status(finder) == "Start shows the points as they come."
    assert finder.start() is finder
    until(finder, lambda: "Waiting for a run in" in status(finder))
    assert str(folder) in status(finder)
    job = Job(folder)
    until(finder, lambda: "Running on node7 cuda:0." in status(finder))
    job.write(*PAIRS)
    until(finder, lambda: finder.chart["n"] == POINTS)
    assert finder.chart["total"] == POINTS
    assert finder.settings["num_iter"] == str(POINTS)
    assert finder.chart["x"] == [1e-5, 1.0]
    job.write({"end": "diverged", "unrestored": ["A buffer is not what it was."]})
    finder.wait(WAIT_S)
    assert finder.reason == "diverged"
    assert finder.unrestored == ("A buffer is not what it was.",)
    assert "Not everything has been restored." in status(finder)
    assert finder.curve.budget.family == "momentum"
    finder.pick()
    assert "# LR range test, SGD, batch 32, 2" in finder.code
    finder.close()
    assert finder.curve.budget.family == "momentum"


def test_the_suggestion_is_that_of_the_published_curve(watch: Any, tmp_path: Path) -> None:
    class Told(list):  # type: ignore[type-arg]
        budget = Budget("momentum", cautions=("It is known to be so.",), trained=True)
        about = About("SGD", budget=budget, open_ended=True)

    curve = publish(Told(PAIRS), tmp_path)
    assert curve.suggestion.lr is not None
    assert watch(follow(tmp_path)).start().wait(WAIT_S).suggestion == curve.suggestion


def test_pause_resume_and_stop_reach_the_run(watch: Any, tmp_path: Path) -> None:
    job, finder = Job(tmp_path), watch(follow(tmp_path)).start()
    job.write(PAIRS[0])
    until(finder, lambda: finder.chart["n"] == 1)
    assert job.order == "run"
    for name, order in (
        ("pause", "pause"),
        ("pause", "run"),
        ("pause", "pause"),
        ("start", "stop"),
    ):
        click(finder, name)
        assert job.order == order
    finder.wait(WAIT_S)
    assert (finder.state, job.order) == (State.STOPPED, "stop")
    assert status(finder).startswith(f"Stopped after 1 of {POINTS} steps.")


def ordered(folder: Path) -> Any:
    return json.loads((folder / "orders.json").read_text())["do"]


def published(folder: Path) -> Callable[[], None]:
    """Publish a point, from another thread; the function returned lets that end."""
    permit = threading.Semaphore(0)

    def points() -> Iterator[tuple[float, float]]:
        yield 1e-3, 1.0
        assert permit.acquire(timeout=WAIT_S)

    publishing = in_thread(lambda: publish(points(), folder))

    def end() -> None:
        permit.release()
        assert isinstance(publishing(), LossCurve)

    return end


def test_a_stop_is_not_undone_by_an_order_that_is_late(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_publishing = published(tmp_path)
    finder = watch(follow(tmp_path)).start()
    until(finder, lambda: finder.chart["n"] == 1)
    finder.pause()
    late, may_order, order = threading.Event(), threading.Event(), Followed.order

    def slow_order(followed: Followed, do: str) -> None:
        if do == "run":
            late.set()
            assert may_order.wait(WAIT_S)
        order(followed, do)

    monkeypatch.setattr(Followed, "order", slow_order)
    resuming = in_thread(finder.resume)
    assert late.wait(WAIT_S)
    stopping = in_thread(finder.stop)
    until(finder, lambda: finder._session.latest.stopping or finder.state is State.STOPPED)
    may_order.set()
    assert (resuming(), stopping()) == (None, None)
    finder.wait(WAIT_S)
    assert ordered(tmp_path) == "stop"
    end_publishing()


def test_a_stop_that_ends_the_run_here_before_it_was_passed_on_is_passed_on(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_publishing = published(tmp_path)
    finder = watch(follow(tmp_path)).start()
    until(finder, lambda: finder.chart["n"] == 1)
    run = finder._session.latest
    monkeypatch.setattr(RangeTest, "stopping", property(lambda run: False))  # as if not yet seen
    finder.stop()
    assert run.join(WAIT_S)
    assert ordered(tmp_path) == "stop"
    end_publishing()


def test_a_published_run_is_paused_resumed_and_stopped(watch: Any, tmp_path: Path) -> None:
    taken, permits = threading.Semaphore(0), threading.Semaphore(0)

    def points() -> Iterator[tuple[float, float]]:
        for i in itertools.count(1):
            taken.release()
            assert permits.acquire(timeout=WAIT_S)
            yield 1e-3 * i, 1.0

    curves: list[LossCurve] = []
    job = threading.Thread(target=lambda: curves.append(publish(points(), tmp_path)), daemon=True)
    job.start()
    finder = watch(follow(tmp_path)).start()
    permits.release()
    until(finder, lambda: finder.chart["n"] == 1)
    finder.pause()
    permits.release()
    assert taken.acquire(timeout=WAIT_S)
    while taken.acquire(timeout=0.1):
        permits.release()  # until it has heard of the pause
    assert finder.state is State.PAUSED
    finder.resume()
    assert taken.acquire(timeout=WAIT_S)
    permits.release()
    in_thread(finder.stop)()
    for _ in range(2000):  # until it has heard of the stop
        permits.release()
        job.join(WAIT_S / 2000)
        if not job.is_alive():
            break
    assert not job.is_alive()
    assert curves[0].reason == "stopped"


def test_what_waits_is_stopped_at_once(watch: Any, tmp_path: Path) -> None:
    finder = watch(follow(tmp_path)).start()
    until(finder, lambda: "Waiting" in status(finder))
    in_thread(finder.stop)()
    assert finder.state is State.STOPPED
    job = Job(tmp_path)
    finder.start()
    until(finder, lambda: "Running on node7" in status(finder))
    in_thread(finder.stop)()
    assert (finder.state, job.order) == (State.STOPPED, "stop")


def test_a_finder_that_is_closed_lets_the_run_go_on(watch: Any, tmp_path: Path) -> None:
    job = Job(tmp_path)
    for pause in (False, True):
        finder = watch(follow(tmp_path)).start()
        until(finder, lambda: "Running on node7" in status(finder))  # noqa: B023
        if pause:
            finder.pause()
            assert job.order == "pause"
        in_thread(finder.close)()
        assert finder.state is State.STOPPED
        assert job.order == "run"


def test_a_cell_that_is_gone_lets_the_run_go_on(watch: Any, tmp_path: Path) -> None:
    job, finder = Job(tmp_path), watch(follow(tmp_path)).start()
    until(finder, lambda: "Running on node7" in status(finder))
    finder._session.surroundings.cell = SimpleNamespace(has_run_again=lambda _latest: True)
    job.write(*PAIRS[:5])
    finder._session.test.join(WAIT_S)
    assert finder.state is State.STOPPED
    assert job.order == "run"


def test_a_kernel_that_ends_lets_the_run_go_on(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exiting = threading.Event()
    monkeypatch.setattr(at_exit, "exiting", exiting)
    monkeypatch.setattr("lrfinder_widget.widget.session.exiting", exiting)
    job, finder = Job(tmp_path), watch(follow(tmp_path)).start()
    until(finder, lambda: "Running on node7" in status(finder))
    at_exit._stop_all()
    assert finder.state is State.STOPPED
    assert job.order == "run"


def test_two_finders_follow_one_run(watch: Any, tmp_path: Path) -> None:
    job = Job(tmp_path)
    finders = [watch(follow(tmp_path)).start() for _ in range(2)]
    job.write(*PAIRS[:9])
    for finder in finders:
        until(finder, lambda: finder.chart["n"] == 9)  # noqa: B023
    finders[0].pause()
    job.write(*PAIRS[9:12])
    until(finders[1], lambda: finders[1].chart["n"] == 12)
    assert job.order == "pause"  # the other one's drawing does not undo it
    assert len(finders[0].curve) <= 10  # it may have been taking one
    finders[0].resume()
    job.write({"end": "completed"})
    curves = [finder.wait(WAIT_S).curve for finder in finders]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 12


def test_a_run_that_failed_is_told_and_its_points_are_kept(watch: Any, tmp_path: Path) -> None:
    Job(tmp_path).write(*PAIRS[:5], {"end": "failed", "error": "ValueError: a <b>bad</b> batch"})
    finder = watch(follow(tmp_path)).start()
    with pytest.raises(RuntimeError, match="the run on node7 cuda:0 failed: ValueError: a <b>bad"):
        finder.wait(WAIT_S)
    assert (finder.state, len(finder.curve)) == (State.FAILED, 5)
    assert status(finder).startswith("Failed after 5 steps. RuntimeError: the run on node7")


def test_silence_in_the_midst_of_a_run_is_said(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrfinder_widget.remote.follow._QUIET_S", 0.01)
    Job(tmp_path).write(*PAIRS[:5])
    finder = watch(follow(tmp_path)).start()
    until(finder, lambda: "There has been no sign of life" in status(finder))
    assert finder.state is State.RUNNING
    monkeypatch.setattr(lines, "SILENT_S", 0.1)
    with pytest.raises(RuntimeError, match="has probably been killed"):
        finder.wait(WAIT_S)
    assert len(finder.curve) == 5


@pytest.mark.parametrize(
    "points",
    [[3], "ab", [(1, 2, 3)], [(0.1, 1.0), (0.1, 1.0)], [(-1.0, 1.0)], [(0.1, "x")], [[[]]], [1.0]],
)
def test_what_is_no_point_fails_the_run_and_not_the_page(watch: Any, points: Any) -> None:
    finder = watch(iter(points)).start()
    with pytest.raises(ValueError, match=r"the points must be pairs|the learning rates must be"):
        finder.wait(WAIT_S)
    assert finder.state is State.FAILED
    assert "Failed after" in status(finder)
    assert len(finder.curve) <= 1


@pytest.mark.parametrize("end", ["failed", "no reason", 7, None, (1, 2)])
def test_an_end_that_is_no_reason_is_an_end(watch: Any, end: Any) -> None:
    def points() -> Any:
        yield from PAIRS
        return end

    finder = watch(points()).start().wait(WAIT_S)
    assert finder.reason == "completed"


def test_an_iterator_is_used_up_and_says_so(watch: Any) -> None:
    finder = watch(iter(PAIRS)).start().wait(WAIT_S)
    assert "have been taken" in finder.blocked["start"]
    click(finder, "start")
    assert "have been taken" in problem(finder)
    with pytest.raises(RuntimeError, match="have been taken"):
        finder.start()
    assert len(finder.curves) == 1


def test_an_iterator_can_be_stopped_though_it_cannot_be_started_again(watch: Any) -> None:
    gone_on = threading.Event()

    def points() -> Iterator[Any]:
        yield PAIRS[0]
        while True:
            gone_on.set()
            yield None

    finder = watch(points()).start()
    assert gone_on.wait(WAIT_S)
    assert "start" not in finder.blocked
    click(finder, "start")
    assert finder.wait(WAIT_S).state is State.STOPPED


@pytest.mark.parametrize("make_points", [lambda: PAIRS, lambda: lambda: iter(PAIRS)])
def test_what_can_be_read_again_can_be_started_again(watch: Any, make_points: Any) -> None:
    finder = watch(make_points()).start().wait(WAIT_S)
    assert "start" not in finder.blocked
    finder.start().wait(WAIT_S)
    assert [len(curve) for curve in finder.curves] == [POINTS, POINTS]
    assert [run["name"] for run in finder.runs] == [ELSEWHERE, f"{ELSEWHERE} #2"]


def test_start_follows_the_run_that_is_there_by_then(watch: Any, tmp_path: Path) -> None:
    finder = watch(lambda: follow(tmp_path))
    for n, run in ((3, "a"), (5, "b")):
        Job(tmp_path, run, summary=run).write(*PAIRS[:n], {"end": "completed"})
        assert len(finder.start().wait(WAIT_S).curve) == n
    assert [run["name"] for run in finder.runs] == ["a", "b"]


def test_a_function_that_fails_or_returns_no_points_fails_the_run(watch: Any) -> None:
    def boom() -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch(boom).start().wait(WAIT_S)
    with pytest.raises(TypeError, match="points must be an iterable of pairs"):
        watch(lambda: 3).start().wait(WAIT_S)


def test_what_cannot_be_done_says_why(watch: Any) -> None:
    finder = watch(PAIRS).start().wait(WAIT_S)
    finder.pick()
    for name in ("settings", "try", "trial_settings", "apply"):
        assert "elsewhere" in finder.blocked[name], name
    with pytest.raises(RuntimeError, match="nothing can be tried"):
        finder.compare()
    with pytest.raises(RuntimeError, match=r"apply\(optimizer\)"):
        finder.apply()
    for name in ("try", "apply"):
        click(finder, name)
        assert "elsewhere" in problem(finder)
    assert finder.comparison is None


def test_a_pick_is_applied_to_an_optimizer_that_is_given(watch: Any) -> None:
    optimizer = torch.optim.SGD(linear().parameters(), lr=0.5)
    finder = watch(PAIRS).start().wait(WAIT_S)
    finder.pick()
    finder.apply(optimizer)
    assert optimizer.param_groups[0]["lr"] == finder.lr


def test_who_may_only_read_is_told(
    watch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    Job(tmp_path).write(PAIRS[0])
    monkeypatch.setattr(Path, "write_bytes", refuse)
    finder = watch(follow(tmp_path)).start()
    until(finder, lambda: finder.chart["n"] == 1)
    assert "cannot be written to" in finder.blocked["pause"]
    click(finder, "pause")
    assert finder.state is State.RUNNING
    in_thread(finder.stop)()  # looking on, it can stop that
    assert finder.state is State.STOPPED


@pytest.mark.parametrize("wrong", [3, None, object(), True])
def test_what_cannot_yield_points_is_refused(watch: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="points must be an iterable of pairs"):
        watch(wrong)


@pytest.mark.parametrize("path", ["/scratch/run7", Path("/scratch/run7")])
def test_a_path_is_told_to_be_followed(watch: Any, path: Any) -> None:
    with pytest.raises(TypeError, match=r"pass follow\(.*/scratch/run7"):
        watch(path)


def test_other_arguments_are_checked_before_anything_is_shown() -> None:
    with pytest.raises(ValueError, match="train_steps"):
        LRFinder.watch(PAIRS, train_steps=0)
    with pytest.raises(ValueError, match="schedule"):
        LRFinder.watch(PAIRS, schedule="cosine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="variable"):
        LRFinder.watch(PAIRS, variable="no name")


def test_the_planned_training_counts(watch: Any) -> None:
    short = watch(PAIRS, train_steps=300).start().wait(WAIT_S).suggestion.lr
    long = watch(PAIRS, train_steps=30_000, schedule="constant").start().wait(WAIT_S).suggestion.lr
    assert long < short
