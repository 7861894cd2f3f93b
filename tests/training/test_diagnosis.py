"""Diagnoses say what a plain loop would measure by hand, and the test is the same without them."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import setups
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from setups import SETUPS, make
from support import (
    CLASSES,
    DEVICE,
    FEATURES,
    Tied,
    batchnorm_dropout,
    classes,
    lazy,
    linear,
    loader,
    moved,
    picture,
    sgd_momentum,
)
from torch import Tensor, nn
from torch.optim import Optimizer

from lrfinder_widget import LossCurve, compare, range_test, sweep, training_step
from lrfinder_widget.curve.diagnosis import Diagnosis
from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.training.critical_lr import CLOSE, CriticalLR, crossing
from lrfinder_widget.training.norms import Norms

CE = nn.CrossEntropyLoss()
LRS = {"start_lr": 1e-3, "end_lr": 0.5, "num_iter": 12, "stop": None}


def data(size: int = 8) -> list[Any]:
    x, y = classes().tensors
    return list(zip(x.split(size), y.split(size), strict=True))


def mlp(**options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(FEATURES, 8, **options), nn.Tanh(), nn.Linear(8, CLASSES, **options)
    ).to(DEVICE)


def diagnosed(*given: Any, **options: Any) -> LossCurve:
    return range_test(*given, **{**LRS, **options}, diagnose=True)


def seen(curve: LossCurve) -> Diagnosis:
    assert curve.diagnosis is not None
    return curve.diagnosis


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Let no pool of threads compete for a small machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# -- beside a plain loop --------------------------------------------------------------------------


def norm(tensors: Any) -> float:
    return math.sqrt(sum(float(tensor.detach().double().abs().pow(2).sum()) for tensor in tensors))


def by_hand(
    model: nn.Module,
    optimizer: Optimizer,
    batches: list[Any],
    *,
    accumulate: int = 1,
    scaler: Any = None,
    clip: float | None = None,
) -> Iterator[tuple[float, dict[str, float]]]:
    """Train in the plain way; yield the norm of the gradient and the ratio of each module."""
    largest = max(group["lr"] for group in optimizer.param_groups)
    ratios = [group["lr"] / largest for group in optimizer.param_groups]
    held = [p for group in optimizer.param_groups for p in group["params"]]
    taken = 0
    for lr in np.geomspace(1e-3, 0.5, 12):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = float(lr) * ratio
        optimizer.zero_grad()
        for _ in range(accumulate):
            x, y = moved(batches[taken % len(batches)])
            taken += 1
            loss = CE(model(x), y) / accumulate
            (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is not None:
            scaler.unscale_(optimizer)
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        gradient = norm(p.grad for p in held if p.grad is not None)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        modules: dict[str, list[str]] = {}
        for name, p in model.named_parameters():
            if p.requires_grad and any(p is other for other in held):
                modules.setdefault(name.rpartition(".")[0], []).append(name)
        after = dict(model.named_parameters())
        yield (
            gradient,
            {
                module: norm(after[name] - before[name] for name in names)
                / norm(before[name] for name in names)
                for module, names in modules.items()
            },
        )


def muon_and_adamw(model: nn.Module) -> Optimizer:
    return torch.optim.Muon([p for p in model.parameters() if p.dim() == 2], lr=0.01)


def decayed(model: nn.Module) -> Optimizer:
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "lr": 0.02},
        {"params": [p for p in model.parameters() if p.dim() < 2], "lr": 0.1, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, weight_decay=0.1)


def frozen() -> nn.Module:
    model = mlp()
    model[0].requires_grad_(False)
    return model


def tied() -> nn.Module:
    torch.manual_seed(0)
    return Tied().to(DEVICE)


def of(name: str, **options: Any) -> Callable[[nn.Module], Optimizer]:
    return lambda model: getattr(torch.optim, name)(model.parameters(), **{"lr": 0.1, **options})


BY_HAND: dict[
    str, tuple[Callable[[], nn.Module], Callable[[nn.Module], Optimizer], dict[str, Any]]
] = {
    "SGD": (mlp, of("SGD"), {}),
    "momentum": (mlp, of("SGD", momentum=0.9, nesterov=True, weight_decay=0.1), {}),
    "Adam": (mlp, of("Adam"), {}),
    "AdamW": (mlp, of("AdamW"), {}),
    "Muon": (mlp, muon_and_adamw, {}),
    "groups": (mlp, decayed, {}),
    "frozen": (frozen, of("Adam"), {}),
    "tied": (tied, of("SGD"), {}),
    "float64": (lambda: mlp().double(), of("SGD"), {}),
    "accumulate": (mlp, of("Adam"), {"accumulate": 3}),
    "clip": (mlp, of("SGD"), {"clip": 0.3}),
    "scaler": (mlp, of("SGD"), {"scaler": True}),
    "scaler, fused": (mlp, of("Adam", fused=True), {"scaler": True}),
    "scaler, clip": (mlp, of("AdamW"), {"scaler": True, "clip": 0.3}),
    "scaler, clip, accumulate": (mlp, of("SGD"), {"scaler": True, "clip": 0.3, "accumulate": 2}),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_norms_and_ratios_are_those_of_a_plain_loop(name: str) -> None:
    make_model, make_optimizer, options = BY_HAND[name]

    def fresh() -> tuple[nn.Module, Optimizer, dict[str, Any]]:
        model = make_model()
        scaler = torch.amp.GradScaler(DEVICE.type) if "scaler" in options else None
        return model, make_optimizer(model), {**options, **({"scaler": scaler} if scaler else {})}

    batches = [(x.double(), y) for x, y in data()] if name == "float64" else data()
    model, optimizer, given = fresh()
    expected = list(by_hand(model, optimizer, batches, **given))
    model, optimizer, given = fresh()
    clip, accumulate = given.pop("clip", None), given.pop("accumulate", 1)
    step = training_step(model, optimizer, CE, accumulate=accumulate, clip_grad_norm=clip, **given)
    diagnosis = seen(diagnosed(model, optimizer, batches, step=step, device=DEVICE))
    by_module = [ratios for _, ratios in expected]
    close = {"rtol": 2e-5, "atol": 0.0}
    gradients = [gradient for gradient, _ in expected]
    np.testing.assert_allclose(diagnosis.gradient_norm, gradients, **close)
    for column, pick in (("min", min), ("max", max)):
        values = getattr(diagnosis, f"update_ratio_{column}")
        np.testing.assert_allclose(values, [pick(r.values()) for r in by_module], **close)
        named = getattr(diagnosis, f"update_ratio_{column}_in")
        here = [ratios[module] for ratios, module in zip(by_module, named, strict=True)]
        np.testing.assert_allclose(values, here, **close)
    medians = [float(np.median(list(ratios.values()))) for ratios in by_module]
    np.testing.assert_allclose(diagnosis.update_ratio, medians, **close)


def test_a_large_model_is_measured_in_pieces_and_comes_to_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[Any] = []
    for piece in (2**18, 7):  # it is small, and then it is large
        monkeypatch.setattr("lrfinder_widget.training.norms._PIECE", piece)
        model = mlp()
        kept.append(diagnosed(model, of("Adam")(model), data(), CE, num_iter=30))
    small, large = kept
    assert small.losses.tobytes() == large.losses.tobytes()
    for name, column in seen(large).columns().items():
        if name.endswith("_in"):
            assert column == getattr(seen(small), name)
        else:
            np.testing.assert_allclose(column, getattr(seen(small), name), rtol=1e-5)


def test_a_step_that_changes_shapes_has_no_ratio() -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    plain, calls = own_step(model, optimizer), []

    def step(batch: Any) -> Any:
        calls.append(None)
        loss = plain(batch)
        if len(calls) == 5:
            for p in model[0].parameters():  # eight units become four, and the rest are gone
                p.data, p.grad = p.data[:4].clone(), None
            model[2].weight.data, model[2].weight.grad = model[2].weight.data[:, :4].clone(), None
        return loss

    found = seen(diagnosed(model, optimizer, data(), step=step, device=DEVICE))
    assert np.flatnonzero(np.isnan(found.update_ratio)).tolist() == [4]


def test_the_gradients_of_a_step_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[None] = []
    hear = Norms.hear
    monkeypatch.setattr(Norms, "hear", lambda *args: (heard.append(None), hear(*args)))
    model = mlp()
    curve = diagnosed(model, of("Adam")(model), data(), CE, num_iter=40)
    assert len(curve) <= len(heard) <= len(curve) + 8  # the first steps are tried at two rates


def test_with_clipping_the_norm_is_that_of_the_clipped_gradient() -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    step = training_step(model, optimizer, CE, clip_grad_norm=1e-3)
    diagnosis = seen(diagnosed(model, optimizer, data(), step=step, device=DEVICE))
    np.testing.assert_allclose(diagnosis.gradient_norm, 1e-3, rtol=1e-3)


def test_a_step_that_the_scaler_skips_has_no_gradient_and_no_update() -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    scaler = torch.amp.GradScaler(DEVICE.type, init_scale=2.0**127)  # overflows at first

    def criterion(output: Tensor, target: Tensor) -> Any:
        return 50 * CE(output, target)

    step = training_step(model, optimizer, criterion, scaler=scaler)
    diagnosis = seen(diagnosed(model, optimizer, data(), step=step, device=DEVICE))
    skipped = np.isnan(diagnosis.gradient_norm)
    assert skipped[0]
    assert diagnosis.update_ratio_max[skipped].tolist() == [0.0] * int(skipped.sum())
    assert not skipped.all()
    assert np.isnan(diagnosis.critical_lr[skipped]).all()


def test_weights_that_begin_at_zero_have_no_ratio_until_they_have_moved() -> None:
    model = mlp()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    diagnosis = seen(diagnosed(model, of("Adam")(model), data(), CE))
    assert diagnosis.update_ratio_max_in[:2] == ("0", "2")
    assert np.isfinite(diagnosis.update_ratio_max).all()


def test_a_module_that_is_never_used_has_a_ratio_of_zero() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(FEATURES, CLASSES), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Any:
            return self.used(x)

    model = Unused().to(DEVICE)
    diagnosis = seen(diagnosed(model, of("SGD")(model), data(), CE))
    assert set(diagnosis.update_ratio_min_in) == {"idle"}
    assert not diagnosis.update_ratio_min.any()


def test_lazy_weights_have_a_ratio_once_they_are_there() -> None:
    torch.manual_seed(0)
    model = lazy()
    diagnosis = seen(diagnosed(model, sgd_momentum(model), loader(), CE))
    assert np.isnan(diagnosis.update_ratio).tolist() == [True] + [False] * 11
    assert np.isfinite(diagnosis.gradient_norm).all()


def test_parameters_of_a_loss_are_outside_the_model() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones((), device=DEVICE) * 1e-6)

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return CE(output, target) + self.scale**2 - self.scale

    model, criterion = linear(), Scaled()
    optimizer = torch.optim.SGD([*model.parameters(), *criterion.parameters()], lr=0.1)
    diagnosis = seen(diagnosed(model, optimizer, data(), criterion))
    assert diagnosis.update_ratio_max_in[0] == "outside the model"
    assert diagnosis.update_ratio_min_in[0] == "Linear"  # the model itself has no name


# -- a step of the user's own ---------------------------------------------------------------------


def own_step(model: nn.Module, optimizer: Optimizer) -> Callable[[Any], Tensor]:
    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_a_step_of_ones_own_has_norms_and_ratios_but_no_critical_lr() -> None:
    model = mlp()
    expected = seen(diagnosed(model, of("Adam")(model), data(), CE))
    model = mlp()
    optimizer = of("Adam")(model)
    step = own_step(model, optimizer)
    found = seen(diagnosed(model, optimizer, data(), step=step, device=DEVICE))
    assert found.gradient_norm.tobytes() == expected.gradient_norm.tobytes()
    assert found.update_ratio.tobytes() == expected.update_ratio.tobytes()
    assert np.isnan(found.critical_lr).all()
    assert np.isfinite(expected.critical_lr).any()


def test_a_step_that_updates_by_other_means_has_ratios_only() -> None:
    model = mlp()
    optimizer = of("SGD")(model)

    def step(batch: Any) -> Tensor:
        model.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p.sub_(p.grad, alpha=optimizer.param_groups[0]["lr"])
        return loss

    found = seen(diagnosed(model, optimizer, data(), step=step, device=DEVICE))
    assert np.isnan(found.gradient_norm).all()
    assert (found.update_ratio > 0).all()


def test_with_a_closure_the_gradient_is_unknown_and_the_update_is_not() -> None:
    model = mlp()
    found = seen(diagnosed(model, torch.optim.LBFGS(model.parameters()), data(), CE))
    assert np.isnan(found.gradient_norm).all()
    assert (found.update_ratio > 0).any()


# -- the critical learning rate -------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}], ids=["single", "accumulate"])
def test_the_critical_lr_of_a_quadratic_is_the_one_of_theory(options: Any) -> None:
    torch.manual_seed(0)
    model = nn.Linear(FEATURES, 1, bias=False).double().to(DEVICE)
    x = torch.randn(16, FEATURES, dtype=torch.float64)
    batches = [(x, torch.randn(16, 1, dtype=torch.float64))]
    expected, w = [], model.weight.detach().cpu().clone()
    hessian = 2 * x.T @ x / len(x)
    for lr in np.geomspace(1e-3, 0.5, 12):
        gradient = 2 * (x @ w.T - batches[0][1]).T @ x / len(x)
        curvature = (gradient @ hessian @ gradient.T).item()
        expected.append(2 * (gradient @ gradient.T).item() / curvature)
        w = w - lr * gradient
    found = diagnosed(model, of("SGD")(model), batches, nn.MSELoss(), **options)
    np.testing.assert_allclose(seen(found).critical_lr, expected, rtol=1e-6)


def test_on_either_side_of_it_a_step_lowers_or_raises_the_loss_with_the_same_masks() -> None:
    def fresh() -> tuple[nn.Module, Optimizer]:
        torch.manual_seed(0)
        model = batchnorm_dropout()
        model.train()
        return model, of("SGD", momentum=0.9)(model)

    batch = data(32)[0]
    start = {"start_lr": 0.05, "end_lr": 0.06, "num_iter": 2}
    points = sweep(*fresh(), [batch], CE, **start, stop=None, diagnose=True)
    critical = next(points).diagnosis.critical_lr  # type: ignore[attr-defined]
    points.close()

    def loss_after(lr: float) -> float:
        model, optimizer = fresh()
        masks = torch.get_rng_state()
        for rate in (lr, 0.0):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            torch.set_rng_state(masks)
            loss = CE(model(moved(batch[0])), moved(batch[1]))
            loss.backward()
            optimizer.step()
        return loss.item()

    assert math.isfinite(critical)
    assert loss_after(critical / CLOSE) < loss_after(0.0) < loss_after(critical * CLOSE)


def test_each_pass_draws_what_the_step_drew_and_then_all_is_put_back() -> None:
    weights, drawn = [torch.tensor([1.0])], set()  # in no module

    def loss_of(_batch: Any) -> Tensor:
        drawn.add(torch.rand(()).item())
        return weights[0] ** 2

    critical = CriticalLR(loss_of, lambda: Snapshot([]))
    noted = critical.note([])
    assert noted is not None
    expected = torch.rand(()).item()
    random_state = torch.get_rng_state()
    # The step went from 1.5 to 1, and -1.5 is as bad as 1.5.
    found = critical.find(noted, weights, [torch.tensor([0.5])], 0.1)
    assert math.isclose(found, 0.6, rel_tol=1e-5)
    assert drawn == {expected}
    assert weights[0].item() == 1.0
    assert torch.equal(torch.get_rng_state(), random_state)


def test_it_is_searched_at_about_a_dozen_points_of_a_long_run() -> None:
    model = mlp()
    found = diagnosed(model, of("SGD")(model), data(), CE, num_iter=100)
    known = np.flatnonzero(np.isfinite(seen(found).critical_lr))
    assert 8 <= len(known) <= 14
    assert set(known % 8) == {0}


def test_an_update_that_is_mostly_rounding_is_not_searched_along() -> None:
    model = mlp()
    found = diagnosed(model, of("SGD")(model), data(), CE, start_lr=1e-9, end_lr=0.1)
    known = np.isfinite(seen(found).critical_lr)
    assert not known[seen(found).update_ratio_max < 1e-6].any()
    assert known.any()


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(-100, 100))
@settings(max_examples=60, deadline=None)
def test_the_crossing_of_a_parabola_is_found_from_any_guess(
    at: float, guess: float, offset: float
) -> None:
    passes = 0

    def loss_at(factor: float) -> float:
        nonlocal passes
        passes += 1
        share = factor / at
        return offset + (1 + abs(offset)) * (share * share - share)

    found = crossing(loss_at, guess * at)
    assert math.isclose(found, at, rel_tol=1e-6)
    assert passes <= 24


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(0.1, 8))
@settings(max_examples=60, deadline=None)
def test_any_other_crossing_lies_between_two_passes_that_are_close(
    at: float, guess: float, power: float
) -> None:
    def loss_at(factor: float) -> float:
        return (factor / at) ** (2 * power) - (factor / at) ** power

    found = crossing(loss_at, guess * at)
    assert at / CLOSE <= found <= at * CLOSE


def test_a_guess_that_is_about_right_takes_three_passes() -> None:
    calls: list[float] = []

    def loss_at(factor: float) -> float:
        calls.append(factor)
        return factor * factor - factor

    crossing(loss_at, 0.7)
    assert calls == [0.0, 0.7, 1.4]


@pytest.mark.parametrize(
    "loss_at",
    [
        lambda factor: 1.0 + factor,  # rises at once
        lambda factor: 1.0 - factor,  # never rises
        lambda factor: math.nan,
        lambda factor: 1.0,
        lambda factor: 1.0 if factor < 1e-7 else math.inf,
    ],
)
def test_where_nothing_crosses_nothing_is_found(loss_at: Any) -> None:
    assert math.isnan(crossing(loss_at, 1.0))


def test_a_loss_that_is_not_finite_counts_as_risen() -> None:
    found = crossing(lambda factor: math.nan if factor > 3 else -factor, 1.0)
    assert 3 / CLOSE <= found <= 3 * CLOSE


def test_a_model_that_cannot_be_called_without_gradients_is_asked_once() -> None:
    class Picky(nn.Module):
        asked = 0

        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()

        def forward(self, x: Tensor) -> Any:
            if not torch.is_grad_enabled():
                Picky.asked += 1
                raise RuntimeError
            return self.inner(x)

    model = Picky()
    points: Any = sweep(model, of("SGD")(model), data(), CE, **LRS, diagnose=True)
    steps = [point.diagnosis for point in points]
    assert all(math.isnan(step.critical_lr) for step in steps)
    assert all(math.isfinite(step.update_ratio) for step in steps)
    assert Picky.asked == 1


# -- nothing else differs -------------------------------------------------------------------------


class InPlace(nn.Module):
    """Changes its input, which is the loader's own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.linear(x.mul_(0.9))


