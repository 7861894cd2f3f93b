"""The finder on clusters: what is as here, what a point costs, how late it is, what Try gains.

Needs the engines that are named, of which those that are not installed are said; two processes of
one thread each are started of each. `follow` is the run in a folder, in a process of its own.

    python tests/benchmarks/cluster.py --engines dask ray ipyparallel --parts same cost late try
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
HERE = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
sys.path.insert(0, str(HERE.parents[1]))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from overhead import load, machine  # noqa: E402

from lrfinder_widget import LRFinder, compare, follow, publish, range_test, sweep  # noqa: E402
from lrfinder_widget.curve.plan import SweepPlan  # noqa: E402

NAMES = {"dask": "distributed", "ray": "ray", "ipyparallel": "ipyparallel"}
PARTS = ("same", "cost", "late", "try")
LRS = [1e-4, 1e-3, 1e-2, 1e-1]
WAIT_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=[*NAMES, "follow"], default=[*NAMES])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000, help="of a test whose cost is measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    told: dict[str, dict[str, list[list[str]]]] = {part: {} for part in arguments.parts}
    for engine in arguments.engines:
        if engine in NAMES and importlib.util.find_spec(NAMES[engine]) is None:
            print(f"{engine}: not installed.")
            continue
        parts = [part for part in arguments.parts if engine in NAMES or part in ("cost", "late")]
        with ENGINES[engine]() as on:
            for part in sorted(parts, key="same".__eq__):  # last: it kills a worker
                measure = MEASURES[part]
                told[part][engine] = measure(engine, on, arguments.rounds, arguments.steps)
        if "same" in parts:  # another cluster, which this may end
            with ENGINES[engine]() as on, finder_on(on, mlp(0.02), num_iter=5000) as finder:
                what = "an interrupt to the kernel's process group"
                check(told["same"][engine], what, lambda: interrupted(finder))
    if "cost" in told:
        told["cost"] = {"here": cost_here(arguments.rounds, arguments.steps)} | told["cost"]
    for part, engines in told.items():
        print(f"\n## {part}\n\n{HEADS[part]}\n|{'---|' * HEADS[part].count('|', 1)}")
        for engine, rows in engines.items():
            for row in rows:
                print(f"| {engine} | {' | '.join(row)} |")
    print(f"\n{load()} Times on a machine that does other work are upper bounds.")


HEADS = {
    "same": "| engine | what | found | s |",
    "cost": "| engine | way | µs a step | µs of the notebook's processor a point |",
    "late": "| engine | point → notebook, median, ms | 95 %, ms | points |",
    "try": "| engine | steps | serial, s | 1 worker, s | 2 workers, s | 1 ÷ serial | serial ÷ 2 |",
}


# -- what is trained ------------------------------------------------------------------------------


def mlp(step_s: float = 0.0, fails_at: int | None = None) -> Callable[[], Any]:
    def setup() -> Any:
        import time

        import torch
        from torch import nn

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        x = torch.randn(64 * 32, 20)
        y = (x @ torch.randn(20, 10)).argmax(1)
        steps = [0]

        def criterion(output: Any, target: Any) -> Any:
            steps[0] += 1
            if steps[0] == fails_at:
                raise ValueError("a bad batch")
            if step_s:
                time.sleep(step_s)
            return nn.functional.cross_entropy(output, target)

        batches = list(zip(x.split(32), y.split(32), strict=True))
        made = {"model": model, "optimizer": optimizer, "batches": batches, "preserve": [steps]}
        return made | {"criterion": criterion, "stop": None}

    return setup


def clock(step_s: float) -> Callable[[], Any]:
    """The loss of a step is the time: what is later on the way is the lag."""
    make = mlp()

    def setup() -> Any:
        import time

        import torch

        def step(batch: object) -> Any:
            time.sleep(step_s)
            return torch.tensor(time.time(), dtype=torch.float64)

        parts = make()
        del parts["criterion"]
        return parts | {"step": step}

    return setup


def missing() -> Callable[[], Any]:
    def setup() -> Any:
        import a_package_that_is_not_there  # noqa: F401

    return setup


# -- engines --------------------------------------------------------------------------------------


@contextlib.contextmanager
def dask() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


@contextlib.contextmanager
def ray() -> Iterator[Any]:
    import ray

    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(num_cpus=4, **options)
    try:
        yield ray.remote(num_cpus=1)
    finally:
        ray.shutdown()


@contextlib.contextmanager
def ipyparallel() -> Iterator[Any]:
    import ipyparallel

    cluster = ipyparallel.Cluster(n=2, log_level=40)
    client = cluster.start_and_connect_sync(activate=False)
    client[:].apply_sync(torch.set_num_threads, 1)
    try:
        yield client[:]
    finally:
        cluster.stop_cluster_sync()


@contextlib.contextmanager
def folder() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


ENGINES = {"dask": dask, "ray": ray, "ipyparallel": ipyparallel, "follow": folder}


@contextlib.contextmanager
def finder_on(on: Any, setup: Callable[[], Any], **options: Any) -> Iterator[LRFinder]:
    finder = LRFinder.remote(setup, on=on, variable=None, **options)
    try:
        yield finder
    finally:
        finder.close()


# -- what is the same, and what happens to it -----------------------------------------------------


def same(engine: str, on: Any, *_: int) -> list[list[str]]:
    rows: list[list[str]] = []
    told = partial(check, rows)
    here, tried = range_test(**mlp()()), trials_here(mlp(), 50)
    with finder_on(on, mlp(), workers=2) as finder:
        told("the curve equals one here, to the bit", lambda: finished(finder).curve == here)
        told("once more on the same worker", lambda: finished(finder).curve == here)
        told("Try on two workers, to the bit", lambda: is_same(tried, finder))
    with finder_on(on, mlp(fails_at=7)) as finder:
        told("an exception of the loss: points, its line in the trace", lambda: failed(finder))
    with finder_on(on, missing()) as finder:
        told("a package that the worker lacks", lambda: finished(finder))
    with finder_on(on, mlp(0.02), num_iter=5000) as finder:
        told("paused: points, and half a second later", lambda: paused(finder))
        told("resumed: points more in half a second", lambda: resumed(finder))
        told("stopped", lambda: (finder.stop(), finder.state.value)[1])
        told("a worker is killed: state, error, points kept", lambda: killed(finder))
    return rows


def check(rows: list[list[str]], what: str, act: Callable[[], object]) -> None:
    begun = time.perf_counter()
    try:
        found = act()
    except BaseException as error:  # noqa: BLE001
        found = f"{type(error).__name__}: {str(error)[:90]}"
    text = {True: "yes", False: "**no**"}.get(found, str(found))  # type: ignore[call-overload]
    rows.append([what, text.replace("|", "/"), f"{time.perf_counter() - begun:.1f}"])


def trials_here(setup: Callable[[], Any], steps: int) -> Any:
    parts = setup()
    del parts["stop"]
    return compare(**parts, lrs=LRS, steps=steps)


def finished(finder: LRFinder) -> LRFinder:
    return finder.start().wait(WAIT_S)


def is_same(tried: Any, finder: LRFinder) -> bool:
    found: Any = finder.compare(LRS, 50).wait(WAIT_S).comparison
    return (
        all(map(np.array_equal, found.losses.values(), tried.losses.values()))
        and np.array_equal(found.baseline, tried.baseline)
        and found.ranking == tried.ranking
    )


def wait_for(finder: LRFinder, count: int) -> None:
    until = time.monotonic() + WAIT_S
    while len(finder.curve) < count:
        if finder.state.ended or time.monotonic() > until:
            raise RuntimeError(f"{finder.state.value} after {len(finder.curve)} points")
        time.sleep(0.01)


def paused(finder: LRFinder) -> str:
    finder.start()
    wait_for(finder, 20)
    finder.pause()
    time.sleep(0.2)
    before = len(finder.curve)
    time.sleep(0.5)
    return f"{before}, {len(finder.curve)}"


def resumed(finder: LRFinder) -> str:
    before = len(finder.curve)
    finder.resume()
    time.sleep(0.5)
    return str(len(finder.curve) - before)


def killed(finder: LRFinder) -> str:
    finder.start()
    wait_for(finder, 20)
    source: Any = finder._session.source
    os.kill(next(w.process[1] for w in source._workers if w.built), signal.SIGKILL)
    try:
        finder.wait(WAIT_S)
    except RuntimeError as error:
        return f"{finder.state.value}, {type(error).__name__}, {len(finder.curve)}"
    return finder.state.value


def failed(finder: LRFinder) -> str:
    try:
        finished(finder)
    except ValueError as error:
        there = 'raise ValueError("a bad batch")' in "".join(getattr(error, "__notes__", []))
        return f"ValueError, {len(finder.curve)}, {'yes' if there else 'no'}"
    return finder.state.value


def interrupted(finder: LRFinder) -> str:
    finder.start()
    wait_for(finder, 5)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        os.killpg(os.getpgrp(), signal.SIGINT)
        wait_for(finder, len(finder.curve) + 20)
    finally:
        signal.signal(signal.SIGINT, before)
    return "the run goes on"


# -- what a point costs ---------------------------------------------------------------------------


def cost(engine: str, on: Any, rounds: int, steps: int) -> list[list[str]]:
    if engine == "follow":
        *_, processor = best("", lambda: followed(on, mlp(), steps), rounds, steps)
        return [["publish, follow", "–", processor]]  # its own start is longer than all steps
    rows = []
    with finder_on(on, mlp(), num_iter=steps) as finder:
        finished(finder)  # set up, outside of what is timed
        pulled = lambda: points_of(finder, steps)  # noqa: E731
        rows.append(best("asked for its points", pulled, rounds, steps))
        rows.append(
            best("… and shown by a finder", lambda: iter([finished(finder)]), rounds, steps)
        )
    ways = {"dask": dask_ways, "ray": ray_ways}.get(engine)
    if ways is not None:
        rows += [best(name, way, rounds, steps) for name, way in ways(on, steps)]
    return rows


def cost_here(rounds: int, steps: int) -> list[list[str]]:
    return [best("sweep, in this process", lambda: sweep(**mlp()(), num_iter=steps), rounds, steps)]


def points_of(finder: LRFinder, steps: int) -> Iterator[Any]:
    points = finder._session.source.begin(SweepPlan(num_iter=steps), threading.Event())
    return (item for item in points if isinstance(item, tuple))


def best(name: str, way: Callable[[], Iterator[Any]], rounds: int, steps: int) -> list[str]:
    """Return the least time and the least of the processor's, each of a few rounds."""
    walls, processor = [], []
    for _ in range(rounds):
        begun, used = time.perf_counter(), time.process_time()
        for _ in way():
            pass
        walls.append(time.perf_counter() - begun)
        processor.append(time.process_time() - used)
    return [name, *(f"{1e6 * min(values) / steps:.0f}" for values in (walls, processor))]


