"""What one is told whose model, criterion, batch or loss does not fit the textbook step."""

from __future__ import annotations

import dataclasses
import functools
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support import CLASSES, FEATURES, linear, picture
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lrfinder_widget import compare, range_test, sweep, training_step

X, Y = torch.randn(8, FEATURES), torch.arange(8) % CLASSES
CE = nn.CrossEntropyLoss()
STEP = "step=your_function"


class Made(nn.Module):
    """A model whose output is made of the loss and the logits."""

    def __init__(self, make: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.inner, self.make = linear(), make

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        logits = self.inner(x)
        return self.make(None if y is None else cross_entropy(logits, y), logits)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()

    def forward(self, a: Tensor, b: Tensor) -> Any:
        return self.inner(a + b)


class Output(dict[str, Any]):
    """Whatever it does not have is None."""

    __getattr__ = dict.get


@dataclasses.dataclass
class Answer:
    loss: Any
    logits: Any


@dataclasses.dataclass
class Batch:
    x: Tensor
    y: Tensor


def raised(
    model: nn.Module, batches: Any, criterion: Any = None, **options: Any
) -> tuple[Exception, str]:
    """Return what a test raises, and all that it says; everything has to be put back."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = picture(model, optimizer)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
        range_test(model, optimizer, batches, criterion, num_iter=5, **options)
    assert picture(model, optimizer) == before
    return caught.value, "".join(traceback.format_exception_only(caught.value))


# -- the loss -------------------------------------------------------------------------------------

Case = tuple[Any, type[Exception], list[str]]
LOSSES: dict[str, Case] = {
    "one per sample": (
        nn.CrossEntropyLoss(reduction="none"),
        ValueError,
        ["criterion returned a tensor of shape (8,)", "reduction='mean'"],
    ),
    "a tuple": (
        lambda o, t: (CE(o, t), {"ce": 1.0}),
        TypeError,
        ["criterion returned a tuple of 2 (a tensor of shape ()", "their sum", STEP],
    ),
    "a dict": (
        lambda o, t: {"ce": CE(o, t)},
        TypeError,
        ["criterion returned a dict with keys 'ce'", "their sum", STEP],
    ),
    "None": (lambda o, t: None, TypeError, ["criterion returned None", "`return loss`"]),
    "a number": (
        lambda o, t: CE(o, t).item(),
        TypeError,
        ["criterion returned a float", "the tensor itself"],
    ),
}


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}], ids=["single", "accumulated"])
@pytest.mark.parametrize("case", LOSSES)
def test_a_criterion_that_returns_no_loss_is_told_what_it_returned(
    case: str, options: dict[str, int]
) -> None:
    criterion, kind, words = LOSSES[case]
    error, said = raised(linear(), [(X, Y)], criterion, **options)
    assert type(error) is kind
    assert [word for word in words if word not in said] == []


def test_a_loss_without_a_gradient_gets_a_note_beside_torchs_words() -> None:
    error, said = raised(linear(), [(X, Y)], lambda o, t: CE(o, t).detach())
    assert isinstance(error, RuntimeError)
    assert "does not require grad" in str(error)
    assert "The loss has no gradient: it was detached" in said


MAPPINGS: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Tensor], list[str]]] = {
    "a tuple": (
        lambda loss, logits: (loss, logits),
        {"x": X, "y": Y},
        ["returned a tuple of 2", STEP],
    ),
    "the loss itself": (
        lambda loss, logits: loss,
        {"x": X, "y": Y},
        ["returned a tensor of shape ()", STEP],
    ),
    "no loss": (
        lambda loss, logits: Output(logits=logits),
        {"x": X},
        ["returned an Output with keys 'logits'", "labels", "the keys 'x'"],
    ),
    "an object without": (
        lambda loss, logits: Batch(logits, logits),
        {"x": X},
        ["returned a Batch", "labels"],
    ),
    "loss None": (Answer, {"x": X}, ["the model's output has the loss None", "labels", "keys 'x'"]),
}


@pytest.mark.parametrize("case", MAPPINGS)
def test_a_model_that_gives_no_loss_is_told_what_it_returned(case: str) -> None:
    make, batch, words = MAPPINGS[case]
    error, said = raised(Made(make), [batch])
    assert type(error) is TypeError
    assert [word for word in words if word not in said] == []


def test_only_an_output_that_could_have_labels_is_told_about_them() -> None:
    _, said = raised(Made(lambda loss, logits: (loss, logits)), [{"x": X, "y": Y}])
    assert "labels" not in said


def test_an_exception_inside_an_outputs_own_loss_is_left_alone() -> None:
    class Lazy:
        @property
        def loss(self) -> Tensor:
            raise AttributeError("not yet")

    error, said = raised(Made(lambda loss, logits: Lazy()), [{"x": X}])
    assert (type(error), str(error)) == (AttributeError, "not yet")
    assert "called as model(**batch) with the keys 'x'" in said


# -- the calls ------------------------------------------------------------------------------------

ctc = nn.CTCLoss()


@pytest.mark.parametrize(
    ("model", "criterion", "words"),
    [
        (Two(), CE, ["one input", "Two takes (a, b)", STEP]),
        (
            linear(),
            ctc,
            ["CTCLoss takes (log_probs, targets, input_lengths, target_lengths)", STEP],
        ),
        (linear(), nn.TripletMarginLoss(), ["takes (anchor, positive, negative)", STEP]),
        (linear(), lambda output: output.sum(), ["<lambda> takes (output)", STEP]),
    ],
    ids=["two inputs", "CTC", "triplet", "one argument"],
)
def test_what_cannot_be_called_like_this_is_refused_before_anything_runs(
    model: nn.Module, criterion: Any, words: list[str]
) -> None:
    batches = iter([(X, Y)])
    error, said = raised(model, batches, criterion)
    assert type(error) is TypeError
    assert [word for word in words if word not in said] == []
    assert next(batches) is not None  # not even the data was touched
    with pytest.raises(TypeError, match="step=your_function"):
        training_step(model, torch.optim.SGD(model.parameters(), lr=0.1), criterion)


def doubles(module: nn.Module, given: Any) -> Any:
    return (*given, given[0])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_what_may_be_callable_is_not_refused() -> None:
    hooked = Two()
    hooked.register_forward_pre_hook(doubles)
    compiled = torch.jit.script(linear())
    for model in (hooked, compiled, nn.DataParallel(linear()), Made(lambda loss, logits: logits)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for criterion in (CE, cross_entropy, functools.partial(cross_entropy, reduction="mean")):
            assert len(range_test(model, optimizer, [(X, Y)], criterion, num_iter=3)) == 3


def test_keys_that_the_model_does_not_take_are_named() -> None:
    error, said = raised(linear(), [{"x": X, "labels": Y}])
    assert type(error) is TypeError
    assert "has the keys 'x', 'labels', and Linear takes (input)" in said
    assert "DataLoader" in said


def test_a_type_error_inside_the_model_is_the_users_and_gets_a_note() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()

        def forward(self, x: Tensor, y: Tensor) -> Any:
            return self.inner(x, y)  # a mistake of its own

    error, said = raised(Wrong(), [{"x": X, "y": Y}])
    assert "takes 2 positional arguments but 3 were given" in str(error)
    assert "called as model(**batch) with the keys 'x', 'y'" in said


def test_a_loss_of_torch_that_gets_a_tuple_says_what_the_model_returned() -> None:
    error, said = raised(Made(lambda loss, logits: (logits, logits)), [(X, Y)], CE)
    assert type(error) is TypeError
    assert "the model returned a tuple of 2 (a tensor of shape (8, 3)" in said
    assert "CrossEntropyLoss needs a tensor" in said
    assert "output[0]" in said
    assert STEP in said
    assert isinstance(error.__cause__, TypeError)  # torch's own is still to be seen


# -- the batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batches", "criterion", "words"),
    [
        ((X, Y), CE, ["a tensor of shape (8, 6)", "single batch", "[batch]"]),
        ([X, Y], CE, ["single batch", "[batch]"]),
        ([(X,)], CE, ["a tuple of 1", "inputs without a target", STEP]),
        ([Batch(X, Y)], CE, ["a Batch", STEP]),
        ([{"x": X, "y": Y}], CE, ["a dict with keys 'x', 'y'", "needs no criterion", STEP]),
        ([(X, Y)], None, ["a tuple of 2", "need a criterion", STEP]),
        (DataLoader(X, batch_size=4), CE, ["a tensor of shape (4, 6)", STEP]),
    ],
    ids=["(x, y)", "[x, y]", "(x,)", "dataclass", "dict", "no criterion", "bare tensors"],
)
def test_a_batch_that_does_not_fit_is_described(
    batches: Any, criterion: Any, words: list[str]
) -> None:
    error, said = raised(linear(), batches, criterion)
    assert type(error) is TypeError
    assert [word for word in words if word not in said] == []


def test_a_list_of_batches_is_looked_at_before_the_run() -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="single batch"):
        sweep(model, optimizer, (X, Y), CE)  # no `next`


def test_a_single_batch_in_place_of_several_to_evaluate_is_named_before_the_run() -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match=r"val_batches yielded a tensor .* single batch"):
        sweep(model, optimizer, [(X, Y)], CE, val_batches=[X, Y])  # no `next`
    for given in ({"criterion": CE}, {"step": training_step(model, optimizer, CE)}):
        with pytest.raises(TypeError, match=r"held_out yielded a tensor .* single batch"):
            compare(model, optimizer, [(X, Y)], lrs=[0.1], held_out=[X, Y], **given)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((X.numpy(), Y.numpy()), ["a NumPy array of shape (8, 6) and dtype float32", "batch[0]"]),
        ((X.double(), Y), ["a tensor of shape (8, 6) and dtype float64", "batch[0]"]),
        ((0, (X, Y)), ["an int; a tuple of 2", "batch[0]", STEP]),
    ],
    ids=["numpy", "float64", "enumerate"],
)
def test_an_exception_of_the_model_keeps_its_words_and_gets_those_of_the_batch(
    batch: Any, words: list[str]
) -> None:
    with pytest.raises((TypeError, RuntimeError)) as plain:
        CE(linear()(batch[0]), batch[1])
    error, said = raised(linear(), [batch], CE)
    assert (type(error), str(error)) == (plain.type, str(plain.value))
    assert [word for word in words if word not in said] == []


def test_an_exception_of_the_criterion_is_raised_itself_with_a_note_of_what_it_was_given() -> None:
    mine = ZeroDivisionError("mine")

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        raise mine

    error, said = raised(linear(), [(X, Y)], criterion)
    assert error is mine
    assert "the criterion was given a tensor of shape (8, 3)" in said


def test_a_loader_that_drops_its_only_batch_is_told_so() -> None:
    batches = DataLoader(TensorDataset(X, Y), batch_size=16, drop_last=True)
    error, said = raised(linear(), batches, CE)
    assert type(error) is ValueError
    assert "drop_last=True, and its dataset has fewer samples (8) than batch_size (16)" in said


@pytest.mark.parametrize(
    ("batches", "words"), [(iter([]), "only once"), (np.empty((0, 2)), "a NumPy array of shape")]
)
def test_data_that_yields_nothing_is_described(batches: Any, words: str) -> None:
    error, said = raised(linear(), batches, CE)
    assert type(error) is ValueError
    assert words in said


def test_an_exception_that_is_kept_does_not_keep_the_output() -> None:
    def frames(error: BaseException) -> Any:
        return [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]

    error, _ = raised(Made(lambda loss, logits: (logits, logits)), [(X, Y)], CE)
    held = [name for frame in frames(error) for name, value in frame.items() if _is_output(value)]
    assert held == []


def _is_output(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and value[0] is value[1]
