"""Processes that train together: begun once, they play one scenario each time they are asked.

A test file is also the program of a rank. It ends with ``serve()`` if it is run as one.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
import torch
import torch.distributed as dist

LIMIT_S = 20.0  # for a scenario that takes half a second

Result = dict[str, Any]
SCENARIOS: dict[str, Callable[..., Result]] = {}


def scenario(play: Callable[..., Result]) -> Callable[..., Result]:
    """Let `play(rank, …)` be asked for by its name."""
    SCENARIOS[play.__name__] = play
    return play


def serve() -> None:
    """Play what is asked for on standard input, one line of JSON each; answer likewise."""
    rank, world, timeout_s, folder = (*map(int, sys.argv[1:4]), sys.argv[4])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what anything else prints is no answer
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=world,
        timeout=dt.timedelta(seconds=timeout_s),
    )
    torch.set_num_threads(1)
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, options = json.loads(line)
        try:
            told = SCENARIOS[name](rank, **options)
        except BaseException:  # noqa: BLE001
            told = {"broken": traceback.format_exc()}
        print(json.dumps(told), file=answers, flush=True)
    dist.destroy_process_group()
    answers.close()


class Ranks:
    """Some ranks, two by default; begun anew after a scenario that did not end.

    Parameters
    ----------
    file : str
        The program of a rank.
    folder : Path
        Where they meet.
    world : int
        How many there are.
    timeout_s : int
        The time-out of their process group.
    """

    def __init__(self, file: str, folder: Path, world: int = 2, timeout_s: int = 60) -> None:
        self._file, self._folder, self._world = file, folder, world
        self._timeout_s = timeout_s
        self._meetings = 0
        self._ranks: list[subprocess.Popen[str]] = []
        self._answers: list[Queue[str]] = []

    def play(
        self, name: str, limit_s: float = LIMIT_S, lost: Collection[int] = (), **options: Any
    ) -> list[Result]:
        """Let all ranks play a scenario, and return what those tell that are not lost in it."""
        if not self._ranks:
            self._begin()
        for rank in self._ranks:
            assert rank.stdin is not None
            print(json.dumps([name, options]), file=rank.stdin, flush=True)
        results = [self._hear(i, limit_s) for i in range(self._world) if i not in lost]
        if None in results:
            self.end(kill=True)
            pytest.fail(f"a rank waits in vain; they told: {results}")
        for told in results:
            if "broken" in told:
                self.end(kill=True)
                pytest.fail(told["broken"])
        return results

    def _begin(self) -> None:
        self._meetings += 1
        meeting = self._folder / str(self._meetings)
        meeting.mkdir()
        warnings = ["-Werror", "-Wignore:metadata:DeprecationWarning"]  # bqscales', at its import
        for rank in range(self._world):
            arguments = map(str, (rank, self._world, self._timeout_s, meeting))
            process = subprocess.Popen(
                [sys.executable, *warnings, self._file, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            answers: Queue[str] = Queue()
            threading.Thread(target=listen, args=(process, answers), daemon=True).start()
            self._ranks.append(process)
            self._answers.append(answers)
        assert [self._hear(i, 100) for i in range(self._world)] == ["ready"] * self._world

    def _hear(self, i: int, limit_s: float) -> Any:
        try:
            return json.loads(self._answers[i].get(timeout=limit_s))
        except Empty:
            return None

    def end(self, *, kill: bool = False) -> list[int]:
        """End all; return their exit codes."""
        for rank in self._ranks:
            assert rank.stdin is not None
            if kill:
                rank.kill()
            else:
                rank.stdin.close()
        codes = [rank.wait(20) for rank in self._ranks]
        for rank in self._ranks:
            for pipe in (rank.stdin, rank.stdout):
                assert pipe is not None
                pipe.close()
        self._ranks, self._answers = [], []
        return codes


def listen(process: subprocess.Popen[str], answers: Queue[str]) -> None:
    assert process.stdout is not None
    try:
        for line in process.stdout:
            answers.put(line)
    except ValueError:  # closed
        pass