def test_a_model_that_changes_its_input_has_the_same_curve() -> None:
    curves = []
    for diagnose in (False, True):
        torch.manual_seed(0)
        model = InPlace().to(DEVICE)
        batches = [(x.clone(), y) for x, y in data()]
        curves.append(range_test(model, of("SGD")(model), batches, CE, **LRS, diagnose=diagnose))
    assert curves[0].losses.tobytes() == curves[1].losses.tobytes()


SLOW = ("compiled", "loader-workers", "loader-persistent")


@pytest.mark.filterwarnings(*setups.WARNINGS)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * n.startswith(SLOW)) for n in SETUPS]
)
def test_in_every_setup_the_losses_are_the_same_and_everything_is_put_back(name: str) -> None:
    torch.compiler.reset()
    setup, other = make(name), make(name)
    torch.manual_seed(1)
    plain = range_test(**setup.sweep)
    torch.manual_seed(1)
    before = other.picture()
    curve = range_test(**other.sweep, diagnose=True)
    assert curve.losses.tobytes() == plain.losses.tobytes()
    assert other.picture() == before
    assert len(seen(curve)) == len(curve)


class Boom(Exception):
    pass


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
@pytest.mark.parametrize("at", range(1, 31))
def test_whatever_call_of_the_loss_fails_everything_is_put_back(error: Any, at: int) -> None:
    setup = make("plain")
    before = setup.picture()

    def act() -> None:
        raise error

    setup.probe.arm("forward", at, act)
    gone = None
    try:
        curve = range_test(**setup.sweep, diagnose=True)
    except (Boom, KeyboardInterrupt) as caught:
        gone = caught
    assert setup.picture() == before
    # A search that fails is given up, and the test goes on; a step that fails ends it.
    assert isinstance(gone, error) or (error is Boom and len(curve) == setups.ITERATIONS)


