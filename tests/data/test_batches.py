"""How batches are moved, and where they come from; more in test_sweep.py and promises/."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from support import adamw, batchnorm_dropout, classes, loader
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.data import DataLoader, IterableDataset

from lrfinder_widget import compare, range_test
from lrfinder_widget.data.batches import Batches, Exhausted, can_begin_again, move

CE = nn.CrossEntropyLoss()


class Watched(Tensor):
    """Notes how it is to be moved, and stays."""

    asked: tuple[Any, ...]

    def to(self, *args: Any, **options: Any) -> Tensor:
        self.asked = args, options
        return self


@pytest.mark.parametrize(
    ("device", "non_blocking"), [("cuda", True), ("xpu", True), ("mps", False), ("hpu", False)]
)
def test_only_a_device_that_queues_its_copies_safely_is_not_waited_for(
    device: str, non_blocking: bool
) -> None:
    batch = torch.ones(2).as_subclass(Watched)
    move([batch], torch.device(device))
    assert batch.asked == ((torch.device(device),), {"non_blocking": non_blocking})


class Refilling:
    """Yields one and the same batch, and writes the next values into it."""

    def __iter__(self) -> Iterator[Tensor]:
        yield torch.ones(2).as_subclass(Watched)


@pytest.mark.parametrize(
    ("source", "non_blocking"),
    [
        (Refilling(), False),
        ([torch.ones(2).as_subclass(Watched)], True),
        (DataLoader([torch.ones(2)], collate_fn=lambda s: s[0].as_subclass(Watched)), True),
    ],
)
def test_a_batch_that_its_source_may_refill_is_copied_before_the_next_is_taken(
    source: Any, non_blocking: bool
) -> None:
    batches = Batches(source, torch.device("cuda"))
    batches.open()
    assert batches.take().asked[1] == {"non_blocking": non_blocking}
    batches.close()


def test_a_tensor_that_is_there_is_not_moved() -> None:
    batch = torch.ones(2)
    assert move(batch, torch.device("cpu")) is batch


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


def test_a_named_tuple_stays_one_when_it_is_moved() -> None:
    moved = move([Pair(torch.ones(2), torch.ones(1))], torch.device("meta"))[0]
    assert isinstance(moved, Pair)
    assert moved.x.is_meta
    assert moved.y.is_meta


def test_a_packed_sequence_moves_itself_and_keeps_its_sizes_on_the_cpu() -> None:
    packed = pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    moved, y = move((packed, torch.ones(2)), torch.device("meta"))
    assert isinstance(moved, PackedSequence)
    assert moved.data.is_meta
    assert y.is_meta
    assert not moved.batch_sizes.is_meta


# -- sources --------------------------------------------------------------------------------------


class SelfIterating:
    """Begins anew at each `iter`, and is its own iterator."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches, self.i = batches, 0

    def __iter__(self) -> SelfIterating:
        self.i = 0
        return self

    def __next__(self) -> Any:
        if self.i == len(self.batches):
            raise StopIteration
        self.i += 1
        return self.batches[self.i - 1]


class OneShot(SelfIterating):
    def __iter__(self) -> OneShot:
        """Go on where it is."""
        return self


def taken(source: Any, n: int) -> tuple[list[Any], list[str]]:
    batches = Batches(source, None)
    batches.open()
    try:
        return [batches.take() for _ in range(n)], batches.unrestored
    finally:
        batches.close()


def test_a_loader_that_is_its_own_iterator_is_begun_again() -> None:
    assert taken(SelfIterating([1, 2]), 5)[0] == [1, 2, 1, 2, 1]


def test_an_iterator_that_yields_nothing_when_begun_again_is_used_up() -> None:
    for source in (OneShot([1, 2]), iter([1, 2])):
        with pytest.raises(Exhausted):
            taken(source, 3)


