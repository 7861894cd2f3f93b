"""What torch keeps per thread: a run has that of the cell that started it, and leaves it alone."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from support import CLASSES, FEATURES, classes, linear, picture, sgd_momentum
from torch import Tensor, nn

import lrfinder_widget.training.sweep_run as sweep_run
import lrfinder_widget.training.thread_state
from lrfinder_widget import LRFinder, RangeTest, range_test, sweep, training_step
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.restore.snapshot import Snapshot
from lrfinder_widget.training.task import TrainingTask
from lrfinder_widget.training.thread_state import ThreadState

CE = nn.CrossEntropyLoss()
CPU = torch.device("cpu")
Context = AbstractContextManager[Any]


def state() -> dict[str, Any]:
    """Read what torch keeps for this thread."""
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"),
        "default device": torch.get_default_device(),
        "new tensors": torch.empty(()).device,
    }


PLAIN = {
    "gradients": True,
    "inference": False,
    "autocast": False,
    "default device": CPU,
    "new tensors": CPU,
}
META = torch.device("meta")
# name -> (what the starting cell is in, what a step is in then)
CELLS: dict[str, tuple[Callable[[], Context], dict[str, Any]]] = {
    "plain": (nullcontext, PLAIN),
    "no_grad": (torch.no_grad, PLAIN),
    "inference_mode": (torch.inference_mode, PLAIN),
    "autocast": (
        lambda: torch.autocast("cpu", torch.bfloat16),
        {**PLAIN, "autocast": torch.bfloat16},
    ),
    "autocast-fp16": (
        lambda: torch.autocast("cpu", torch.float16),
        {**PLAIN, "autocast": torch.float16},
    ),
    "device": (
        lambda: torch.device("meta"),
        {**PLAIN, "default device": META, "new tensors": META},
    ),
    "set_default_device": (
        lambda: default_device("meta"),
        {**PLAIN, "default device": META, "new tensors": META},
    ),
}


@contextmanager
def default_device(device: str) -> Iterator[None]:
    before = torch.get_default_device()
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(before if before.type != "cpu" else None)


class Bare:
    """A model and data that can be trained on under any default device."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))
        self.optimizer = sgd_momentum(self.model)
        x, y = classes().tensors
        self.batches = list(zip(x.split(8), y.split(8), strict=True))
        self.seen: list[dict[str, Any]] = []

    def step(self, batch: Any) -> Tensor:
        self.seen.append(state())
        self.optimizer.zero_grad()
        loss = CE(self.model(batch[0]), batch[1])
        loss.backward()
        self.optimizer.step()
        return loss

    def __iter__(self) -> Iterator[Any]:
        """Be the data, and look around."""
        for batch in self.batches:
            self.seen.append(state())
            yield batch


def blocking(points: Any) -> list[float]:
    return [loss for _, loss in points]


def background(points: Any) -> list[float]:
    return RangeTest(points).start().wait(20).curve.losses.tolist()


def in_another_thread(points: Any) -> list[float]:
    """Run in a thread that has surroundings of its own."""
    losses: list[float] = []

    def work() -> None:
        with torch.autocast("cpu", torch.float16), torch.device("meta"), torch.no_grad():
            before = state()
            losses.extend(blocking(points))
            assert state() == before

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    return losses


HOW = [blocking, background, in_another_thread]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("cell", CELLS)
def test_every_step_has_the_surroundings_of_the_cell_that_started_it(cell: str, how: Any) -> None:
    context, expected = CELLS[cell]
    bare = Bare()
    with context():
        points = sweep(
            bare.model, bare.optimizer, bare.batches, step=bare.step, num_iter=3, stop=None
        )
        losses = how(points)
    assert len(losses) == 3
    assert bare.seen == [expected] * 3


@pytest.mark.parametrize("cell", CELLS)
def test_so_has_every_step_of_a_run_that_blocks(cell: str) -> None:
    context, expected = CELLS[cell]
    bare = Bare()
    with context():
        range_test(bare.model, bare.optimizer, bare.batches, step=bare.step, num_iter=3, stop=None)
    assert bare.seen == [expected] * 3


