"""A note for exceptions that come only because a run is in a thread of its own."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from contextvars import ContextVar

from .let_go import every_error

NOTE = (
    "This run is in a background thread, and what failed belongs to another thread, such as a "
    "connection, an event loop, a signal handler or a value that is kept per thread. Create it in "
    "the code that the run calls, or use range_test(…), which runs in the calling thread."
)

# As sqlite3, signal, asyncio, tkinter and greenlet put it.
_SAYS_SO = re.compile(
    r"\b(main|same|different|another|other|wrong) thread\b|\bevent loop\b", re.IGNORECASE
)

# The CUDA graphs of compiled code. Until torch 2.12, a thread that has none fails without a word.
_GRAPHS = "torch._inductor.cudagraph_trees"


def note_thread(error: BaseException) -> None:
    """Add the note to an exception if it, or one that it was raised from, is of that kind."""
    with suppress(Exception):  # an exception may not even have a text
        if any(map(_belongs_to_a_thread, every_error(error))):
            error.add_note(NOTE)


def _belongs_to_a_thread(error: BaseException) -> bool:
    if isinstance(error, AttributeError) and isinstance(error.obj, threading.local):
        return True
    if isinstance(error, LookupError) and any(isinstance(it, ContextVar) for it in error.args):
        return True
    if isinstance(error, AssertionError) and _raised_in(error) == _GRAPHS:
        return True
    return _SAYS_SO.search(str(error)) is not None


def _raised_in(error: BaseException) -> str | None:
    """Return the name of the module in which an exception was raised."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    return None if where is None else where.tb_frame.f_globals.get("__name__")
