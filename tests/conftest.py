"""For all tests: neither the speed of the machine nor the shell that starts them matters."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A shell lets the jobs in its background ignore interrupts, and so do all processes they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

IN_PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
if IN_PARALLEL:  # before torch is imported: its threads would get into each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")

BROWSER = Path(__file__).parent / "browser"
LONG = ("test_notebooks.py", "test_kernel.py", "test_benchmarks.py", "test_clusters.py")
TOGETHER = ("tests/browser/", "tests/remote/test_clusters.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the browser tests, and run them last: the quick tests speak first.

    In parallel, what takes longest comes first, so that no process is left alone with it.
    """
    for item in items:
        if BROWSER in item.path.parents:
            item.add_marker("browser")

    def place(item: pytest.Item) -> int:
        browser = BROWSER in item.path.parents
        return (0 if browser else 1 if item.path.name in LONG else 2) if IN_PARALLEL else browser

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each file of browser tests to one process, which has one server and browser for it.

    So with the clusters.

    Not by ``--dist loadgroup``: pytest-xdist 3.8 writes the groups into `Item._nodeid`, which
    pytest 9.2 does not read.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid

    return Scheduling(config, log)
