"""The transformer of `finetune_tasks.py`, and adapters for it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from excess_data import CHARACTERS
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """A block of a transformer whose matrices have names, as adapters are added to these."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        q, k, v = (f(y).unflatten(2, (4, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        heads = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(heads.transpose(1, 2).flatten(2))
        return x + self.narrow(functional.gelu(self.wide(self.second(x))))


class Transformer(nn.Module):
    """Says what follows each of some characters."""

    def __init__(self, width: int, layers: int, length: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(CHARACTERS, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*(Attention(width) for _ in range(layers)))
        self.say = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, CHARACTERS))

    def forward(self, text: Tensor) -> Tensor:
        said: Tensor = self.say(self.blocks(self.embed(text) + self.place))
        return said.transpose(1, 2)  # as the cross-entropy wants it


def adapted(model: nn.Module, rank: int, names: tuple[str, ...]) -> nn.Module:
    """Freeze a model, with low-rank adapters of peft beside these matrices."""
    sys.path.append(str(Path(__file__).parents[1]))
    import torchvision_on_cpu  # noqa: F401 - peft imports transformers, and that torchvision
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(names))
    return get_peft_model(model, config)  # type: ignore[arg-type]
