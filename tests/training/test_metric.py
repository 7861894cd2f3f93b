"""A metric is what a plain loop would measure by hand, and the test is the same without it."""

from __future__ import annotations

import copy
import gc
import math
import random
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from support import CLASSES, DEVICE, FEATURES, batchnorm_dropout, classes, linear, moved, picture
from torch import Tensor, nn
from torch.optim import Optimizer
from widget_support import WAIT_S

from lrfinder_widget import LossCurve, RangeTest, compare, range_test, sweep, training_step, vary
from lrfinder_widget.training.metric import accuracy
from lrfinder_widget.training.sweep_run import SweepRun
from lrfinder_widget.training.task import TrainingTask

CE = nn.CrossEntropyLoss()
LRS: dict[str, Any] = {"start_lr": 1e-3, "end_lr": 0.5, "num_iter": 12, "stop": None}


def data(size: int = 8) -> list[Any]:
    x, y = classes().tensors
    return list(zip(x.split(size), y.split(size), strict=True))


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, CLASSES)).to(DEVICE)


def of(name: str, **options: Any) -> Callable[[nn.Module], Optimizer]:
    return lambda model: getattr(torch.optim, name)(model.parameters(), **{"lr": 0.1, **options})


def share(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(1) == target).float().mean()


def measured(*given: Any, metric: Any = "accuracy", **options: Any) -> LossCurve:
    return range_test(*given, **{**LRS, **options}, metric=metric)


def values(curve: LossCurve) -> list[float]:
    assert curve.metric is not None
    found: list[float] = curve.metric.tolist()
    return found


# -- beside a plain loop --------------------------------------------------------------------------


def by_hand(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    accumulate: int = 1,
    scaler: Any = None,
    autocast: torch.dtype | None = None,
    val_batches: Any = None,
) -> Iterator[tuple[float, float]]:
    """Train in the plain way; yield the loss and the accuracy of each step."""
    batches, taken = data(), 0

    def forward(batch: Any) -> tuple[Tensor, float]:
        x, y = moved(batch)
        with torch.autocast(DEVICE.type, dtype=autocast, enabled=autocast is not None):
            output = model(x)
            loss = CE(output, y)
        return loss, (output.argmax(1) == y).float().mean().item()

    for lr in np.geomspace(1e-3, 0.5, 12):
        for group in optimizer.param_groups:
            group["lr"] = float(lr)
        optimizer.zero_grad()
        found = []
        for _ in range(accumulate):
            loss, right = forward(batches[taken % len(batches)])
            taken += 1
            loss = loss / accumulate
            (loss if scaler is None else scaler.scale(loss)).backward()
            found.append((loss.item() * accumulate, right))
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        if val_batches is not None:
            model.eval()
            with torch.no_grad():
                found = [(loss.item(), right) for loss, right in map(forward, val_batches)]
            model.train()
        yield np.mean([loss for loss, _ in found]), np.mean([right for _, right in found])  # type: ignore[misc]


BY_HAND: dict[str, tuple[Callable[[nn.Module], Optimizer], dict[str, Any]]] = {
    "SGD": (of("SGD"), {}),
    "Adam": (of("Adam"), {}),
    "accumulate": (of("Adam"), {"accumulate": 3}),
    "scaler": (of("SGD"), {"scaler": True}),
    "autocast": (of("SGD"), {"autocast": torch.bfloat16}),
    "scaler, accumulate": (of("AdamW"), {"scaler": True, "accumulate": 2}),
    "val_batches": (of("SGD"), {"val_batches": data()[:3]}),
    "val_batches, accumulate": (of("SGD"), {"val_batches": data(7)[:3], "accumulate": 2}),
}