def ray_ways(decorate: Any, steps: int) -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """Yield Ray's own ways of streaming."""
    import ray
    from ray.util.queue import Queue

    setup = mlp()

    class Streaming:
        def points(self) -> Iterator[Any]:
            import torch

            from lrfinder_widget import sweep

            torch.set_num_threads(1)
            yield from sweep(**setup(), num_iter=steps)

        def into(self, queue: Any) -> None:
            for point in self.points():
                queue.put(point)
            queue.put(None)

    actor = decorate(Streaming).remote()

    def generator() -> Iterator[Any]:
        streaming = actor.points.options(num_returns="streaming").remote()
        return (ray.get(reference) for reference in streaming)

    def queue() -> Iterator[Any]:
        queue = Queue()
        actor.into.remote(queue)
        yield from iter(queue.get, None)
        queue.shutdown()

    for _ in generator():  # the actor is there
        pass
    yield "a streaming generator of Ray", generator
    yield "ray.util.queue.Queue", queue
    ray.kill(actor)


def dask_ways(client: Any, steps: int) -> Iterator[tuple[str, Callable[[], Iterator[Any]]]]:
    """Yield Dask's own ways of streaming."""
    from queue import SimpleQueue

    from distributed import Queue, get_worker

    setup = mlp()

    def into_queue(queue: Any) -> None:
        import torch

        from lrfinder_widget import sweep

        torch.set_num_threads(1)
        for point in sweep(**setup(), num_iter=steps):
            queue.put(point)
        queue.put(None)

    def log(topic: str) -> None:
        import torch

        from lrfinder_widget import sweep

        torch.set_num_threads(1)
        worker = get_worker()
        for point in sweep(**setup(), num_iter=steps):
            worker.log_event(topic, {"point": point})
        worker.log_event(topic, {"point": None})

    def events() -> Iterator[Any]:
        here: Any = SimpleQueue()
        client.subscribe_topic("points", lambda event: here.put(event[1]["point"]))
        client.submit(log, "points", pure=False)
        yield from iter(lambda: here.get(timeout=WAIT_S), None)
        client.unsubscribe_topic("points")

    def queue() -> Iterator[Any]:
        queue = Queue(client=client)
        future = client.submit(into_queue, queue, pure=False)
        yield from iter(lambda: queue.get(timeout=WAIT_S), None)
        future.result()

    yield "log_event, subscribe_topic of Dask", events
    yield "distributed.Queue", queue


