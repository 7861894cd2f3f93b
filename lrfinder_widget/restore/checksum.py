"""Checksums of tensors' memory, to see whether any bit of it has changed.

They take less time than copies and hardly any memory. The bits are summed as integers, so it does
not matter which numbers they stand for, nan or others.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WORD = 8  # bytes
_WORDS_ON_HOST = 2**16  # in a block, which then stays in the cache
_WORDS = 2**20  # elsewhere: fewer launches

HAS_DOT = ("cpu",)
"""The types of devices that multiply vectors of integers; CUDA does not."""


class Checksums:
    """The checksums of some tensors' memory.

    The words of each block are multiplied by fixed random weights and summed modulo 2**64. The
    weights are odd, so that no change of a single word is lost. Changes of several words cancel
    each other out by a rare chance only; as this would not be so for their highest bits, which have
    no multiple but 0, the words are summed once more, shifted.
    """

    def __init__(self) -> None:
        self._noted: list[tuple[Tensor, Tensor, tuple[Tensor, Tensor]]] = []
        self._weights: dict[torch.device, Tensor] = {}

    def note(self, tensor: Tensor, memory: Tensor) -> None:
        """Note the checksum of the memory in which a tensor has its values."""
        self._noted.append((tensor, memory, self._of(memory)))

    def changed(self) -> list[Tensor]:
        """Return the tensors whose memory holds something else now."""
        return [
            tensor
            for tensor, memory, noted in self._noted
            if not all(map(torch.equal, self._of(memory), noted))
        ]

    def _of(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        flat = _flat(memory)
        size = flat.element_size()
        each = max(1, _WORD // size)  # elements in a word
        whole = flat.numel() - flat.numel() % each
        weights = self._weights_on(flat.device)
        length = len(weights) * _WORD // size
        # Memory that is allocated for each block in turn would pile up.
        sums = torch.zeros(2 * (whole // length + 1), dtype=torch.int64, device=flat.device)
        upper = torch.empty_like(weights[: whole * size // _WORD])
        for i, start in enumerate(range(0, whole, length)):
            block = flat[start : min(whole, start + length)]
            # A word must begin where a word can.
            words = (block.clone() if block.storage_offset() % each else block).view(torch.int64)
            n = len(words)
            torch.bitwise_right_shift(words, 32, out=upper[:n])
            _dot(words, weights[:n], out=sums[2 * i])
            _dot(upper[:n], weights[:n], out=sums[2 * i + 1])
        return sums, flat[whole:].clone().view(torch.uint8)

    def _weights_on(self, device: torch.device) -> Tensor:
        if device not in self._weights:
            words = _WORDS_ON_HOST if device.type == "cpu" else _WORDS
            generator = torch.Generator().manual_seed(0)
            weights = torch.randint(-(2**62), 2**62, (words,), generator=generator, device="cpu")
            self._weights[device] = (2 * weights + 1).to(device)
        return self._weights[device]


def _dot(a: Tensor, b: Tensor, out: Tensor) -> None:
    if a.device.type in HAS_DOT:
        torch.dot(a, b, out=out)
    else:  # several times slower on the CPU
        torch.sum(a * b, dim=0, out=out)


def _flat(memory: Tensor) -> Tensor:
    """Return the elements of a tensor in a row, in any order; without a copy if possible."""
    reach = 1 + sum((n - 1) * s for n, s in zip(memory.shape, memory.stride(), strict=True))
    dense = memory.is_contiguous() or reach == memory.numel()
    return (memory if dense else memory.contiguous()).as_strided((memory.numel(),), (1,))
