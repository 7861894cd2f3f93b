"""What the tests of the finder need: a scripted step, a fake shell, and the page's side of it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
from IPython.core.events import EventManager

from lrfinder_widget import LRFinder

WAIT_S = 20.0
POINTS = 60

_x = np.linspace(0.0, 1.0, POINTS)
DESCENT = (2.3 - 1.6 / (1 + np.exp(-25 * (_x - 0.5))) + 40 * np.clip(_x - 0.85, 0, None)).tolist()
"""Losses that fall clearly and then turn: a candidate can be read off."""
RISE = (1.0 + _x**2).tolist()
"""Losses that only rise: nothing can be suggested."""


class Script:
    """A training step that trains nothing and returns one loss after another, over and over."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = itertools.cycle(losses)

    def __call__(self, batch: Any) -> float:
        return next(self.losses)


class Gate(Script):
    """A training step that does nothing until it is let through."""

    def __init__(self, losses: list[float] | None = None) -> None:
        super().__init__(losses or DESCENT)
        self._permits = threading.Semaphore(0)
        self._asked = threading.Semaphore(0)
        self._open = False

    def __call__(self, batch: Any) -> float:
        self._asked.release()
        if not self._open:
            assert self._permits.acquire(timeout=WAIT_S)
        return super().__call__(batch)

    def let(self, n: int = 1) -> None:
        for _ in range(n):
            self._permits.release()

    def let_all(self) -> None:
        self._open = True
        self._permits.release()

    def wait_until_asked(self, n: int = 1) -> None:
        for _ in range(n):
            assert self._asked.acquire(timeout=WAIT_S)


class Shell:
    """A notebook's shell as far as a finder looks at it; the events are IPython's own."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}
        self.events = EventManager(self, ["post_run_cell"], print_on_error=False)
        self.failures: list[str] = []
        self.parent: dict[str, Any] = {}
        self._executions = itertools.count(1)

    def get_parent(self) -> dict[str, Any]:
        return self.parent

    def showtraceback(self) -> None:
        self.failures.append("a callback of the shell failed")

    def run(self, cell: str | None, code: Callable[[], Any] = lambda: None) -> Any:
        """Execute a cell; `None` is one that the front end does not name."""
        metadata = {} if cell is None else {"cellId": cell}
        self.parent = {"metadata": metadata, "header": {"msg_id": str(next(self._executions))}}
        try:
            return code()
        finally:
            self.events.trigger("post_run_cell", None)

    @property
    def listening(self) -> int:
        return len(self.events.callbacks["post_run_cell"])


def in_thread(act: Callable[[], Any]) -> Callable[[], Any]:
    """Call `act` in another thread; the function returned waits for it and returns its result."""
    result: list[Any] = []
    done = threading.Event()

    def work() -> None:
        try:
            result.append(act())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            result.append(error)
        done.set()

    threading.Thread(target=work, daemon=True).start()

    def finish(timeout: float = WAIT_S) -> Any:
        assert done.wait(timeout), "still not through"
        return result[0]

    return finish


def stopping(finder: LRFinder) -> threading.Event:
    """An event that is set when the run under way has been asked to stop."""
    asked = threading.Event()
    finder._session.test.listen(lambda test: asked.set() if test.stopping else None)
    return asked


def while_held(gate: Gate, finder: LRFinder, act: Callable[[], Any]) -> Any:
    """Do what stops the finder's run, and let the step under way through only when it is asked."""
    gate.wait_until_asked()
    asked = stopping(finder)
    finish = in_thread(act)
    assert asked.wait(WAIT_S)
    gate.let_all()
    return finish()


# What a person sees and does; the page's side of it is `set_state`, as a message from it would be.


def status(finder: LRFinder) -> str:
    return finder._presenter.view.controls.status.value


def written(finder: LRFinder) -> str:
    return finder._presenter.view.controls.written.value


def box(finder: LRFinder) -> str:
    return finder._presenter.view.controls.number.value


def type_in(finder: LRFinder, text: str) -> None:
    finder._presenter.view.controls.number.set_state({"value": text})


def drag(finder: LRFinder, lr: float, *, released: bool = True) -> None:
    start = finder._presenter.view.marker.lr
    finder._presenter.view.marker.set_state({"lr": lr, "moving_from": None if released else start})


_commits = itertools.count(1)


def commit(finder: LRFinder, lr: float) -> None:
    finder._presenter.view.marker.set_state({"lr": lr, "commit": {"lr": lr, "n": next(_commits)}})


def marker(finder: LRFinder) -> tuple[float, str]:
    return finder._presenter.view.marker.lr, finder._presenter.view.marker.kind


def finished(finder: LRFinder) -> LRFinder:
    return finder.start().wait(WAIT_S)


def candidate(finder: LRFinder) -> float:
    lr = finder.suggestion.lr
    assert lr is not None
    return lr


def behind(finder: LRFinder) -> list[list[float]]:
    """What is drawn behind the current run."""
    return [line.x.tolist() for line in finder._presenter.view.chart._others.values()]


def number_of_widgets() -> int:
    return len(ipywidgets.widgets.widget._instances)
