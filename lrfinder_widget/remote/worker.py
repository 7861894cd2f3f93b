"""In the notebook: one worker, which is set up once, and its runs, whose points are asked for.

The notebook pulls: one call brings all points of a twentieth of a second. So to pause is to ask no
more, to stop is one call, and no queue of an engine is needed. Nothing here waits for long:
generators yield None for nothing new, and whoever runs them may leave at any of these.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.runs.trial_runs import TrialJob
from lrfinder_widget.runs.varied_runs import VariedJob

from .places import Answer, Place
from .wire import (
    Built,
    Chunk,
    Plain,
    WorkerLost,
    built_from_plain,
    chunk_from_plain,
    error_from_plain,
    hello_from_plain,
)
from .work import versions

CHUNK_S = 0.05
"""How long a worker collects points before it answers; four times as long in trial runs and varied
tests, as some engines need some milliseconds from one call to the next."""
PATIENCE_S, LONGEST_PATIENCE_S = 5.0, 60.0
"""How long a stop waits for the step under way, at least and at most, before the worker is given
up. In between: twice as long as the longest wait for an answer so far."""

Value = TypeVar("Value")
Waiting: TypeAlias = Generator[None, None, Value]
"""Yields None as long as there is nothing new, and then returns."""


class Worker:
    """One worker. It is made at once; `ready` sees to it that it is set up, bit by bit.

    Parameters
    ----------
    place : Place
        Where.
    setup : bytes
        The user's function, pickled.
    seed : int
        Of the random numbers with which it is called.

    Attributes
    ----------
    host : str
        Its name, once it has told it.
    process : tuple
        Tells it from others, once it is known.
    built : Built or None
        What it has built, once it has.
    """

    def __init__(self, place: Place, setup: bytes, seed: int) -> None:
        self._place = place
        self._setup, self._seed = setup, seed
        self._setting_up: Waiting[None] | None = None
        self._retired = False
        self._runs = 0
        self.host, self.process = "", ("", 0)
        self.built: Built | None = None
        self.make()

    def make(self) -> None:
        """Ask for the worker, unless there is one.

        Raises
        ------
        RuntimeError
            If the engine refuses, as a client that has been closed does.
        """
        if self._setting_up is None and not self._retired:
            try:
                self._place.make()
            except Exception as error:
                raise RuntimeError(
                    f"`on` makes no worker ({_first_line(error)}). If its cluster is gone, connect "
                    "to one again, and make a new LRFinder."
                ) from error
            self._setting_up = self._set_up()

    def kill(self) -> None:
        """Let go of the worker, whatever it is doing."""
        self._place.kill()
        self._setting_up, self.built, self.host = None, None, ""

    def retire(self) -> None:
        """Let go of it for good."""
        self._retired = True
        self.kill()

    def ready(self) -> bool:
        """Go on setting it up; return whether it is.

        Raises
        ------
        WorkerLost, BaseException
            What has gone wrong; then the worker is given up.
        """
        if self.built is not None:
            return True
        if self._setting_up is None:
            return False
        try:
            next(self._setting_up)
        except StopIteration:
            return True
        except BaseException:
            self.kill()
            raise
        return False

    def _set_up(self) -> Waiting[None]:
        while not self._is_there():
            yield
        hello = hello_from_plain((yield from self.ask("hello")))
        self.host, self.process = hello.host, (hello.host, hello.pid)
        note = _note_on(hello.versions, self.host)
        told = yield from self.ask("build", self._setup, self._seed)
        self.built = built_from_plain(told, f"on {self.host}{note}")

    def _is_there(self) -> bool:
        try:
            return self._place.is_there()
        except Exception as error:
            raise self.lost(error) from error

    def next_run(self) -> int:
        """Return the number of the next run."""
        self._runs += 1
        return self._runs

    def call(self, name: str, *args: Any) -> Answer:
        """Call a method of the work over there."""
        try:
            return self._place.call(name, *args)
        except Exception as error:
            raise self.lost(error) from error

    def ask(self, name: str, *args: Any) -> Waiting[Plain]:
        """Call a method, wait for the answer and return it; raise what the user's code raised."""
        answer = self.call(name, *args)
        while not has_come(answer, 0.0):
            yield
        return self.told(answer)

    def told(self, answer: Answer) -> Plain:
        """Return an answer that is there; raise what the user's code raised."""
        try:
            told = answer.result()
        except Exception as error:
            raise self.lost(error) from error
        if not isinstance(told, dict):
            raise ValueError(f"the worker sent a {type(told).__name__} where a dict should be.")
        if told.get("lost"):
            raise self.lost(None)
        if "error" in told and "items" not in told:
            raise error_from_plain(told["error"], self.host) from None
        return told

    def lost(self, error: Exception | None) -> Exception:
        """Give the worker up; return what to raise. `None` if another one answers in its place."""
        where = f" on {self.host}" if self.host else ""
        said = "another one answers" if error is None else _first_line(error)
        self.kill()
        if "No module named 'lrfinder_widget" in str(error):
            return RuntimeError(
                "the worker has no lrfinder_widget, or another version: install the same one there "
                "(with Ray: runtime_env={'pip': [\"lrfinder_widget\"]})."
            )
        return WorkerLost(f"the worker{where} was lost ({said}); the next start takes another.")


