"""Fixtures of the finder without a browser: a fake shell, and no page at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import IPython
import pytest
import torch
from support import linear
from torch import nn
from widget_support import DESCENT, POINTS, Gate, Script, Shell, in_thread

from lrfinder_widget import LRFinder


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    shell = Shell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    yield shell
    assert shell.failures == []


@pytest.fixture
def make() -> Iterator[Callable[..., LRFinder]]:
    """Make finders with a model of their own, and close them in the end."""
    made: list[LRFinder] = []

    def make(losses: Any = DESCENT, model: nn.Module | None = None, **options: Any) -> LRFinder:
        model = model or linear()
        step = losses if callable(losses) else Script(losses)
        options = {"num_iter": POINTS, "start_lr": 1e-5, "end_lr": 1.0, **options}
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        finder = LRFinder(model, optimizer, [0], step=step, stop=None, **options)
        made.append(finder)
        return finder

    yield make
    for finder in made:
        if isinstance(step := getattr(finder._session.source._task, "step", None), Gate):
            step.let_all()
        in_thread(finder.close)()  # in bounded time


@pytest.fixture
def gate() -> Gate:
    return Gate()
