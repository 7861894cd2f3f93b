"""The kind of an optimizer, and what misleads a reading, told by their traits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import batchnorm_dropout, linear, loader, picture, sgd_momentum
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize
from torch.utils.data import DataLoader, IterableDataset

from lrfinder_widget import LossCurve, RangeTest, compare, range_test, sweep
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.training.family import cautions_for, family_of, was_trained
from lrfinder_widget.training.task import TrainingTask

KINDS = {
    "ASGD": "sgd",
    "Adadelta": "adaptive",
    "Adafactor": "adaptive",
    "Adagrad": "adaptive",
    "Adam": "adam",
    "AdamW": "adam",
    "Adamax": "adaptive",
    "LBFGS": None,  # its learning rate scales a quasi-Newton step
    "Muon": "muon",
    "NAdam": "adaptive",
    "RAdam": "adaptive",
    "RMSprop": "adaptive",
    "Rprop": None,  # its learning rate is that of the first step only
    "SGD": "sgd",
    "SparseAdam": "adaptive",
}


def weights() -> list[Tensor]:
    return [nn.Parameter(torch.ones(2, 2))]


def test_every_optimizer_of_torch_is_in_the_table() -> None:
    classes = {name for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type)}
    assert classes - {"Optimizer"} <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_the_kinds_of_torchs_optimizers(name: str) -> None:
    if not hasattr(torch.optim, name):
        pytest.skip(f"this torch has no {name}")
    assert family_of(getattr(torch.optim, name)(weights(), lr=0.1)) == KINDS[name]


class Own(torch.optim.Optimizer):
    """An optimizer of which nothing is known but its groups."""

    def __init__(self, **defaults: Any) -> None:
        super().__init__(weights(), {"lr": 0.1, **defaults})


@pytest.mark.parametrize(
    ("traits", "family"),
    [
        ({}, None),
        ({"momentum": 0.9, "dampening": 0.0, "nesterov": False}, "momentum"),
        ({"momentum": 0.0, "dampening": 0.0, "nesterov": False}, "sgd"),
        ({"momentum": 0.9}, None),  # it may take the sign, or a norm
        *(
            ({"momentum": 0.9, "dampening": 0.0, "nesterov": False, key: 1e-3}, None)
            for key in ("trust_coefficient", "max_unorm")  # as LARS
        ),
        ({"betas": (0.9, 0.99)}, "adaptive"),  # as Lion
        ({"betas": (0.9, 0.99), "eps": 1e-8}, "adaptive"),  # as RAdam, and many more
        ({"betas": (0.9, 0.99), "eps": 1e-8, "amsgrad": False}, "adam"),  # as those of 8 bits
        ({"betas": (0.9, 0.99), "eps": 0, "amsgrad": False, "grad_averaging": False}, "adaptive"),
        ({"beta1": None, "eps": (1e-30, 1e-3), "decay_rate": -0.8}, "adaptive"),
        ({"momentum": 0.95, "ns_steps": 5}, "muon"),
        ({"momentum": 0.95, "use_muon": True}, "muon"),
        ({"betas": (0.9, 0.99), "use_muon": False}, "adaptive"),
        ({"preconditioner": "full"}, None),
    ],
)
def test_the_kind_is_told_by_the_groups(traits: dict[str, Any], family: str | None) -> None:
    assert family_of(Own(**traits)) == family


class SGD8bit(Own):
    pass


class MuonAdamW(Own):
    pass


def test_a_name_says_more_than_keys_that_all_classes_of_a_package_have() -> None:
    assert family_of(SGD8bit(betas=(0.9, 0.0), eps=0.0)) == "momentum"
    assert family_of(SGD8bit(betas=(0.0, 0.0), eps=0.0)) == "sgd"
    assert family_of(SGD8bit(beta=0.9, eps=0.0)) == "momentum"
    assert family_of(MuonAdamW(betas=(0.9, 0.99), eps=0.0)) == "muon"
    assert family_of(MuonAdamW(betas=(0.9, 0.99), use_muon=False)) == "adaptive"
    assert family_of(type("SignSGD", (Own,), {})(momentum=0.9)) is None
    assert family_of(type("AdamW", (Own,), {})(betas=(0.9, 0.99), eps=1e-8)) == "adam"
    finds_its_scale = type("DAdaptAdam", (Own,), {})(betas=(0.9, 0.99), eps=1e-8, d=1e-6)
    assert family_of(finds_its_scale) == "adaptive"


def test_sgd_with_momentum_is_another_kind() -> None:
    assert family_of(torch.optim.SGD(weights(), lr=0.1, momentum=0.9)) == "momentum"


def test_the_group_with_the_largest_rate_counts() -> None:
    optimizer = Own(momentum=0.95, use_muon=True)
    other = {"lr": 0.01, "betas": (0.9, 0.99), "use_muon": False}
    optimizer.add_param_group({"params": weights(), **other})
    assert family_of(optimizer) == "muon"
    optimizer.param_groups[1]["lr"] = torch.tensor(1.0)
    assert family_of(optimizer) == "adaptive"
    for group, later in zip(optimizer.param_groups, (0.1, 0.01), strict=True):
        group["lr"], group["initial_lr"] = 0.0, later
    assert family_of(optimizer) == "muon"


class Wrapper(torch.optim.Optimizer):
    """As accelerate's: an optimizer that shows the groups of another."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups


