"""Shortens the interval at which Python switches threads, as long as a background run needs that.

Every torch call releases the interpreter lock, and a cell that computes in pure Python releases it
in turn only after the switch interval, 5 ms by default. A background step of many short calls would
then take seconds. The setting belongs to the process, so runs that overlap share it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

WANTED_S = 1e-4
"""A shorter one hardly helps the run and costs a busy cell more: see tests/benchmarks/overhead.py.
"""

_lock = threading.Lock()
_users = 0
_before = _ours = 0.0


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Lower the interval; the last run to leave puts it back, unless it was set again meanwhile."""
    global _users, _before, _ours  # noqa: PLW0603 - so is the setting itself
    with _lock:
        if not _users:
            _before = sys.getswitchinterval()
            if _before > WANTED_S:
                sys.setswitchinterval(WANTED_S)
            _ours = sys.getswitchinterval()  # what reads back is rounded
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users and sys.getswitchinterval() == _ours != _before:
                # Python truncates it to whole microseconds. Without a little more than what was
                # read, it would shrink from run to run.
                sys.setswitchinterval(_before + 1e-7)
