"""Two ranks that torchrun starts publish one run; the notebook follows, pauses and stops it.

The file is also the program of a rank.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from support import CLASSES, FEATURES, classes, picture, sgd_momentum
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lrfinder_widget import LRFinder, State, follow, publish, sweep
from lrfinder_widget.remote import lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
LIMIT_S = 100.0


# -- a rank ---------------------------------------------------------------------------------------


class Batches:
    """Data of a rank, at a moderate pace."""

    def __init__(self, me: int, *, fails: bool) -> None:
        x, y = classes(seed=me).tensors
        self.batches = list(zip(x.split(8), y.split(8), strict=True))
        self.fails = fails

    def __iter__(self) -> Iterator[Any]:
        for i, batch in enumerate(self.batches):
            if self.fails and i == 5:
                raise ValueError("a bad batch on rank 1")
            time.sleep(0.005)
            yield batch


def rank(folder: str, fails: bool) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    me = dist.get_rank()
    inner = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    model, optimizer = DistributedDataParallel(inner), sgd_momentum(inner)
    before = picture(inner, optimizer)
    batches = Batches(me, fails=fails and me == 1)
    loss = nn.CrossEntropyLoss()
    points = sweep(model, optimizer, batches, loss, num_iter=100_000, stop=None)
    told: dict[str, Any] = {"pid": os.getpid()}
    tell = Path(folder, f"rank{me}.json")
    tell.write_text(json.dumps(told))
    try:
        curve = publish(points, Path(folder, "run"))
        told |= {"reason": curve.reason, "losses": curve.losses.tolist()}
    finally:
        told["restored"] = picture(inner, optimizer) == before
        tell.write_text(json.dumps(told))
    dist.destroy_process_group()


# -- the notebook ---------------------------------------------------------------------------------


@pytest.fixture
def torchrun(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    jobs = []

    def start(fails: bool = False) -> subprocess.Popen[bytes]:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command = [*launcher, "--nproc-per-node=2", __file__, str(tmp_path), str(int(fails))]
        environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        jobs.append(subprocess.Popen(command, env={**os.environ, **environment}))
        return jobs[-1]

    yield start
    for job in jobs:
        if job.poll() is None:
            job.terminate()
            job.wait(20)


def ranks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank{i}.json").read_text()) for i in range(2)]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_ranks_are_watched_paused_resumed_and_stopped(
    torchrun: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    finder = LRFinder.watch(follow(tmp_path / "run"), namespace={}).start()
    job = torchrun()
    until(lambda: len(finder.curve) >= 10)
    finder.pause()
    path = tmp_path / "run" / "points.jsonl"
    until(lambda: is_still(path))
    finder.resume()
    seen = len(finder.curve)
    until(lambda: len(finder.curve) > seen + 100)
    finder.stop()
    assert finder.state is State.STOPPED
    assert job.wait(LIMIT_S) == 0
    first, second = ranks(tmp_path)
    assert (first["reason"], first["restored"]) == ("stopped", True)
    assert (second["reason"], second["restored"]) == ("stopped", True)
    assert first["losses"] == second["losses"][: len(first["losses"])]
    shown = finder.curve.losses.tolist()
    assert shown == first["losses"][: len(shown)]
    finder.close()


def is_still(path: Path) -> bool:
    size = path.stat().st_size
    time.sleep(0.5)
    return path.stat().st_size == size


def test_an_exception_on_another_rank_is_told(
    torchrun: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    finder = LRFinder.watch(follow(tmp_path / "run"), namespace={}).start()
    job = torchrun(fails=True)
    with pytest.raises(RuntimeError, match="failed on another rank"):
        finder.wait(LIMIT_S)
    assert len(finder.curve) == 5
    assert job.wait(LIMIT_S) != 0
    assert [told["restored"] for told in ranks(tmp_path)] == [True, True]
    finder.close()


def test_a_job_that_is_killed_is_noticed(
    torchrun: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "SILENT_S", lines.BEAT_S + 5)
    finder = LRFinder.watch(follow(tmp_path / "run"), namespace={}).start()
    torchrun()
    until(lambda: len(finder.curve) >= 10)
    for told in ranks(tmp_path):
        os.kill(told["pid"], signal.SIGKILL)
    with pytest.raises(RuntimeError, match=r"no sign of life .* killed"):
        finder.wait(LIMIT_S)
    assert len(finder.curve) >= 10
    finder.close()


if __name__ == "__main__":
    rank(sys.argv[1], bool(int(sys.argv[2])))
