"""Every training set-up: a test runs to its end, the same each time, and leaves no trace."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import setups
import torch
from setups import ITERATIONS, SETUPS, Net, make
from support import DEVICE, loader, moved
from torch import nn

from lrfinder_widget import RangeTest, range_test, sweep

pytestmark = [pytest.mark.filterwarnings(warning) for warning in setups.WARNINGS]

every_setup = pytest.mark.parametrize("name", SETUPS)
# cuDNN seeds the dropout between its layers anew once a random state has been put back.
reseeded = pytest.mark.skipif(DEVICE.type == "cuda", reason="cuDNN seeds its dropout anew")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Compile afresh, and let no pool of threads compete for a small machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.compiler.reset()
    yield
    torch.set_num_threads(threads)


# On the device without memory: its tensors have no values to be read, and some types do not exist.
NEED_VALUES = (
    *("bf16", "fp16", "lbfgs", "tensor-lrs", "sparse", "ASGD", "Adafactor", "hidden-state", "lazy"),
    *("Adagrad-fused", "Adam-fused", "AdamW-fused", "SGD-fused", "own-generators", "compiled"),
)


def test_every_setup_trains_where_the_environment_puts_it() -> None:
    left_out = (*NEED_VALUES, "loader-workers", "loader-persistent")  # which take their time
    names = [name for name in SETUPS if not name.startswith(left_out)]
    assert len(names) > 60
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *names],
        env={**os.environ, "LRFINDER_DEVICE": "meta"},
        cwd=Path(setups.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr


ELSEWHERE = """
import sys
import torch
from support import moved
from setups import SETUPS, Probe

torch.set_num_threads(1)
for name in sys.argv[1:]:
    setup = SETUPS[name](Probe())
    batches = setup.endless()
    parts = [moved(next(batches)) for _ in range(setup.accumulate)]
    loss = setup.step(parts if setup.accumulate > 1 else parts[0])
    tensors = [loss, *setup.model.parameters(), *setup.model.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}, name
