"""A run that somebody else started: written into a folder as it goes, and steered from there."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, classes, picture
from torch import nn

from lrfinder_widget import LossCurve, follow, publish, range_test, sweep
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Recorder
from lrfinder_widget.remote import lines
from lrfinder_widget.remote import publish as module
from lrfinder_widget.remote.follow import Followed

PAIRS = [(1e-3 * i, 1.0 / i) for i in range(1, 6)]
PATIENCE_S = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "run"


READS: list[None] = []


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_order(scribe: module._Scribe) -> None:
        read(scribe)
        READS.append(None)

    read = module._Scribe._read_order
    monkeypatch.setattr(module._Scribe, "_read_order", read_order)
    monkeypatch.setattr(lines, "CHUNK_S", 0.001)


def wait_until_orders_are_read() -> None:
    count, until = len(READS) + 2, time.monotonic() + PATIENCE_S  # the first may be under way
    while len(READS) < count:
        assert time.monotonic() < until


class Steps:
    """Points that come one by one, when they are let through; notes how it was left."""

    def __init__(self, count: int = 100) -> None:
        self.permits = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.closed = threading.Event()
        self.left: Callable[[], object] = lambda: None
        self.count = count

    def __iter__(self) -> Iterator[tuple[float, float]]:
        try:
            for i in range(self.count):
                self.asked.release()
                assert self.permits.acquire(timeout=PATIENCE_S)
                yield 1e-3 * (i + 1), float(i)
        finally:
            self.left()
            self.closed.set()

    def let(self, n: int = 1) -> None:
        for _ in range(n):
            self.permits.release()

    def wait_until_asked(self, n: int = 1) -> None:
        for _ in range(n):
            assert self.asked.acquire(timeout=PATIENCE_S)

    @property
    def is_asked(self) -> bool:
        return self.asked.acquire(timeout=0.1)


class Job:
    """`publish` in a thread, as in another process."""

    def __init__(self, points: Any, folder: Path) -> None:
        self.curve: LossCurve | None = None
        self.error: BaseException | None = None

        def work() -> None:
            try:
                self.curve = publish(points, folder)
            except BaseException as error:  # noqa: BLE001
                self.error = error

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def join(self) -> Job:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self


class Watcher:
    """Who follows a run, and takes what comes until there is as much as is expected."""

    def __init__(self, folder: Path) -> None:
        self.followed: Followed = follow(folder)
        self.items = self.followed.items()
        self.got: list[Any] = []

    def wait_for(self, count: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while len(self.got) < count:
            assert time.monotonic() < until
            item = next(self.items)
            if item is not None:
                self.got.append(item)

    def end(self) -> Any:
        while True:
            try:
                item = next(self.items)
            except StopIteration as end:
                return end.value
            if item is not None:
                self.got.append(item)


def test_what_is_published_is_followed_and_returned(folder: Path) -> None:
    curve = publish(iter(PAIRS), folder)
    assert curve == LossCurve(*zip(*PAIRS, strict=True))
    assert list(follow(folder)) == PAIRS


def test_points_are_there_while_the_run_goes_on(folder: Path) -> None:
    steps, watcher = Steps(), Watcher(folder)
    job = Job(steps, folder)
    for n in range(1, 4):
        steps.let()
        watcher.wait_for(n)
    watcher.followed.order("stop")
    wait_until_orders_are_read()
    steps.let()
    assert watcher.end() == "stopped"
    assert job.join().curve == LossCurve(*zip(*watcher.got, strict=True), "stopped")


def test_pause_resume_and_stop(folder: Path) -> None:
    steps, watcher = Steps(), Watcher(folder)
    job = Job(steps, folder)
    steps.wait_until_asked()
    steps.let()
    watcher.wait_for(1)
    steps.wait_until_asked()
    watcher.followed.order("pause")
    wait_until_orders_are_read()
    steps.let()
    watcher.wait_for(2)  # the step under way
    assert not steps.is_asked
    watcher.followed.order("run")
    steps.wait_until_asked()
    watcher.followed.order("pause")
    wait_until_orders_are_read()
    steps.let()
    watcher.wait_for(3)
    watcher.followed.order("stop")  # in a pause
    assert watcher.end() == "stopped"
    assert steps.closed.is_set()
    assert job.join().curve is not None
    assert len(job.curve or ()) == 3


def test_who_comes_later_lets_a_paused_run_go_on(folder: Path) -> None:
    steps, gone = Steps(), Watcher(folder)
    job = Job(steps, folder)
    steps.wait_until_asked()
    steps.let()
    gone.wait_for(1)
    steps.wait_until_asked()
    gone.followed.order("pause")
    wait_until_orders_are_read()
    steps.let()
    gone.wait_for(2)
    assert not steps.is_asked
    Watcher(folder).wait_for(1)
    steps.wait_until_asked()
    gone.followed.order("stop")
    wait_until_orders_are_read()
    steps.let()
    assert job.join().curve is not None


def test_nothing_is_written_to_where_a_link_in_the_folder_leads(folder: Path) -> None:
    folder.mkdir(parents=True)
    mine = folder.parent / "mine"
    mine.write_text("precious")
    for name in ("points.jsonl", "orders.json"):
        (folder / name).symlink_to(mine)
    now = mine.stat().st_mtime
    os.utime(mine, (now, now - 1000))
    publish(PAIRS, folder)
    assert list(follow(folder)) == PAIRS
    assert mine.read_text() == "precious"


def test_two_finders_may_give_orders_and_the_last_one_counts(folder: Path) -> None:
    steps = Steps()
    job = Job(steps, folder)
    steps.wait_until_asked()
    first, second = Watcher(folder), Watcher(folder)
    steps.let()
    first.wait_for(1)
    second.wait_for(1)
    steps.wait_until_asked()
    first.followed.order("pause")
    second.followed.order("run")
    wait_until_orders_are_read()
    steps.let()
    steps.wait_until_asked()
    second.followed.order("stop")
    wait_until_orders_are_read()
    steps.let()
    assert (first.end(), second.end()) == ("stopped", "stopped")
    assert first.got == second.got
    job.join()


def test_an_order_for_the_run_before_is_not_for_this_one(folder: Path) -> None:
    steps = Steps(3)
    job, watcher = Job(steps, folder), Watcher(folder)
    steps.let()
    watcher.wait_for(1)
    watcher.followed.order("stop")
    wait_until_orders_are_read()
    steps.let()
    job.join()
    order = (folder / "orders.json").read_bytes()
    (folder / "orders.json").unlink()
    steps = Steps(3)
    job = Job(steps, folder)
    steps.wait_until_asked()
    (folder / "orders.json").write_bytes(order)
    wait_until_orders_are_read()
    steps.let(3)
    assert len(job.join().curve or ()) == 3


@pytest.mark.parametrize("order", [b"", b"{", b"[1]", b'{"do": "stop"}', b"[" * 100_000, b"\xff"])
def test_an_order_that_makes_no_sense_changes_nothing(folder: Path, order: bytes) -> None:
    steps = Steps(3)
    job = Job(steps, folder)
    steps.wait_until_asked()
    (folder / "orders.json").write_bytes(order)
    wait_until_orders_are_read()
    steps.let(3)
    assert len(job.join().curve or ()) == 3


class Boom(Exception):
    def __str__(self) -> str:
        return "a bad\nbatch"


@pytest.mark.parametrize(
    ("error", "told"),
    [(Boom(), "Boom: a bad batch"), (KeyboardInterrupt(), "KeyboardInterrupt")],
)
def test_an_exception_is_written_once_all_is_put_back_and_raised(
    folder: Path, error: BaseException, told: str
) -> None:
    def points() -> Iterator[tuple[float, float]]:
        try:
            yield from PAIRS
            raise error
        finally:
            assert b'"end"' not in (folder / "points.jsonl").read_bytes()

    with pytest.raises(type(error)) as caught:
        publish(points(), folder)
    assert caught.value is error
    watcher = Watcher(folder)
    with pytest.raises(RuntimeError, match=f"failed: .*{told}"):
        watcher.end()
    assert watcher.got == PAIRS


def test_the_end_is_written_once_all_is_put_back(folder: Path) -> None:
    steps, watcher = Steps(), Watcher(folder)
    steps.left = lambda: ends.append(b'"end"' in (folder / "points.jsonl").read_bytes())
    ends: list[bool] = []
    job = Job(steps, folder)
    steps.let()
    watcher.wait_for(1)
    watcher.followed.order("stop")
    wait_until_orders_are_read()
    steps.let()
    assert watcher.end() == "stopped"
    job.join()
    assert ends == [False]


def test_a_long_step_is_no_silence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BEAT_S", 0.01)
    steps = Steps(1)
    job = Job(steps, folder)
    steps.wait_until_asked()
    until = time.monotonic() + PATIENCE_S
    while (folder / "points.jsonl").read_bytes().count(b"alive") < 3:
        assert time.monotonic() < until
    steps.let()
    assert len(job.join().curve or ()) == 1
    assert len(list(follow(folder))) == 1


def test_a_folder_where_a_run_goes_on_is_refused(folder: Path) -> None:
    steps, watcher = Steps(2), Watcher(folder)
    job = Job(steps, folder)
    steps.let()
    watcher.wait_for(1)
    late = Steps()
    with pytest.raises(RuntimeError, match=r"another run is being published in .*choose another"):
        publish(iter(late), folder)
    steps.let()
    assert watcher.end() == "completed"
    assert watcher.got == [(1e-3, 0.0), (2e-3, 1.0)]
    assert sorted(path.name for path in folder.iterdir()) == ["orders.json", "points.jsonl"]
    job.join()
    publish(PAIRS, folder)  # now it has ended
    assert list(follow(folder)) == PAIRS


@pytest.mark.parametrize("rest", [b"", b"[0.001, 2.0]\n", b"[0.001, 2"])
def test_a_run_that_was_killed_is_in_nobodys_way_after_a_while(folder: Path, rest: bytes) -> None:
    folder.mkdir(parents=True)
    path = folder / "points.jsonl"
    path.write_bytes(b'{"format": 1, "run": "a"}\n' + rest)
    with pytest.raises(RuntimeError, match="another run"):
        publish(PAIRS, folder)
    now = path.stat().st_mtime
    os.utime(path, (now, now - lines.SILENT_S - 1))
    publish(PAIRS, folder)
    assert list(follow(folder)) == PAIRS


def test_of_two_that_began_at_once_one_gives_way(folder: Path) -> None:
    steps, watcher = Steps(), Watcher(folder)
    job = Job(steps, folder)
    steps.let()
    watcher.wait_for(1)
    other = b'{"format": 1, "run": "other"}\n[0.5, 1.0]\n'
    (folder / "new").write_bytes(other)
    (folder / "new").replace(folder / "points.jsonl")
    steps.let(100)
    job.join()
    assert isinstance(job.error, RuntimeError)
    assert "another run has been published" in str(job.error)
    assert steps.closed.is_set()
    assert (folder / "points.jsonl").read_bytes() == other


def test_a_folder_that_cannot_be_written_to_any_more_ends_the_run(folder: Path) -> None:
    steps, watcher = Steps(), Watcher(folder)
    job = Job(steps, folder)
    steps.let()
    watcher.wait_for(1)
    (folder / "points.jsonl").unlink()
    steps.let(100)
    assert isinstance(job.join().error, FileNotFoundError)
    assert steps.closed.is_set()


def test_points_are_closed_also_if_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    steps = Steps()
    points = iter(steps)
    steps.let()
    next(points)
    with pytest.raises(NotADirectoryError):
        publish(points, tmp_path / "file" / "run")
    assert steps.closed.is_set()


@pytest.mark.parametrize("points", [3, None, sweep])
def test_points_that_are_none_are_refused_before_anything_is_written(
    folder: Path, points: Any
) -> None:
    with pytest.raises(TypeError, match="points must be an iterable of pairs"):
        publish(points, folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "items", [[3], ["ab"], [(1, 2, 3)], [(0.1, 1.0), (0.1, 1.0)], [(math.inf, 1.0)], [(0.1, None)]]
)
def test_what_is_no_point_is_told_on_both_sides(folder: Path, items: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"the points must be|the learning rates must be"):
        publish(items, folder)
    with pytest.raises(RuntimeError, match="failed: ValueError: the "):
        list(follow(folder))


def test_numbers_of_any_kind_are_points(folder: Path) -> None:
    publish([(torch.tensor(0.5), 1), (torch.tensor(1.0), torch.tensor(2.0))], folder)
    assert list(follow(folder)) == [(0.5, 1.0), (1.0, 2.0)]


class Unrestored(list):  # type: ignore[type-arg]
    unrestored = ("A buffer is not what it was.", "x" * 100_000)


def test_what_could_not_be_put_back_is_said_on_both_sides(folder: Path) -> None:
    with pytest.warns(RuntimeWarning, match="A buffer is not"):
        publish(Unrestored(PAIRS), folder)
    followed = follow(folder)
    assert list(followed) == PAIRS
    assert followed.unrestored == ("A buffer is not what it was.", "x" * 1000)


# -- a sweep --------------------------------------------------------------------------------------


def parts(seed: int = 0, learns: bool = True) -> tuple[Any, ...]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    x, y = classes(seed=seed).tensors
    if not learns:
        y = torch.randint(CLASSES, y.shape, generator=torch.Generator().manual_seed(seed))
    batches = list(zip(x.split(8), y.split(8), strict=True))
    return model, optimizer, batches, nn.CrossEntropyLoss()


@pytest.mark.parametrize("learns", [True, False])
def test_the_curve_and_the_suggestion_are_those_of_a_run_here(folder: Path, learns: bool) -> None:
    local = range_test(*parts(learns=learns), num_iter=60)
    assert (local.baseline is not None) is not learns
    model, optimizer, *rest = parts(learns=learns)
    before = picture(model, optimizer)
    there = publish(sweep(model, optimizer, *rest, num_iter=60), folder)
    assert picture(model, optimizer) == before
    followed, recorder = follow(folder), Recorder()
    items = followed.items()
    try:
        while True:
            if (item := next(items)) is not None:
                recorder.take(item)
    except StopIteration as end:
        recorder.end(end.value)
    here = LossCurve.median(recorder.curves).with_budget(followed.about.budget)
    assert local == there == here
    assert local.suggestion == here.suggestion
    about = followed.about
    assert (about.plan, about.summary, about.open_ended) == (SweepPlan(num_iter=60), "Adam", False)
    assert (about.device or "").endswith(" cpu")


def test_a_published_sweep_is_put_back_when_it_is_stopped(folder: Path) -> None:
    model, optimizer, batches, criterion = parts()
    before = picture(model, optimizer)
    watcher, there = Watcher(folder), threading.Event()

    def step_by_step(output: Any, target: Any) -> Any:
        if not there.is_set():
            there.set()
            watcher.wait_for(0)
        return criterion(output, target)

    def stop() -> None:
        watcher.wait_for(1)
        watcher.followed.order("stop")

    thread = threading.Thread(target=stop)
    thread.start()
    points = sweep(model, optimizer, batches, step_by_step, num_iter=100_000, stop=None)
    assert publish(points, folder).reason == "stopped"
    thread.join()
    assert picture(model, optimizer) == before
    assert watcher.end() == "stopped"


def test_only_the_first_of_several_processes_writes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert len(publish(PAIRS, folder)) == 5
    assert not folder.exists()
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    assert len(publish(PAIRS, folder)) == 5
    assert json.loads((folder / "points.jsonl").read_bytes().splitlines()[-1])["end"] == "completed"
