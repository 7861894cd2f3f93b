"""No change of a tensor's bits goes unnoticed, whatever they stand for and however they lie."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lrfinder_widget.restore.checksum import Checksums

LONG = 3 * 2**17 + 5  # several blocks of float32, and a rest


def changed(tensor: Tensor, change: Callable[[], object]) -> bool:
    checksums = Checksums()
    checksums.note(tensor, tensor)
    assert checksums.changed() == []
    with torch.no_grad():
        change()
    after = checksums.changed()
    assert all(each is tensor for each in after)
    return bool(after)


@pytest.mark.parametrize("at", [0, 1, 2**17 - 1, 2**17, LONG - 6, LONG - 1])
def test_the_last_bit_of_any_element_counts(at: int) -> None:
    tensor = torch.ones(LONG)
    assert changed(
        tensor, lambda: tensor[at].copy_(torch.nextafter(torch.tensor(1.0), tensor[0]) + 2**-23)
    )


@pytest.mark.parametrize(
    "name",
    [
        *("float64", "float32", "bfloat16", "float16", "float8_e4m3fn", "complex64", "complex128"),
        *("int8", "uint8", "int64", "bool"),
    ],
)
@pytest.mark.parametrize("length", [1, 2, 7, 1000])
def test_elements_of_any_type_and_number(name: str, length: int) -> None:
    dtype = getattr(torch, name)
    tensor = torch.zeros(length).to(dtype)
    assert changed(tensor, lambda: tensor[-1:].copy_(torch.ones(1).to(dtype)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_the_signs_of_many_elements_count(dtype: torch.dtype, every: int) -> None:
    # These are the highest bits of words, which cancel each other out in a plain sum.
    tensor = torch.randn(2**12).to(dtype)
    assert changed(tensor, tensor[every - 1 :: every].neg_)


def test_nan_is_a_value_like_any_other() -> None:
    tensor = torch.full((100,), math.nan)
    assert not changed(tensor, lambda: tensor.copy_(tensor.clone()))
    assert changed(tensor, tensor[3].neg_)  # its sign


def test_the_order_of_elements_counts() -> None:
    tensor = torch.arange(2.0**18)
    assert changed(tensor, lambda: tensor.copy_(tensor.flip(0)))
    assert changed(tensor, lambda: tensor.copy_(tensor.roll(2**17)))


def test_a_change_that_torch_does_not_count_is_noticed() -> None:
    tensor = torch.nn.Parameter(torch.zeros(10), requires_grad=False)
    version = tensor._version
    assert changed(tensor, lambda: tensor.data.add_(1))
    assert tensor._version == version


@pytest.mark.parametrize(
    "of",
    [
        lambda: torch.zeros(4, 6).t(),
        lambda: torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last),
        lambda: torch.zeros(10, 10)[:, ::2],
        lambda: torch.zeros(101)[1:],  # begins in the middle of a word
        lambda: torch.zeros(3, 2)[:1, 1:],
        lambda: torch.zeros(()),
    ],
)
def test_memory_of_any_shape(of: Callable[[], Tensor]) -> None:
    tensor = of()
    assert changed(
        tensor,
        lambda: (
            tensor.view(-1)[-1:].fill_(1)
            if tensor.is_contiguous()
            else tensor.select(0, -1).select(0, -1).fill_(1)
        ),
    )


def test_an_empty_tensor_never_changes() -> None:
    tensor = torch.zeros(0, 3)
    assert not changed(tensor, lambda: None)


def test_the_sums_of_devices_without_products_of_integers_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensor = torch.randn(1000)
    here = Checksums()._of(tensor)

    def dot(*_: object, **__: object) -> None:
        raise RuntimeError('"dot" not implemented for Long')

    monkeypatch.setattr(torch, "dot", dot)
    monkeypatch.setattr("lrfinder_widget.restore.checksum.HAS_DOT", ())
    assert all(map(torch.equal, here, Checksums()._of(tensor)))


def test_the_random_state_stays() -> None:
    before = torch.get_rng_state()
    changed(torch.zeros(3), lambda: None)
    assert torch.equal(torch.get_rng_state(), before)
