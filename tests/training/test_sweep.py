"""The sweep: ladders, both doors, data of every kind, and errors before anything is touched."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import (
    DEVICE,
    adamw,
    batchnorm_dropout,
    classes,
    linear,
    loader,
    moved,
    picture,
    sgd_momentum,
    sweep_run,
)
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from lrfinder_widget import LossCurve, RangeTest, range_test, sweep, training_step

CE = nn.CrossEntropyLoss()


def fresh(make: Any = sgd_momentum) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = linear()
    return model, make(model)


# -- the ladder -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "spaced"), [("exp", np.geomspace), ("linear", np.linspace)])
def test_the_ladder_is_numpys_and_exact_at_both_ends(mode: Any, spaced: Any) -> None:
    curve = range_test(
        *fresh(), loader(), CE, start_lr=3e-6, end_lr=0.07, num_iter=37, mode=mode, stop=None
    )
    assert curve.lrs.tolist() == spaced(3e-6, 0.07, 37).tolist()
    assert (curve.lrs[0], curve.lrs[-1], len(curve)) == (3e-6, 0.07, 37)


def test_the_sweep_agrees_with_a_plain_loop_to_the_bit() -> None:
    torch.manual_seed(5)
    model, batches = batchnorm_dropout(), list(loader())
    optimizer = adamw(model)
    curve = range_test(model, optimizer, batches, CE, stop=None, num_iter=30, end_lr=1.0)
    losses = []
    for i, lr in enumerate(np.geomspace(1e-7, 1.0, 30)):
        optimizer.param_groups[0]["lr"] = float(lr)
        x, y = moved(batches[i % len(batches)])
        optimizer.zero_grad()
        loss = CE(model(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert curve.losses.tolist() == losses


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, -1.0, 1e-6, 1e6])
@pytest.mark.parametrize("offset", [0.0, -100.0, 5.0])
def test_divergence_depends_on_neither_sign_nor_offset_nor_scale(
    factor: float, offset: float
) -> None:
    # The fall and the rise of a known curve, handed in by a step of our own.
    x = np.linspace(0, 1, 100)
    known = 2 - 1.5 / (1 + np.exp(-30 * (x - 0.5))) + np.exp(40 * (x - 0.85))
    known += np.random.default_rng(0).normal(0, 0.02, 100)
    scale = abs(factor)
    losses = iter(scale * known + offset * scale)
    curve = range_test(*fresh(), loader(), step=lambda batch: next(losses))
    assert curve.reason == "diverged"
    assert 85 < len(curve) < 99


def test_a_negative_loss_is_swept_to_the_end() -> None:
    curve = range_test(
        *fresh(), loader(), lambda output, target: CE(output, target) - 1000, end_lr=1e-3
    )
    assert curve.reason == "completed"
    assert curve.losses.max() < 0


@pytest.mark.parametrize("at", [1, 7])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_the_last_point(at: int, value: float) -> None:
    losses = iter([1.0] * (at - 1) + [value] + [1.0] * 100)
    curve = range_test(*fresh(), loader(), step=lambda batch: next(losses), stop=None)
    assert (curve.reason, len(curve)) == ("non-finite", at)
    assert repr(curve.losses[-1]) == repr(np.float64(value))


def test_a_stop_rule_sees_the_raw_losses_so_far_and_cannot_change_them() -> None:
    seen = []

    def stop(losses: Any) -> bool:
        with pytest.raises(ValueError, match="read-only"):
            losses[0] = 0
        seen.append(losses.copy())
        return len(losses) == 4

    curve = range_test(*fresh(), loader(), CE, stop=stop)
    assert curve.reason == "stop-rule"
    assert [len(s) for s in seen] == [1, 2, 3, 4]
    assert seen[-1].dtype == np.float64
    assert seen[-1].tolist() == curve.losses.tolist()


def test_the_rule_in_the_docs_stops_at_twice_the_first_loss_but_not_before_twenty() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training-loops.md").read_text()
    written: dict[str, Any] = {}
    exec("def twice_the_first" + page.split("def twice_the_first")[1].split("\nfinder")[0], written)
    rule = written["twice_the_first"]

    def points(losses: list[float]) -> tuple[str, int]:
        script = iter(losses)
        curve = range_test(*fresh(), loader(), step=lambda _: next(script), stop=rule, num_iter=60)
        return curve.reason, len(curve)

    assert points([1.0] + [9.0] * 59) == ("stop-rule", 20)
    assert points([1.0] * 30 + [2.4] * 30) == ("stop-rule", 32)  # 1.98, 2.27
    assert points([1.0] * 60) == ("completed", 60)


def test_without_a_stop_rule_it_runs_to_the_end() -> None:
    losses = [10.0**i for i in reversed(range(60))]
    curve = range_test(*fresh(), loader(), step=lambda b: losses.pop(), stop=None, num_iter=60)
    assert (curve.reason, len(curve)) == ("completed", 60)


# -- data -----------------------------------------------------------------------------------------


def test_a_loader_of_two_batches_is_begun_again() -> None:
    curve = range_test(*fresh(), list(loader())[:2], CE, num_iter=25, end_lr=1e-3)
    assert len(curve) == 25


def test_a_generator_is_used_up_and_that_is_the_reason() -> None:
    curve = range_test(*fresh(), (batch for batch in loader()), CE, num_iter=25)
    assert (curve.reason, len(curve)) == ("exhausted", 8)


def test_an_endless_generator_reaches_the_end_and_stays_the_users() -> None:
    batch = next(iter(loader()))
    endless = (batch for _ in iter(int, 1))
    curve = range_test(*fresh(), endless, CE, num_iter=25, end_lr=1e-3)
    assert curve.reason == "completed"
    assert next(endless) is batch


def test_an_iterable_dataset_behind_a_loader_is_begun_again() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(classes(24))

    batches = torch.utils.data.DataLoader(Stream(), batch_size=8)
    assert len(range_test(*fresh(), batches, CE, num_iter=25, end_lr=1e-3)) == 25


@pytest.mark.parametrize("empty", [[], (x for x in ())])
def test_data_that_yields_nothing_is_an_error(empty: Any) -> None:
    with pytest.raises(ValueError, match="yielded nothing"):
        range_test(*fresh(), empty, CE)


def test_extra_items_in_a_batch_are_ignored() -> None:
    batches = [(x, y, "a name", {"weight": 1}) for x, y in loader()]
    plain = [(x, y) for x, y, *_ in batches]
    model, optimizer = fresh()
    assert range_test(model, optimizer, batches, CE) == range_test(model, optimizer, plain, CE)


class Named(nn.Module):
    """Takes and returns what a Hugging Face model does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = linear()

    def forward(self, x: Any, labels: Any) -> Any:
        loss = CE(self.linear(x), labels)
        return {"loss": loss} if isinstance(labels, list) else type("Output", (), {"loss": loss})()


