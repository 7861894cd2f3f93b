"""The user's own loaders, iterators and worker processes are left as they are, and ours end."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import SpawnContext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import adamw, batchnorm_dropout, classes
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from lrfinder_widget import LRFinder, range_test
from lrfinder_widget.data.batches import Batches
from lrfinder_widget.data.workers import Grace

pytestmark = pytest.mark.timeout(60)

CE = nn.CrossEntropyLoss()


class CountsEpochs(DataLoader[Any]):
    epoch = 0

    def __iter__(self) -> Any:
        self.__dict__["epoch"] = self.epoch + 1
        return super().__iter__()


class Repeating:
    """A batch sampler that begins again for ever."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield from self.inner


class KeepsWorkers(DataLoader[Any]):
    """Keeps one iterator for life, so that its workers outlive an epoch."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        object.__setattr__(self, "batch_sampler", Repeating(self.batch_sampler))
        self.iterator = super().__iter__()

    def __iter__(self) -> Any:
        for _ in range(8):
            yield next(self.iterator)


class InAttribute:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        yield from self.loader


class InPipeline:
    """Chains stages that are in a list."""

    def __init__(self, loader: Any) -> None:
        self.stages = [loader, lambda batch: batch]

    def __iter__(self) -> Iterator[Any]:
        source, change = self.stages
        yield from map(change, source)


class KeepsIterator:
    """A wrapper that keeps an iterator of its loader and begins it again when it ends."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.going = iter(loader)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        try:
            return next(self.going)
        except StopIteration:
            self.going = iter(self.loader)
            raise


MAKERS: dict[str, Callable[..., Any]] = {
    "plain": DataLoader,
    "subclass": CountsEpochs,
    "keeps-workers": KeepsWorkers,
    "attribute": lambda *a, **o: InAttribute(CountsEpochs(*a, **o)),
    "pipeline": lambda *a, **o: InPipeline(DataLoader(*a, **o)),
    "two-wrappers": lambda *a, **o: InAttribute(InAttribute(DataLoader(*a, **o))),
    "keeps-iterator": lambda *a, **o: KeepsIterator(DataLoader(*a, **o)),
}