class WorkerRun:
    """One run of one worker; it begins with the first of `chunks`.

    Parameters
    ----------
    worker : Worker
        Ready.
    what : SweepPlan, TrialJob or VariedJob
        What to run.
    linger_s : float
        How long to wait for an answer before saying that there is nothing new.
    """

    def __init__(
        self, worker: Worker, what: SweepPlan | TrialJob | VariedJob, linger_s: float = 0.0
    ) -> None:
        self._worker = worker
        self._what = what
        self._linger_s = linger_s
        self._chunk_s = CHUNK_S if isinstance(what, SweepPlan) else 4 * CHUNK_S
        self._id = worker.next_run()
        self._asked: deque[tuple[Answer, float]] = deque()
        self._slowest = 0.0
        self.over = False

    def chunks(self) -> Generator[Chunk | None, None, None]:
        """Yield what it measures, piece by piece, until it has ended; None for nothing new.

        Raises
        ------
        WorkerLost
            If the engine has lost the worker, or made another one.
        BaseException
            What the user's code raised, after all items that came before it.
        """
        # Waited for, since calls may overtake each other …
        yield from self._worker.ask("begin", self._id, self._what)
        early: dict[int, tuple[Chunk, Any]] = {}
        seen = 0
        self._ask(0.0)
        while not self.over:
            while seen not in early:  # … so each chunk says from where on its points are
                if not self._asked:
                    self._ask(self._chunk_s)
                answer, since = self._asked[0]
                if not has_come(answer, self._linger_s):
                    yield None
                    continue
                self._asked.popleft()
                self._slowest = max(self._slowest, time.monotonic() - since)
                told = self._worker.told(answer)
                chunk = chunk_from_plain(told)
                if chunk.items or chunk.start not in early:  # an empty one tells the end again
                    early[chunk.start] = chunk, told.get("error")
                # Where steps are short, the worker would idle for a round trip. Where they are
                # long, a stop would have to wait for steps that nobody wants any more.
                while chunk.reason is None and len(chunk.items) > 1 and len(self._asked) < 2:
                    self._ask(self._chunk_s)
            chunk, error = early.pop(seen)
            seen += len(chunk.items)
            self.over = chunk.reason is not None
            yield chunk
            if error is not None:
                raise error_from_plain(error, self._worker.host)

    def _ask(self, seconds: float) -> None:
        self._asked.append((self._worker.call("take", self._id, seconds), time.monotonic()))

    def ask_to_end(self) -> Answer | None:
        """Ask it to end after the step under way, if it has not; return what `end` waits for."""
        if self.over:
            return None
        with suppress(Exception):
            return self._worker.call("close", self._id)
        self._worker.kill()
        return None

    def end(self, asked: Answer | None) -> list[str]:
        """Wait for the end; return what could not be put back.

        A worker that does not answer is given up, with its copy of the model, which is nobody's.
        """
        if asked is None:
            return []
        patience = min(LONGEST_PATIENCE_S, max(PATIENCE_S, 2 * self._slowest))
        try:
            if asked.wait(patience):
                return list(map(str, self._worker.told(asked).get("unrestored", [])))
        except Exception:  # noqa: BLE001 - whatever it was, it has ended with it
            pass
        self._worker.kill()
        return []


def has_come(answer: Answer, seconds: float) -> bool:
    """Wait for an answer; return whether it is there, if only to say that the engine failed."""
    try:
        return answer.wait(seconds)
    except Exception:  # noqa: BLE001 - `result` raises it again
        return True


def _note_on(there: dict[str, str], host: str) -> str:
    """Say which versions differ there.

    Raises
    ------
    RuntimeError
        If that of this package does.
    """
    here = versions()
    name = "lrfinder_widget"
    if (other := there.get(name, "")) != here[name]:
        raise RuntimeError(
            f"the worker on {host} has {name} {other}, the notebook has {here[name]}: install the "
            "same version on both."
        )
    different = [
        f"{name} {there.get(name, '')}, here {here[name]}"
        for name, parts in (("Python", 2), ("torch", 3))
        if there.get(name, "").split(".")[:parts] != here[name].split(".")[:parts]
    ]
    return f" ({'; '.join(different)})" if different else ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
