"""The frozen part of a large model is not copied where only the package's own step runs."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, loader, picture
from torch import Tensor, nn

import lrfinder_widget.restore.frozen as frozen
from lrfinder_widget import compare, range_test, training_step
from lrfinder_widget.restore.tensors import Values

CE = nn.CrossEntropyLoss()
RUN: dict[str, Any] = {"num_iter": 5, "end_lr": 1e-3}
SAID = (
    "Not everything has been restored. The run changes what is frozen in a large model, and was "
    "compared, not copied: frozen.weight. It is put back if you pass preserve=[model]."
)


class Adapted(nn.Module):
    """A frozen layer with a trained one beside it; `meddles` in the way that is asked for."""

    def __init__(self, meddles: str = "") -> None:
        super().__init__()
        self.frozen = nn.Linear(FEATURES, CLASSES).requires_grad_(False)
        self.trained = nn.Linear(FEATURES, CLASSES)
        self.meddles = meddles

    def forward(self, x: Tensor) -> Tensor:
        if self.meddles == "adds":
            self.frozen.weight.data.add_(1)
        elif self.meddles == "rebinds":
            self.frozen.weight.data = self.frozen.weight.data.clone()
        elif self.meddles == "adds and takes":
            self.frozen.weight.data.add_(1).sub_(1)
        return self.frozen(x) + self.trained(x)

    def train(self, mode: bool = True) -> Adapted:
        """Merge and part, as some adapters do."""
        if mode != self.training and self.meddles == "merges":
            with torch.no_grad():
                self.frozen.weight.add_(self.trained.weight, alpha=-1 if mode else 1)
        super().train(mode)
        return self


@pytest.fixture(autouse=True)
def copied(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Every model counts as large; returns the ids of what each snapshot compares."""
    compared: list[list[int]] = []

    class Watched(Values):
        def __init__(self, tensors: list[Tensor], **options: Any) -> None:
            compared.append([id(tensor) for tensor in tensors if id(tensor) in options["compared"]])
            super().__init__(tensors, **options)

    monkeypatch.setattr(frozen, "_LARGE", 0)
    monkeypatch.setattr("lrfinder_widget.restore.snapshot.Values", Watched)
    return compared


def adamw(model: Adapted) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.trained.parameters(), lr=0.01)


def ids(module: nn.Module) -> set[int]:
    return {id(parameter) for parameter in module.parameters()}


def test_what_is_frozen_is_compared_and_what_is_trained_is_copied(copied: Any) -> None:
    model = Adapted()
    optimizer = adamw(model)
    before = picture(model, optimizer)
    range_test(model, optimizer, loader(), CE, **RUN)
    assert set(copied[0]) == ids(model.frozen)
    assert picture(model, optimizer) == before


def test_a_step_that_the_package_makes_is_its_own(copied: Any) -> None:
    model = Adapted()
    optimizer = adamw(model)
    step = training_step(model, optimizer, CE)
    range_test(model, optimizer, loader(), step=step, **RUN)
    assert set(copied[0]) == ids(model.frozen)


def test_a_frozen_network_in_a_criterion_is_compared_too(copied: Any) -> None:
    class Perceptual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(CLASSES, CLASSES).requires_grad_(False)

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return CE(self.net(output), target)

    model, criterion = Adapted(), Perceptual()
    range_test(model, adamw(model), loader(), criterion, **RUN)
    assert set(copied[0]) == ids(model.frozen) | ids(criterion)


def test_with_a_step_of_ones_own_everything_is_copied(copied: Any) -> None:
    model = Adapted("adds")
    optimizer = adamw(model)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    before = picture(model, optimizer)
    range_test(model, optimizer, loader(), step=step, **RUN)
    assert not any(copied)
    assert picture(model, optimizer) == before


def everything(model: Adapted) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01)


def test_what_an_optimizer_holds_is_copied(copied: Any) -> None:
    model = Adapted()
    range_test(model, everything(model), loader(), CE, **RUN)
    assert not any(copied)


@pytest.mark.parametrize("named", [lambda model: model, lambda model: model.frozen])
def test_what_is_named_is_copied(copied: Any, named: Any) -> None:
    model = Adapted("adds")
    optimizer = adamw(model)
    before = picture(model, optimizer)
    range_test(model, optimizer, loader(), CE, preserve=[named(model)], **RUN)
    assert not any(copied)
    assert picture(model, optimizer) == before


def test_what_is_small_is_copied(copied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Adapted("adds")
    optimizer = adamw(model)
    size = sum(parameter.nbytes for parameter in model.frozen.parameters())
    monkeypatch.setattr(frozen, "_LARGE", size + 1)
    before = picture(model, optimizer)
    range_test(model, optimizer, loader(), CE, **RUN)
    assert not any(copied)
    assert picture(model, optimizer) == before


def test_a_change_in_it_is_said() -> None:
    model = Adapted("adds")
    with pytest.warns(RuntimeWarning) as caught:
        range_test(model, adamw(model), loader(), CE, **RUN)
    assert [str(w.message) for w in caught] == [SAID]


@pytest.mark.parametrize("meddles", ["rebinds", "adds and takes"])
def test_nothing_is_said_if_the_values_are_what_they_were(meddles: str) -> None:
    model = Adapted(meddles)
    nn.init.zeros_(model.frozen.weight)
    address = model.frozen.weight.data_ptr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        range_test(model, adamw(model), loader(), CE, **RUN)
    assert model.frozen.weight.data_ptr() == address


def test_the_sentence_names_three_at_most() -> None:
    (sentence,) = frozen.changed(["a", "b", "a", "c", "d", "e"])
    assert ": a, b, c and 2 more. " in sentence


@pytest.mark.parametrize("how", ["in eval mode", "validated", "held out"])
def test_layers_that_merge_in_evaluation_mode_are_put_back(how: str) -> None:
    model = Adapted("merges")
    nn.init.normal_(model.frozen.weight, std=1e3)  # merging and parting rounds
    optimizer = adamw(model)
    batches = list(loader())
    if how == "in eval mode":
        model.eval()
    before = picture(model, optimizer)
    if how == "held out":
        compare(model, optimizer, loader(), CE, lrs=[0.1], steps=10, held_out=batches[:1])
    else:
        val_batches = batches[:1] if how == "validated" else None
        range_test(model, optimizer, loader(), CE, val_batches=val_batches, **RUN)
    assert picture(model, optimizer) == before
