"""What only a CUDA device can show: skipped without one, small, and exact where it compares."""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, classes, picture
from torch import Tensor, nn
from torch.nn.parallel import DataParallel
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

import lrfinder_widget.restore.tensors
from lrfinder_widget import LRFinder, RangeTest, State, compare, range_test, sweep, training_step
from lrfinder_widget.curve.plan import SweepPlan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.timeout(60),
]

DEVICE = torch.device("cuda")
CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
PATIENCE_S = 45
STEPS = 40
SHORT: dict[str, Any] = {"start_lr": 1e-5, "end_lr": 0.1, "num_iter": STEPS, "stop": None}
LRS = SweepPlan(1e-5, 0.1, STEPS).lrs

Batch = tuple[Tensor, Tensor]
Training = tuple[nn.Module, Optimizer]


class Boom(Exception):
    pass


def small(make: Callable[[Any], Optimizer] = AdamW) -> Training:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Linear(FEATURES, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3)),
        nn.Linear(64, CLASSES),
    ).to(DEVICE)
    return model, make(model.parameters())


def on_device() -> list[Batch]:
    x, y = (tensor.to(DEVICE) for tensor in classes(256).tensors)
    return list(zip(x.split(32), y.split(32), strict=True))


def body(model: nn.Module, optimizer: Optimizer, criterion: Any = CE) -> Callable[[Any], Tensor]:
    """Return the body of a plain loop, which does not wait."""

    def step(batch: Any) -> Tensor:
        x, y = (part.to(DEVICE) for part in batch)
        optimizer.zero_grad()
        loss: Tensor = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def train(
    step: Callable[[Any], Tensor],
    batches: Iterable[Any],
    steps: int,
    optimizer: Optimizer | None = None,
) -> list[float]:
    """Take so many steps; with an optimizer, at the learning rates of a test. Return the losses."""
    losses: list[float] = []
    while True:
        for batch in batches:
            if optimizer is not None:
                optimizer.param_groups[0]["lr"] = LRS[len(losses)]
            losses.append(step(batch).item())
            if len(losses) == steps:
                return losses


def run_apart(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a process of its own, as it may spoil the device for the whole process."""
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, *arguments],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    print(done.stdout, done.stderr)  # for the log
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


COMMON = """
import json, sys, time
import torch
from torch import nn
from lrfinder_widget import LRFinder, range_test

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)).to("cuda")
optimizer = torch.optim.AdamW(model.parameters())
batches = [
    (torch.randn(32, 16, device="cuda"), torch.randint(4, (32,), device="cuda")) for _ in range(8)
]
"""


# -- the surroundings of a run --------------------------------------------------------------------


def test_a_default_device_changes_no_curve() -> None:
    options = {**SHORT, "end_lr": 1e-4}  # without a fall, so that a baseline is due
    training, batches = [small() for _ in range(4)], on_device()
    torch.manual_seed(1)
    expected = range_test(*training[3], batches, CE, **options)
    assert expected.baseline is not None
    with DEVICE:
        assert range_test(*training[0], batches, CE, **options) == expected
        finder = LRFinder(*training[1], batches, CE, variable=None, **options).start()
        assert finder.wait(PATIENCE_S).curve == expected
        finder.close()
        found = compare(*training[2], batches, CE, lrs=[0.01, 0.1], steps=10)
    assert found.baseline is not None


def test_what_a_side_stream_still_writes_is_in_the_snapshot() -> None:
    model, optimizer = small(SGD)
    weight = model[4].weight
    stream, batches = torch.cuda.Stream(), on_device()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(2_000_000_000)  # cycles: about a second
        with torch.no_grad():
            weight.fill_(7)
        RangeTest(sweep(model, optimizer, batches, CE, **SHORT)).start().wait(PATIENCE_S)
    torch.cuda.synchronize()
    assert (weight == 7).all()


# -- the random state -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["completed", "stopped", "failed"])
def test_training_goes_on_with_the_masks_that_would_have_come(end: str) -> None:
    def criterion(output: Tensor, target: Tensor) -> Tensor:
        if end == "failed" and optimizer.param_groups[0]["lr"] == LRS[20]:
            raise Boom
        return CE(output, target)

    losses = []
    for with_test in (False, True):
        (model, optimizer), batches = small(), on_device()
        step = body(model, optimizer)
        train(step, batches, 3)
        if with_test:
            with closing(sweep(model, optimizer, batches, criterion, **SHORT)) as points:
                try:
                    seen = len(list(itertools.islice(points, 20 if end == "stopped" else None)))
                except Boom:
                    assert end == "failed"
                else:
                    assert seen == {"completed": STEPS, "stopped": 20}[end]
        losses.append(train(step, batches, 5))
    assert losses[0] == losses[1]


@pytest.mark.xfail(
    strict=True, reason="cuDNN seeds its dropout anew once a random state has been set"
)
def test_an_lstm_drops_out_what_it_would_have() -> None:
    def output(*, with_test: bool) -> Tensor:
        torch.manual_seed(0)
        lstm = nn.LSTM(8, 8, 2, dropout=0.5).to(DEVICE)
        batches = [(torch.randn(5, 4, 8, device=DEVICE), torch.zeros((), device=DEVICE))]
        lstm(batches[0][0])
        if with_test:
            range_test(lstm, SGD(lstm.parameters()), batches, lambda o, _: o[0].pow(2).mean())
        return lstm(batches[0][0])[0]

    assert torch.equal(output(with_test=True), output(with_test=False))


# -- memory ---------------------------------------------------------------------------------------

WIDE, MIB = 2500, 2**20


def wide(make: Callable[[Any], Optimizer] = AdamW) -> Training:
    """A model of 100 MB."""
    torch.manual_seed(0)
    layers = [layer for _ in range(4) for layer in (nn.Linear(WIDE, WIDE), nn.ReLU())]
    model = nn.Sequential(*layers).to(DEVICE)
    return model, make(model.parameters())


def wide_batch(rows: int) -> Batch:
    """Make a batch without drawing random numbers: this is called between two pictures."""
    size = rows, WIDE
    return torch.full(size, 0.3, device=DEVICE), torch.full(size, 0.7, device=DEVICE)


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Give the process no more of the device's memory than this."""

    def set_limit(size: int) -> None:
        free_memory()
        total = torch.cuda.get_device_properties(DEVICE).total_memory
        torch.cuda.set_per_process_memory_fraction(size / total)

    yield set_limit
    torch.cuda.set_per_process_memory_fraction(1.0)
    free_memory()


