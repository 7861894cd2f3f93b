"""The remote finder on real clusters, two processes of one thread each."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from kernels import Kernel

from lrfinder_widget import LRFinder, State, compare, range_test, vary
from lrfinder_widget.remote import WorkerLost

WAIT_S = 60.0
pytestmark = pytest.mark.timeout(300)  # a worker may take a minute to import torch


class Cluster:
    """What `on` is, and how to make a client in another process."""

    def __init__(self, on: Any, connect: str = "") -> None:
        self.on = on
        self.connect = connect


@contextlib.contextmanager
def dask() -> Iterator[Cluster]:
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        address = cluster.scheduler_address
        yield Cluster(client, f"from distributed import Client; on = Client({address!r})")


@contextlib.contextmanager
def ipyparallel() -> Iterator[Cluster]:
    import ipyparallel

    cluster = ipyparallel.Cluster(n=2, log_level=40)
    client = cluster.start_and_connect_sync(activate=False)
    try:
        yield Cluster(client[:])
    finally:
        cluster.stop_cluster_sync()


@contextlib.contextmanager
def ray() -> Iterator[Cluster]:
    import ray

    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(num_cpus=2, **options)
    try:
        yield Cluster(ray.remote(num_cpus=1))
    finally:
        ray.shutdown()
        for process in gc.get_objects():  # which it ends, and does not wait for
            if issubclass(type(process), subprocess.Popen) and "ray" in str(process.args):
                process.wait(WAIT_S)


SLOW = [pytest.param(kind, marks=pytest.mark.slow, id=kind.__name__) for kind in (ipyparallel, ray)]


@pytest.fixture(scope="module", params=[pytest.param(dask, id="dask"), *SLOW])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with request.param() as cluster:
        yield cluster


@pytest.fixture
def remote(cluster: Cluster) -> Iterator[Callable[..., LRFinder]]:
    made: list[LRFinder] = []

    def make(setup: Callable[[], Any], **options: Any) -> LRFinder:
        made.append(LRFinder.remote(setup, on=cluster.on, namespace={}, **options))
        return made[-1]

    yield make
    for finder in made:
        finder.close()


# Made inside of functions, so that they are sent by value: no worker can import this file.


def training(step_s: float = 0.0, fails_at: int | None = None) -> Callable[[], Any]:
    def setup() -> Any:
        import time

        from torch import nn

        torch.set_num_threads(1)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x = torch.randn(1024, 20)
        data = torch.utils.data.TensorDataset(x, (x @ torch.randn(20, 10)).argmax(1))
        loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
        losses = []

        def criterion(output: Any, target: Any) -> Any:
            time.sleep(step_s)
            losses.append(nn.functional.cross_entropy(output, target))
            if len(losses) - 1 == fails_at:
                raise ValueError("a bad batch")
            return losses[-1]

        return {
            "model": model,
            "optimizer": optimizer,
            "batches": loader,
            "criterion": criterion,
            "preserve": [losses],
        }

    return setup


def missing() -> Callable[[], Any]:
    def setup() -> Any:
        import a_package_that_is_not_there  # noqa: F401

    return setup


def process(finder: LRFinder) -> int:
    """The process of the worker that is ready."""
    source: Any = finder._session.source
    return int(next(worker.process[1] for worker in source._workers if worker.built))


def wait_for_points(finder: LRFinder, n: int) -> None:
    import threading

    there = threading.Event()
    finder._session.test.listen(lambda test: there.set() if len(test) >= n else None)
    assert there.wait(WAIT_S)


def test_tests_trial_runs_and_varied_tests_equal_those_here_to_the_bit(remote: Any) -> None:
    finder = remote(training(), workers=2, end_lr=1.0).start().wait(WAIT_S)
    here = range_test(**training()(), end_lr=1.0)
    assert finder.curve == here
    assert finder.start().wait(WAIT_S).curve == here  # all was put back
    lrs = [1e-3, 1e-2, 1e-1]
    found = finder.compare(lrs, 30).wait(WAIT_S).comparison
    expected = compare(**training()(), lrs=lrs, steps=30)
    assert found.lrs == expected.lrs
    assert all(map(np.array_equal, found.losses.values(), expected.losses.values()))
    assert np.array_equal(found.baseline, expected.baseline)
    given: Any = {"batch_size": [16, 64], "optimizers": {"Adam": torch.optim.Adam}}
    varied = finder.vary(**given).wait(WAIT_S).variation
    assert varied.curves == vary(**training()(), **given, end_lr=1.0).curves


def test_a_metric_that_is_sent_there_is_measured_and_the_table_is_that_made_here(
    remote: Any,
) -> None:
    def right(output: Any, target: Any) -> Any:
        return (output.argmax(1) == target).float().mean()

    given: dict[str, Any] = {"metric": right, "end_lr": 1.0, "num_iter": 40}
    finder = remote(training(), workers=2, **given).start().wait(WAIT_S)
    assert finder.curve == range_test(**training()(), **given)
    assert finder.curve.metric_name == "right"
    varied = finder.vary(momentum=[0.0, 0.9]).wait(WAIT_S).variation
    expected = vary(**training()(), momentum=[0.0, 0.9], **given)
    assert varied.curves == expected.curves
    assert all(curve.metric is not None for curve in varied.curves.values())
    assert varied.rows == expected.rows


def test_pause_and_stop_act_after_the_step_under_way(remote: Any) -> None:
    finder = remote(training(step_s=0.02), num_iter=2_000).start()
    wait_for_points(finder, 3)
    finder.pause()
    test = finder._session.test
    with test._lock:  # it may be adding one
        n = len(test)
    assert not test.join(0.3)
    assert len(test) in (n, n + 1)
    finder.resume()
    wait_for_points(finder, n + 2)
    finder.stop()
    assert (finder.state, finder.reason) == (State.STOPPED, "stopped")


def test_what_the_users_code_raises_arrives(remote: Any) -> None:
    finder = remote(training(fails_at=6)).start()
    with pytest.raises(ValueError, match="a bad batch") as caught:
        finder.wait(WAIT_S)
    assert len(finder.curve) == 6
    assert 'raise ValueError("a bad batch")' in "\n".join(caught.value.__notes__)
    finder = remote(missing()).start()
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        finder.wait(WAIT_S)


def test_a_killed_worker_is_lost_and_the_next_start_takes_another(
    remote: Any, request: pytest.FixtureRequest
) -> None:
    finder = remote(training(step_s=0.02), num_iter=2_000).start()
    wait_for_points(finder, 3)
    os.kill(process(finder), signal.SIGKILL)
    with pytest.raises(WorkerLost, match=r"the worker on .* was lost"):
        finder.wait(WAIT_S)
    assert finder.state is State.FAILED
    assert len(finder.curve) >= 3
    if "ipyparallel" not in request.node.name:  # where nothing replaces an engine
        finder.start()
        wait_for_points(finder, 3)
        finder.stop()
        assert finder.state is State.STOPPED


CELL = """
from lrfinder_widget import LRFinder