def test_mappings_need_no_criterion() -> None:
    model = Named()
    optimizer = adamw(model)
    pairs = list(loader())
    named = range_test(model, optimizer, [{"x": x, "labels": y} for x, y in pairs])
    plain = range_test(model, optimizer, pairs, step=_step_of(model.linear, optimizer))
    assert named == plain


def _step_of(model: nn.Module, optimizer: Any) -> Any:
    def step(batch: Any) -> Any:
        x, y = moved(batch)
        optimizer.zero_grad()
        loss = CE(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_batches_are_moved_through_nested_containers() -> None:
    from collections import namedtuple

    from lrfinder_widget.data.batches import move

    Pair = namedtuple("Pair", "a b")
    x = torch.ones(2)
    batch = {"p": Pair(x, [x, "text"]), "n": (1, None, x)}
    moved = move(batch, torch.device("meta"))
    assert moved["p"].a.device.type == moved["p"].b[0].device.type == "meta"
    assert moved["n"][2].device.type == "meta"
    assert (moved["p"].b[1], moved["n"][:2]) == ("text", (1, None))
    assert isinstance(moved["p"], Pair)
    assert x.device.type == "cpu"


# -- the textbook step ----------------------------------------------------------------------------


def test_accumulating_two_halves_is_training_on_the_whole() -> None:
    model, optimizer = fresh(lambda m: torch.optim.SGD(m.parameters(), lr=0.1))
    whole = list(loader())
    halves = [half for x, y in whole for half in ((x[:4], y[:4]), (x[4:], y[4:]))]
    together = range_test(model, optimizer, whole, CE, end_lr=0.5)
    apart = range_test(model, optimizer, halves, CE, end_lr=0.5, accumulate=2)
    assert apart.losses == pytest.approx(together.losses, rel=1e-5)


def test_validation_loss_is_measured_in_eval_mode_after_the_step() -> None:
    torch.manual_seed(0)
    model = batchnorm_dropout()
    optimizer = adamw(model)
    held = list(loader())[:2]
    flags: list[Any] = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Any) -> Any:
            flags.append((self.training, model[1].training, torch.is_grad_enabled()))
            return self.inner(x)

    watching = Watching()
    curve = range_test(watching, optimizer, loader(), CE, val_batches=held, num_iter=10)
    assert flags[:3] == [(True, False, True), (False, False, False), (False, False, False)]
    model.eval()
    with torch.no_grad():  # with a vanishing learning rate: the loss of the model as it is
        expected = torch.stack([CE(model(x), y) for x, y in moved(held)]).mean().item()
    assert curve.losses[0] == pytest.approx(expected, abs=1e-4)