def free_memory() -> None:
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()


def fits(rows: int) -> bool:
    free_memory()
    model, optimizer = wide()
    try:
        train(body(model, optimizer, MSE), [wide_batch(rows)], 3)
    except torch.OutOfMemoryError:
        return False
    return True


def most_rows() -> int:
    """Find the largest batch on which a plain loop trains, to a few percent."""
    low = 1024
    while fits(2 * low):
        low *= 2
    high = 2 * low
    while high > 1.03 * low:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    free_memory()
    return low


@pytest.mark.timeout(180)
def test_the_largest_batch_of_a_plain_loop_is_not_too_large_for_a_test(
    limit: Callable[[int], None],
) -> None:
    limit(2048 * MIB)
    rows = int(0.95 * most_rows())
    model, optimizer = wide()
    batches = [wide_batch(rows)]
    train(body(model, optimizer, MSE), batches, 3)
    before = picture(model, optimizer)
    assert range_test(model, optimizer, batches, MSE, **SHORT).reason == "completed"
    assert picture(model, optimizer) == before


@pytest.mark.timeout(180)
def test_out_of_memory_leaves_nothing_and_the_same_finder_goes_on_with_less(
    limit: Callable[[int], None],
) -> None:
    limit(2048 * MIB)
    rows = most_rows()
    model, optimizer = wide()
    batches = [wide_batch(rows // 8)]
    train(body(model, optimizer, MSE), batches, 3)
    optimizer.zero_grad()
    finder = LRFinder(model, optimizer, batches, MSE, variable=None, **SHORT)
    free_memory()
    before, used = picture(model, optimizer), torch.cuda.memory_allocated()
    batches[:] = [wide_batch(2 * rows)]
    with pytest.raises(torch.OutOfMemoryError):
        finder.start().wait(PATIENCE_S)
    batches[:] = [wide_batch(rows // 8)]
    free_memory()
    assert finder.state is State.FAILED
    assert finder.unrestored == ()
    assert picture(model, optimizer) == before
    assert torch.cuda.memory_allocated() - used <= 64 * MIB  # cuBLAS keeps a workspace
    assert finder.start().wait(PATIENCE_S).reason == "completed"
    assert picture(model, optimizer) == before
    finder.close()


def test_copies_go_to_the_host_if_the_device_has_no_room_for_them(
    limit: Callable[[int], None],
) -> None:
    model, optimizer = wide(lambda p: SGD(p, lr=0.1, momentum=0.9))
    batches = [wide_batch(8)]
    train(body(model, optimizer, MSE), batches, 3)
    optimizer.zero_grad()
    free_memory()
    # There is room for the gradients, 100 MB, and not for copies of weights and momenta.
    limit(torch.cuda.memory_reserved() + 150 * MIB)
    before = picture(model, optimizer)
    assert range_test(model, optimizer, batches, MSE, **SHORT).reason == "completed"
    assert picture(model, optimizer) == before


def test_from_the_second_run_on_no_memory_is_added() -> None:
    (model, optimizer), batches = small(), on_device()
    used = []
    for _ in range(10):
        finder = LRFinder(model, optimizer, batches, CE, variable=None, **SHORT)
        finder.start().wait(PATIENCE_S).close()
        del finder
        free_memory()
        used.append(torch.cuda.memory_allocated())
    assert used[1:] == [used[1]] * 9


@pytest.mark.parametrize("end", ["completed", "stopped", "failed"])
def test_copies_on_the_host_are_put_back(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mixed(nn.Module):
        """Weights in several types and orders of memory, and one buffer that is expanded."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
            self.norm = nn.BatchNorm2d(8)
            self.last = nn.Linear(8, CLASSES).to(torch.bfloat16)
            self.register_buffer("wide", torch.ones(3, 1, device=DEVICE).expand(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            self.wide.data.as_strided((3,), (1,)).add_(1)
            x = self.norm(self.conv(x)).relu().mean((2, 3))
            return self.last(x.to(torch.bfloat16)).float()

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        if end == "failed" and optimizer.param_groups[0]["lr"] == LRS[20]:
            raise Boom
        return CE(output, target)

    host = torch.device("cpu")
    monkeypatch.setattr(lrfinder_widget.restore.tensors, "place_for", lambda *_: host)
    torch.manual_seed(0)
    model = Mixed().to(DEVICE)
    optimizer = AdamW(model.parameters())
    batches = [(torch.rand(4, 3, 8, 8), torch.randint(CLASSES, (4,))) for _ in range(8)]
    train(body(model, optimizer), batches, 3)
    before = picture(model, optimizer)
    with closing(sweep(model, optimizer, batches, criterion, **SHORT)) as points:
        try:
            list(itertools.islice(points, 20 if end == "stopped" else None))
        except Boom:
            assert end == "failed"
    assert picture(model, optimizer) == before


@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
@pytest.mark.timeout(110)
def test_a_model_with_adapters_needs_no_second_copy_of_what_is_frozen() -> None:
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")

    def adapted() -> Training:
        torch.manual_seed(0)
        base = transformers.GPT2LMHeadModel(transformers.GPT2Config()).to(DEVICE, torch.bfloat16)
        adapters = peft.LoraConfig(
            target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM"
        )
        model = peft.get_peft_model(base, adapters)
        return model, AdamW(p for p in model.parameters() if p.requires_grad)

    def peak(act: Callable[[nn.Module, Optimizer], object]) -> int:
        model, optimizer = adapted()
        free_memory()
        torch.cuda.reset_peak_memory_stats()
        act(model, optimizer)
        return torch.cuda.max_memory_allocated()

    ids = torch.randint(50_000, (2, 64), device=DEVICE)
    batches = [{"input_ids": ids, "labels": ids}]

    def plain(model: nn.Module, optimizer: Optimizer) -> None:
        for _ in range(10):
            optimizer.zero_grad()
            model(**batches[0]).loss.backward()
            optimizer.step()

    peak(plain)  # what is allocated once and for all
    bare = peak(plain)
    ours = peak(lambda model, optimizer: range_test(model, optimizer, batches, **SHORT))
    print(f"{bare / MIB:.0f} MiB, with a test {ours / MIB:.0f} MiB")
    assert ours <= 1.05 * bare


# -- graphs ---------------------------------------------------------------------------------------


def captured(lr: float | Tensor) -> tuple[nn.Module, Optimizer, Callable[[Any], Tensor]]:
    """Return a training step in one CUDA graph, as torch's notes on CUDA graphs have it."""
    model, optimizer = small(lambda p: AdamW(p, lr=lr, capturable=True))
    held = tuple(part.clone() for part in on_device()[0])

    def train_once() -> Tensor:
        loss: Tensor = CE(model(held[0]), held[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            optimizer.zero_grad()
            train_once()
    torch.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = train_once()

    def step(batch: Any) -> Tensor:
        for place, part in zip(held, batch, strict=True):
            place.copy_(part)
        graph.replay()
        return loss

    return model, optimizer, step


def test_a_step_captured_with_a_float_as_its_learning_rate_is_found_out() -> None:
    model, optimizer, step = captured(1e-3)
    assert range_test(model, optimizer, on_device(), step=step, **SHORT).reason == "no-effect"


def test_a_captured_step_with_a_tensor_as_its_learning_rate_is_put_back_with_its_gradients() -> (
    None
):
    model, optimizer, step = captured(torch.tensor(1e-3, device=DEVICE))
    batches = on_device()
    train(step, batches, 3)
    before = picture(model, optimizer)
    curve = range_test(model, optimizer, batches, step=step, **SHORT)
    assert curve.reason == "completed"
    assert picture(model, optimizer) == before
    expected = []
    for i, lr in enumerate(LRS):
        optimizer.param_groups[0]["lr"].fill_(lr)
        expected.append(step(batches[i % len(batches)]).item())
    assert curve.losses.tolist() == expected


def test_gradients_in_static_memory_are_put_back() -> None:
    (model, optimizer), batches = small(), on_device()
    graphed = torch.cuda.make_graphed_callables(model, (batches[0][0],))
    train(body(graphed, optimizer), batches, 3)
    before = picture(graphed, optimizer)
    assert range_test(graphed, optimizer, batches, CE, **SHORT).reason == "completed"
    assert picture(graphed, optimizer) == before


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", ["finder", "main"])
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_model_trains_in_both_threads(mode: str, first: str) -> None:
    if mode == "reduce-overhead" and torch.__version__ < "2.13":
        pytest.skip("pytorch#123177: before torch 2.13, graphs belong to the first thread")
    found = run_apart(COMPILED, mode, first)
    assert found["reasons"] == ["completed"] * 2
    assert found["addresses kept"]
    assert found["main thread trains"]
    assert found["compiled again"] == 0


COMPILED = """
from torch._dynamo.utils import counters

mode, first = sys.argv[1:]
compiled = torch.compile(model, mode=mode)
criterion = nn.CrossEntropyLoss()
addresses = [p.data_ptr() for p in model.parameters()]
reasons, losses, graphs = [], [], []

def main():
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(compiled(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

def finder():
    test = LRFinder(compiled, optimizer, batches, criterion, variable=None, num_iter=20, stop=None)
    reasons.append(test.start().wait(60).reason)
    test.close()

for act in (finder, main) if first == "finder" else (main, finder):
    act()
    graphs.append(counters["stats"]["unique_graphs"])
reasons.append(range_test(compiled, optimizer, batches, criterion, num_iter=20, stop=None).reason)
main()
print(json.dumps({
    "reasons": reasons,
    "addresses kept": addresses == [p.data_ptr() for p in model.parameters()],
    "main thread trains": all(map(torch.isfinite, map(torch.tensor, losses))) and len(losses) == 16,
    "compiled again": counters["stats"]["unique_graphs"] - graphs[0],
    "graphs": graphs,
}))
"""


@pytest.mark.timeout(180)
def test_a_graph_captured_beside_a_run_fails_loudly_and_the_run_restores_or_says_so() -> None:
    found = run_apart(CAPTURED_BESIDE)  # which prints what each side raised
    assert found["cell"] or found["run"] or found["same"]
    assert found["same"] or found["unrestored"]


CAPTURED_BESIDE = """
before = [p.clone() for p in model.parameters()]
finder = LRFinder(
    model, optimizer, batches, nn.CrossEntropyLoss(), variable=None, num_iter=100_000, stop=None
)
finder.start()
while not len(finder.curve) and not finder.state.ended:
    time.sleep(0.01)
cell = run = None
x = torch.ones(8, device="cuda")
try:
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        for _ in range(1000):
            x = x * 1.0
except Exception as error:
    cell = repr(error)[:300]
try:
    finder.stop()
    finder.wait(60)
except Exception as error:
    run = repr(error)[:300]
try:
    same = all(map(torch.equal, before, model.parameters()))
except Exception as error:
    same = False
print(json.dumps({
    "cell": cell, "run": run, "state": finder.state.value, "same": same,
    "unrestored": finder.unrestored,
}))
"""


def test_a_device_that_has_failed_is_not_said_to_be_restored() -> None:
    found = run_apart(DEVICE_ASSERT)
    assert "device-side assert" in found["error"]
    assert found["state"] == "failed"
    assert found["unrestored"]


DEVICE_ASSERT = """
bad = [(x, y + 4) for x, y in batches]  # labels out of range
finder = LRFinder(model, optimizer, bad, nn.CrossEntropyLoss(), variable=None, num_iter=20)
error = ""
try:
    finder.start().wait(30)
except Exception as raised:
    error = str(raised)
print(json.dumps({
    "error": error, "state": finder.state.value, "unrestored": finder.unrestored,
}))
"""


# -- losses on their way --------------------------------------------------------------------------

FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "bfloat16": Tensor.bfloat16,
    "float16": Tensor.half,
    "float64": Tensor.double,
    "int": lambda loss: (loss * 1000).long(),
    "(1, 1)": lambda loss: loss.reshape(1, 1),
    "requires_grad": lambda loss: loss.clone().requires_grad_(),
}


@pytest.mark.parametrize("form", FORMS)
def test_losses_of_every_type_and_shape_arrive(form: str) -> None:
    def losses(*, wait: bool) -> list[float]:
        model, optimizer = small()
        train_once = body(model, optimizer)

        def step(batch: Any) -> Any:
            loss = FORMS[form](train_once(batch))
            return loss.item() if wait else loss

        curve = range_test(model, optimizer, on_device(), step=step, **SHORT)
        assert len(curve) == STEPS
        return curve.losses.tolist()

    assert losses(wait=False) == losses(wait=True)


def test_a_loss_from_a_side_stream_arrives() -> None:
    model, optimizer = small()
    expected = range_test(model, optimizer, on_device(), step=body(model, optimizer), **SHORT)
    model, optimizer = small()
    train_once, side = body(model, optimizer), torch.cuda.Stream()

    def step(batch: Any) -> Tensor:
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            loss = train_once(batch)
        torch.cuda.current_stream().wait_stream(side)
        return loss

    curve = range_test(model, optimizer, on_device(), step=step, **SHORT)
    assert curve.losses.tolist() == expected.losses.tolist()


# -- mixed precision ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_textbook_step_in_mixed_precision_is_that_of_a_plain_loop(dtype: torch.dtype) -> None:
    def scaler_of() -> Any:
        scales = dtype is torch.float16
        return torch.amp.GradScaler(DEVICE.type, growth_interval=4) if scales else None

    (model, optimizer), scaler = small(), scaler_of()
    step = training_step(model, optimizer, CE, autocast=dtype, scaler=scaler, clip_grad_norm=1.0)
    before = picture(model, optimizer), scaler and scaler.state_dict()
    curve = range_test(model, optimizer, on_device(), step=step, **SHORT)
    assert (picture(model, optimizer), scaler and scaler.state_dict()) == before

    (model, optimizer), scaler = small(), scaler_of()

    def plain(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, dtype):
            loss: Tensor = CE(model(batch[0]), batch[1])
        (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is not None:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        return loss.detach()

    assert curve.losses.tolist() == train(plain, on_device(), STEPS, optimizer)


def test_a_finder_started_under_autocast_trains_under_it() -> None:
    (model, optimizer), batches = small(), on_device()
    with torch.autocast(DEVICE.type, torch.bfloat16):
        finder = LRFinder(model, optimizer, batches, CE, variable=None, **SHORT).start()
    losses = finder.wait(PATIENCE_S).curve.losses.tolist()
    finder.close()

    model, optimizer = small()
    train_once = body(model, optimizer)

    def under_autocast(batch: Any) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            return train_once(batch)

    assert losses == train(under_autocast, batches, STEPS, optimizer)


# -- optimizers, and no step that waits -----------------------------------------------------------


def tensor_lr(parameters: Any) -> Optimizer:
    return Adam(parameters, lr=torch.tensor(1e-3, device=DEVICE), capturable=True)


OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "foreach": AdamW,
    "fused": lambda parameters: Adam(parameters, fused=True),
    "capturable": lambda parameters: Adam(parameters, capturable=True),
    "one by one": lambda parameters: SGD(parameters, lr=0.1, foreach=False),
    "tensor as lr": tensor_lr,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_kind_of_update_is_put_back_and_none_waits(name: str) -> None:
    (model, optimizer), batches = small(OPTIMIZERS[name]), on_device()
    train(body(model, optimizer), batches, 3)
    before = picture(model, optimizer)
    with closing(sweep(model, optimizer, batches, CE, **SHORT)) as points:
        list(itertools.islice(points, 10))
        torch.cuda.set_sync_debug_mode("error")
        try:
            list(itertools.islice(points, STEPS - 20))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert picture(model, optimizer) == before


def test_no_step_of_a_finder_that_draws_waits() -> None:
    (model, optimizer), batches = small(), on_device()
    train_once = body(model, optimizer)

    def step(batch: Any) -> Tensor:
        lr = optimizer.param_groups[0]["lr"]
        steady = LRS[10] <= lr < LRS[-10]
        torch.cuda.set_sync_debug_mode("error" if steady else "default")
        return train_once(batch)

    finder = LRFinder(model, optimizer, batches, step=step, variable=None, **SHORT)
    try:
        assert finder.start().wait(PATIENCE_S).reason == "completed"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    finder.close()


# -- other ways to train --------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [[0], [0, 0]], ids=str)
def test_a_model_in_data_parallel_runs_in_the_background(devices: list[int]) -> None:
    (inner, optimizer), batches = small(), on_device()
    model = DataParallel(inner, device_ids=devices)
    try:
        model(batches[0][0])
    except RuntimeError as error:
        pytest.skip(f"torch does not take the same device twice: {error}")
    test = RangeTest(sweep(model, optimizer, batches, CE, **SHORT)).start()
    assert test.wait(PATIENCE_S).reason == "completed"


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
@pytest.mark.parametrize("reentrant", [True, False])
def test_a_model_that_recomputes_runs_in_the_background(reentrant: bool) -> None:
    class Recomputing(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            x = self.inner[0](x)
            return checkpoint(self.inner[1:], x, use_reentrant=reentrant)

    (inner, optimizer), batches = small(), on_device()
    model = Recomputing(inner)
    expected = range_test(model, optimizer, batches, CE, **SHORT)
    test = RangeTest(sweep(model, optimizer, batches, CE, **SHORT)).start()
    assert test.wait(PATIENCE_S).curve == expected


def test_an_optimizer_in_the_backward_pass_runs_in_the_background() -> None:
    (model, _), batches = small(), on_device()
    each = {p: SGD([p], lr=0.1) for p in model.parameters()}

    def update(parameter: Tensor) -> None:
        each[parameter].step()
        each[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)

    def step(batch: Batch) -> Tensor:
        loss: Tensor = CE(model(batch[0]), batch[1])
        loss.backward()
        return loss.detach()

    first, *others = each.values()
    before = picture(model, first)
    points = sweep(model, first, batches, step=step, preserve=others, **SHORT)
    assert RangeTest(points).start().wait(PATIENCE_S).reason == "completed"
    assert picture(model, first) == before


@pytest.mark.parametrize("pinned", [True, False])
def test_the_batches_of_a_loader_with_workers_are_those_of_a_plain_loop(pinned: bool) -> None:
    def loader() -> DataLoader[Any]:
        order = torch.Generator().manual_seed(1)
        options: dict[str, Any] = {"shuffle": True, "generator": order, "pin_memory": pinned}
        return DataLoader(
            classes(256), batch_size=32, num_workers=2, persistent_workers=True, **options
        )

    def epoch(batches: DataLoader[Any]) -> list[Any]:
        return [y.tolist() for _, y in batches]

    (model, optimizer), batches = small(), loader()
    torch.manual_seed(2)
    test = RangeTest(sweep(model, optimizer, batches, CE, **SHORT)).start()
    losses = test.wait(PATIENCE_S).curve.losses.tolist()
    next_epoch = epoch(batches)
    assert next_epoch == epoch(loader())
    model, optimizer = small()
    torch.manual_seed(2)
    assert losses == train(body(model, optimizer), loader(), STEPS, optimizer)