def test_a_wrapper_is_what_it_wraps() -> None:
    assert family_of(Wrapper(torch.optim.AdamW(weights()))) == "adam"


# -- what misleads a reading ----------------------------------------------------------------------


class ScheduleFree(Own):
    def train(self) -> None: ...

    def eval(self) -> None: ...


class Private(Wrapper):
    noise_multiplier, max_grad_norm = 1.0, 1.0


def test_a_usual_training_needs_no_caution() -> None:
    for name in ("SGD", "AdamW"):
        assert cautions_for(linear(), getattr(torch.optim, name)(weights())) == ()
    assert cautions_for(linear(), Own(betas=(0.9, 0.99), weight_lr_power=2.0)) == ()


def test_what_misleads_is_said_and_by_how_much() -> None:
    model, usual = linear(), torch.optim.SGD(weights(), lr=0.1)
    (free,) = cautions_for(model, ScheduleFree(betas=(0.9, 0.99), weight_lr_power=2.0))
    assert "schedule-free" in free
    assert "5 to 10 times too low" in free
    (private,) = cautions_for(model, Private(usual))
    assert "private" in private
    assert "3 times too high" in private
    (quantized,) = cautions_for(nn.Sequential(model, FakeQuantize()), usual)
    assert "Fake quantizers" in quantized
    assert "7 times too high" in quantized


# -- whether a model was trained ------------------------------------------------------------------


def fresh(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    convolution = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*convolution, nn.Linear(16 * 36, 64), nn.ReLU(), nn.Linear(64, 10))


