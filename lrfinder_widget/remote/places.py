"""Where a worker is made: with Ray, Dask or ipyparallel, told apart by what the user hands over.

None of them is imported here: whoever hands over a client or a decorator has done that.
"""

from __future__ import annotations

import functools
import os
import pickle
import platform
import reprlib
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol

from .work import Work

_ACCEPTED = (
    "on must be what a worker is made with: ray.remote or ray.remote(num_gpus=1, …), a "
    "dask.distributed Client, or an ipyparallel view such as rc[:] or a list of them"
)


class Answer(Protocol):
    """What a call will return."""

    def wait(self, seconds: float) -> bool:
        """Wait for so many seconds at most; return whether it is there."""

    def result(self) -> Any:
        """Return it; raise whatever the engine raises, which is no error of the user's."""


class Place(Protocol):
    """One place for a `Work`. `make` is called first, and again after `kill`."""

    def make(self) -> None:
        """Ask for a `Work`; return at once."""

    def is_there(self) -> bool:
        """Return whether it can be called already; raise what keeps it from being made."""

    def call(self, name: str, *args: Any) -> Answer:
        """Call a method of it; return at once."""

    def kill(self) -> None:
        """Let go of it, whatever it is doing; return at once, and never raise."""


def places(on: Any, count: int) -> list[Place]:
    """Return so many places for workers.

    Raises
    ------
    TypeError, ValueError
        If `on` is nothing of the kind, or has too few.
    """
    what = f"{_ACCEPTED}; got {reprlib.repr(on)}"
    if isinstance(on, type):  # such as Client, which has all methods of one
        raise TypeError(f"{what}.")
    views = _views(on)
    if views is not None:
        if count > len(views):
            raise ValueError(
                f"workers={count}, but the ipyparallel views have {len(views)} engines: start "
                "more, or pass fewer workers."
            )
        return [OnIPyParallel(view) for view in views[:count]]
    if hasattr(on, "scheduler_info") and hasattr(on, "submit"):
        return [OnDask(on) for _ in range(count)]
    if (decorate := _ray_decorator(on)) is not None:
        return [OnRay(decorate) for _ in range(count)]
    if isinstance(on, Executor) or hasattr(on, "submit"):
        raise TypeError(
            f"{what}. An executor cannot keep a model in one place between two calls: on this "
            "machine, use Client(n_workers=…, threads_per_worker=1) of dask.distributed."
        )
    if hasattr(on, "apply_async"):
        raise TypeError(f"{what}, which chooses another engine for each call: pass rc[:].")
    raise TypeError(f"{what}.")


def _caller() -> type:
    """Return a class that is sent by value, and imports this package only when it is called.

    A worker of Dask that cannot import what it is sent loses its connection to the cluster.
    """

    class LRFinderWorker:
        work: Any = None

        def call(self, name: str, args: bytes) -> Any:
            import pickle

            if self.work is None:
                from lrfinder_widget.remote.work import Work

                self.work = Work()
            return getattr(self.work, name)(*pickle.loads(args))

    return LRFinderWorker


# -- Ray ------------------------------------------------------------------------------------------


def _ray_decorator(on: Any) -> Callable[[type], Any] | None:
    """Return what makes an actor of a class: `ray.remote`, alone or with options."""
    remote = getattr(sys.modules.get("ray"), "remote", None)
    if isinstance(on, ModuleType):
        on = getattr(on, "remote", None)
    function = on.func if isinstance(on, functools.partial) else on
    module = str(getattr(function, "__module__", ""))
    is_rays = module.partition(".")[0] == "ray" and (on is remote or on is not function)
    return on if is_rays else None


class OnRay:
    """A Ray actor."""

    def __init__(self, decorate: Callable[[type], Any]) -> None:
        self._decorate = decorate
        self._actor: Any = None

    def make(self) -> None:
        """Ask for an actor; its calls wait until there is room for it."""
        self._actor = self._decorate(_caller()).remote()

    def is_there(self) -> bool:
        """Return True, as calls can be made at once."""
        return True

    def call(self, name: str, *args: Any) -> Answer:
        """Call a method of it."""
        _ray()
        return _RayAnswer(self._actor.call.remote(name, pickle.dumps(args)))

    def kill(self) -> None:
        """End its process."""
        actor, self._actor = self._actor, None
        with suppress(Exception):
            _ray().kill(actor)


class _RayAnswer:
    def __init__(self, reference: Any) -> None:
        # Ray ends the whole process, if it is shut down while a thread waits in `ray.wait`.
        self._future: Future[Any] = reference.future()

    def wait(self, seconds: float) -> bool:
        _ray()
        return bool(wait([self._future], seconds).done)

    def result(self) -> Any:
        if not self._future.done():
            _ray()
        return self._future.result(0)