def test_validation_leaves_batchnorm_statistics_alone() -> None:
    means = []
    for val_batches in (None, list(loader())[:2]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).to(DEVICE)
        points = sweep(
            model, sgd_momentum(model), list(loader()), CE, val_batches=val_batches, num_iter=10
        )
        for _ in range(5):
            next(points)
        means.append(model[1].running_mean.clone())
        points.close()
    assert torch.equal(*means)


def test_a_textbook_step_takes_autocast_scaler_and_clipping() -> None:
    model, optimizer = fresh()
    scaler = torch.amp.GradScaler(DEVICE.type)
    step = training_step(
        model, optimizer, CE, autocast=torch.bfloat16, scaler=scaler, clip_grad_norm=0.5
    )
    before, scale = picture(model, optimizer), scaler.state_dict()
    curve = range_test(
        model, optimizer, loader(), step=step, num_iter=20, end_lr=1e-2, device=DEVICE
    )
    assert len(curve) == 20
    assert picture(model, optimizer) == before
    assert scaler.state_dict() == scale
    x, y = moved(next(iter(loader())))
    scaler.scale(CE(model(x), y)).backward()
    scaler.unscale_(optimizer)  # raises if a step of the sweep had left its mark


def test_clipping_limits_the_norm_of_the_gradients() -> None:
    model, optimizer = fresh()
    step = training_step(model, optimizer, CE, clip_grad_norm=1e-3)
    step(moved(next(iter(loader()))))
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_a_model_in_eval_mode_is_trained_in_training_mode_and_put_back() -> None:
    model = batchnorm_dropout().eval()
    seen: list[bool] = []
    model.register_forward_pre_hook(lambda module, args: seen.append(module.training))
    range_test(model, adamw(model), loader(), CE, num_iter=3)
    assert seen == [True] * 3
    assert not any(module.training for module in model.modules())


def test_a_step_of_ones_own_keeps_the_flags_as_they_are() -> None:
    model = batchnorm_dropout().eval()
    seen: list[bool] = []
    model.register_forward_pre_hook(lambda module, args: seen.append(module.training))
    optimizer = adamw(model)
    range_test(model, optimizer, loader(), step=_step_of(model, optimizer), num_iter=3)
    assert seen == [False] * 3


def test_it_trains_also_under_no_grad() -> None:
    model, optimizer = fresh()
    expected = range_test(model, optimizer, loader(), CE)
    with torch.no_grad():
        assert range_test(model, optimizer, loader(), CE) == expected
        assert not torch.is_grad_enabled()


# -- wrong arguments ------------------------------------------------------------------------------