def test_a_run_that_is_left_early_is_put_back() -> None:
    model = batchnorm_dropout()
    optimizer = sgd_momentum(model)
    before = picture(model, optimizer)
    with closing(sweep(model, optimizer, loader(), CE, **LRS, diagnose=True)) as points:
        for _, _ in zip(range(4), points, strict=False):
            pass
    assert picture(model, optimizer) == before


def test_each_repeat_has_its_own() -> None:
    model = mlp()
    curve = diagnosed(model, of("SGD")(model), loader(), CE, repeats=2)
    assert len(curve.repeats) == 2
    for one in (curve, *curve.repeats):
        assert np.isfinite(seen(one).gradient_norm).all()
    first, second = (seen(one).gradient_norm for one in curve.repeats)
    assert first.tolist() != second.tolist()
    middle = np.median([first, second], axis=0)
    np.testing.assert_allclose(seen(curve).gradient_norm, middle)


@pytest.mark.parametrize("call", range(20, 26))
def test_a_kept_interrupt_keeps_no_copy_of_the_weights(call: int) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 37), nn.Linear(37, CLASSES)).to(DEVICE)
    shape, calls = model[0].weight.shape, 0

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return CE(output, target)

    with pytest.raises(KeyboardInterrupt) as kept:
        diagnosed(model, of("SGD")(model), data(), criterion)
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if type(thing) is Tensor]
    memories = {tensor.data_ptr() for tensor in tensors if tensor.shape == shape}
    assert memories <= {model[0].weight.data_ptr()}
    assert kept.tb is not None


# -- what is refused ------------------------------------------------------------------------------


def test_several_processes_are_refused_before_anything_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lrfinder_widget.training.task.several_ranks", lambda: True)
    model = mlp()
    with pytest.raises(ValueError, match="single process"):
        sweep(model, of("SGD")(model), data(), CE, diagnose=True)


def test_weights_that_are_not_plain_tensors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrfinder_widget.training.checks.has_plain_values", lambda _: False)
    model = mlp()
    with pytest.raises(ValueError, match="plain tensors only; the optimizer holds a Parameter"):
        sweep(model, of("SGD")(model), data(), CE, diagnose=True)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_diagnose_must_be_true_or_false(value: Any) -> None:
    model = mlp()
    with pytest.raises(TypeError, match="diagnose must be True or False"):
        sweep(model, of("SGD")(model), data(), CE, diagnose=value)


def test_trial_runs_take_no_diagnose() -> None:
    model = mlp()
    with pytest.raises(TypeError, match="takes no diagnose"):
        compare(model, of("SGD")(model), data(), CE, lrs=[0.1], diagnose=True)
