"""What the walk reaches, with objects like those of other people's libraries, written by hand."""

from __future__ import annotations

import collections
import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from support import linear, loader, picture, sgd_momentum
from torch import Tensor, nn

from lrfinder_widget import range_test
from lrfinder_widget.restore.snapshot import Snapshot

CE = nn.CrossEntropyLoss()


class Codes(Tensor):
    """A quantised tensor: its values are made of two others, its own memory is empty."""

    codes: Tensor
    scale: Tensor

    @staticmethod
    def __new__(cls, codes: Tensor, scale: Tensor) -> Codes:
        return Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.float32)

    def __init__(self, codes: Tensor, scale: Tensor) -> None:
        self.codes, self.scale = codes, scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["codes", "scale"], None

    @classmethod
    def __tensor_unflatten__(cls, inner: Any, meta: Any, size: Any, stride: Any) -> Codes:
        return cls(inner["codes"], inner["scale"])

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError(f"{function} of a quantised tensor")


class Sealed(Codes):
    """One that says it is made of others, and fails to say of which."""

    def __tensor_flatten__(self) -> Any:
        raise RuntimeError("not loaded")


class Mute(Tensor):
    """One that is made of others and does not say so."""

    @staticmethod
    def __new__(cls) -> Mute:
        return Tensor._make_wrapper_subclass(cls, (3,), dtype=torch.float32)

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError(f"{function} of a mute tensor")


class Odd(torch.optim.SGD):
    """An optimizer that calls `change` with its state at each step."""

    def __init__(self, model: nn.Module, state: dict[str, Any], change: Any) -> None:
        super().__init__(model.parameters(), lr=0.1)
        self.own, self.change = next(iter(self.param_groups[0]["params"])), change
        self.state[self.own].update(state)

    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        self.change(self.state[self.own])
        return result


def run(model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> None:
    range_test(model, optimizer, loader(), CE, num_iter=5, end_lr=1e-3, **options)


def test_the_inner_tensors_of_a_quantised_state_are_put_back() -> None:
    codes, scale = torch.arange(6, dtype=torch.uint8), torch.ones(2)

    def change(state: dict[str, Any]) -> None:
        state["avg"].codes.add_(1)
        state["avg"].scale = state["avg"].scale * 2  # another object, too

    model = linear()
    optimizer = Odd(model, {"avg": Codes(codes, scale)}, change)
    run(model, optimizer)
    avg = optimizer.state[optimizer.own]["avg"]
    assert avg.codes is codes
    assert avg.scale is scale
    assert codes.tolist() == [0, 1, 2, 3, 4, 5]
    assert scale.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("make", [Mute, lambda: Sealed(torch.ones(3), torch.ones(1))])
def test_a_tensor_that_cannot_be_copied_is_refused_before_anything_is_touched(make: Any) -> None:
    model = linear()
    optimizer = Odd(model, {"avg": make()}, lambda state: None)
    before = picture(model, sgd_momentum(model))
    with pytest.raises(TypeError, match=r"a tensor of type (Mute|Sealed) cannot be copied"):
        run(model, optimizer)
    assert picture(model, sgd_momentum(model)) == before


class Slots:
    __slots__ = ("late", "n", "t")

    def __init__(self) -> None:
        self.n, self.t = 0, torch.zeros(2)


class Projector:
    """As low-rank optimizers keep them: a plain object with tensors, made new now and then."""

    def __init__(self) -> None:
        self.steps, self.matrix, self.inner = 0, torch.eye(2), [torch.zeros(1)]
        self.slots = Slots()


def test_objects_in_the_state_of_an_optimizer_are_put_back() -> None:
    def change(state: dict[str, Any]) -> None:
        projector = state["projector"]
        projector.steps += 1
        projector.matrix.mul_(2)
        projector.inner[0] = torch.ones(1)
        projector.slots.n, projector.slots.late = 1, True
        projector.slots.t += 1
        projector.new = 1

    model, projector = linear(), Projector()
    matrix, inner = projector.matrix, projector.inner[0]
    run(model, Odd(model, {"projector": projector}, change))
    assert vars(projector).keys() == {"steps", "matrix", "inner", "slots"}
    assert projector.steps == projector.slots.n == 0
    assert projector.matrix is matrix
    assert torch.equal(matrix, torch.eye(2))
    assert projector.inner[0] is inner
    assert torch.equal(projector.slots.t, torch.zeros(2))
    assert not hasattr(projector.slots, "late")


def test_attributes_hung_on_parameters_are_taken_off_or_put_back() -> None:
    model = linear()
    kept = model.weight.seen = [torch.zeros(1)]  # type: ignore[attr-defined]

    def change(state: dict[str, Any]) -> None:
        kept[0] += 1
        model.weight.seen = []  # type: ignore[attr-defined]
        model.bias.grad_sample = torch.ones(4, 3)  # type: ignore[attr-defined]

    run(model, Odd(model, {}, change))
    assert model.weight.seen is kept  # type: ignore[attr-defined]
    assert kept[0].item() == 0.0
    assert not hasattr(model.bias, "grad_sample")


def test_the_compilers_marks_on_parameters_stay() -> None:
    model = linear()
    snapshot = Snapshot([model])
    model.weight._dynamo_static_input_type = "unguarded"  # type: ignore[attr-defined]
    snapshot.restore()
    assert model.weight._dynamo_static_input_type == "unguarded"  # type: ignore[attr-defined]


def test_a_view_made_without_gradients_of_a_changed_parameter_is_no_obstacle() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    with torch.no_grad():
        optimizer.views = [model.weight.view(-1)]  # type: ignore[attr-defined]
        model.weight.add_(1.0)
    before = picture(model, optimizer)
    run(model, optimizer)
    assert picture(model, optimizer) == before


class AttrDict(dict[str, Any]):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__  # type: ignore[assignment]


class Strict(dict[str, Any]):
    """Its methods mean something else than a dict's."""

    def clear(self) -> None:
        raise AssertionError

    update = __setitem__ = __iter__ = clear  # type: ignore[assignment]


class Tail(list[Any]):
    pass


@dataclasses.dataclass
class Usage:
    n: int = 0
    seen: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(1))


