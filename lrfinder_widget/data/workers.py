"""The iterators of loaders with worker processes: made, noted, and ended at the end of a run."""

from __future__ import annotations

import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

GRACE_S = 0.3


def recording(loader: Any, made: weakref.WeakSet[Any]) -> Callable[[], Any]:
    """Return the loader's `_get_iterator`, which notes each iterator in `made`."""
    reference = weakref.ref(loader)

    def get_iterator() -> Any:
        loader: Any = reference()
        try:
            iterator = type(loader)._get_iterator(loader)
            made.add(iterator)
        except BaseException as error:
            _end_workers_of(error)
            raise
        return iterator

    return get_iterator


class IgnoreInterrupt:
    """Keep workers alive when a notebook sends an interrupt to the whole process group.

    The main process decides what an interrupt means. This is a class at module level, so that it
    can be pickled for spawned workers.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        """Initialise the worker as the user has asked for."""
        if threading.current_thread() is threading.main_thread():  # some loaders' are threads
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.inner is not None:
            self.inner(worker_id)


def _end_workers_of(error: BaseException) -> None:
    """End the workers of a loader's iterator that failed during its construction.

    Only the frames of the traceback refer to it, so keeping the traceback would keep the workers.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        half_made: Any = frame.f_locals.get("self")
        if hasattr(half_made, "_shutdown_workers"):
            with Grace([half_made]), suppress(AttributeError):  # it ends them, then misses some
                half_made._shutdown_workers()


def let_go(error: BaseException) -> None:
    """Drop the references of an error's traceback to iterators with workers.

    Their workers end with the last reference, unless the user's loader has one too.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if hasattr(frame.f_locals.get("self"), "_shutdown_workers"):
            with suppress(RuntimeError):  # it is still running
                frame.clear()
                frame.f_locals.get("self")  # before Python 3.13, it is dropped at the next look


def shut_down(iterators: list[Any]) -> None:
    """Shut down the workers of all of them, also if an interrupt comes."""
    if iterators:
        try:
            iterators.pop()._shutdown_workers()
        finally:
            shut_down(iterators)


def threads_of(iterator: Any) -> list[tuple[str, threading.Thread]]:
    """Return the threads that an iterator holds, each with the name of its kind of holder."""
    frame = getattr(iterator, "gi_frame", None)
    own = (iterator, *(frame.f_locals.values() if frame is not None else ()))
    return [
        (type(holder).__name__, part)
        for holder in own
        for part in (holder, *getattr(holder, "__dict__", {}).values())
        if isinstance(part, threading.Thread)
    ]


def runs_on(thread: threading.Thread) -> bool:
    """Return whether the thread does not end in a moment."""
    thread.join(GRACE_S)
    return thread.is_alive()


class Grace:
    """Terminates the workers that, inside the block, take longer than `grace_s` to end."""

    def __init__(self, iterators: Iterable[Any], grace_s: float = GRACE_S) -> None:
        self._workers = [w for it in iterators for w in getattr(it, "_workers", ())]
        self._timer = threading.Timer(grace_s, self._terminate)
        self._timer.daemon = True

    def __enter__(self) -> None:
        if self._workers:
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._workers:
            self._timer.cancel()
            self._timer.join()  # a run leaves no thread

    def _terminate(self) -> None:
        for worker in self._workers:
            # It has been closed in the meantime, or is a thread.
            with suppress(ValueError, AttributeError):
                if worker.is_alive():
                    worker.terminate()