def run_a_test(source: Any) -> None:
    model = batchnorm_dropout()
    curve = range_test(model, adamw(model), source, CE, num_iter=11, end_lr=1e-3)
    assert len(curve) == 11


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", MAKERS)
def test_epochs_come_as_without_the_test(kind: str, half: bool, workers: int) -> None:
    lived = []
    for with_test in (False, True):
        torch.manual_seed(0)
        source = MAKERS[kind](
            classes(), batch_size=8, shuffle=True, num_workers=workers,
            persistent_workers=workers > 0, generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        seen = [y.tolist() for _, y in source]
        going = iter(source)
        if half:
            seen += [next(going)[1].tolist() for _ in range(3)]
        before = set(multiprocessing.active_children())
        if with_test:
            run_a_test(source)
        assert set(multiprocessing.active_children()) <= before
        seen += [y.tolist() for _, y in going]
        seen += [y.tolist() for _, y in source]
        lived.append(seen)
    assert lived[0] == lived[1]


class Named:
    """Takes one batch of each of its loaders in turn."""

    def __init__(self, **loaders: Any) -> None:
        self.stages = {"load": list(loaders.values())}

    def __iter__(self) -> Iterator[Any]:
        for batches in zip(*self.stages["load"], strict=True):
            yield from batches


def test_workers_of_loaders_in_nested_containers_are_left_alone() -> None:
    options = {"batch_size": 8, "num_workers": 1, "persistent_workers": True}
    loaders = [DataLoader(classes(), **options) for _ in range(2)]
    source = Named(a=loaders[0], b=loaders[1])
    whole = [y.tolist() for _, y in source]
    iterators = [loader._iterator for loader in loaders]
    run_a_test(source)
    assert [loader._iterator for loader in loaders] == iterators
    assert [y.tolist() for _, y in source] == whole


def test_a_count_of_epochs_in_a_subclass_is_left_alone() -> None:
    source = CountsEpochs(classes(), batch_size=8)
    run_a_test(source)
    assert source.epoch == 0


class BegunAhead(DataLoader[Any]):
    """Begins an iterator when it is asked for its state, and uses it in the next epoch."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._initial_iter_for_state = False

    def state(self) -> None:
        self._iterator = self._get_iterator()
        self._initial_iter_for_state = True

    def __iter__(self) -> Any:
        if self._initial_iter_for_state:
            self._initial_iter_for_state = False
            assert self._iterator is not None
        else:
            self._iterator = self._get_iterator()
        return self._iterator


def test_an_iterator_that_was_begun_ahead_stays_the_users() -> None:
    source = BegunAhead(classes(), batch_size=8)
    source.state()
    ahead = source._iterator
    run_a_test(source)
    assert iter(source) is ahead
    assert len(list(ahead)) == 8


class Claims:
    """Claims to be a loader, as some wrappers do for the sake of `isinstance`."""

    def __init__(self, loader: Any) -> None:
        self.base = loader

    @property
    def __class__(self) -> Any:
        return DataLoader

    def __iter__(self) -> Iterator[Any]:
        yield from self.base


def test_what_only_claims_to_be_a_loader_is_a_wrapper_of_one() -> None:
    source = Claims(DataLoader(classes(), batch_size=8, num_workers=1, persistent_workers=True))
    list(source)
    mine = source.base._iterator
    run_a_test(source)
    assert source.base._iterator is mine
    assert len(list(source)) == 8


class Releases(InAttribute):
    """Ends its loader's workers when it goes."""

    released = 0

    def __del__(self) -> None:
        type(self).released += 1


def test_a_private_copy_releases_nothing_of_the_users() -> None:
    source = Releases(DataLoader(classes(), batch_size=8))
    run_a_test(source)
    assert Releases.released == 0


class Slotted(InAttribute):
    __slots__ = ("spare",)

    def __iter__(self) -> Iterator[Any]:
        assert self.spare == 3
        return super().__iter__()


def test_a_private_copy_has_what_is_in_slots_too() -> None:
    source = Slotted(DataLoader(classes(), batch_size=8))
    source.spare = 3
    run_a_test(source)


class Registry:
    """One for all, which notes the loaders that are being iterated over."""

    def __init__(self) -> None:
        self.active: list[Any] = []


class Registers(DataLoader[Any]):
    def __init__(self, registry: Registry, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.registry = registry

    def __iter__(self) -> Any:
        self.registry.active.append(self)
        return super().__iter__()


def test_what_only_refers_back_to_a_loader_is_shared() -> None:
    registry = Registry()
    source = Registers(registry, classes(), batch_size=8)
    iter(source)
    batches = Batches(source, None)
    batches.open()
    assert len(registry.active) == 2
    batches.close()


# -- no worker process and no thread is left ------------------------------------------------------


class Fails(Dataset[Any]):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, i: int) -> Any:
        if i == 40:
            raise OSError("no such picture")
        return torch.zeros(6), 0


class MakesItsOwn:
    """Makes an iterator with workers without a `DataLoader` of its own class."""

    def __init__(self, loader: Any) -> None:
        self.make = lambda: _MultiProcessingDataLoaderIter(loader)

    def __iter__(self) -> Iterator[Any]:
        yield from self.make()


LEFT = {**MAKERS, "makes-its-own": lambda *a, **o: MakesItsOwn(DataLoader(*a, **o))}


@pytest.mark.parametrize("end", ["completed", "stopped", "failed"])
@pytest.mark.parametrize("kind", LEFT)
def test_no_worker_is_left(kind: str, end: str) -> None:
    data = Fails() if end == "failed" else classes()
    source = LEFT[kind](data, batch_size=8, num_workers=1)
    processes, threads = set(multiprocessing.active_children()), set(threading.enumerate())
    model = batchnorm_dropout()
    finder = LRFinder(model, adamw(model), source, CE, num_iter=20, end_lr=1e-3)
    if end == "stopped":
        reached = threading.Event()
        model.register_forward_hook(lambda *_: reached.set())
        finder.start()
        assert reached.wait(30)
        finder.stop()
    else:
        finder.start()
    if end == "failed":
        with pytest.raises(OSError, match="no such picture"):
            finder.wait(30)
    else:
        finder.wait(30)
    assert (finder.exception is not None) == (end == "failed")  # which is kept, with its frames
    finder.close()
    assert set(multiprocessing.active_children()) <= processes
    for thread in set(threading.enumerate()) - threads:  # a queue's own may still be ending
        thread.join(10)
        assert not thread.is_alive()


class ThreadAsProcess(threading.Thread):
    @property
    def pid(self) -> int:
        return id(self)


class QueueInProcess(queue.Queue[Any]):
    def close(self) -> None:
        pass

    def cancel_join_thread(self) -> None:
        pass


class ThreadsForWorkers(SpawnContext):
    """Starts threads where a loader asks for processes."""

    _name = "threads"
    Process = ThreadAsProcess  # type: ignore[assignment]
    Queue = QueueInProcess  # type: ignore[assignment]


def test_workers_may_be_threads() -> None:
    source = DataLoader(
        classes(), batch_size=8, num_workers=1, multiprocessing_context=ThreadsForWorkers()
    )
    before = set(threading.enumerate())
    run_a_test(source)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_a_busy_worker_that_is_a_thread_is_not_terminated() -> None:
    over = threading.Event()
    worker = ThreadAsProcess(target=over.wait, args=(50,), daemon=True)
    worker.start()
    grace = Grace([SimpleNamespace(_workers=[worker])], grace_s=0)
    with grace:
        grace._timer.join(10)  # an error in it would be one of this test
    over.set()
    worker.join(10)
    assert not worker.is_alive()


def test_workers_that_had_started_when_another_failed_to_start_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = multiprocessing.get_context("fork")
    started: list[Any] = []

    class Process(context.Process):  # type: ignore[name-defined]
        def start(self) -> None:
            if started:
                raise OSError("no more processes")
            super().start()
            started.append(self)

    monkeypatch.setattr(context, "Process", Process)
    x = torch.zeros(64, 6)
    source = InAttribute(
        DataLoader(
            TensorDataset(x, torch.zeros(64, dtype=torch.long)),
            num_workers=2,
            multiprocessing_context=context,
        )
    )
    model = batchnorm_dropout()
    with pytest.raises(OSError, match="no more processes") as caught:
        range_test(model, adamw(model), source, CE)
    assert started
    assert not started[0].is_alive()
    del caught


class Waits(Dataset[Any]):
    """Its second batch waits until it is let go, which it never is."""

    def __init__(self, let_go: Any) -> None:
        self.let_go = let_go

    def __len__(self) -> int:
        return 64

    def __getitem__(self, i: int) -> Any:
        if i >= 8:
            self.let_go.wait(50)
        return torch.zeros(6), 0


@pytest.mark.parametrize("wrap", [lambda loader: loader, InAttribute])
def test_a_worker_that_is_busy_is_not_waited_for(
    wrap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 40.0)
    source = wrap(DataLoader(Waits(multiprocessing.Event()), batch_size=8, num_workers=1))
    model = batchnorm_dropout()
    processes, began = set(multiprocessing.active_children()), time.monotonic()
    range_test(model, adamw(model), source, CE, stop=lambda losses: True)
    assert time.monotonic() - began < 30  # torch itself would give it the interval
    assert set(multiprocessing.active_children()) <= processes


class Ahead(threading.Thread):
    """Loads ahead in a thread of its own, which ends when it is told to, or never."""

    def __init__(self, source: Any, ends: bool) -> None:
        super().__init__(daemon=True)
        self.ready: queue.Queue[Any] = queue.Queue(2)
        self.source, self.ends, self.over = source, ends, threading.Event()
        self.start()

    def run(self) -> None:
        self.ready.put(next(self.source))
        self.over.wait(50)

    def __iter__(self) -> Ahead:
        return self

    def __next__(self) -> Any:
        return self.ready.get()

    def close(self) -> None:
        if self.ends:
            self.over.set()


class LoadsAhead:
    def __init__(self, ends: bool, in_generator: bool) -> None:
        self.ends, self.in_generator, self.threads = ends, in_generator, []

    def __iter__(self) -> Iterator[Any]:
        self.threads.append(Ahead(iter([1, 2, 3]), self.ends))
        return self.loop(self.threads[-1]) if self.in_generator else self.threads[-1]

    def loop(self, ahead: Ahead) -> Iterator[Any]:
        try:
            yield from ahead
        finally:
            ahead.close()


@pytest.mark.parametrize("in_generator", [False, True])
@pytest.mark.parametrize("ends", [True, False])
def test_a_thread_that_goes_on_loading_ahead_is_named(ends: bool, in_generator: bool) -> None:
    source = LoadsAhead(ends, in_generator)
    batches = Batches(source, None)
    batches.open()
    assert batches.take() == 1
    batches.close()
    (thread,) = source.threads
    assert thread.is_alive() != ends
    assert len(batches.unrestored) == (not ends)
    assert all("Ahead has a thread that still loads ahead" in s for s in batches.unrestored)
    thread.over.set()
    thread.join(10)


class Prefetches:
    """A stage that loads ahead in a thread, and ends an earlier thread when it begins anew."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.going: Any = None

    def __iter__(self) -> Any:
        if self.going is not None:
            self.going.close()
            self.going.join(10)
        self.going = Ahead(iter(self.source), ends=True)
        return self.going


class Stage:
    def __init__(self, source: Any) -> None:
        self.source = source

    def __iter__(self) -> Iterator[Any]:
        yield from self.source


@pytest.mark.parametrize("begun", [False, True])
def test_a_thread_of_the_users_that_the_test_has_ended_is_named(begun: bool) -> None:
    stage = Prefetches([(torch.zeros(8, 6), torch.zeros(8, dtype=torch.long))])
    users = iter(stage) if begun else None
    before = set(threading.enumerate())
    batches, known = Batches(Stage(Stage(Stage(Stage(stage)))), None), dict(vars(stage))
    batches.open()
    batches.take()
    batches.close()
    ours = stage.going
    vars(stage).update(known)  # as the restore does
    said = [sentence.partition(":")[0] for sentence in batches.unrestored]
    assert said == ["Prefetches loaded ahead in a thread that the test has ended"] * begun
    assert users is None or not users.is_alive()
    ours.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
