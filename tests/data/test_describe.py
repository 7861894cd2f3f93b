"""What is said of a value: its type and shape, and never what is in it."""

from __future__ import annotations

import collections
from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np
import pytest
import torch

from lrfinder_widget.data.describe import describe, keys_of

Pair = collections.namedtuple("Pair", "x y")


class OfTensors(MutableMapping[str, Any]):
    """A batch of mappings that iterates over its rows, and prints them, as TensorDict does."""

    def __init__(self, **tensors: Any) -> None:
        self.tensors = tensors

    def __getitem__(self, key: str) -> Any:
        return self.tensors[key]

    def __setitem__(self, key: str, value: Any) -> None:
        raise NotImplementedError

    def __delitem__(self, key: str) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        return iter([self] * 8)

    def __len__(self) -> int:
        return 8

    def keys(self) -> Any:
        return self.tensors.keys()

    def __repr__(self) -> str:
        return "all that is in it " * 100


class Shapeless(torch.Tensor):
    """A tensor whose shape is not known, as that of a nested one is not."""

    @property
    def shape(self) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "None"),
        (2.5, "a float"),
        (3, "an int"),
        (torch.nn.Linear, "the class Linear"),
        (torch.ones(2, 3), "a tensor of shape (2, 3) and dtype float32"),
        (np.ones((2, 3)), "a NumPy array of shape (2, 3) and dtype float64"),
        ({"x": 1, "y": 2}, "a dict with keys 'x', 'y'"),
        ({}, "a dict with keys none"),
        (dict.fromkeys("abcdefgh"), "a dict with keys 'a', 'b', 'c', 'd', 'e', 'f', …"),
        (OfTensors(x=torch.ones(8)), "an OfTensors with keys 'x'"),
        ((), "a tuple of 0"),
        ([1, {"a": 2}], "a list of 2 (an int; a dict with keys 'a')"),
        ((1, [torch.ones(9)] * 9), "a tuple of 2 (an int; a list of 9)"),
        (list("abcdef"), "a list of 6 (a str; a str; a str; a str; …)"),
        (Pair(1, 2), "a Pair of 2"),
        (torch.ones(2).as_subclass(Shapeless), "a Shapeless"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_described_by_its_type_and_shape(value: Any, said: str) -> None:
    assert describe(value) == said


def test_a_long_key_is_cut() -> None:
    assert len(keys_of({"k" * 1000: 1})) < 50
