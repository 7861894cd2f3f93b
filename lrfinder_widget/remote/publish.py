"""`publish`: a run that somebody else started, written into a folder as it goes, and steered there.

For processes that a launcher starts, whichever it is. There is no port and nothing to connect to:
the rights are the folder's.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
import traceback
import uuid
import warnings
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing, suppress
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from lrfinder_widget.curve.loss_curve import LossCurve, Reason
from lrfinder_widget.curve.points import Item, Recorder, unrestored_text

from . import lines
from .checked import about, check_points, checked

_LONGEST, _MOST = 1_000, 20  # characters of a text at the end, and texts


def publish(points: Iterable[Item], folder: str | PathLike[str]) -> LossCurve:
    """Run an LR range test to its end, for a notebook that follows it in a shared folder.

    Call it where the training runs, in a job of whatever launcher (torchrun, SLURM, Accelerate,
    Lightning, Ray Train). In the notebook, ``LRFinder.watch(follow(folder))`` shows the points and
    may pause, resume or stop the run. It runs as well if nobody watches.

    Parameters
    ----------
    points : iterable of (float, float)
        Usually a `sweep`. A generator is closed however it ends, so that everything is put back.
    folder : path
        Where to write; made if it does not exist. What the run before wrote there is replaced. With
        several processes, call it in each of them, with the same folder: the first one writes.

    Returns
    -------
    LossCurve
        The curve, in every process.

    Raises
    ------
    TypeError, NotADirectoryError
        If `points` cannot be iterated over, or `folder` is no path, or that of a file.
    RuntimeError
        If another run is being published in the folder.
    OSError
        If it cannot be written to. Everything is put back.
    BaseException
        Whatever your model, loss or data raised, once everything is put back.

    Warns
    -----
    RuntimeWarning
        If something is seen to differ afterwards that could not be put back: one sentence each.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> publish([(1e-3, 2.0), (1e-2, 1.0)], folder)
    <LossCurve 2 points, lr 1.00e-03 to 1.00e-02, loss 2 to 1, completed>
    """
    path = lines.as_folder(folder)
    check_points(points)
    recorder = Recorder(getattr(points, "budget", None))
    try:
        with (
            _Scribe(path, points) if _is_first() else _Nobody() as scribe,
            closing(checked(points)) as items,  # the end is told once all is put back
        ):
            scribe.reason = _run(items, recorder, scribe)
    finally:
        if isinstance(points, Generator):  # also if not one was taken
            points.close()
    if unrestored := getattr(points, "unrestored", None):
        warnings.warn(unrestored_text(unrestored), RuntimeWarning, stacklevel=2)
    recorder.end(scribe.reason)
    return LossCurve.median(recorder.curves)


def _run(
    items: Generator[Item | None, None, Reason], recorder: Recorder, scribe: _Scribe
) -> Reason:
    while scribe.may_go_on():
        try:
            item = next(items)
        except StopIteration as end:
            reason: Reason = end.value
            return reason
        if item is None:
            continue
        recorder.take(item)
        scribe.add(lines.from_item(item))
    return "stopped"


def _is_first() -> bool:
    """Return whether this is the process that writes: the only one, or the one of rank 0."""
    dist: Any = sys.modules.get("torch.distributed")  # a sweep has imported it
    if dist is None or not (dist.is_available() and dist.is_initialized()):
        return True
    first: bool = dist.get_rank() == 0
    return first


class _Scribe:
    """Writes lines to the file, and reads there what the notebook orders.

    It does both in a thread of its own. So no step waits for the folder, and a step that takes
    minutes can be told from a process that is gone.
    """

    reason: Reason = "failed"

    def __init__(self, folder: Path, points: object) -> None:
        self._folder, self._path = folder, folder / lines.POINTS
        self._points = points
        self._run = uuid.uuid4().hex
        known = about(points)
        self._first = lines.encoded(
            {
                "format": lines.FORMAT,
                "run": self._run,
                "host": platform.node(),
                "device": known.device,
                "summary": known.summary,
                "family": known.budget.family,
                "cautions": known.budget.cautions,
                "trained": known.budget.trained,
                "plan": None if known.plan is None else asdict(known.plan),
            }
        )
        self._lines: deque[bytes] = deque()
        self._order: Any = "run"
        self._error: Exception | None = None  # what the thread ran into
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="publish", daemon=True)

    def __enter__(self) -> _Scribe:
        self._take_folder()
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            self._raise_error()
        unrestored = [str(one)[:_LONGEST] for one in getattr(self._points, "unrestored", ())]
        end: dict[str, Any] = {"end": self.reason, "unrestored": unrestored[:_MOST]}
        if error is not None:
            end["error"] = "".join(traceback.format_exception_only(error))[:_LONGEST]
        self.add(end)
        with suppress(*() if error is None else (OSError, RuntimeError)):
            self._write()

    def may_go_on(self) -> bool:
        """Wait during a pause; return whether to take one more point."""
        while self._order == "pause" and self._error is None:
            time.sleep(lines.CHUNK_S)
        self._raise_error()
        return bool(self._order != "stop")

    def add(self, content: Any) -> None:
        """Write a line, soon."""
        self._lines.append(lines.encoded(content))

    def _take_folder(self) -> None:
        """Begin the file, unless a run is going on there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / f".{self._run}"
        try:
            new.write_bytes(self._first)
            # Both times are those of the folder's own clock.
            if self._goes_on() and _changed(new) - _changed(self._path) < lines.SILENT_S:
                raise RuntimeError(
                    f"another run is being published in {self._folder}; choose another folder, or "
                    f"wait: one that was killed counts as ended after {lines.SILENT_S:.0f} s."
                )
            # From now on there is one: a folder on a network is slow to show a file that is new.
            lines.put(self._folder / lines.ORDERS, {"run": self._run, "do": "run"})
            new.replace(self._path)
        finally:
            new.unlink(missing_ok=True)

    def _goes_on(self) -> bool:
        """Return whether the file has no end yet."""
        try:
            with lines.opened(self._path) as file:
                file.seek(max(0, self._path.stat().st_size - lines.LONGEST))
                last = lines.decoded(file.read().splitlines()[-1])
        except FileNotFoundError:
            return False
        except (ValueError, IndexError):
            return True
        return not (isinstance(last, dict) and "end" in last)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        wrote = time.monotonic()
        try:
            while not self._over.wait(lines.CHUNK_S):
                if not self._lines and time.monotonic() - wrote >= lines.BEAT_S:
                    self.add({"alive": True})
                if self._lines:
                    self._write()
                    wrote = time.monotonic()
                self._read_order()
        except Exception as error:  # noqa: BLE001 - raised where the points are taken
            self._error = error

    def _write(self) -> None:
        # Opened anew each time: closing is what makes a network's file system show it elsewhere.
        with self._path.open("rb+") as file:
            if file.read(len(self._first)) != self._first:
                raise RuntimeError(f"another run has been published in {self._folder} since.")
            file.seek(0, 2)
            file.write(b"".join(self._lines.popleft() for _ in range(len(self._lines))))

    def _read_order(self) -> None:
        try:
            with lines.opened(self._folder / lines.ORDERS) as file:
                order = lines.decoded(file.read(lines.LONGEST))
        except (FileNotFoundError, ValueError):
            return
        if isinstance(order, dict) and order.get("run") == self._run:  # not for the run before
            self._order = "stop" if self._order == "stop" else order.get("do")


def _changed(path: Path) -> float:
    return path.stat().st_mtime


class _Nobody(_Scribe):
    """Stands in for the scribe in the other processes, which the first one takes along."""

    def __init__(self) -> None:
        """There is nothing to write."""

    def __enter__(self) -> _Nobody:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is written."""

    def may_go_on(self) -> bool:
        """Return True."""
        return True

    def add(self, content: Any) -> None:
        """Drop it."""
