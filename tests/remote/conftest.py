"""Several workers in this process, a clock that counts points, and no patience."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from lrfinder_widget.remote import source, work, worker


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker answer with a few points at a time, and nobody wait for anything."""
    luck = random.Random(0)
    ticks = itertools.accumulate(luck.choice([0.01, 0.02, 0.05]) for _ in itertools.count())
    clock = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr(work, "time", clock)
    monkeypatch.setattr(source, "_POLL_S", 0.0)
    monkeypatch.setattr(worker, "PATIENCE_S", 0.0)


@pytest.fixture(autouse=True)
def _side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs be under way at once in this process: nothing here draws random numbers in a run."""
    monkeypatch.setattr(work.Work, "_alone", lambda self: None)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Several threads for such small tensors wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