def published(setup: Callable[[], Any], steps: int, folder: str, start: Any) -> None:
    torch.set_num_threads(1)
    parts = setup()
    start.wait()
    publish(sweep(**parts, num_iter=steps), folder)


_count = iter(range(10**9))


def followed(folder: Path, setup: Callable[[], Any], steps: int) -> Iterator[Any]:
    """Yield the points that another process publishes."""
    import cloudpickle

    context = multiprocessing.get_context("spawn")
    start = context.Event()
    path = folder / str(next(_count))
    job = context.Process(
        target=_published, args=(cloudpickle.dumps(setup), steps, str(path), start)
    )
    job.start()
    start.set()
    yield from follow(path)
    job.join()


def _published(setup: bytes, *rest: Any) -> None:
    import cloudpickle

    published(cloudpickle.loads(setup), *rest)


# -- how late a point is --------------------------------------------------------------------------


def late(engine: str, on: Any, rounds: int, steps: int) -> list[list[str]]:
    count = min(200, steps)
    if engine == "follow":
        return [lags(followed(on, clock(0.02), count))]
    with finder_on(on, clock(0.02), num_iter=count) as finder:
        finished(finder)
        return [lags(points_of(finder, count))]


def lags(points: Iterator[Any]) -> list[str]:
    found = [time.time() - loss for _, loss in points]
    median, most = np.percentile(found, [50, 95])
    return [f"{1000 * median:.0f}", f"{1000 * most:.0f}", str(len(found))]


