"""What a finder on a cluster is made with, and what is sent there. No engine is installed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle
import pytest
from remote_support import parts

from lrfinder_widget import LRFinder
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


@pytest.mark.parametrize(
    ("on", "text"),
    [
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