"""


@every_setup
def test_a_test_runs_to_its_end_and_everything_is_bitwise_what_it_was(name: str) -> None:
    setup = make(name)
    before = setup.picture()
    curve = range_test(**setup.sweep)
    assert (curve.reason, len(curve)) == end_of(name)
    assert setup.picture() == before


@every_setup
def test_a_test_at_enormous_learning_rates_is_undone_as_well(name: str) -> None:
    setup = make(name)
    before = setup.picture()
    range_test(**{**setup.sweep, "end_lr": 1e9, "num_iter": 16, "stop": "divergence"})
    assert setup.picture() == before


@every_setup
def test_the_picture_itself_notices_training(name: str) -> None:
    setup = make(name)
    before = setup.picture()
    setup.train(1)
    assert setup.picture() != before


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[reseeded] * (name == "rnn")) for name in SETUPS]
)
def test_a_second_run_gives_the_same_curve_and_so_does_one_in_the_background(name: str) -> None:
    setup = make(name)
    first, second = range_test(**setup.sweep), range_test(**setup.sweep)
    background = RangeTest(sweep(**setup.sweep)).start().wait(60).curve
    assert first.losses.tobytes() == second.losses.tobytes() == background.losses.tobytes()


@every_setup
def test_training_goes_on_as_if_no_sweep_had_been(name: str) -> None:
    with_sweep, without = make(name), make(name)
    torch.manual_seed(1)
    range_test(**with_sweep.sweep)
    losses, values = with_sweep.train(20), with_sweep.values()
    torch.manual_seed(1)
    assert losses == without.train(20)
    assert values == without.values()


# These train in another way than the body of their loop, or at another learning rate, or their
# workers have come further in their random numbers than the workers of the test, which are new.
DIFFERENT = (
    "eval-mode",
    "gradients-pending",
    "loader-persistent",
    "scheduler-",
    "validation",
    "warm-up",
)


def end_of(name: str) -> tuple[str, int]:
    """Return why a test ends, and after how many steps: Rprop ignores the learning rate."""
    return ("no-effect", 2) if name.startswith("Rprop") else ("completed", ITERATIONS)


@pytest.mark.parametrize("name", [n for n in SETUPS if not n.startswith(DIFFERENT)])
def test_the_curve_is_that_of_the_plain_loop_to_the_bit(name: str) -> None:
    setup, own = make(name), make(name)
    torch.manual_seed(1)
    curve = range_test(**setup.sweep)
    torch.manual_seed(1)
    largest = max(float(group["lr"]) for group in own.optimizer.param_groups)
    ratios = [float(group["lr"]) / largest for group in own.optimizer.param_groups]
    parts, losses = own.endless(), []
    for lr in np.geomspace(1e-4, 0.1, ITERATIONS).tolist():
        for group, ratio in zip(own.optimizer.param_groups, ratios, strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr * ratio)
            else:
                group["lr"] = lr * ratio
        losses.append(own.train_once(parts))
    assert (curve.reason, len(curve)) == end_of(name)
    assert curve.losses.tolist() == losses[: len(curve)]


# -- learning rates that are tensors --------------------------------------------------------------


def test_a_tensor_lr_is_filled_in_place_and_stays_the_same_object() -> None:
    setup = make("tensor-lr")
    groups, shared = setup.optimizer.param_groups, setup.optimizer.defaults["lr"]
    seen = []
    setup.optimizer.register_step_pre_hook(
        lambda optimizer, *_: seen.append([group["lr"] for group in optimizer.param_groups])
    )
    curve = range_test(**setup.sweep)
    assert {id(lr) for lrs in seen for lr in lrs} == {id(shared)}
    assert all(group["lr"] is shared for group in groups)
    assert shared.item() == 0.05
    assert curve.losses.tobytes() == range_test(**_with_float_lr()).losses.tobytes()


def _with_float_lr() -> dict[str, Any]:
    setup = make("tensor-lr")
    for group in setup.optimizer.param_groups:
        group["lr"] = 0.05
    return setup.sweep


class Graphs:
    """A compiler that leaves the graphs as they are, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.count += 1
        return graph.forward


def wrapped(graphs: Graphs, **options: Any) -> Any:
    model = torch.compile(Net(), backend=graphs, **options)
    optimizer = _sgd(model)
    return model, optimizer, _body(model, optimizer, optimizer.step)


def in_place(graphs: Graphs, **options: Any) -> Any:
    model = Net()
    model.compile(backend=graphs, **options)
    optimizer = _sgd(model)
    return model, optimizer, _body(model, optimizer, optimizer.step)


def wrapped_whole(graphs: Graphs) -> Any:
    return wrapped(graphs, fullgraph=True)


def in_place_whole(graphs: Graphs) -> Any:
    return in_place(graphs, fullgraph=True)


def compiled_update(graphs: Graphs) -> Any:
    model = Net()
    optimizer = _sgd(model)
    return model, optimizer, _body(model, optimizer, torch.compile(optimizer.step, backend=graphs))