def setup():
    import os, time, torch
    from torch import nn
    torch.manual_seed(0)
    model = nn.Linear(20, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(1024, 20)
    batches = list(zip(x.split(32), (x @ torch.randn(20, 10)).argmax(1).split(32)))
    entropy = nn.CrossEntropyLoss()
    steps = iter(range(1_000_000))
    def criterion(output, target):
        step = next(steps)
        time.sleep(0.02)
        while step > 40 and not os.path.exists(go):
            time.sleep(0.01)
        return entropy(output, target)
    return model, optimizer, batches, criterion

lr = 0.5
finder = LRFinder.remote(setup, on=on, workers=2, num_iter=60, start_lr=1e-4)
finder.start()
"""


@pytest.mark.parametrize("cluster", [dask], ids=["dask"], indirect=True)
def test_in_a_kernel_an_interrupt_ends_the_wait_only_and_the_pick_is_in_the_namespace(
    cluster: Cluster, tmp_path: Path
) -> None:
    environment = os.environ | {"IPYTHONDIR": str(tmp_path)}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path), env=environment)
    kernel = Kernel(manager, client)
    try:
        kernel.run(cluster.connect)
        # The run waits on its worker for the file, so it cannot end before the interrupt.
        kernel.run(f"go = {str(tmp_path / 'go')!r}" + CELL)
        kernel.run("import time\nwhile len(finder.curve) < 3: time.sleep(0.01)")
        sent = kernel.begin("print('waiting', flush=True)\nfinder.wait()")
        kernel.wait_until_printed("waiting")
        manager.interrupt_kernel()
        assert kernel.end(sent)["ename"] == "KeyboardInterrupt"
        assert kernel.ask("finder.state.name") == "RUNNING"
        (tmp_path / "go").touch()
        kernel.run("finder.wait(); finder.pick(0.03)")
        assert kernel.ask("lr, finder.state.name") == (0.03, "FINISHED")
        kernel.run("finder.compare([1e-3, 1e-2], 10).wait(); finder.close()")
        assert kernel.ask("finder.comparison.lrs") == [0.001, 0.01]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
