"""Where copies go: on the device, on the host, or nowhere; devices are simulated."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import linear, loader, sgd_momentum
from torch import Tensor, nn

import lrfinder_widget.restore.memory as memory
import lrfinder_widget.restore.tensors as tensors_module
from lrfinder_widget import range_test
from lrfinder_widget.restore.memory import check_host, free_cached_memory, place_for, synchronize
from lrfinder_widget.restore.tensors import Values

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
CE = nn.CrossEntropyLoss()
TENSORS = [torch.empty(10), torch.empty(3, 2, dtype=torch.float16)]  # 40 and 12 bytes


def on_device(monkeypatch: pytest.MonkeyPatch, free: int, **told: int) -> None:
    """Simulate a device of 1000 bytes."""
    asked: dict[str, Any] = {name: lambda _, n=n: n for name, n in told.items()}
    device = SimpleNamespace(mem_get_info=lambda _: (free, 1000), **asked)
    monkeypatch.setattr(torch, "get_device_module", lambda _: device)


@pytest.mark.parametrize(
    ("free", "expected"), [(1000, "cuda"), (153, "cuda"), (152, "cpu"), (0, "cpu")]
)
def test_copies_stay_on_the_device_only_if_it_keeps_a_tenth_free(
    monkeypatch: pytest.MonkeyPatch, free: int, expected: str
) -> None:
    on_device(monkeypatch, free)
    assert place_for(TENSORS, CUDA) == torch.device(expected)
    assert place_for(TENSORS, CPU) == CPU


@pytest.mark.parametrize(("allocated", "expected"), [(300, "cuda"), (347, "cuda"), (348, "cpu")])
def test_what_torch_holds_and_does_not_use_counts_as_free(
    monkeypatch: pytest.MonkeyPatch, allocated: int, expected: str
) -> None:
    on_device(monkeypatch, 0, memory_reserved=500, memory_allocated=allocated)
    assert place_for(TENSORS, CUDA) == torch.device(expected)


@pytest.mark.parametrize(("peak", "expected"), [(600, "cuda"), (747, "cuda"), (748, "cpu")])
def test_what_training_has_used_at_its_peak_is_kept_free(
    monkeypatch: pytest.MonkeyPatch, peak: int, expected: str
) -> None:
    on_device(
        monkeypatch, 500, memory_reserved=300, memory_allocated=300, max_memory_allocated=peak
    )
    assert place_for(TENSORS, CUDA) == torch.device(expected)


def test_gradients_set_aside_need_room_beside_the_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    on_device(monkeypatch, 200)
    assert place_for(TENSORS, CUDA, aside=[torch.empty(11)]) == CUDA
    assert place_for(TENSORS, CUDA, aside=[torch.empty(12)]) == CPU


def test_a_run_counts_the_gradients_that_it_sets_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    asides: list[int] = []

    def place(tensors: list[Tensor], device: torch.device, aside: list[Tensor]) -> torch.device:
        asides.append(memory.bytes_of(aside))
        return device

    model = linear()
    CE(model(torch.ones(1, 6)), torch.zeros(1, dtype=torch.long)).backward()
    monkeypatch.setattr(tensors_module, "place_for", place)
    range_test(model, sgd_momentum(model), loader(), CE, num_iter=2)
    assert asides[0] == memory.bytes_of(model.parameters())


def test_copies_stay_on_a_device_that_does_not_say_how_much_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mem_get_info(_: object) -> object:
        raise RuntimeError("The device doesn't support querying the available free memory.")

    device = SimpleNamespace(mem_get_info=mem_get_info)
    monkeypatch.setattr(torch, "get_device_module", lambda _: device)
    assert place_for([torch.empty(10)], torch.device("xpu")) == torch.device("xpu")


# -- a device that is full although it looked free -------------------------------------------------


def test_copies_that_find_no_room_on_the_device_go_to_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, events = torch.device("meta"), []

    def full(*args: Any, **options: Any) -> Tensor:
        if options.get("device") == place:
            raise torch.OutOfMemoryError("full")
        events.append("copied")
        return empty_like(*args, **options)

    empty_like = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", full)
    monkeypatch.setattr(tensors_module, "place_for", lambda *_: place)
    freed = SimpleNamespace(empty_cache=lambda: events.append("freed"))
    monkeypatch.setattr(torch, "get_device_module", lambda _: freed)
    for module in (memory, tensors_module):
        monkeypatch.setattr(module, "is_scarce", lambda device: True)
    tensors = [torch.arange(3.0), torch.arange(3)]
    values = Values(tensors)
    monkeypatch.undo()
    assert events == ["freed", "copied", "copied"]
    for tensor in tensors:
        tensor.zero_()
    values.restore()
    assert [tensor.tolist() for tensor in tensors] == [[0, 1, 2]] * 2


def test_without_room_on_the_host_the_error_of_torch_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any, **options: Any) -> Tensor:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(torch, "empty_like", full)
    with pytest.raises(torch.OutOfMemoryError, match="full"):
        Values([torch.arange(3.0)])


# -- the host --------------------------------------------------------------------------------------

GB = 10**9


def host(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "meminfo").write_text(text)
    monkeypatch.setattr(memory, "_MEMINFO", folder / "meminfo")


def test_copies_for_which_the_host_has_no_room_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host(monkeypatch, tmp_path, "MemTotal: 9 kB\nMemAvailable: 2000000 kB\nSwapFree: 1000000 kB\n")
    check_host(3 * GB)
    with pytest.raises(MemoryError, match=r"copies take 4\.0 GB, and 3\.1 GB are available"):
        check_host(4 * GB)


def test_a_run_is_refused_before_anything_is_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host(monkeypatch, tmp_path, "MemAvailable: 0 kB\n")
    monkeypatch.setattr(memory, "_SMALL", 0)
    model = linear()

    def step(batch: Any) -> float:
        raise AssertionError("it has begun")

    with pytest.raises(MemoryError, match="the host has no room"):
        range_test(model, sgd_momentum(model), loader(), step=step)


@pytest.mark.parametrize("text", [None, "MemTotal: 9 kB\n"])
def test_a_system_that_does_not_tell_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    if text is None:
        monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "nothing")
    else:
        host(monkeypatch, tmp_path, text)
    check_host(10**15)


# -- the cache and the queue -----------------------------------------------------------------------


def test_nothing_is_asked_of_the_host_as_if_it_were_a_device() -> None:
    free_cached_memory([CPU])
    synchronize([CPU, torch.device("meta")])


def test_every_device_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[object] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    devices = [torch.device("cuda", 0), CPU, torch.device("cuda", 1)]
    synchronize(devices)
    assert waited == [devices[0], devices[2]]


def test_what_is_copied_together_has_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[set[torch.dtype]] = []
    foreach_copy = torch._foreach_copy_

    def copy(into: list[Tensor], out_of: list[Tensor]) -> None:
        together.append({tensor.dtype for tensor in (*into, *out_of)})
        foreach_copy(into, out_of)

    monkeypatch.setattr(torch, "_foreach_copy_", copy)
    values = Values([torch.ones(2), torch.ones(2, dtype=torch.long), torch.ones(3)])
    values.restore()
    assert together == [{torch.float32}, {torch.int64}] * 2
