"""An exception that comes only because a run has a thread of its own says so."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lrfinder_widget import RangeTest
from lrfinder_widget.background.thread_note import NOTE

WAIT_S = 20.0


class Local(threading.local):
    """A subclass: its name says nothing."""


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def failed(act: Callable[[], object]) -> BaseException:
    """Return what a run raises whose steps do this."""

    def points() -> Iterator[tuple[float, float]]:
        act()
        yield 1.0, 1.0

    test = RangeTest(points()).start()
    assert test.join(WAIT_S)
    assert test.exception is not None
    return test.exception


def of_a_cell(kind: str) -> Callable[[], object]:
    """Make something in this thread, and return its use."""
    if kind == "sqlite":
        connection = sqlite3.connect(":memory:")
        return lambda: connection.execute("select 1")
    if kind == "signal":
        return lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    if kind == "event loop":
        return asyncio.get_event_loop
    if kind == "running loop":
        return asyncio.get_running_loop
    if kind == "context variable":
        variable = contextvars.ContextVar[int]("variable")
        variable.set(1)
        return variable.get
    local: Any = threading.local() if kind == "thread-local" else Local()
    local.value = 1
    return lambda: local.value


KINDS = ["sqlite", "signal", "event loop", "running loop", "context variable"]


@pytest.mark.parametrize("kind", [*KINDS, "thread-local", "own thread-local"])
def test_what_belongs_to_the_threads_of_cells_is_told_where_it_is_used(kind: str) -> None:
    error = failed(of_a_cell(kind))
    assert error.__notes__ == [NOTE]
    assert "background thread" in NOTE
    assert "range_test" in NOTE


def test_an_exception_that_was_raised_from_such_a_one_says_so_too() -> None:
    use = of_a_cell("sqlite")

    def read() -> None:
        try:
            use()
        except sqlite3.Error as error:
            raise OSError("sample 3 could not be read") from error

    assert failed(read).__notes__ == [NOTE]


@pytest.mark.parametrize(
    ("module", "notes"), [("torch._inductor.cudagraph_trees", [NOTE]), ("my.module", [])]
)
def test_the_bare_assertion_of_graphs_that_a_thread_does_not_have_says_so(
    module: str, notes: list[str]
) -> None:
    theirs: dict[str, Any] = {"__name__": module}
    exec("def get_obj():\n    raise AssertionError", theirs)
    error = failed(theirs["get_obj"])
    assert getattr(error, "__notes__", []) == notes


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes differ"),
        KeyError("thread"),
        RuntimeError("Pin memory thread exited unexpectedly"),
        AttributeError("no such thing"),
        LookupError(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_exception_says_nothing_of_threads(error: Exception) -> None:
    def fail() -> None:
        raise error

    assert failed(fail) is error
    assert not hasattr(error, "__notes__")


def test_an_exception_that_cannot_be_read_ends_the_run_all_the_same() -> None:
    error = Wordless()

    def fail() -> None:
        raise error

    assert failed(fail) is error