def compiled_body(graphs: Graphs) -> Any:
    model = Net()
    optimizer = _sgd(model)
    body = _body(model, optimizer, optimizer.step)
    return model, optimizer, torch.compile(body, backend=graphs)


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    lr = torch.tensor(0.05, dtype=torch.float64)
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def _body(model: nn.Module, optimizer: torch.optim.Optimizer, update: Any) -> Any:
    def step(batch: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        update()
        return loss.detach()

    return step


@pytest.mark.parametrize(
    "form", [wrapped, wrapped_whole, in_place, in_place_whole, compiled_update, compiled_body]
)
def test_nothing_is_compiled_again_because_of_the_test(form: Any) -> None:
    graphs, batches = Graphs(), moved(list(loader()))
    model, optimizer, step = form(graphs)
    for batch in batches[:4]:
        step(batch)
    before = graphs.count
    assert before
    range_test(model, optimizer, batches, step=step, num_iter=12)
    during = graphs.count
    for batch in batches[:4]:
        step(batch)
    assert (before, during, graphs.count) == (before, before, before)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("form", [wrapped, wrapped_whole, in_place, in_place_whole])
def test_a_compiled_model_is_kept_from_other_threads(form: Any, trained: bool) -> None:
    batches = moved(list(loader()))
    model, optimizer, step = form(Graphs())
    for batch in batches[: 3 * trained]:
        step(batch)
    with closing(sweep(model, optimizer, batches, step=step)) as points:
        next(points)
        with ThreadPoolExecutor(1) as other:
            for call in (lambda: model(batches[0][0]), model.state_dict, optimizer.state_dict):
                with pytest.raises(RuntimeError, match="an LR range test is training this"):
                    other.submit(call).result(20)
        next(points)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(model, batches[0][0]).result(20).shape == (8, 3)


@pytest.mark.parametrize("trained", [True, False])
def test_a_compiled_update_is_kept_from_other_threads(trained: bool) -> None:
    batches, model = moved(list(loader())), Net()
    optimizer = _sgd(model)
    update = torch.compile(optimizer.step, backend=Graphs())
    step = _body(model, optimizer, update)
    for batch in batches[: 3 * trained]:
        step(batch)
    with closing(sweep(model, optimizer, batches, step=step)) as points:
        next(points)
        with (
            ThreadPoolExecutor(1) as other,
            pytest.raises(RuntimeError, match="an LR range test is training this"),
        ):
            other.submit(update).result(20)
        next(points)


@pytest.mark.parametrize("form", [wrapped, wrapped_whole, in_place, in_place_whole])
def test_a_model_that_is_compiled_in_the_test_is_compiled_once_and_for_all(form: Any) -> None:
    graphs, batches = Graphs(), moved(list(loader()))
    model, optimizer, step = form(graphs)
    range_test(model, optimizer, batches, step=step, num_iter=12)
    assert graphs.count == 1
    for batch in batches[:4]:
        step(batch)
    assert graphs.count == 1


# -- gradients, workers, epochs -------------------------------------------------------------------


def test_a_sparse_gradient_comes_back_as_the_same_object() -> None:
    setup = make("sparse")
    (parameter,) = setup.model.parameters()
    setup.model(moved(setup.batches.batches[0][0])).sum().backward()
    grad, before = parameter.grad, parameter.grad.coalesce()
    indices, values = before.indices().clone(), before.values().clone()
    range_test(**setup.sweep)
    assert parameter.grad is grad
    assert torch.equal(grad.coalesce().indices(), indices)
    assert torch.equal(grad.coalesce().values(), values)


@pytest.mark.parametrize("name", ["loader-workers", "loader-persistent"])
@pytest.mark.parametrize("points", [1, 4, ITERATIONS])
def test_a_test_that_is_left_leaves_no_worker_process(name: str, points: int) -> None:
    setup = make(name)
    before = set(multiprocessing.active_children())
    run = sweep(**setup.sweep)
    for _ in range(points):
        next(run)
    assert set(multiprocessing.active_children()) - before
    run.close()
    assert set(multiprocessing.active_children()) - before == set()


@pytest.mark.parametrize("name", [name for name in SETUPS if name.startswith("loader")])
def test_the_next_epochs_are_those_that_would_have_come(name: str) -> None:
    epochs = []
    for with_sweep in (False, True):
        setup = make(name)
        torch.manual_seed(2)
        if with_sweep:
            range_test(**setup.sweep)
        epochs.append([[x.tolist() for x, _ in setup.batches] for _ in range(2)])
    assert epochs[0] == epochs[1]


def test_a_half_done_epoch_of_persistent_workers_goes_on() -> None:
    epochs = []
    for with_sweep in (False, True):
        setup = make("loader-persistent")
        batches = iter(setup.batches)
        seen = [next(batches)[0].tolist() for _ in range(2)]
        if with_sweep:
            range_test(**setup.sweep)
        epochs.append(seen + [x.tolist() for x, _ in batches])
    assert epochs[0] == epochs[1]
