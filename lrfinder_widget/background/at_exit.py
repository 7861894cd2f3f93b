"""Stops background runs, which then restore everything, before the process exits.

A process that exits while a daemon thread is inside torch is aborted.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import Any, Protocol

_EXIT_S = 3.0  # for all runs together; Jupyter kills a kernel that takes five


class Run(Protocol):
    """What this module needs from a run."""

    def stop(self) -> None:
        """Ask it to end."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it has ended."""


exiting = threading.Event()
"""Set when the process exits."""

_live: weakref.WeakSet[Any] = weakref.WeakSet()


def stop_at_exit(run: Run) -> None:
    """Remember a run that is starting, so that it is stopped when the process exits."""
    _live.add(run)
    # Registered again at each start, so after `import torch`, and thus called before torch shuts
    # down: exit handlers run in reverse order.
    atexit.unregister(_stop_all)
    atexit.register(_stop_all)


def forget(run: Run) -> None:
    """Forget a run that has ended."""
    _live.discard(run)


def _stop_all() -> None:
    exiting.set()
    runs = list(_live)
    for run in runs:
        run.stop()
    deadline = time.monotonic() + _EXIT_S
    for run in runs:
        run.join(max(0.0, deadline - time.monotonic()))