def test_a_thread_is_asked_again_where_a_cell_may_run_between_two_steps() -> None:
    shared, own = ThreadState(CPU), ThreadState(CPU, shared=False)
    with torch.no_grad():
        assert not shared.is_current()
        assert not own.is_current()
    assert shared.is_current()
    assert own.is_current()
    with torch.no_grad():
        assert not shared.is_current()
        assert own.is_current()


@pytest.mark.parametrize("how", [background, in_another_thread])
@pytest.mark.parametrize("cell", ["autocast", "device", "set_default_device"])
def test_the_data_is_loaded_in_the_same_surroundings(cell: str, how: Any) -> None:
    """With a default device, its loader's sampler draws there, or fails."""
    context, expected = CELLS[cell]
    bare = Bare()
    with context():
        points = sweep(
            bare.model, bare.optimizer, bare, step=lambda batch: 1.0, num_iter=12, stop=None
        )
        assert how(points) == [1.0] * 12
    assert bare.seen == [expected] * 12  # with a second beginning after eight


@pytest.mark.parametrize("cell", CELLS)
def test_the_callers_own_state_is_left_alone(cell: str) -> None:
    context, _ = CELLS[cell]
    bare = Bare()
    before = picture(bare.model, bare.optimizer)
    with context():
        outside = state()
        points = sweep(bare.model, bare.optimizer, bare.batches, CE, num_iter=5, stop=None)
        with closing(points):
            for _ in points:
                assert state() == outside
        assert state() == outside
        test = RangeTest(sweep(bare.model, bare.optimizer, bare.batches, CE, num_iter=5)).start()
        assert state() == outside
        test.wait(20)
        assert state() == outside
    assert state() == PLAIN
    assert picture(bare.model, bare.optimizer) == before


@pytest.mark.parametrize("cell", CELLS)
def test_the_callers_own_state_is_left_alone_by_a_step_that_fails(cell: str) -> None:
    context, _ = CELLS[cell]
    bare = Bare()

    def failing(batch: Any) -> Tensor:
        raise ZeroDivisionError

    with context():
        outside = state()
        with pytest.raises(ZeroDivisionError):
            range_test(bare.model, bare.optimizer, bare.batches, step=failing)
        assert state() == outside


@pytest.mark.parametrize("cell", CELLS)
def test_the_curve_is_the_same_in_whatever_thread(cell: str) -> None:
    context, _ = CELLS[cell]
    curves = []
    for how in HOW:
        bare = Bare()
        with context():
            curves.append(
                how(sweep(bare.model, bare.optimizer, bare.batches, CE, num_iter=30, stop=None))
            )
    assert len(curves[0]) == 30
    assert curves[0] == curves[1] == curves[2]


@pytest.mark.parametrize("cell", CELLS)
def test_the_surroundings_may_change_between_two_points(cell: str) -> None:
    """`next(points)` in one cell, and again in another."""
    bare = Bare()
    points = sweep(bare.model, bare.optimizer, bare.batches, step=bare.step, num_iter=6, stop=None)
    for context in (nullcontext, CELLS[cell][0]) * 3:
        with context():
            next(points)
    assert bare.seen == [PLAIN] * 6
    points.close()


# -- weights that autocast has cast before they were changed --------------------------------------


def plain_loop(bare: Bare, lrs: Any, val_batches: Any = None) -> list[float]:
    """Train as the manual says: with autocast around each forward pass alone."""
    losses = []
    for i, lr in enumerate(lrs):
        bare.optimizer.param_groups[0]["lr"] = lr
        x, y = bare.batches[i % len(bare.batches)]
        bare.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = CE(bare.model(x), y)
        loss.backward()
        bare.optimizer.step()
        if val_batches is not None:
            bare.model.eval()
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                loss = torch.stack([CE(bare.model(x), y) for x, y in val_batches]).mean()
            bare.model.train()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("how", [blocking, background])
@pytest.mark.parametrize("validate", [False, True], ids=["training", "validation"])
def test_under_autocast_every_step_trains_on_the_weights_as_they_are(
    how: Any, validate: bool
) -> None:
    """Autocast keeps what it has cast until its outermost block ends, which here is the cell's."""
    bare = Bare()
    options = {"val_batches": bare.batches[:2]} if validate else {}
    with torch.autocast("cpu", torch.bfloat16):
        points = sweep(
            bare.model,
            bare.optimizer,
            bare.batches,
            CE,
            start_lr=1e-3,
            end_lr=1.0,
            num_iter=30,
            stop=None,
            **options,
        )
        losses = how(points)
    lrs = SweepPlan(1e-3, 1.0, 30).lrs
    assert losses == plain_loop(Bare(), lrs, **options)


