"""`follow`: the points of a run that `publish` writes into a folder, as they come."""

from __future__ import annotations

import errno
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from lrfinder_widget.curve.budget import Budget, Family
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Item
from lrfinder_widget.runs.source import About

from . import lines
from .checked import MOST, checked, is_reason

_AT_ONCE = 1 << 20  # bytes of a look
_QUIET_S = 15.0  # then it is said


def follow(folder: str | PathLike[str]) -> Followed:
    """Return the points of the run that `publish` writes into a folder, as they come.

    Parameters
    ----------
    folder : path
        It need not exist yet: then it waits for a run there, as long as it takes. A run that has
        ended is read from its beginning to its end.

    Returns
    -------
    iterable of (float, float)
        The learning rates and losses, for `LRFinder.watch` or a loop; each loop begins with the
        first point. Leaving a loop early does not stop the run.

    Raises
    ------
    TypeError, NotADirectoryError
        If `folder` is no path, or that of a file.
    RuntimeError
        From a loop: if the run failed (its error is told), if another one has taken its place, or
        if its process has given no sign of life for a minute.
    ValueError
        From a loop: if the file contains what `publish` does not write.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> curve = publish([(1e-3, 2.0), (1e-2, 1.0)], folder)
    >>> list(follow(folder))
    [(0.001, 2.0), (0.01, 1.0)]
    """
    return Followed(lines.as_folder(folder))


class Followed:
    """A run in a folder: its points, what is known of it, and how to steer it.

    Attributes
    ----------
    about : About
        What its first line says of it; another object once that has been read.
    unrestored : tuple of str
        What it could not put back, once it has ended.
    waiting : str
        What it waits for, as a sentence; empty while points come.
    steerable : bool
        Whether orders can be written, as far as is known.
    """

    def __init__(self, folder: Path) -> None:
        self.about = About(open_ended=True)
        self.unrestored: tuple[str, ...] = ()
        self._folder = folder
        self.waiting = f"Waiting for a run in {folder}."
        self.steerable = True
        self._run = ""

    def __repr__(self) -> str:
        return f"follow({str(self._folder)!r})"

    def __iter__(self) -> Iterator[Item]:
        with closing(self.items()) as items:
            for item in items:
                if item is not None:
                    yield item

    def items(self) -> Generator[Item | None, None, Reason]:
        """Yield the items; None each time that there is nothing new; return why it ended."""
        return checked(self._items())

    def _items(self) -> Generator[Item | None, None, Reason]:
        file = _File(self._folder / lines.POINTS)
        self._run = ""
        while True:
            for content in file.look():
                if not self._run:
                    self._begin(content)
                elif not isinstance(content, dict):
                    yield content
                elif "end" in content:
                    return self._end(content)
            self._say(file.quiet_s)
            time.sleep(lines.CHUNK_S)
            yield None

    def order(self, do: str) -> None:
        """Let the run "pause", "run" on, or "stop"; before it has begun, there is nothing to do.

        Raises
        ------
        RuntimeError
            If nothing can be written to the folder.
        """
        if not self._run:
            return
        try:
            lines.put(self._folder / lines.ORDERS, {"run": self._run, "do": do})
        except OSError as error:
            raise RuntimeError(
                f"the run{self._host} cannot be told to {do}: {error.strerror or error} "
                f"(in {self._folder})."
            ) from error

    @property
    def _host(self) -> str:
        return f" on {self.about.device}" if self.about.device else ""

    def _begin(self, first: Any) -> None:
        """Read the first line."""
        if not isinstance(first, dict) or first.get("format") != lines.FORMAT:
            raise ValueError(
                f"{self._folder / lines.POINTS} has not been written by publish() of a version "
                "that this one can read."
            )
        family, plan, cautions = map(first.get, ("family", "plan", "cautions"))
        trained = first.get("trained")
        plan = _plan(plan) if isinstance(plan, dict) else None
        self.about = About(
            summary=lines.text(first.get("summary")),
            device=" ".join(filter(None, (lines.text(first.get(k)) for k in ("host", "device"))))
            or None,
            budget=Budget(
                family=family if family in get_args(Family) else None,
                cautions=tuple(map(lines.text, cautions[:9])) if isinstance(cautions, list) else (),
                trained=trained if isinstance(trained, bool) else None,
            ),
            plan=plan,
            open_ended=plan is None,
        )
        self._run = lines.text(first.get("run")) or "?"
        try:
            self.order("run")  # a notebook that is gone may have left it paused
        except RuntimeError:
            self.steerable = False

    def _end(self, last: dict[str, Any]) -> Reason:
        unrestored = last.get("unrestored")
        if isinstance(unrestored, list):
            self.unrestored = tuple(lines.text(one, 1000) for one in unrestored[:99])
        self.waiting = self._run = ""
        if is_reason(reason := last["end"]):
            return reason
        error = lines.text(last.get("error"), 5000).strip() or "its error is not told"
        raise RuntimeError(f"the run{self._host} failed: {error}")

    def _say(self, quiet_s: float) -> None:
        """Say what is waited for; give up a run whose process must be dead."""
        if not self._run:
            return
        quiet = f"no sign of life from the run{self._host} for {quiet_s:.0f} s"
        if quiet_s >= lines.SILENT_S:
            raise RuntimeError(
                f"{quiet}: its process has probably been killed. If it goes on after all, the next "
                "start follows it from its beginning."
            )
        self.waiting = f"There has been {quiet}." if quiet_s >= _QUIET_S else ""


class _File:
    """A growing file of lines, opened anew at each look.

    A file system on a network shows what another machine has written to whoever opens the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = b""  # the first line, which no other run has
        self._at = 0
        self._grew = time.monotonic()

    @property
    def quiet_s(self) -> float:
        """The seconds since it last grew."""
        return time.monotonic() - self._grew

    def look(self) -> Iterator[Any]:
        """Yield what the lines contain that have been written since: an item, or a dict.

        What there is of a line that has not been written to its end is left for the next look.

        Raises
        ------
        RuntimeError
            If another file has taken its place.
        ValueError
            If a line is neither an item nor a dict.
        """
        try:
            with lines.opened(self._path) as file:
                same = file.read(len(self._head)) == self._head
                file.seek(self._at)
                data = file.read(_AT_ONCE)
        except FileNotFoundError:
            same, data = not self._head, b""
        except OSError as error:
            if error.errno != errno.ESTALE:  # NFS: it has just been replaced
                raise
            return
        if not same:
            raise RuntimeError(
                f"the run's file {self._path} is gone, or another run has taken its place; the "
                "next start follows that."
            )
        whole, newline, rest = data.rpartition(b"\n")
        if len(rest) > lines.LONGEST:
            raise ValueError(_strange(self._path, rest))
        for line in whole.split(b"\n") if newline else ():
            self._at += len(line) + 1
            self._grew = time.monotonic()
            self._head = self._head or line + b"\n"
            yield self._content(line)

    def _content(self, line: bytes) -> Any:
        try:
            content = lines.decoded(line)
            return content if isinstance(content, dict) else lines.to_item(content)
        except ValueError:
            raise ValueError(_strange(self._path, line)) from None


def _strange(path: Path, line: bytes) -> str:
    return f"{path} contains what publish() does not write: {line[:80]!r}."


def _plan(content: dict[str, Any]) -> SweepPlan | None:
    """Return the plan of a run, if it is one that could be drawn."""
    try:
        plan = SweepPlan(**content)
    except (TypeError, ValueError):
        return None
    return plan if plan.steps <= MOST else None