LOADER = loader()
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"model": "resnet"}, TypeError, "model must be a torch.nn.Module; got str"),
    ({"optimizer": None}, TypeError, "optimizer must be a torch.optim.Optimizer; got NoneType"),
    ({"optimizer": sgd_momentum(linear())}, ValueError, "none of the model's parameters"),
    ({"batches": classes()}, TypeError, "Wrap it: DataLoader"),
    ({"batches": 3}, TypeError, "batches must be an iterable of batches"),
    ({"batches": {"x": 1}}, TypeError, "For a single batch"),
    ({"batches": torch.ones(3)}, TypeError, "For a single batch"),
    ({"model": nn.Linear(4, 3, device="meta")}, ValueError, "weight of the model is on the meta"),
    ({"criterion": "mse"}, TypeError, "criterion must be"),
    ({"criterion": nn.CrossEntropyLoss}, TypeError, "criterion must be"),
    ({"step": print}, TypeError, "either criterion or step, not both"),
    ({"criterion": None, "step": 3}, TypeError, "step must be a function"),
    ({"criterion": None, "step": print, "accumulate": 2}, ValueError, "accumulate works only"),
    (
        {"criterion": None, "step": print, "val_batches": [1]},
        ValueError,
        "val_batches works only with",
    ),
    ({"start_lr": 0}, ValueError, "start_lr must be a positive, finite number; got 0"),
    ({"start_lr": "small"}, ValueError, "start_lr must be"),
    ({"start_lr": 10**400}, ValueError, "start_lr must be a positive, finite number; got 1000"),
    ({"end_lr": math.nan}, ValueError, "end_lr must be"),
    ({"end_lr": math.inf}, ValueError, "end_lr must be"),
    ({"start_lr": 1.0, "end_lr": 0.1}, ValueError, "start_lr must be below end_lr"),
    ({"num_iter": 1}, ValueError, "num_iter must be a whole number, at least 2; got 1"),
    ({"num_iter": 10.5}, ValueError, "num_iter must be"),
    ({"num_iter": True}, ValueError, "num_iter must be"),
    ({"mode": "log"}, ValueError, "mode must be"),
    ({"stop": "never"}, ValueError, "stop must be"),
    ({"accumulate": 0}, ValueError, "accumulate must be"),
    ({"val_batches": []}, ValueError, "val_batches must contain"),
    ({"val_batches": LOADER}, TypeError, "val_batches must be a list"),
    ({"preserve": linear()}, TypeError, "preserve must be a list"),
    ({"preserve": [3]}, TypeError, "preserve takes objects"),
    ({"device": "the gpu"}, (RuntimeError, ValueError), "device"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_wrong_argument_is_refused_before_anything_is_touched(
    change: dict[str, Any], error: Any, message: str
) -> None:
    model, optimizer = fresh()
    arguments = {
        "model": model,
        "optimizer": optimizer,
        "batches": LOADER,
        "criterion": CE,
        **change,
    }
    before = picture(model, optimizer)
    with pytest.raises(error, match=message.replace("(", r"\(")):
        sweep(**arguments)
    assert picture(model, optimizer) == before


def test_an_optimizer_without_a_learning_rate_is_refused() -> None:
    model, optimizer = fresh()
    optimizer.param_groups[0]["lr"] = None
    with pytest.raises(ValueError, match="needs a learning rate"):
        sweep(model, optimizer, LOADER, CE)


@pytest.mark.parametrize(
    ("batches", "criterion", "message"),
    [
        ([torch.ones(4, 6)], CE, "shape (4, 6) and dtype float32, which does not fit criterion"),
        ([(torch.ones(4, 6),)], CE, "a tuple of 1"),
        ([{"x": 1}], CE, "a dict with keys 'x'"),
        ([(1, 2)], None, "does not fit criterion=None"),
    ],
)
def test_a_batch_that_fits_no_door_names_both(batches: Any, criterion: Any, message: str) -> None:
    model, optimizer = fresh()
    with pytest.raises(TypeError, match="step=your_function") as caught:
        range_test(model, optimizer, batches, criterion)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "return loss"),
        (torch.ones(3), ValueError, "shape (3,)"),
        ("0.1x", TypeError, "a str"),
    ],
)
def test_a_step_that_returns_no_number_is_told_so(returned: Any, error: Any, message: str) -> None:
    with pytest.raises(error) as caught:
        range_test(*fresh(), loader(), step=lambda batch: returned)
    assert message in str(caught.value)


@pytest.mark.parametrize("returned", [1, 2.5, np.float32(3), torch.tensor([4.0])])
def test_a_step_may_return_any_kind_of_number(returned: Any) -> None:
    curve = range_test(*fresh(), loader(), step=lambda batch: returned, num_iter=3)
    assert curve.losses.tolist() == [float(returned)] * 3


# -- repeats --------------------------------------------------------------------------------------


def test_repeats_begin_from_the_same_weights_with_other_batches_and_give_their_median() -> None:
    model, optimizer = fresh()
    before, random = picture(model, optimizer), torch.get_rng_state()
    batches = loader()
    curve = range_test(model, optimizer, batches, CE, num_iter=20, stop=None, repeats=3)
    assert [len(single) for single in curve.repeats] == [20, 20, 20]
    assert curve.reason == "completed"
    assert len({single.losses.tobytes() for single in curve.repeats}) == 3
    assert np.array_equal(curve.losses, np.median([c.losses for c in curve.repeats], axis=0))
    assert picture(model, optimizer) == before
    assert torch.equal(torch.get_rng_state(), random)
    alone = range_test(model, optimizer, batches, CE, num_iter=20, stop=None)
    assert curve.repeats[0].losses.tolist() == alone.losses.tolist()
    assert curve == range_test(model, optimizer, batches, CE, num_iter=20, stop=None, repeats=3)