class Recording(nn.Module):
    """Keeps records in whatever containers there are."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = linear()
        self.counter = collections.Counter({"calls": 1})
        self.ordered = collections.OrderedDict(a=1, b=2)
        self.attr, self.strict = AttrDict(n=0, t=torch.zeros(1)), Strict(n=0)
        self.tail, self.usage = Tail([0]), Usage()
        self.recent: collections.deque[int] = collections.deque([1], maxlen=2)

    def forward(self, x: Tensor) -> Any:
        self.counter["calls"] += 1
        self.counter["new"] += 1
        self.ordered.move_to_end("a")
        self.attr.n += 1
        self.attr.t += 1
        dict.__setitem__(self.strict, "m", 1)
        self.tail.append(1)
        self.usage.n += 1
        self.usage.seen += 1
        self.recent.append(2)
        return self.inner(x)

    def records(self) -> str:
        parts = (self.counter, list(self.ordered), self.attr, dict.copy(self.strict), self.tail)
        return repr((*parts, self.usage, self.recent))


def test_subclasses_of_containers_and_records_in_modules_are_put_back() -> None:
    model = Recording()
    before = model.records()
    run(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert model.records() == before


def test_locks_threads_and_this_package_are_left_alone() -> None:
    from threading import Lock, Thread

    class Worker(Thread):
        pass

    model = linear()
    model.lock, model.worker = Lock(), Worker()  # type: ignore[assignment]
    snapshot = Snapshot([model])
    model.worker.mark = 1  # type: ignore[union-attr]
    snapshot.restore()
    assert model.worker.mark == 1  # type: ignore[union-attr]


# -- preserve --------------------------------------------------------------------------------------


class Average:
    """An exponential moving average without `state_dict`."""

    def __init__(self, model: nn.Module) -> None:
        self.shadow, self.updates = [p.detach().clone() for p in model.parameters()], 0


class Validated(Average):
    """One with it, that has been used for a validation: its state has tensors with a history."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.collected = [p * 1 for p in model.parameters()]

    def state_dict(self) -> dict[str, Any]:
        return {"shadow": self.shadow, "collected": self.collected, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.shadow, self.collected = state["shadow"], state["collected"]
        self.updates = state["updates"]


@pytest.mark.parametrize("kind", [Average, Validated])
def test_any_object_can_be_preserved(kind: type[Average]) -> None:
    model = linear()
    average = kind(model)
    shadow = list(average.shadow)
    values = [t.clone() for t in shadow]

    def change(state: dict[str, Any]) -> None:
        average.updates += 1
        for tensor in average.shadow:
            tensor.mul_(0.5)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(model, Odd(model, {}, change), preserve=[average])
    assert not caught
    assert average.updates == 0
    assert all(a is b for a, b in zip(average.shadow, shadow, strict=True))
    assert all(map(torch.equal, shadow, values))


@pytest.mark.parametrize("thing", [3, "ema", None, nn.Linear, len, lambda: 0, object()])
def test_what_has_no_state_cannot_be_preserved(thing: Any) -> None:
    model = linear()
    with pytest.raises(TypeError, match=r"preserve takes objects .* preserve\[1\] is a "):
        run(model, sgd_momentum(model), preserve=[linear(), thing])


@pytest.mark.parametrize("thing", ["ema", {"ema": 1}, torch.zeros(2)])
def test_preserve_itself_must_be_a_list(thing: Any) -> None:
    model = linear()
    with pytest.raises(TypeError, match="preserve must be a list of objects"):
        run(model, sgd_momentum(model), preserve=thing)


def test_arrays_generators_and_containers_can_be_preserved() -> None:
    array, generator, notes = np.zeros(2), torch.Generator(), {"n": 0}

    def change(state: dict[str, Any]) -> None:
        array[:] += 1
        torch.rand(3, generator=generator)
        notes["n"] += 1

    model = linear()
    before = generator.get_state()
    run(model, Odd(model, {}, change), preserve=[array, generator, notes])
    assert array.tolist() == [0, 0]
    assert torch.equal(generator.get_state(), before)
    assert notes == {"n": 0}


class Stubborn:
    """Cannot tell its state, or not take it back."""

    def __init__(self, tells: bool = True) -> None:
        self.tells = tells

    def state_dict(self) -> dict[str, Any]:
        if not self.tells:
            raise OSError("no state to read")
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise OSError("no state to write")


@pytest.mark.parametrize(("tells", "said"), [(True, "to put it back"), (False, "from reading")])
def test_an_error_of_a_preserved_object_names_it(tells: bool, said: str) -> None:
    model = linear()
    with pytest.raises(OSError, match="no state") as caught:
        run(model, sgd_momentum(model), preserve=[Stubborn(tells)])
    assert said in caught.value.__notes__[0]
    assert "the Stubborn in preserve" in caught.value.__notes__[0]