@pytest.mark.parametrize(
    ("source", "can"),
    [
        ([1], True),
        (SelfIterating([1]), True),
        (OneShot([1]), False),
        (iter([1]), False),
        ((i for i in [1]), False),
        (map(abs, [1]), False),
        (itertools.cycle([1]), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_source_that_cannot_begin_again_is_known_beforehand(source: Any, can: bool) -> None:
    assert can_begin_again(source) == can


def test_trials_take_a_loader_that_is_its_own_iterator_and_can_begin_again() -> None:
    model, batches = batchnorm_dropout(), list(loader())
    found = compare(model, adamw(model), SelfIterating(batches), CE, lrs=[0.1, 0.01], steps=10)
    assert [len(trial.losses) for trial in found.trials] == [10, 10]


class Stream(IterableDataset[Any]):
    """Yields whole batches."""

    def __iter__(self) -> Iterator[Any]:
        yield from loader()


def test_an_iterable_dataset_of_whole_batches_is_a_source() -> None:
    model = batchnorm_dropout()
    assert len(range_test(model, adamw(model), Stream(), CE, num_iter=20, end_lr=1e-3)) == 20


def test_a_map_style_dataset_is_no_source() -> None:
    model = batchnorm_dropout()
    with pytest.raises(TypeError, match="Wrap it: DataLoader"):
        range_test(model, adamw(model), classes(), CE)


# -- what cannot be put back ----------------------------------------------------------------------


class Endless:
    """Keeps one iterator for life, and goes on with it in each epoch."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.stored = iterator

    def __iter__(self) -> Iterator[Any]:
        return self.stored


class Renews(Endless):
    """Begins a new iterator in each epoch."""

    def __iter__(self) -> Iterator[Any]:
        self.stored = iter([1, 2, 3])
        return self.stored


def unrestored(source: Any) -> list[str]:
    batches = Batches(source, None)
    batches.open()
    batches.take()
    batches.close()
    return batches.unrestored


def test_an_iterator_that_is_kept_for_life_goes_on_afterwards_and_is_named() -> None:
    source = Endless(i for i in range(9))
    (sentence,) = unrestored(source)
    assert sentence.startswith("Endless.stored is an iterator that is kept for life: the batches")
    assert next(iter(source)) == 1


def test_a_one_shot_iterator_goes_on_afterwards() -> None:
    source = (i for i in range(9))
    assert unrestored(source) == []  # its user knows that it is used up
    assert next(source) == 1


@pytest.mark.parametrize(
    "source",
    [
        [1, 2],
        SelfIterating([1, 2]),
        Renews(iter([1])),
        range(3),
        loader(),
        {"a": 1}.items(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_is_named_that_begins_anew(source: Any) -> None:
    assert unrestored(source) == []


def test_an_iterator_that_was_not_touched_is_not_named() -> None:
    source = SelfIterating([1, 2])
    source.spare = (i for i in range(3))  # type: ignore[attr-defined]
    assert unrestored(source) == []


def test_a_run_that_took_nothing_has_nothing_to_name() -> None:
    batches = Batches(Endless(iter([1])), None)
    batches.close()
    assert batches.unrestored == []


# -- workers that are not forked, in a notebook ---------------------------------------------------

NOTEBOOK = """
import multiprocessing, warnings, torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from lrfinder_widget import range_test

class Mine(Dataset):
    def __len__(self):
        return 16
    def __getitem__(self, i):
        return torch.full((3,), float(i)), torch.ones(1)

loader = DataLoader({data}, batch_size=4, num_workers=1, multiprocessing_context="{method}",
                    prefetch_factor=3, persistent_workers=True, timeout=20)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    curve = range_test(model, optimizer, loader, nn.MSELoss(), num_iter=6, end_lr=1e-4)
print(len(curve), len(multiprocessing.active_children()))
print([str(w.message) for w in caught if w.category is UserWarning])
"""


def run_as_a_notebook(data: str, method: str) -> list[str]:
    """Run code that is in no file, as a notebook's is; return the lines that it prints."""
    code = NOTEBOOK.format(data=data, method=method)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("data", ["Mine()", "torch.utils.data.Subset(Mine(), range(12))"])
def test_what_workers_cannot_import_is_loaded_without_them_and_named(data: str) -> None:
    ran, warned = run_as_a_notebook(data, "forkserver")
    assert ran == "6 0"
    assert "started by 'forkserver'" in warned
    assert "cannot import Mine, which is written in the notebook" in warned
    assert "Put Mine in a .py file" in warned


def test_forked_workers_need_no_import() -> None:
    assert run_as_a_notebook("Mine()", "fork") == ["6 0", "[]"]