def test_each_repeat_starts_from_the_same_weights() -> None:
    model, optimizer = fresh()
    starts = []

    def step(batch: Any) -> Any:
        if optimizer.param_groups[0]["lr"] == 1e-7:
            starts.append([p.detach().cpu().numpy().tobytes() for p in model.parameters()])
        return training_step(model, optimizer, CE)(batch)

    range_test(model, optimizer, LOADER, step=step, num_iter=5, repeats=3, device=DEVICE)
    assert len(starts) == 3
    assert starts[0] == starts[1] == starts[2]


def test_the_median_is_as_long_as_the_shortest_repeat_and_ends_for_its_reason() -> None:
    losses = iter([1.0] * 10 + [1.0, 2.0, math.nan] + [3.0] * 10)
    curve = range_test(
        *fresh(), loader(), step=lambda _: next(losses), num_iter=10, stop=None, repeats=3
    )
    assert [(len(c), c.reason) for c in curve.repeats] == [
        (10, "completed"),
        (3, "non-finite"),
        (10, "completed"),
    ]
    assert (len(curve), curve.reason) == (3, "non-finite")
    assert curve.losses[:2].tolist() == [1.0, 2.0]


def test_a_repeat_that_runs_out_of_data_does_not_count_beside_others() -> None:
    batches = iter(list(loader()) * 4)  # 32 batches
    curve = range_test(*fresh(), batches, CE, num_iter=12, stop=None, repeats=4)
    assert [len(single) for single in curve.repeats] == [12, 12]
    alone = range_test(*fresh(), iter(list(loader())), CE, num_iter=12, stop=None, repeats=4)
    assert (len(alone), alone.reason, alone.repeats) == (8, "exhausted", ())


def test_repeats_of_a_background_run_are_the_same() -> None:
    model, optimizer = fresh()
    batches = loader()
    options: dict[str, Any] = {"num_iter": 20, "stop": None, "repeats": 3}
    test = RangeTest(sweep_run(model, optimizer, batches, CE, **options).points()).start().wait(20)
    assert test.curve == range_test(model, optimizer, batches, CE, **options)
    assert len(test) == 60


def test_everything_is_put_back_if_a_later_repeat_fails() -> None:
    model, optimizer = fresh()
    before = picture(model, optimizer)
    calls = iter(range(100))

    def criterion(output: Any, target: Any) -> Any:
        if next(calls) == 25:
            raise ZeroDivisionError
        return CE(output, target)

    with pytest.raises(ZeroDivisionError):
        range_test(model, optimizer, loader(), criterion, num_iter=10, stop=None, repeats=3)
    assert picture(model, optimizer) == before


# -- the curve of a test that did not end ---------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("in step 7"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("repeats", [1, 2])
def test_an_exception_far_up_carries_the_curve_so_far(error: BaseException, repeats: int) -> None:
    def test(fail_at: int | None) -> LossCurve:
        model, optimizer = fresh()
        calls = itertools.count(1)

        def criterion(output: Any, target: Any) -> Any:
            if next(calls) == fail_at:
                raise error
            return CE(output, target)

        batches = DataLoader(classes(), batch_size=8)
        return range_test(
            *(model, optimizer, batches, criterion), num_iter=20, stop=None, repeats=repeats
        )

    whole = test(None)
    with pytest.raises(type(error)) as caught:
        test(7 if repeats == 1 else 27)
    assert caught.value is error
    curve = error.curve  # type: ignore[attr-defined]
    if repeats == 1:
        assert curve.reason == ("failed" if isinstance(error, Exception) else "stopped")
        assert (curve.lrs == whole.lrs[:6]).all()
        assert (curve.losses == whole.losses[:6]).all()
    else:  # the repeat that was whole
        assert curve == whole.repeats[0]
    assert f"of {len(curve)} points" in error.__notes__[-1]


def test_an_exception_before_the_first_point_carries_no_curve() -> None:
    def criterion(output: Any, target: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        range_test(*fresh(), LOADER, criterion)
    assert not hasattr(caught.value, "curve")


def test_the_same_exception_in_a_second_test_carries_the_second_curve() -> None:
    error = RuntimeError("again")
    for fail_at in (3, 6):
        calls = itertools.count(1)

        def step(batch: Any, calls: Any = calls, fail_at: int = fail_at) -> float:
            if next(calls) == fail_at:
                raise error
            return 1.0

        with pytest.raises(RuntimeError):
            range_test(*fresh(), LOADER, step=step)
        assert len(error.curve) == fail_at - 1  # type: ignore[attr-defined]