# -- what Try gains -------------------------------------------------------------------------------


def tries(engine: str, on: Any, rounds: int, steps: int) -> list[list[str]]:
    rows = []
    for step_s, most in ((0.02, 50), (0.005, 100)):
        count, setup = min(most, steps), mlp(step_s)
        serial = [timed(partial(trials_here, setup, count)) for _ in range(rounds)]
        one, two = (_trials_on(on, setup, workers, count, rounds) for workers in (1, 2))
        a, b, c = min(serial), min(one), min(two)
        cells = [f"{value:.2f}" for value in (a, b, c, b / a, a / c)]
        rows.append([f"{count} that wait {1000 * step_s:.0f} ms", *cells])
    return rows


def _trials_on(
    on: Any, setup: Callable[[], Any], workers: int, count: int, rounds: int
) -> list[float]:
    with finder_on(on, setup, workers=workers, num_iter=20) as finder:
        finder.compare(LRS, 10).wait(WAIT_S)  # all workers are set up
        return [timed(lambda: finder.compare(LRS, count).wait(WAIT_S)) for _ in range(rounds)]


def timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


MEASURES: dict[str, Callable[..., list[list[str]]]] = {
    "same": same,
    "cost": cost,
    "late": late,
    "try": tries,
}


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):  # it is a leader already
        os.setpgid(0, 0)  # an interrupt of the group is for this process and what it starts
    main()
