"""A run in a folder, seen from the notebook: what is read of it, whatever is in the file."""

from __future__ import annotations

import errno
import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrfinder_widget import LossCurve, follow, publish
from lrfinder_widget.curve.points import Recorder
from lrfinder_widget.remote import follow as module
from lrfinder_widget.remote import lines

FIRST = {"format": 1, "run": "a1", "host": "node7", "device": "cuda:0", "family": "sgd"}
PAIRS = [(1e-3 * i, 1.0 / i) for i in range(1, 6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK_S", 0.0)


class Job:
    """A run that a test writes by hand."""

    def __init__(self, folder: Path, **first: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "points.jsonl"
        self.path.unlink(missing_ok=True)
        self.write({**FIRST, **first})

    def write(self, *contents: Any) -> None:
        self.raw(b"".join(json.dumps(content).encode() + b"\n" for content in contents))

    def raw(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)


class Clock:
    """The time, as a test has it."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _: float) -> None:
        """Go on at once."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def seen(items: Iterator[Any]) -> list[Any]:
    """Return what there is by now."""
    found = []
    for item in items:
        if item is None:
            break
        found.append(item)
    return found


def same(a: Any, b: Any) -> bool:
    return struct.pack("2d", *a) == struct.pack("2d", *b) or (a[0] == b[0] and a[1] != a[1] != b[1])


def test_it_waits_for_a_folder_that_is_not_there_yet_and_says_so(folder: Path) -> None:
    followed = follow(folder)
    items = followed.items()
    assert seen(items) == []
    assert str(folder) in followed.waiting
    folder.mkdir()
    assert seen(items) == []
    job = Job(folder)
    assert seen(items) == []
    assert followed.waiting == ""
    job.write(PAIRS[0])
    assert seen(items) == PAIRS[:1]


def test_points_come_as_they_are_written_and_then_the_reason(folder: Path) -> None:
    job, items = Job(folder), follow(folder).items()
    for pair in PAIRS:
        job.write(pair)
        assert seen(items) == [pair]
    assert seen(items) == []
    job.write({"end": "diverged"})
    with pytest.raises(StopIteration) as end:
        next(items)
    assert end.value.value == "diverged"


def test_a_loop_over_it_waits_until_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, written = Job(folder), iter([*PAIRS, {"end": "completed"}])
    clock = Clock()
    clock.sleep = lambda _: job.write(next(written))  # type: ignore[method-assign]
    monkeypatch.setattr(module, "time", clock)
    assert list(follow(folder)) == PAIRS


LOSSES = st.lists(st.floats(width=64), min_size=1, max_size=30)


@given(losses=LOSSES, cuts=st.data())
def test_whatever_part_of_a_line_is_there_nothing_is_lost_or_torn(
    tmp_path_factory: pytest.TempPathFactory, losses: list[float], cuts: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("run")
    pairs = [(1e-3 * (i + 1), loss) for i, loss in enumerate(losses)]
    publish(pairs, folder / "whole")
    whole = (folder / "whole" / "points.jsonl").read_bytes()
    items, got, at = follow(folder).items(), [], 0
    while at < len(whole):
        size = cuts.draw(st.integers(1, 60))
        with (folder / "points.jsonl").open("ab") as file:
            file.write(whole[at : at + size])
        at += size
        got += seen(items)
    assert len(got) == len(pairs)
    assert all(map(same, got, pairs))


def test_what_is_written_is_json_for_every_reader(folder: Path) -> None:
    def refuse(literal: str) -> None:
        raise AssertionError(literal)

    publish([(1e-3, math.nan), (1e-2, math.inf), (1e-1, -math.inf)], folder)
    text = (folder / "points.jsonl").read_text(encoding="ascii")
    for line in text.splitlines():
        json.loads(line, parse_constant=refuse)
    assert [str(loss) for _, loss in follow(folder)] == ["nan", "inf", "-inf"]


STRANGE = {
    "not JSON": b"Traceback (most recent call last):\n",
    "half a line, ended": b"[0.001, 2.\n",
    "an empty line": b"\n",
    "zeros": bytes(40) + b"\n",
    "one number too many": b"[0.001, 2.0, 3.0]\n",
    "no number": b'[0.001, "2.0"]\n',
    "a truth": b"[0.001, true]\n",
    "a list in it": b"[0.001, [2.0]]\n",
    "a number beyond floats": b"[0.001, 1" + b"0" * 400 + b"]\n",
    "a number with a million digits": b"[0.001, " + b"9" * 1_000_00 + b"]\n",
    "brackets without an end": b"[" * 100_000 + b"\n",
    "a rate that is not finite": b'["inf", 2.0]\n',
    "a rate that is negative": b"[-0.1, 2.0]\n",
    "a rate of zero": b"[0, 2.0]\n",
    "a rate that falls": b"[0.5, 2.0]\n[0.4, 2.0]\n",
    "a word": b'"of no meaning"\n',
    "failed as an end of a repeat": b'"failed"\n',
    "a baseline before any point": b"2.0\n",
    "nothing": b"null\n",
    "a line without an end": b"[0.001, " + b" " * lines.LONGEST,
    "an end of no kind": b'{"end": ["failed"]}\n',
}


def take_all(items: Iterator[Any], recorder: Recorder) -> None:
    for item in items:
        assert item is not None, "it was passed over"
        recorder.take(item)


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_point_is_told_and_nothing_of_it_gets_into_the_curve(
    folder: Path, name: str
) -> None:
    job, items = Job(folder), follow(folder).items()
    recorder = Recorder()
    job.raw(STRANGE[name])
    with pytest.raises((ValueError, RuntimeError)) as caught:
        take_all(items, recorder)
    assert len(str(caught.value)) < 400
    assert len(recorder.curves[0]) <= 1


@pytest.mark.parametrize(
    "first",
    [b"[0.001, 2.0]\n", b"{}\n", b'{"format": 2, "run": "a"}\n', b"{\n", b"3\n", b'"stopped"\n'],
)
def test_a_file_of_somebody_else_is_refused(folder: Path, first: bytes) -> None:
    folder.mkdir()
    (folder / "points.jsonl").write_bytes(first)
    with pytest.raises(ValueError, match="publish"):
        seen(follow(folder).items())


@pytest.mark.parametrize(
    "first",
    [
        {
            "summary": 7,
            "host": None,
            "device": ["x"],
            "cautions": "ab",
            "family": "mine",
            "trained": 1,
        },
        {"summary": {}, "cautions": [3, None], "family": ["sgd"], "plan": [1], "run": 5},
        {"plan": {"num_iter": 10**12}},
        {"plan": {"start_lr": "x"}},
        {"plan": {"of": "no such name"}},
    ],
)
def test_what_the_first_line_says_wrongly_is_as_unknown(folder: Path, first: Any) -> None:
    job, followed = Job(folder, **first), follow(folder)
    job.write(PAIRS[0])
    assert seen(followed.items()) == PAIRS[:1]
    assert followed.about.plan is None
    assert followed.about.budget.trained is None
    assert isinstance(followed.about.summary, str)


def test_a_text_of_the_file_is_one_line_of_a_text_that_a_page_can_be_sent(folder: Path) -> None:
    evil = "SGD\nimport os\u2028\ud800 " + "x" * 10_000
    job, followed = Job(folder, summary=evil, host=evil, cautions=[evil] * 15), follow(folder)
    items = followed.items()
    seen(items)
    job.write({"end": "failed", "error": evil})
    with pytest.raises(RuntimeError, match="failed: SGD import os") as caught:
        next(items)
    about = followed.about
    for text in (about.summary, about.device, *about.budget.cautions, str(caught.value)):
        assert text is not None
        assert text.isprintable()
        text.encode()
        assert len(text) < 6000


def test_a_run_that_does_not_say_where_it_is_is_nowhere(folder: Path) -> None:
    job, followed = Job(folder, host=None, device=None), follow(folder)
    items = followed.items()
    seen(items)
    assert followed.about.device is None
    job.write({"end": "failed", "error": "KeyError: 3\n"})
    with pytest.raises(RuntimeError, match=r"^the run failed: KeyError: 3$"):
        next(items)


def test_how_it_failed_is_told(folder: Path) -> None:
    job, items = Job(folder), follow(folder).items()
    job.write(*PAIRS, {"end": "failed", "error": "ValueError: a bad batch"})
    assert [next(items) for _ in PAIRS] == PAIRS
    told = "the run on node7 cuda:0 failed: ValueError: a bad batch"
    with pytest.raises(RuntimeError, match=f"^{told}$"):
        next(items)


def test_silence_is_said_and_after_a_minute_the_run_is_given_up(folder: Path, clock: Clock) -> None:
    job, followed = Job(folder), follow(folder)
    items = followed.items()
    job.write(PAIRS[0])
    assert seen(items) == PAIRS[:1]
    clock.now += 14
    assert (seen(items), followed.waiting) == ([], "")
    clock.now += 2
    assert seen(items) == []
    silent = "no sign of life from the run on node7 cuda:0 for 16 s"
    assert followed.waiting == f"There has been {silent}."
    job.write({"alive": True})
    assert (seen(items), followed.waiting) == ([], "")
    clock.now += 59
    assert seen(items) == []
    clock.now += 1
    with pytest.raises(RuntimeError, match="killed"):
        seen(items)


def test_a_run_that_has_not_begun_is_waited_for_as_long_as_it_takes(
    folder: Path, clock: Clock
) -> None:
    followed = follow(folder)
    items = followed.items()
    for _ in range(10):
        clock.now += 10_000
        assert seen(items) == []
    Job(folder)
    assert seen(items) == []
    assert followed.waiting == ""


def test_a_run_that_ended_long_ago_is_read_to_its_end(folder: Path, clock: Clock) -> None:
    publish(PAIRS, folder)
    os.utime(folder / "points.jsonl", (0, 0))
    assert list(follow(folder)) == PAIRS


def test_another_run_in_the_folder_is_not_taken_for_the_same(folder: Path) -> None:
    job, items = Job(folder), follow(folder).items()
    job.write(PAIRS[0])
    assert seen(items) == PAIRS[:1]
    Job(folder, run="b2").write(*PAIRS)
    with pytest.raises(RuntimeError, match="taken its place"):
        next(items)
    assert seen(follow(folder).items()) == PAIRS


def test_a_file_that_is_gone_is_told(folder: Path) -> None:
    job, items = Job(folder), follow(folder).items()
    seen(items)
    job.path.unlink()
    with pytest.raises(RuntimeError, match="is gone"):
        next(items)


def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "points.jsonl")
    items = follow(folder).items()
    assert seen(items) == []
    os.mkfifo(folder / "orders.json")
    (folder / "points.jsonl").unlink()
    assert len(publish(PAIRS, folder)) == 5
    assert seen(items) == PAIRS


def test_a_stale_handle_is_nothing_new(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise OSError(error, "no")

    job, items = Job(folder), follow(folder).items()
    seen(items)
    error = errno.ESTALE
    with monkeypatch.context() as patch:
        patch.setattr(lines, "opened", refuse)
        assert seen(items) == []
    job.write(PAIRS[0])
    assert seen(items) == PAIRS[:1]
    error = errno.EACCES
    monkeypatch.setattr(lines, "opened", refuse)
    with pytest.raises(PermissionError):
        next(items)


def test_two_follow_one_folder(folder: Path) -> None:
    job = Job(folder)
    first, second = follow(folder).items(), follow(folder).items()
    job.write(*PAIRS[:2])
    assert seen(first) == PAIRS[:2]
    job.write(*PAIRS[2:])
    assert (seen(second), seen(first)) == (PAIRS, PAIRS[2:])


def test_each_loop_begins_with_the_first_point(folder: Path) -> None:
    publish(PAIRS, folder)
    followed = follow(folder)
    assert list(followed) == list(followed) == PAIRS


def orders(folder: Path) -> Any:
    return json.loads((folder / "orders.json").read_bytes())


def test_orders_are_for_the_run_that_is_followed(folder: Path) -> None:
    followed = follow(folder)
    items = followed.items()
    followed.order("pause")
    seen(items)
    assert not folder.exists()
    job = Job(folder)
    seen(items)
    assert orders(folder) == {"run": "a1", "do": "run"}  # it may have been left paused
    followed.order("pause")
    assert orders(folder) == {"run": "a1", "do": "pause"}
    assert sorted(path.name for path in folder.iterdir()) == ["orders.json", "points.jsonl"]
    job.write({"end": "completed"})
    with pytest.raises(StopIteration):
        next(items)
    followed.order("stop")
    assert orders(folder) == {"run": "a1", "do": "pause"}


def test_leaving_does_not_stop_the_run(folder: Path) -> None:
    Job(folder).write(*PAIRS)
    for _ in follow(folder):
        break
    assert orders(folder)["do"] == "run"


def test_who_may_not_write_there_can_look_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    job, followed = Job(folder), follow(folder)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    job.write(PAIRS[0])
    assert seen(followed.items()) == PAIRS[:1]
    with pytest.raises(RuntimeError, match="told to pause: Permission denied"):
        followed.order("pause")


@pytest.mark.parametrize("make", [follow, lambda folder: publish(PAIRS, folder)])
def test_a_folder_is_a_path_and_no_file(make: Callable[[Any], Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        make(tmp_path / "file")
    for wrong in (3, None, PAIRS):
        with pytest.raises(TypeError, match="folder must be a path"):
            make(wrong)


def test_a_curve_with_repeats_and_baselines_goes_along(folder: Path) -> None:
    items = [*PAIRS, "completed", *PAIRS, *[1.0] * 5]
    curve = publish(items, folder)
    recorder = Recorder()
    for item in follow(folder):
        recorder.take(item)
    recorder.end("completed")
    assert LossCurve.median(recorder.curves) == curve
    assert len(curve.repeats) == 2
    assert np.array_equal(curve.repeats[1].baseline, [1.0] * 5)