@pytest.mark.parametrize("how", [blocking, background])
def test_under_autocast_an_optimizer_with_a_closure_sees_its_own_changes(how: Any) -> None:
    def run(around_run: Callable[[], Context], around_forward: Callable[[], Context]) -> Any:
        class Inside(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = Bare().model

            def forward(self, x: Tensor) -> Tensor:
                with around_forward():
                    return self.inner(x).float()  # so that the loss is in float32 either way

        model = Inside()
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
        with around_run():
            return how(sweep(model, optimizer, Bare().batches, CE, num_iter=5, end_lr=0.1))

    assert run(autocast, nullcontext) == run(nullcontext, autocast)


def autocast() -> Context:
    return torch.autocast("cpu", torch.bfloat16)


def test_the_cell_itself_trains_on_the_weights_as_they_are_afterwards() -> None:
    bare = Bare()
    x = bare.batches[0][0]
    with torch.autocast("cpu", torch.bfloat16):
        before = bare.model(x)
        range_test(bare.model, bare.optimizer, bare.batches, CE, num_iter=10)
        assert torch.equal(bare.model(x), before)


# -- the current device, and devices that know less -----------------------------------------------


class FakeDevices:
    """A module like `torch.cuda`: one device is current."""

    def __init__(self, current: int) -> None:
        self.current = current
        self.visited: list[int] = []

    def current_device(self) -> int:
        return self.current

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, device.index
        self.visited.append(device.index)
        try:
            yield
        finally:
            self.current = before


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> FakeDevices:
    """Stand in for `torch` where there is no second device, or none at all."""
    fake = FakeDevices(0)

    class Torch:
        is_autocast_enabled = staticmethod(lambda kind: False)
        autocast = staticmethod(lambda *arguments, **options: nullcontext())
        get_device_module = staticmethod(lambda kind: fake)

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    ours = Torch()
    monkeypatch.setattr(lrfinder_widget.training.thread_state, "torch", ours)
    return fake


@pytest.mark.parametrize(("model_is_on", "visited"), [("cuda:0", []), ("cuda:1", [1])])
def test_a_step_runs_with_the_models_device_as_the_current_one(
    devices: FakeDevices, model_is_on: str, visited: list[int]
) -> None:
    surroundings = ThreadState(torch.device(model_is_on))
    assert surroundings.is_current() == (not visited)
    if not surroundings.is_current():
        with surroundings.applied():
            assert surroundings.is_current()
            assert devices.current == torch.device(model_is_on).index
    assert devices.current == 0
    assert devices.visited == visited


def test_the_current_device_is_put_back_after_a_step_that_fails(devices: FakeDevices) -> None:
    surroundings = ThreadState(torch.device("cuda:1"))
    with pytest.raises(ZeroDivisionError), surroundings.applied():
        raise ZeroDivisionError
    assert devices.current == 0


def test_a_model_on_the_cpu_takes_the_current_accelerator_along(
    devices: FakeDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its step may send something there."""
    devices.current, devices.is_initialized = 2, lambda: True  # type: ignore[attr-defined]
    accelerator = type("accelerator", (), {"is_available": staticmethod(lambda: True)})
    accelerator.current_accelerator = staticmethod(lambda: torch.device("cuda"))  # type: ignore[attr-defined]
    ours: Any = lrfinder_widget.training.thread_state.torch
    monkeypatch.setattr(ours, "accelerator", accelerator, raising=False)
    surroundings = ThreadState(CPU)
    assert surroundings.is_current()
    devices.current = 0  # as in another thread
    assert not surroundings.is_current()
    with surroundings.applied():
        assert devices.current == 2
    assert devices.current == 0


def test_a_device_without_index_is_whichever_is_current(devices: FakeDevices) -> None:
    surroundings = ThreadState(torch.device("cuda"))
    assert surroundings.is_current()
    with surroundings.applied():
        assert devices.current == 0
    assert devices.visited == []


def test_a_kind_of_device_of_which_there_is_one_needs_no_current_one() -> None:
    """`torch.mps` knows neither `current_device` nor `device`; its tensors are on `mps:0`."""
    surroundings = ThreadState(torch.device("mps:0"))
    assert surroundings.is_current()


def test_a_model_on_a_device_that_autocast_does_not_know_has_none() -> None:
    surroundings = ThreadState(torch.device("meta"))
    assert surroundings.is_current()
    with torch.no_grad():
        assert not surroundings.is_current()
        with surroundings.applied():
            assert torch.is_grad_enabled()


def test_another_dtype_of_autocast_is_noticed() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        surroundings = ThreadState(CPU)
    with torch.autocast("cpu", torch.float16):
        assert not surroundings.is_current()
        with surroundings.applied():
            assert torch.get_autocast_dtype("cpu") is torch.bfloat16
        assert torch.get_autocast_dtype("cpu") is torch.float16


@pytest.fixture
def cast(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Simulate an accelerator in autocast; returns what is entered, and whether it casts."""
    entered: list[tuple[str, bool]] = []

    class Autocast(nullcontext[None]):
        def __init__(self, kind: str, dtype: Any = None, *, enabled: bool = True) -> None:
            super().__init__()
            entered.append((kind, enabled))

    for module in ("thread_state", "step"):
        monkeypatch.setattr(f"lrfinder_widget.training.{module}.accelerator_kind", lambda: "cuda")
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda kind: kind in ("cpu", "cuda"))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
    monkeypatch.setattr(torch, "autocast", Autocast)
    monkeypatch.setattr(lrfinder_widget.training.thread_state, "current_device", lambda: None)
    return entered


def test_a_model_on_the_cpu_takes_the_accelerators_autocast_along(
    cast: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its first parameter may be there."""
    state = ThreadState(CPU)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)  # in another thread
    with state.applied():
        assert cast == [("cuda", True)]


def test_a_step_with_autocast_casts_on_both_if_the_first_parameter_is_on_the_cpu(
    cast: list[tuple[str, bool]],
) -> None:
    model = nn.Linear(FEATURES, CLASSES)
    step = training_step(model, sgd_momentum(model), CE, autocast=torch.bfloat16)
    step(next(iter(Bare().batches)))
    assert cast == [("cpu", True), ("cuda", True)]


def test_the_devices_are_waited_for_before_the_copies_and_after_they_are_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(sweep_run, "synchronize", lambda devices: happened.append("wait"))

    class Watched(Snapshot):
        def __init__(self, *args: Any, **options: Any) -> None:
            happened.append("copy")
            super().__init__(*args, **options)

        def restore(self, **options: Any) -> None:
            happened.append("restore")
            super().restore(**options)

    monkeypatch.setattr(sweep_run, "Snapshot", Watched)
    bare = Bare()
    range_test(bare.model, bare.optimizer, bare.batches, step=bare.step, num_iter=3)
    assert happened == ["wait", "copy", "restore", "wait"]


def test_a_run_waits_for_the_devices_of_its_model_and_for_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = Bare()
    task = TrainingTask(bare.model, bare.optimizer, bare.batches, step=bare.step)
    assert task.devices() == set()
    current = torch.device("cuda", 1)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr("lrfinder_widget.training.task.current_device", lambda: current)
    assert task.devices() == {CPU, current}


@pytest.mark.parametrize("with_widget", [False, True])
def test_a_run_in_the_background_has_the_threads_that_were_set(with_widget: bool) -> None:
    (library,) = (Path(torch.__file__).parent / "lib").glob("libgomp*")
    openmp = ctypes.CDLL(str(library))
    seen = []

    def step(batch: Any) -> float:
        seen.append(openmp.omp_get_max_threads())
        return 1.0

    usual = torch.get_num_threads()
    torch.set_num_threads(usual + 1)
    try:
        model = linear()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        arguments = {"step": step, "stop": None, "num_iter": 2}
        if with_widget:
            LRFinder(model, optimizer, [0], **arguments).start().wait(20)
        else:
            RangeTest(sweep(model, optimizer, [0], **arguments)).start().wait(20)
    finally:
        torch.set_num_threads(usual)
    assert set(seen) == {usual + 1}
