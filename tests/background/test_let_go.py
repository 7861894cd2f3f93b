"""A failed run lets go of the memory of its failed step, while its exception is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
import tracemalloc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support import linear, loader, sgd_momentum
from torch import Tensor, nn

from lrfinder_widget import LRFinder, RangeTest

WAIT_S = 20.0
CE = nn.CrossEntropyLoss()


ACTIVATIONS: list[weakref.ref[Tensor]] = []


class Out(Exception):
    """Of memory."""


class Deep(nn.Module):
    """Fails deep inside, in the way that is asked for, and keeps the activation in a variable."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear, self.how = linear(), how

    def forward(self, x: Tensor) -> Tensor:
        activation = self.linear(x)
        ACTIVATIONS.append(weakref.ref(activation))
        try:
            self.inner(activation)
        except Out as error:
            if self.how == "as it is":
                raise
            if self.how == "from it":
                raise ValueError("too deep") from error
            if self.how == "instead of it":
                raise ValueError("too deep") from None
            raise ExceptionGroup("several", [error]) from None
        return activation

    def inner(self, activation: Tensor) -> None:
        doubled = activation * 2
        ACTIVATIONS.append(weakref.ref(doubled))
        raise Out


HOW = ["as it is", "from it", "instead of it", "in a group"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", HOW)
def test_no_activation_outlives_a_failed_run_although_its_exception_is_kept(how: str) -> None:
    ACTIVATIONS.clear()
    model = Deep(how)
    finder = LRFinder(model, sgd_momentum(model), loader(), CE, num_iter=5, variable=None)
    with pytest.raises((Out, ValueError, ExceptionGroup)) as caught:
        finder.start().wait(WAIT_S)
    assert caught.value is finder.exception
    shown = "".join(traceback.format_exception(caught.value))
    assert "forward" in shown
    assert "raise Out" in shown or how == "instead of it"
    assert len(ACTIVATIONS) == 2
    assert [ref() for ref in ACTIVATIONS] == [None] * 2
    finder.close()


@pytest.mark.timeout(60)
def test_the_traced_memory_after_a_failed_run_is_what_it_was_before() -> None:
    def points(fails: bool) -> Iterator[tuple[float, float]]:
        activation = np.ones(10**6)
        yield 1e-3, float(activation[0])
        if fails:
            raise Out

    def failed() -> RangeTest:
        test = RangeTest(points(True)).start()
        assert test.join(WAIT_S)
        assert isinstance(test.exception, Out)
        return test

    RangeTest(points(False)).start().wait(WAIT_S)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = [failed() for _ in range(3)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 3
    assert after - before < 10**5


IN_A_PROCESS = """
import os, torch
from pathlib import Path
from torch import nn
from lrfinder_widget import LRFinder

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x):
        activation = self.linear(x).expand(-1, 50_000_000).contiguous()  # 200 MB
        raise torch.OutOfMemoryError("full")

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

model = Wide()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
finder = LRFinder(model, optimizer, [(torch.ones(1, 1), 0)], nn.MSELoss(), variable=None)
before = resident()
for _ in range(2):
    try:
        finder.start().wait(60)
    except torch.OutOfMemoryError:
        print((resident() - before) // 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_process_is_as_large_after_a_failed_run_as_before() -> None:
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env=environment,
    )
    grown_mb = [int(line) for line in done.stdout.split()]
    assert len(grown_mb) == 2
    assert max(grown_mb) < 100