@pytest.mark.parametrize("metric", ["accuracy", share])
@pytest.mark.parametrize("name", BY_HAND)
def test_it_is_that_of_a_plain_loop(name: str, metric: Any) -> None:
    make, options = BY_HAND[name]
    options = dict(options)
    if options.pop("scaler", False):
        options["scaler"] = torch.amp.GradScaler(DEVICE.type)
    model = mlp()
    expected = list(by_hand(model, make(model), **options))
    if "scaler" in options:
        options["scaler"] = torch.amp.GradScaler(DEVICE.type)
    model = mlp()
    optimizer, given = make(model), {"val_batches": options.pop("val_batches", None)}
    if {"scaler", "autocast"} & options.keys():
        given = {"step": training_step(model, optimizer, CE, **options), "device": DEVICE}
    else:
        given |= {"criterion": CE, **options}
    curve = measured(model, optimizer, data(), metric=metric, **given)
    assert curve.metric_name == ("accuracy" if metric == "accuracy" else "share")
    np.testing.assert_allclose(curve.losses, [loss for loss, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(values(curve), [right for _, right in expected], rtol=1e-6)


def test_of_several_closure_calls_the_first_counts() -> None:
    seen: list[Tensor] = []

    def first(output: Tensor, target: Tensor) -> Tensor:
        seen.append(CE(output, target))
        return seen[-1]

    model = mlp()
    curve = measured(model, of("LBFGS", max_iter=4)(model), data(), CE, metric=first)
    assert values(curve) == curve.losses.tolist()
    assert len(seen) == len(curve)


def test_it_belongs_to_the_loss_of_its_point() -> None:
    for options in ({}, {"accumulate": 2}, {"val_batches": data()[:2]}, {"repeats": 3}):
        model = batchnorm_dropout()
        curve = measured(model, of("Adam")(model), data(), CE, metric=CE, **options)
        np.testing.assert_allclose(values(curve), curve.losses, rtol=1e-6)
        assert curve.metric_name == "CrossEntropyLoss"


def test_repeats_have_their_own_and_the_median_has_theirs() -> None:
    model = mlp()
    curve = measured(model, of("SGD")(model), data(7), CE, repeats=3)
    singles = [values(one) for one in curve.repeats]
    assert len(singles) == 3
    assert values(curve) == np.median(singles, axis=0).tolist()


# -- without any effect ---------------------------------------------------------------------------


def noisy(output: Tensor, target: Tensor) -> Any:
    """Draw from every generator, compute with gradients if it may, and use what the model uses."""
    torch.rand(3, device=output.device)
    random.random()
    np.random.rand(2)
    assert not output.requires_grad
    assert not torch.is_grad_enabled()
    assert not torch.is_autocast_enabled(output.device.type)
    return nn.functional.dropout(output).mean() + target.float().mean()


@pytest.mark.parametrize("metric", ["accuracy", noisy], ids=["accuracy", "noisy"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 2},
        {"val_batches": data()[:2]},
        {"repeats": 2},
        {"diagnose": True},
        {"autocast": torch.bfloat16},
    ],
    ids=lambda options: ", ".join(options) or "plain",
)
def test_the_losses_are_the_same_to_the_bit_and_all_is_put_back(
    metric: Any, options: dict[str, Any]
) -> None:
    found: list[LossCurve] = []
    for one in (None, metric):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        model = batchnorm_dropout()
        optimizer = of("Adam")(model)
        given, more = [CE], dict(options)
        if "autocast" in more:
            step = training_step(model, optimizer, CE, autocast=more.pop("autocast"))
            given, more = [], {"step": step, "device": DEVICE}
        before = picture(model, optimizer)
        found.append(measured(model, optimizer, data(), *given, **more, metric=one))
        assert picture(model, optimizer) == before
    plain, curve = found
    assert curve.losses.tobytes() == plain.losses.tobytes()
    assert curve.baseline is None or curve.baseline.tobytes() == plain.baseline.tobytes()  # type: ignore[union-attr]
    assert curve.suggestion == plain.suggestion
    assert plain.metric is None
    assert plain.metric_name is None
    if "diagnose" in options:
        assert curve.diagnosis == plain.diagnosis


class Counted(nn.Module):
    """Keeps a state as the metrics of torchmetrics do: tensors and lists as plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.right = torch.zeros((), device=DEVICE)
        self.updates = 0
        self.register_buffer("seen", torch.zeros((), device=DEVICE), persistent=False)
        self.kept: list[Tensor] = []

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.right = self.right + (output.argmax(1) == target).sum()
        self.seen += len(target)
        self.updates += 1
        self.kept.append(output)
        return self.right / self.seen


def test_a_metric_that_keeps_a_state_is_put_back() -> None:
    metric, model = Counted(), mlp()
    metric(torch.eye(3, device=DEVICE), torch.tensor([0, 1, 1], device=DEVICE))

    def state() -> Any:
        return metric.right.item(), metric.seen.item(), metric.updates, len(metric.kept)

    def through_a_variable(output: Tensor, target: Tensor) -> Any:
        return metric(output, target)

    before = state()
    first = measured(model, of("SGD")(model), data(), CE, metric=metric)
    assert state() == before == (2.0, 3.0, 1, 1)
    assert values(measured(model, of("SGD")(model), data(), CE, metric=through_a_variable)) == (
        values(first)
    )
    assert state() == before
    repeated = measured(model, of("SGD")(model), data() * 3, CE, metric=metric, repeats=2)
    assert repeated.repeats[0].metric_name == "Counted"
    assert values(repeated.repeats[0])[0] == values(first)[0]
    assert state() == before


def test_a_step_of_the_users_is_left_without_anything_of_ours() -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    step = training_step(model, optimizer, CE)
    before = dict(vars(step))
    measured(model, optimizer, data(), step=step, device=DEVICE)
    assert step.watch is None
    assert vars(step) | {"watch": None} == before | {"watch": None}


def test_trial_runs_measure_none() -> None:
    model = mlp()
    task = TrainingTask(model, of("SGD")(model), data(), CE, metric=fails(1))
    assert len(list(SweepRun(task, [0.1, 0.2], stop=None).items())) == 2
    with pytest.raises(TypeError, match="compare takes no metric"):
        compare(model, of("SGD")(model), data(), CE, lrs=[0.1], metric="accuracy")


# -- what is accuracy -----------------------------------------------------------------------------

LOGITS = torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.5]])


def test_accuracy_is_the_share_of_the_largest_in_dimension_1() -> None:
    assert accuracy(LOGITS, torch.tensor([1, 0, 1, 1])).item() == 0.5
    assert accuracy(LOGITS, torch.tensor([1, -100, 1, -100])).item() == 0.5
    assert math.isnan(accuracy(LOGITS, torch.full((4,), -100)).item())
    assert accuracy(LOGITS, torch.tensor([1, 0, 2, 2]), ignored=2).item() == 1.0
    assert accuracy(LOGITS[0], torch.tensor(1)).item() == 1.0
    assert accuracy(LOGITS, LOGITS.flip(1).softmax(1)).item() == 0.25
    assert accuracy(LOGITS.half(), torch.tensor([1, 0, 2, 0])).item() == 1.0


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 3, 5), (2, 2, 3, 2, 2)])
def test_accuracy_of_sequences_and_images(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    output = torch.randn(shape)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]))
    target.view(-1)[::3] = -100
    CE(output, target)  # takes the same
    by_eye = [
        output.movedim(1, -1).reshape(-1, shape[1])[i].argmax() == label
        for i, label in enumerate(target.reshape(-1))
        if label != -100
    ]
    assert accuracy(output, target).item() == pytest.approx(sum(by_eye) / len(by_eye))


def test_accuracy_leaves_out_what_the_criterion_leaves_out() -> None:
    for ignored in (-100, 1):
        model, criterion = mlp(), nn.CrossEntropyLoss(ignore_index=ignored)
        curve = measured(model, of("SGD")(model), data(), criterion, num_iter=2)
        x, y = data()[0]
        known = y != ignored
        right = (mlp()(moved(x)).argmax(1).cpu() == y)[known].float().mean().item()
        assert values(curve)[0] == pytest.approx(right)


@pytest.mark.parametrize(
    ("output", "target", "error", "words"),
    [
        (torch.zeros(4, 1), torch.zeros(4, 1), ValueError, "single logit, pass a function"),
        (torch.zeros(4), torch.zeros(4), ValueError, "single logit"),
        (torch.zeros(4), torch.zeros(4).long(), ValueError, "single logit"),
        (torch.zeros(()), torch.zeros(()), ValueError, "single logit"),
        (LOGITS, torch.zeros(4, 1).long(), ValueError, r"shape \(4, 1\) and dtype int64"),
        (LOGITS, torch.zeros(4), ValueError, "dtype float32"),
        ((LOGITS, LOGITS), torch.zeros(4).long(), TypeError, "a tuple of 2.*pass a function"),
        (LOGITS, [0, 1], TypeError, "a list of 2"),
    ],
)
def test_what_has_no_accuracy_is_told_what_to_pass(
    output: Any, target: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=f"(?s){words}"):
        accuracy(output, target)


# -- what is refused ------------------------------------------------------------------------------


def one_argument(output: Tensor) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("metric", "error", "words"),
    [
        ("f1", ValueError, "metric must be \"accuracy\", a function.*got 'f1'"),
        (3, TypeError, "got an int"),
        (Counted, TypeError, "got the class Counted"),
        (["accuracy"], TypeError, "a list of 1"),
        (one_argument, TypeError, r"one_argument takes \(output\)"),
    ],
)
def test_what_is_no_metric_is_refused_before_anything_is_touched(
    metric: Any, error: Any, words: str
) -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    before = picture(model, optimizer)
    for act in (range_test, sweep):
        with pytest.raises(error, match=words):
            act(model, optimizer, data(), CE, metric=metric)
    assert picture(model, optimizer) == before


def test_a_step_of_your_own_and_accuracy_of_mappings_are_refused() -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    with pytest.raises(ValueError, match="step=training_step"):
        sweep(model, optimizer, data(), step=lambda batch: 1.0, metric="accuracy")
    step = training_step(model, optimizer)
    for given in ({}, {"step": step}):
        with pytest.raises(ValueError, match=r"metric\(output, batch\)"):
            sweep(model, optimizer, [{"x": 1}], **given, metric="accuracy")


def returns(value: Any) -> Any:
    def metric(output: Tensor, target: Tensor) -> Any:
        return value

    return metric


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1, 1.0),
        (True, 1.0),
        (0.25, 0.25),
        (np.float32(0.25), 0.25),
        (np.bool_(False), 0.0),
        (np.array(3), 3.0),
        (torch.tensor(True), 1.0),
        (torch.tensor([[0.5]], dtype=torch.float64), 0.5),
        (torch.tensor(2**20 + 1), 2.0**20 + 1),
        (torch.tensor(0.5, requires_grad=True), 0.5),
        (math.inf, math.inf),
        (math.nan, math.nan),
    ],
    ids=repr,
)
def test_a_number_or_a_tensor_of_one_element_is_kept(value: Any, kept: float) -> None:
    model = mlp()
    curve = measured(model, of("SGD")(model), data(), CE, metric=returns(value), num_iter=3)
    assert str(values(curve)) == str([kept] * 3)
    assert curve.reason == "completed"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "it returned None"),
        ("0.5", "a str"),
        (1j, "a complex"),
        (torch.tensor(1j), "dtype complex64"),
        (torch.zeros(2), r"a tensor of shape \(2,\)"),
        (np.zeros(1), r"a NumPy array of shape \(1,\)"),
        ([0.5], "a list of 1"),
        (10**400, "an int"),
    ],
    ids=str,
)
def test_anything_else_is_an_error_that_names_it(value: Any, words: str) -> None:
    model = mlp()
    optimizer = of("SGD")(model)
    before = picture(model, optimizer)
    with pytest.raises(TypeError, match=f"^the metric must return a number.*{words}"):
        measured(model, optimizer, data(), CE, metric=returns(value))
    assert picture(model, optimizer) == before


class Boom(Exception):
    pass


def fails(at: int, error: type[BaseException] = Boom) -> Any:
    calls: list[None] = []

    def failing(output: Tensor, target: Tensor) -> float:
        calls.append(None)
        if len(calls) == at:
            raise error("here")
        return float(len(calls))

    return failing


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("background", [False, True])
def test_what_it_raises_is_raised_once_all_is_put_back(
    at: int, error: Any, background: bool
) -> None:
    if background and error is KeyboardInterrupt:
        return
    model = batchnorm_dropout()
    optimizer = of("Adam")(model)
    before = picture(model, optimizer)

    def run() -> None:
        given, options = (model, optimizer, data(), CE), {**LRS, "metric": fails(at, error)}
        if background:
            RangeTest(sweep(*given, **options)).start().wait(WAIT_S)
        else:
            range_test(*given, **options)

    with pytest.raises(error, match="here") as raised:
        run()
    notes = getattr(raised.value, "__notes__", [])
    assert ("This came from the metric failing." in notes) == (error is Boom)
    assert not any("batch" in note for note in notes)  # the criterion has done well
    if at > 1 and not background:
        curve: LossCurve = raised.value.curve  # type: ignore[union-attr]
        assert values(curve) == list(map(float, range(1, at)))
    assert picture(model, optimizer) == before


def test_a_kept_traceback_keeps_no_graph() -> None:
    model, outputs = mlp(), list[weakref.ref[Any]]()
    model.register_forward_hook(lambda *args: outputs.append(weakref.ref(args[-1])))
    with pytest.raises(Boom) as raised:
        measured(model, of("SGD")(model), data(), CE, metric=fails(1))
    gc.collect()
    assert [output() for output in outputs] == [None]
    del raised


def test_what_changes_its_output_or_its_target_is_refused() -> None:
    def rounds(output: Tensor, target: Tensor) -> Tensor:
        return output.round_().mean()

    def shifts(output: Tensor, target: Tensor) -> Tensor:
        return target.sub_(0).float().mean()

    for metric in (rounds, shifts):
        model = mlp()
        with pytest.raises(ValueError, match=f"{metric.__name__} has changed its output or target"):
            measured(model, of("SGD")(model), data(), CE, metric=metric)


# -- models that return more, or their own loss ---------------------------------------------------


class Labelled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.linear(x)
        return {"loss": CE(logits, labels), "logits": logits}


def test_without_a_criterion_it_is_given_the_whole_batch() -> None:
    def right(output: Any, batch: Any) -> Tensor:
        return (output["logits"].argmax(-1) == batch["labels"]).float().mean()

    torch.manual_seed(0)
    model = Labelled().to(DEVICE)
    batches = [{"x": x, "labels": y} for x, y in data()]
    curve = measured(model, of("SGD")(model), batches, metric=right)
    expected = model(**moved(batches[0]))["logits"].argmax(1).cpu() == batches[0]["labels"]
    assert values(curve)[0] == pytest.approx(expected.float().mean().item())


def test_an_output_that_is_no_tensor_is_passed_on() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: Tensor) -> Any:
            return self.linear(x), x

    model = Two().to(DEVICE)

    def loss(output: Any, target: Tensor) -> Tensor:
        return CE(output[0], target)

    def right(output: Any, target: Tensor) -> Tensor:
        return share(output[0], target)

    assert len(values(measured(model, of("SGD")(model), data(), loss, metric=right))) == 12
    with pytest.raises(TypeError, match="a tuple of 2") as raised:
        measured(model, of("SGD")(model), data(), loss)
    assert "This came from the metric accuracy." in raised.value.__notes__


# -- points, stops and threads --------------------------------------------------------------------


def test_the_points_of_a_sweep_have_it() -> None:
    model = mlp()
    points: Any = sweep(model, of("SGD")(model), data(), CE, **LRS, metric=share)
    found = list(points)
    expected = measured(model, of("SGD")(model), data(), CE, metric=share)
    assert [point.metric for point in found] == values(expected)
    assert {point.metric_name for point in found} == {"share"}
    assert [tuple(point) for point in found] == list(
        zip(expected.lrs.tolist(), expected.losses.tolist(), strict=True)
    )


def test_a_sweep_that_is_left_puts_back() -> None:
    model = mlp()
    optimizer = of("Adam")(model)
    before = picture(model, optimizer)
    with closing(sweep(model, optimizer, data(), CE, metric=share)) as points:
        for _ in range(5):
            next(points)
    assert picture(model, optimizer) == before


def test_a_rule_that_stops_it_early_keeps_one_value_per_loss() -> None:
    model = mlp()
    curve = measured(model, of("SGD")(model), data(), CE, stop=lambda losses: len(losses) == 7)
    assert len(values(curve)) == len(curve) == 7


def test_a_run_in_the_background_has_the_same() -> None:
    model = batchnorm_dropout()
    torch.manual_seed(0)
    points = sweep(model, of("Adam")(model), data(), CE, **LRS, metric=noisy)
    background = RangeTest(points).start().wait(WAIT_S).curve
    torch.manual_seed(0)
    here = measured(model, of("Adam")(model), data(), CE, metric=noisy)
    assert values(background) == values(here)
    assert background == here


def test_varied_tests_have_it_each() -> None:
    model = mlp()
    options = {**LRS, "metric": "accuracy"}
    optimizers = {"SGD": of("SGD"), "Adam": of("Adam")}
    made = {
        name: (lambda parameters, name=name: getattr(torch.optim, name)(parameters, lr=0.1))
        for name in optimizers
    }
    found = vary(model, of("SGD")(model), data(), CE, optimizers=made, **options)
    for (name,), curve in found.curves.items():
        alone = measured(model, optimizers[str(name)](model), data(), CE)
        assert curve.losses.tobytes() == alone.losses.tobytes()
        assert values(curve) == values(alone)


def test_a_lazy_model_and_a_model_that_is_copied_have_it() -> None:
    model = linear()
    expected = measured(model, of("SGD")(model), data(), CE)
    twin = copy.deepcopy(model)
    assert values(measured(twin, of("SGD")(twin), data(), CE)) == values(expected)
