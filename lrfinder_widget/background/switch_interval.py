"""How often Python lets another thread run, lowered while a background run needs it.

Every torch call gives the interpreter lock away, and a cell that computes in pure Python gives it
back only after the switch interval, 5 ms by default: a background step of many short calls would
take seconds. The setting belongs to the process, so runs that overlap share it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

WANTED_S = 1e-4
"""Shorter helps the run little and costs the busy cell more: see tests/benchmarks/overhead.py."""

_lock = threading.Lock()
_users = 0
_before = _ours = 0.0


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Lower the interval; the last to leave puts it back, unless somebody else has set it since."""
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
                # Python cuts it down to whole microseconds: without a little more than what was
                # read, it would creep down from run to run.
                sys.setswitchinterval(_before + 1e-7)