def train(model: nn.Module, steps: int = 300) -> nn.Module:
    """Learn to tell patterns apart, which are in the middle, as those of pictures are."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.zeros(10, 3, 8, 8)
    patterns[..., 2:6, 2:6] = 2 * torch.randn(10, 3, 4, 4, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        targets = torch.randint(10, (16,), generator=generator)
        inputs = patterns[targets] + torch.randn(16, 3, 8, 8, generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return model


def test_a_fresh_model_was_not_trained_and_a_look_at_shapes_is_no_training() -> None:
    for seed in range(20):
        model = fresh(seed)
        model(torch.randn(4, 3, 8, 8))  # moves what BatchNorm keeps of its inputs
        assert was_trained(model) is False
    assert was_trained(fresh().bfloat16()) is False
    assert was_trained(nn.Linear(1, 1)) is False


DRAWN = {
    "DCGAN": lambda w: nn.init.normal_(w, 0.0, 0.02),
    "He": lambda w: nn.init.kaiming_normal_(w, mode="fan_out"),
    "Glorot": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
    "timm": lambda w: nn.init.trunc_normal_(w, std=0.2),
    "zero": nn.init.zeros_,
}


@pytest.mark.parametrize("way", DRAWN)
def test_weights_that_were_drawn_in_another_way_are_not_taken_for_learned(way: str) -> None:
    for seed in range(20):
        model = fresh(seed)
        for module in model:
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                DRAWN[way](module.weight)
                module.weight.data[:1] = 0.0  # as for padding
            if way == "DCGAN" and isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
        assert was_trained(model) is not True


def test_a_trained_model_was_trained_whatever_is_new_about_it() -> None:
    model = train(fresh())
    assert was_trained(model) is True
    model[-1] = nn.Linear(64, 3)
    assert was_trained(model) is True
    assert was_trained(model.requires_grad_(requires_grad=False)) is True
    without_norm = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 10))
    nn.init.xavier_normal_(without_norm[1].weight)
    assert was_trained(without_norm) is not True
    assert was_trained(train(without_norm)) is True


class Diagonal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_what_cannot_be_looked_at_is_unknown() -> None:
    sharded = nn.Linear(4, 4)
    sharded.weight = nn.Parameter(torch.randn(5))  # flat, as a part of it is with FSDP
    for model in (
        sharded,
        nn.Sequential(),
        nn.LSTM(4, 4),
        nn.Linear(3, 3, device="meta"),
        nn.LazyLinear(4),
        Diagonal(),
        nn.Embedding(4, 4),
        torch.jit.trace(nn.Linear(4, 4), torch.ones(2, 4)),
    ):
        assert was_trained(model) is None


def test_a_number_for_a_trained_model_is_weak() -> None:
    model = batchnorm_dropout()
    arguments = (model, sgd_momentum(model), loader(), nn.CrossEntropyLoss())
    assert range_test(*arguments, num_iter=20).budget.trained is False
    with torch.no_grad():
        for each in model[1].parameters():
            each.add_(torch.linspace(0.0, 0.1, 8))
    curve = range_test(*arguments)
    assert curve.budget.trained is True
    assert curve.suggestion.lr is None or curve.suggestion.weak


# -- that a curve is for it -----------------------------------------------------------------------


def test_a_range_test_gives_the_curve_what_it_is_for() -> None:
    model = linear()
    optimizer = sgd_momentum(model)
    before = picture(model, optimizer)
    arguments = (model, optimizer, loader(), nn.CrossEntropyLoss())
    curve = range_test(*arguments, num_iter=20, repeats=2, train_steps=700, schedule="decay")
    assert curve.budget == Budget("momentum", 700, "decay", trained=False)
    assert {single.budget for single in curve.repeats} == {curve.budget}
    assert range_test(*arguments, num_iter=20).budget == Budget("momentum", trained=False)
    assert picture(model, optimizer) == before


def test_a_range_test_carries_the_cautions() -> None:
    model = nn.Sequential(linear(), FakeQuantize())
    curve = range_test(model, sgd_momentum(model), loader(), nn.CrossEntropyLoss(), num_iter=20)
    assert len(curve.budget.cautions) == 1
    assert LossCurve.from_json(curve.to_json()) == curve


def test_trial_runs_know_their_optimizer() -> None:
    model = linear()
    arguments = (model, sgd_momentum(model), loader(), nn.CrossEntropyLoss())
    assert compare(*arguments, lrs=[1e-3], steps=10).family == "momentum"


def test_a_sweep_in_the_background_knows_its_optimizer_too() -> None:
    model = linear()
    points = sweep(model, sgd_momentum(model), loader(), nn.CrossEntropyLoss(), num_iter=20)
    assert RangeTest(points).start().wait(20.0).curve.budget == Budget("momentum", trained=False)
    assert RangeTest([(1e-3, 2.0)]).start().wait(20.0).curve.budget == Budget()


@pytest.mark.parametrize("bad", [{"train_steps": 0}, {"train_steps": "10"}, {"schedule": "cosine"}])
def test_a_plan_that_cannot_work_is_refused_before_anything_is_touched(bad: Any) -> None:
    def step(batch: Any) -> float:
        raise AssertionError("it trained")

    model = linear()
    with pytest.raises(ValueError, match=next(iter(bad))):
        range_test(model, sgd_momentum(model), [0], step=step, **bad)


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(torch.zeros(16, 1))

    def __len__(self) -> int:
        return 4  # it yields more, as it may


class Odd(list):
    def __len__(self) -> int:
        raise RuntimeError("not yet")


@pytest.mark.parametrize(
    ("batches", "accumulate", "steps"),
    [
        ([(0, 0)] * 7, 1, 7),
        ([(0, 0)] * 7, 2, 3),
        ([(0, 0)], 2, None),
        (DataLoader(Stream(), batch_size=2), 1, 2),
        (iter([(0, 0)]), 1, None),
        (Odd([(0, 0)]), 1, None),
    ],
)
def test_the_steps_of_an_epoch_are_known_where_the_batches_have_a_length(
    batches: Any, accumulate: int, steps: int | None
) -> None:
    model = linear()
    arguments = (model, sgd_momentum(model), batches, nn.CrossEntropyLoss())
    task = TrainingTask(*arguments, accumulate=accumulate)
    assert task.epoch_steps == steps
    if isinstance(batches, DataLoader):
        assert len(list(batches)) == 8  # without a warning that it is longer than it said
