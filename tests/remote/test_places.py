"""What a finder on a cluster is made with, and what is sent there. No engine is installed."""

from __future__ import annotations

import functools
import subprocess
import sys
import types
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cloudpickle
import pytest
from remote_support import parts

from lrfinder_widget import LRFinder
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.remote import places

UNPICKLED = """
import pickle, sys
sys.modules["lrfinder_widget"] = None  # as if it were not installed
made = pickle.load(sys.stdin.buffer)()
try:
    made.call("hello", pickle.dumps(()))
except ImportError as error:
    print(error)
"""


class View:
    """An ipyparallel view as far as it is looked at."""

    def __init__(self, targets: Any) -> None:
        self.targets = targets
        self.client = self
        self.ids = [0, 1, 2]

    def __getitem__(self, target: int) -> View:
        return View(target)

    def apply_async(self, *_: Any) -> None:
        """Only a direct view has `scatter`, too."""

    def scatter(self) -> None:
        """Only a direct view has this."""


@pytest.mark.parametrize("on", [View([0, 1, 2]), View("all"), [View(0), View(1), View([2])]])
def test_each_engine_of_ipyparallel_is_a_place(on: Any) -> None:
    assert [place._view.targets for place in places.places(on, 2)] == [0, 1]
    with pytest.raises(ValueError, match="workers=4, but the ipyparallel views have 3 engines"):
        places.places(on, 4)


def test_an_engine_that_has_ended_is_no_place_and_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="have 2 engines"):
        places.places(View([0, 1, 7]), 3)
    (place,) = places.places(View([7, 1]), 1)
    assert place._view.targets == 1
    assert place.is_there()
    place._view.ids.remove(1)
    with pytest.raises(RuntimeError, match="engine 1 of ipyparallel has ended"):
        place.is_there()


class LoadBalanced:
    def apply_async(self) -> None:
        """It has no `scatter`."""


class Client:
    """A client of Dask as far as it is looked at; to pass its class is a slip."""

    def submit(self) -> None:
        """It can."""

    def scheduler_info(self) -> None:
        """It knows."""


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("ray")
    for name in ("remote", "init", "get", "make_remote"):

        def function(*_: Any) -> None:
            """Each is of some module in Ray."""

        function.__module__ = "ray._private.worker"
        setattr(module, name, function)
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


def test_what_makes_an_actor_of_ray_is_told_from_its_other_functions(ray: Any) -> None:
    for on in (ray, ray.remote, functools.partial(ray.make_remote, num_gpus=1)):
        assert len(places.places(on, 2)) == 2
    for other in (ray.init, ray.get):
        with pytest.raises(TypeError, match="on must be what a worker is made with"):
            places.places(other, 1)


def test_after_its_shutdown_ray_is_asked_for_nothing(ray: Any) -> None:
    """It would start a cluster on this machine, where nobody answers."""
    asked: list[str] = []
    ray.kill = lambda _actor: asked.append("kill")
    ray.is_initialized = lambda: True
    reference = types.SimpleNamespace(future=Future)
    call = types.SimpleNamespace(remote=lambda *_: asked.append("call") or reference)
    actor = types.SimpleNamespace(call=call)
    place = places.OnRay(lambda _: types.SimpleNamespace(remote=lambda: actor))
    place.make()
    answer = place.call("hello")
    assert not answer.wait(0.0)  # nor is Ray asked for anything here: it would end the process
    ray.is_initialized = lambda: False
    for ask in (lambda: place.call("hello"), lambda: answer.wait(0.0), answer.result):
        with pytest.raises(RuntimeError, match="Ray has been shut down"):
            ask()
    place.kill()
    assert asked == ["call"]


def test_nobody_waits_for_an_answer_to_a_client_of_ipyparallel_that_is_closed() -> None:
    class Pending:
        def ready(self) -> bool:
            return False

        def wait(self, seconds: float) -> None:
            raise AssertionError("for ever")

        get = wait

    view = View(0)
    view.apply_async = lambda *_: Pending()  # type: ignore[method-assign]
    place = places.OnIPyParallel(view)
    place.make()
    answer = place.call("hello")
    assert not answer.wait(0.0)
    view._closed = True  # type: ignore[attr-defined]
    assert answer.wait(5.0)
    with pytest.raises(RuntimeError, match="has been closed"):
        answer.result()


def test_an_engine_lets_go_of_what_the_kernel_had_before_it_was_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "_here", {})
    monkeypatch.setattr(places, "_owners", {})
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/a.ipynb")
    before = places._owner()
    for key in ("first", "second"):  # two finders of one kernel
        places._make_here(key, before)
    places._make_here("other", (before[0].replace("a.ipynb", "b.ipynb"), "its kernel"))
    places._make_here("script", ("", "no notebook"))
    assert not places._call_here("first", "build", (cloudpickle.dumps(parts), 0)).get("error")
    assert not places._call_here("first", "begin", (1, SweepPlan())).get("error")
    assert places._call_here("first", "take", (1, 0.0))["items"]
    running = places._here["first"]
    assert running._id

    places._make_here("again", (before[0], "the kernel after a restart"))
    assert set(places._here) == set(places._owners) == {"other", "script", "again"}
    assert not running._id  # so that another may run
    assert running._task is None
    places._drop_here("again")
    assert set(places._here) == set(places._owners) == {"other", "script"}


@pytest.mark.parametrize(
    ("on", "text"),
    [
        (Client, r"got <class .*Client'>"),
        (View, r"got <class .*View'>"),
        (ThreadPoolExecutor(1), r"use Client\(n_workers=…, threads_per_worker=1\)"),
        (LoadBalanced(), r"which chooses another engine for each call: pass rc\[:\]"),
        ("ray", "got 'ray'"),
        (None, "got None"),
        (print, "got <built-in function print>"),
        ([], r"got \[\]"),
    ],
)
def test_anything_else_is_refused_before_anything_is_touched(on: Any, text: str) -> None:
    called: list[int] = []
    with pytest.raises(TypeError, match=f"on must be .*{text}"):
        LRFinder.remote(lambda: called.append(1), on=on)
    assert called == []


def test_the_other_arguments_are_checked_first_too() -> None:
    for wrong, error in (
        ({"workers": 0}, ValueError),
        ({"start_lr": -1.0}, ValueError),
        ({"variable": "not a name"}, ValueError),
        ({"schedule": "steep"}, ValueError),
    ):
        with pytest.raises(error):
            LRFinder.remote(parts, on=View([0]), **wrong)
    with pytest.raises(TypeError, match="setup must be a function"):
        LRFinder.remote(parts(), on=View([0]))  # type: ignore[arg-type]


def test_what_is_sent_arrives_where_this_package_is_missing() -> None:
    """Dask cuts the connection of a worker that cannot import what it is sent."""
    sent = cloudpickle.dumps(places._caller())
    done = subprocess.run(
        [sys.executable, "-c", UNPICKLED], input=sent, check=True, capture_output=True, timeout=60
    )
    assert b"lrfinder_widget" in done.stdout


def test_a_missing_cloudpickle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ImportError, match="pip install cloudpickle"):
        LRFinder.remote(parts, on=View([0]))
