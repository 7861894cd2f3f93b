"""What the tests of the finder need: a scripted step, a fake shell, and the page's side of it."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
from comm.base_comm import BaseComm
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


# What a person sees and does. A message of the page goes the way of a real one, through the comm.


def page_sends(finder: LRFinder, content: Any) -> None:
    """Give a finder a message of its page."""
    data = {"method": "custom", "content": content}
    finder._handle_msg({"content": {"data": data}, "buffers": []})


def page_writes(finder: LRFinder, **state: Any) -> None:
    """Give a finder values that its page has written."""
    data = {"method": "update", "state": state}
    finder._handle_msg({"content": {"data": data}, "buffers": []})


def click(finder: LRFinder, name: str) -> None:
    page_sends(finder, {"click": name})


def fill(finder: LRFinder, **boxes: Any) -> None:
    """Type into the boxes of the page."""
    page_sends(finder, {"set": boxes})


def type_in(finder: LRFinder, text: str) -> None:
    """Type into the number box."""
    page_sends(finder, {"type": text})


def status(finder: LRFinder) -> str:
    return finder.status["text"]


def problem(finder: LRFinder) -> str:
    """What the last click ran into."""
    return finder.status["problem"]


def written(finder: LRFinder) -> str:
    return finder.picked["text"]


def is_picked(finder: LRFinder) -> bool:
    """Whether the page says that a learning rate has been picked."""
    shown = finder.picked
    assert bool(shown["about"]) == bool(shown["code"])
    return bool(shown["about"])


def drag(finder: LRFinder, lr: float, *, released: bool = True) -> None:
    page_writes(finder, position=lr, moving_from=None if released else finder.position)


def go_to(finder: LRFinder, rule: str) -> None:
    """Click the candidate of a rule, or its tick."""
    page_writes(finder, position=finder.reading["candidates"][rule], kind="candidate")


_commits = itertools.count(1)


def commit(finder: LRFinder, lr: float) -> None:
    page_writes(finder, position=lr, commit={"lr": lr, "n": next(_commits)})


def use(finder: LRFinder) -> None:
    """Click the button that picks where the marker stands."""
    commit(finder, finder.position)


def marker(finder: LRFinder) -> tuple[float, str]:
    return finder.position, finder.kind


def finished(finder: LRFinder) -> LRFinder:
    return finder.start().wait(WAIT_S)


def candidate(finder: LRFinder) -> float:
    lr = finder.suggestion.lr
    assert lr is not None
    return lr


Points = tuple[list[float], list[float]]


def points(line: dict[str, bytes]) -> Points:
    """The x and the y of a line as the page is sent it."""
    return unpacked(line["x"]), unpacked(line["y"])


def unpacked(data: bytes) -> list[float]:
    return np.frombuffer(data, "<f8").tolist()


def behind(finder: LRFinder) -> list[list[float]]:
    """The learning rates of what is drawn behind the current run."""
    shown = [run for run in finder.runs if run["shown"] and not run["current"]]
    hidden = [run for run in finder.runs if run not in shown]
    assert not any(run["line"] for run in hidden)
    return [points(run["line"])[0] for run in shown]


def number_of_widgets() -> int:
    return len(ipywidgets.widgets.widget._instances)


class Wire:
    """A page that is no page: keeps what the models send, message by message, as it is sent."""

    def __init__(self) -> None:
        self.opened: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.custom: list[Any] = []
        self.bytes = 0

    def connect(self, **options: Any) -> BaseComm:
        wire = self

        class Connection(BaseComm):
            def publish_msg(
                self, msg_type: str, data: Any = None, buffers: Any = None, **rest: Any
            ) -> None:
                # The browser's parser knows no NaN, and the socket no half of a surrogate pair.
                text = json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
                wire.bytes += len(text) + sum(len(bytes(b)) for b in buffers or [])
                data = json.loads(text)
                for path, buffer in zip(data.get("buffer_paths", []), buffers or [], strict=True):
                    *way, last = path
                    inner = data["state"]
                    for key in way:
                        inner = inner[key]
                    if isinstance(inner, list):  # where None stands for it
                        inner[last] = bytes(buffer)
                    else:
                        inner.setdefault(last, bytes(buffer))
                if msg_type == "comm_open":
                    wire.opened.append(data.get("state", {}))
                elif data.get("method") == "update":
                    wire.updates.append(data["state"])
                elif data.get("method") == "custom":
                    wire.custom.append(data["content"])

        return Connection(**options)