def _ray() -> Any:
    """Return Ray; asked for anything after a shutdown, it would start another cluster.

    Raises
    ------
    RuntimeError
        If it has been shut down.
    """
    ray: Any = sys.modules["ray"]
    if not ray.is_initialized():
        raise RuntimeError("Ray has been shut down")
    return ray


# -- Dask -----------------------------------------------------------------------------------------


class OnDask:
    """A Dask actor. What `dask.annotate` says where it is made, such as resources, counts."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._future: Any = None
        self._actor: Any = None

    def make(self) -> None:
        """Ask for an actor."""
        self._future = self._client.submit(_caller(), actor=True, pure=False)

    def is_there(self) -> bool:
        """Return whether the scheduler has found room: before that, there is nothing to call."""
        if self._actor is None and self._future.done():
            self._actor = self._future.result()
        return self._actor is not None

    def call(self, name: str, *args: Any) -> Answer:
        """Call a method of it. Calls may overtake each other, as each is an RPC of its own."""
        return _DaskAnswer(self._actor.call(name, pickle.dumps(args)), self._future)

    def kill(self) -> None:
        """Let go of it. A step that hangs keeps its worker, on which others may have data."""
        self._actor = self._future = None  # references, which Dask counts


class _DaskAnswer:
    def __init__(self, answer: Any, actor: Any) -> None:
        self._answer = answer
        self._actor = actor

    def wait(self, seconds: float) -> bool:
        if self._answer.done():
            return True
        if self._actor.status not in ("pending", "finished"):  # the answer might never come
            return True
        if seconds > 0:
            with suppress(Exception):  # in time or not; `result` raises it again
                self._answer.result(seconds)
        return bool(self._answer.done())

    def result(self) -> Any:
        if not self._answer.done():
            raise RuntimeError(f"the actor is {self._actor.status}")
        return self._answer.result()


# -- ipyparallel ----------------------------------------------------------------------------------


def _views(on: Any) -> list[Any] | None:
    """Return one direct view for each engine that lives, of a view or of a list of views."""
    found: list[Any] = []
    for view in on if isinstance(on, (list, tuple)) else [on]:
        if not (hasattr(view, "apply_async") and hasattr(view, "scatter")):
            return None
        targets, alive = view.targets, view.client.ids
        if targets is None or targets == "all":
            targets = alive
        each = [targets] if isinstance(targets, int) else targets
        found += [view.client[target] for target in each if target in alive]
    return found if on else None


class OnIPyParallel:
    """An object on an engine of ipyparallel."""

    def __init__(self, view: Any) -> None:
        self._view = view
        self._key = ""

    def make(self) -> None:
        """Make it; calls wait until the engine is idle."""
        self._key = uuid.uuid4().hex
        self._made = self._view.apply_async(_make_here, self._key, _owner())

    def is_there(self) -> bool:
        """Return True, as calls can be made at once; a view does not say that its engine is gone.

        Raises
        ------
        RuntimeError
            If it is.
        """
        if self._view.targets not in self._view.client.ids:
            raise RuntimeError(f"engine {self._view.targets} of ipyparallel has ended")
        return True

    def call(self, name: str, *args: Any) -> Answer:
        """Call a method of it."""
        answer = self._view.apply_async(_call_here, self._key, name, args)
        return _IPyParallelAnswer(answer, self._made, self._view.client)

    def kill(self) -> None:
        """Let the engine drop it, once it is idle."""
        with suppress(Exception):
            self._view.apply_async(_drop_here, self._key)


class _IPyParallelAnswer:
    def __init__(self, answer: Any, made: Any, client: Any) -> None:
        self._answer = answer
        self._made = made
        self._client = client

    def wait(self, seconds: float) -> bool:
        if getattr(self._client, "_closed", False):  # the answer would never come
            return True
        if seconds > 0:
            self._answer.wait(seconds)
        return bool(self._answer.ready())

    def result(self) -> Any:
        if not self._answer.ready():
            raise RuntimeError("the client of ipyparallel has been closed")
        self._made.get()  # what kept it from being made
        return self._answer.get()


_PROCESS = uuid.uuid4().hex


def _owner() -> tuple[str, str]:
    """Return the notebook that this is the kernel of, if Jupyter tells it, and this process."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
    return notebook and f"{platform.node()} {notebook}", _PROCESS


_here: dict[str, Work] = {}  # on an engine
_owners: dict[str, tuple[str, str]] = {}


def _make_here(key: str, owner: tuple[str, str]) -> None:
    """Make a `Work`; let go of those of the same notebook's kernel before it was restarted."""
    notebook, process = owner
    for other, (theirs, earlier) in list(_owners.items()):
        if notebook and theirs == notebook and earlier != process:
            _drop_here(other)
    _here[key], _owners[key] = Work(), owner


def _call_here(key: str, name: str, args: tuple[Any, ...]) -> Any:
    return getattr(_here[key], name)(*args)


def _drop_here(key: str) -> None:
    work = _here.pop(key, None)
    _owners.pop(key, None)
    if work is not None:
        work.drop()
