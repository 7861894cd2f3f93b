"""Sharded models: whatever ends a run, each rank has its shards back, and trains on as without it.

The file is also the program of a rank, see `ranks`.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from ranks import Ranks, Result, scenario, serve
from torch import Tensor, nn

import lrfinder_widget.restore.frozen
from lrfinder_widget import compare, range_test, sweep, training_step
from lrfinder_widget.restore import sharded
from lrfinder_widget.restore.snapshot import Snapshot

CE = nn.CrossEntropyLoss()
FEATURES, HIDDEN, CLASSES = 6, 9, 4  # of 9 rows, one rank of two has 5 and the other has 4


class Boom(Exception):
    pass


# -- models ---------------------------------------------------------------------------------------


class Net(nn.Module):
    """A root with a parameter and a buffer of its own, and what no `state_dict` has."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.full((FEATURES,), 0.1))
        self.register_buffer("hidden", torch.zeros(2), persistent=False)
        self.first = nn.Linear(FEATURES, HIDDEN)
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.last = nn.Linear(HIDDEN, CLASSES)
        self.calls = [0]

    def forward(self, x: Tensor) -> Tensor:
        self.calls[0] += 1
        self.hidden.add_(1)
        return self.last(torch.relu(self.norm(self.first(x + self.shift))))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, FEATURES)
        self.second = nn.Linear(FEATURES, FEATURES)
        self.second.weight = self.first.weight
        self.relu = nn.ReLU()
        self.last = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.relu(self.second(self.relu(self.first(x)))))


def mesh_of(*shape: int, names: tuple[str, ...] = ("all",)) -> Any:
    return dist.init_device_mesh("cpu", shape, mesh_dim_names=names)


def by_layers(model: nn.Module, **how: Any) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    for module in model.modules():
        if isinstance(module, nn.Linear):
            fully_shard(module, **how)
    return fully_shard(model, **how)


def layers() -> nn.Module:
    return by_layers(Net(), mesh=mesh_of(dist.get_world_size()))


def root_alone() -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    return fully_shard(Net(), mesh=mesh_of(dist.get_world_size()))


def within_a_plain_module() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, FEATURES).requires_grad_(False), layers())


def tied() -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    model = Tied()
    fully_shard(model.last, mesh=(mesh := mesh_of(dist.get_world_size())))
    return fully_shard(model, mesh=mesh)


def frozen() -> nn.Module:
    model = Net()
    model.first.requires_grad_(False)
    return by_layers(model, mesh=mesh_of(dist.get_world_size()))


def mixed() -> nn.Module:
    from torch.distributed.fsdp import MixedPrecisionPolicy

    model = Net()
    model.norm = nn.ReLU()  # type: ignore[assignment] - which takes any type
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    return by_layers(model, mesh=mesh_of(dist.get_world_size()), mp_policy=policy)


def offloaded() -> nn.Module:
    from torch.distributed.fsdp import CPUOffloadPolicy

    policy = CPUOffloadPolicy(pin_memory=False)
    return by_layers(Net(), mesh=mesh_of(dist.get_world_size()), offload_policy=policy)


def replicated_shards() -> nn.Module:
    mesh = mesh_of(dist.get_world_size(), 1, names=("copies", "shards"))
    return by_layers(Net(), mesh=mesh)


def replicated() -> nn.Module:
    from torch.distributed._composable.replicate_with_fsdp import replicate

    return replicate(Net(), mesh=mesh_of(dist.get_world_size()))


def grouped() -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    model, mesh = Net(), mesh_of(dist.get_world_size())
    fully_shard([model.first, model.norm, model.last], mesh=mesh)
    return fully_shard(model, mesh=mesh)


def checkpointed() -> nn.Module:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
    from torch.distributed.fsdp import fully_shard

    model, mesh = Net(), mesh_of(dist.get_world_size())
    model.first = checkpoint_wrapper(model.first)  # type: ignore[assignment]
    fully_shard(model.first, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def tensor_parallel() -> nn.Module:
    return parallelized(mesh_of(dist.get_world_size()))


def parallelized(mesh: Any) -> nn.Module:
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    return parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})


def in_two_dimensions() -> nn.Module:
    warnings.filterwarnings(
        "ignore", message="FSDP2-wrapped module"
    )  # of views, which are not used
    half = dist.get_world_size() // 2
    mesh = mesh_of(half, 2, names=("data", "tensor"))
    return by_layers(parallelized(mesh["tensor"]), mesh=mesh["data"])


def from_meta() -> nn.Module:
    """Made without values, which come after it is sharded, and without FSDP2's padding."""
    from torch.distributed.tensor import distribute_tensor

    with torch.device("meta"):
        model = Net()
    model = by_layers(model, mesh=mesh_of(dist.get_world_size()))
    given = Net()
    for name, module in model.named_modules():
        for key, like in list(module.named_parameters(recurse=False)):
            value = given.get_submodule(name).get_parameter(key).detach()
            shards = distribute_tensor(value, like.device_mesh, like.placements)
            setattr(module, key, nn.Parameter(shards))
        for key, _ in list(module.named_buffers(recurse=False)):
            setattr(module, key, given.get_submodule(name).get_buffer(key))
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    made.__name__: made
    for made in (
        layers,
        root_alone,
        within_a_plain_module,
        tied,
        frozen,
        mixed,
        offloaded,
        replicated_shards,
        replicated,
        grouped,
        checkpointed,
        tensor_parallel,
        in_two_dimensions,
        from_meta,
    )
}


# -- what a rank has ------------------------------------------------------------------------------


class Trainer:
    """A sharded model that may have been trained, and its data, which differ from rank to rank."""

    def __init__(self, rank: int, kind: str, adam: bool = True) -> None:
        torch.manual_seed(0)
        self.fails_at = 0
        self.model = MODELS[kind]()
        self.sharded = {name: hasattr(p, "to_local") for name, p in self.model.named_parameters()}
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        if adam:
            self.optimizer: Any = torch.optim.AdamW(parameters, lr=0.01)
        else:
            self.optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
        together = {"tensor_parallel": dist.get_world_size(), "in_two_dimensions": 2}.get(kind, 1)
        random = torch.Generator().manual_seed(rank // together)  # ranks of one model share them
        self.batches = [
            (
                torch.randn(8, FEATURES, generator=random),
                torch.randint(CLASSES, (8,), generator=random),
            )
            for _ in range(6)
        ]

    def train(self, steps: int) -> list[float]:
        losses = []
        for x, y in itertools.islice(itertools.cycle(self.batches), steps):
            self.optimizer.zero_grad()
            loss = CE(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses

    def evaluate(self) -> float:
        """Call the model without a backward pass, which leaves the root gathered."""
        x, y = self.batches[0]
        self.model.eval()
        with torch.no_grad():
            loss = CE(self.model(x), y)
        self.model.train()
        return loss.item()

    def whole(self) -> list[str]:
        """Tell which parameters are in the place of their shards."""
        named = self.model.named_parameters()
        return [name for name, p in named if hasattr(p, "to_local") != self.sharded[name]]

    def tensors(self) -> Iterator[tuple[str, Tensor | None]]:
        for group in self.optimizer.param_groups:
            for i, parameter in enumerate(group["params"]):
                yield f"parameter {i}", parameter
                yield f"gradient {i}", parameter.grad
                for name, value in self.optimizer.state.get(parameter, {}).items():
                    yield f"{name} {i}", value
        yield from self.model.named_buffers()
        yield "random state", torch.get_rng_state()

    def picture(self) -> dict[str, str]:
        """Tell all that a run may change, to the bit, without asking the other ranks."""
        told = {name: "none" if value is None else digest(value) for name, value in self.tensors()}
        groups = [g for m in self.model.modules() for g in sharded._groups(m)]
        told["reduced"] = repr([(g.reduce_grads, g.all_reduce_grads) for g in groups])
        told["rates"] = repr([group["lr"] for group in self.optimizer.param_groups])
        told["flags"] = repr([module.training for module in self.model.modules()])
        told["calls"] = repr([getattr(m, "calls", None) for m in self.model.modules()])
        return told


def digest(tensor: Any) -> str:
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return hashlib.sha256(local.detach().reshape(-1).view(torch.uint8).numpy()).hexdigest()[:12]


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in before | after if before.get(name) != after.get(name)]


# -- what ends a run ------------------------------------------------------------------------------


class End:
    """Something of the training that raises at the fourth call."""

    def __init__(self, trainer: Trainer, where: str) -> None:
        self._calls = itertools.count(1)
        self._where = where
        self.batches: Any = trainer.batches
        if where == "data":
            self.batches = self.loaded(trainer.batches)
        self.hook: Any = None
        module = next(m for m in trainer.model.modules() if isinstance(m, nn.ReLU | nn.BatchNorm1d))
        if where == "layer":
            self.hook = module.register_forward_pre_hook(self.fail)
        elif where == "backward":
            self.hook = module.register_full_backward_hook(self.fail)

    def fail(self, *_: Any) -> None:
        if next(self._calls) == 4:
            raise Boom(self._where)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        if self._where == "loss":
            self.fail()
        return CE(output, target)

    def loaded(self, batches: list[Any]) -> Iterator[Any]:
        for batch in itertools.cycle(batches):
            self.fail()
            yield batch


def run_until(trainer: Trainer, where: str, **options: Any) -> str:
    """Run a test that ends so; return how it did."""
    end = End(trainer, where)
    arguments = trainer.model, trainer.optimizer, end.batches, end.criterion
    try:
        if where == "close":
            with closing(sweep(*arguments, **options)) as points:
                return f"{len(list(itertools.islice(points, 5)))} points"
        return range_test(*arguments, **options).reason
    except Boom as error:
        return f"Boom: {error}"
    finally:
        if end.hook is not None:
            end.hook.remove()


ENDS = {
    "completed": {"num_iter": 8, "stop": None},
    "diverged": {"start_lr": 1e-2, "end_lr": 1e8, "num_iter": 60},
    **{where: {"num_iter": 12} for where in ("close", "layer", "loss", "data", "backward")},
}


@scenario
def train_test_train(
    rank: int,
    kind: str = "layers",
    where: str = "completed",
    steps: int = 2,
    evaluate: bool = False,
    adam: bool = True,
    val: bool = False,
    **options: Any,
) -> Result:
    """Train, test, train on; and the same without the test."""

    def play(with_test: bool) -> Result:
        trainer = Trainer(rank, kind, adam)
        trainer.train(steps)
        if evaluate:
            trainer.evaluate()
        if val:
            options["val_batches"] = trainer.batches[:2]
        told: Result = {}
        before = trainer.picture()
        if with_test:
            told["end"] = run_until(trainer, where, **{**ENDS[where], **options})
            told["changed"] = changed(before, trainer.picture())
            told["whole"] = trainer.whole()
        losses = trainer.train(3)
        losses.append(trainer.evaluate())
        state = {name: type(value).__name__ for name, value in trainer.model.state_dict().items()}
        return {**told, "after": [losses, trainer.picture(), state]}

    told = play(True)
    after, without = told.pop("after"), play(False)["after"]
    same = {"losses": after[0] == without[0], "picture": changed(after[1], without[1])}
    return {**told, **same, "state": after[2] == without[2], "was": [after[0], without[0]]}


# -- a step of one's own --------------------------------------------------------------------------


@scenario
def own_step(rank: int, how: str, kind: str = "layers", fails_at: int = 0) -> Result:
    """Train by a step that does more; test, train on; and the same without the test."""

    def play(with_test: bool) -> Result:
        trainer = Trainer(rank, kind, adam=how != "tensor rate")
        step, preserve = STEPS[how](trainer)
        before = trainer.picture()
        told: Result = {}
        if with_test:
            arguments = trainer.model, trainer.optimizer, trainer.batches
            trainer.fails_at = fails_at
            try:
                options = {"step": step, "preserve": preserve, "num_iter": 8, "stop": None}
                curve = range_test(*arguments, **options)
                told["end"] = [curve.reason, *curve.losses.tolist()]
            except Boom as error:
                told["end"] = [f"Boom: {error}"]
            trainer.fails_at = 0
            told["changed"] = changed(before, trainer.picture())
        losses = [float(step(batch)) for batch in trainer.batches]
        return {**told, "after": [losses, trainer.picture()]}

    told = play(True)
    after, without = told.pop("after"), play(False)["after"]
    same = {"losses": after[0] == without[0], "picture": changed(after[1], without[1])}
    return {**told, **same, "state": True, "was": [after[0], without[0]]}


def scaled(trainer: Trainer) -> tuple[Any, list[Any]]:
    trainer.train(2)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    step = training_step(
        trainer.model,
        trainer.optimizer,
        CE,
        scaler=scaler,
        clip_grad_norm=0.5,
        autocast=torch.bfloat16,
    )
    for batch in trainer.batches[:3]:
        step(batch)
    return step, [scaler]


def with_tensor_rate(trainer: Trainer) -> tuple[Any, list[Any]]:
    trainer.train(2)
    trainer.optimizer.param_groups[0]["lr"] = torch.tensor(0.05)
    trainer.optimizer.param_groups[0]["foreach"] = False
    return training_step(trainer.model, trainer.optimizer, CE), []


def reduced_every_third(
    trainer: Trainer, set_reduction: str = "set_requires_gradient_sync"
) -> tuple[Any, list[Any]]:
    """Accumulate gradients where FSDP2 keeps them; two batches have been, before the test."""
    calls = [0]

    def step(batch: Any) -> Tensor:
        calls[0] += 1
        last = calls[0] % 3 == 0
        getattr(trainer.model, set_reduction)(last)
        loss = CE(trainer.model(batch[0]), batch[1])
        loss.backward()
        if trainer.fails_at == calls[0]:
            raise Boom("step")
        if last:
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
        return loss.detach()

    for batch in trainer.batches[:5]:
        step(batch)
    return step, [calls]


def told_as_a_part(trainer: Trainer) -> tuple[Any, list[Any]]:
    """Return a loss of which each rank has a part."""
    from torch.distributed.tensor import DTensor, Partial

    trainer.train(2)
    mesh = mesh_of(dist.get_world_size())

    def step(batch: Any) -> Tensor:
        trainer.optimizer.zero_grad()
        loss = CE(trainer.model(batch[0]), batch[1])
        loss.backward()
        trainer.optimizer.step()
        return DTensor.from_local(torch.tensor(float(dist.get_rank())), mesh, [Partial()])

    return step, []


STEPS: dict[str, Callable[[Trainer], tuple[Any, list[Any]]]] = {
    "scaler": scaled,
    "tensor rate": with_tensor_rate,
    "accumulated": reduced_every_third,
    "accumulated in groups": partial(reduced_every_third, set_reduction="set_requires_all_reduce"),
    "parts": told_as_a_part,
}


@scenario
def compared(rank: int, kind: str = "layers") -> Result:
    trainer = Trainer(rank, kind)
    trainer.train(2)
    before = trainer.picture()
    comparison = compare(
        trainer.model, trainer.optimizer, trainer.batches, CE, lrs=[1e-3, 1e-2, 1e-1], steps=10
    )
    return {
        "ranking": comparison.ranking,
        "losses": {str(lr): losses.tolist() for lr, losses in comparison.losses.items()},
        "changed": changed(before, trainer.picture()),
    }


@scenario
def used_by_another_thread(rank: int) -> Result:
    """Save the model in the middle of a forward pass, and call it on one rank between two steps."""

    def losses(disturbed: bool) -> tuple[list[float], list[str]]:
        trainer = Trainer(rank, "layers")
        trainer.train(2)
        said: list[str] = []

        def tried(act: Callable[[], Any]) -> None:
            try:
                act()
            except RuntimeError as error:
                said.append(str(error))

        def disturb(act: Callable[[], Any]) -> None:
            if disturbed:
                thread = threading.Thread(target=tried, args=(act,))
                thread.start()
                thread.join()

        def batches() -> Iterator[Any]:
            for batch in trainer.batches:
                if rank == 0:
                    disturb(partial(trainer.model, batch[0]))
                yield batch

        hook = trainer.model.first.register_forward_hook(
            lambda *_: disturb(trainer.model.state_dict)
        )
        points = sweep(trainer.model, trainer.optimizer, batches(), CE, num_iter=5)
        found = [loss for _, loss in points]
        hook.remove()
        return found, said

    found, said = losses(disturbed=True)
    return {"same": found == losses(disturbed=False)[0], "said": said}


@scenario
def frozen_part_that_changes(rank: int) -> Result:
    """Train with a frozen part that is compared, not copied; then let a hook change it."""
    here = lrfinder_widget.restore.frozen
    usual, here._LARGE = here._LARGE, 0
    trainer = Trainer(rank, "frozen")
    trainer.train(2)

    def run() -> list[str]:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            range_test(trainer.model, trainer.optimizer, trainer.batches, CE, num_iter=5)
        return [str(warning.message) for warning in said]

    told = {"without": run()}
    shard = trainer.model.first.weight.to_local()

    def change(*_: Any) -> None:
        shard.add_(1)

    trainer.model.norm.register_forward_pre_hook(change)
    told["with"] = run()
    here._LARGE = usual
    return told


# -- the tests ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    ranks = Ranks(__file__, tmp_path_factory.mktemp("ranks"))
    yield ranks
    assert set(ranks.end()) <= {0}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """Let this process be the only rank."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()
    # DTensor keeps meshes, and through them groups, for each thread. Where a thread forks, Python
    # takes away in the child what the others had: in a worker that a run starts, gloo would end
    # a group whose threads are not there, and wait for them.
    torch._C._clear_DTensor_sharding_propagator_cache()


def assert_as_without(results: list[Result]) -> None:
    for told in results:
        assert told["changed"] == []
        assert told.get("whole", []) == []
        assert told["losses"], told["was"]
        assert told["picture"] == []
        assert told["state"]


@pytest.mark.parametrize("where", list(ENDS))
def test_all_is_put_back_and_training_goes_on_as_without(pair: Ranks, where: str) -> None:
    results = pair.play("train_test_train", where=where)
    faults = ("layer", "loss", "data", "backward")
    expected = f"Boom: {where}" if where in faults else "5 points" if where == "close" else where
    assert [told["end"] for told in results] == [expected] * 2
    assert_as_without(results)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"steps": 0, "kind": "from_meta"},
        {"evaluate": True},
        {"evaluate": True, "kind": "root_alone", "where": "backward"},
        {"steps": 0, "kind": "root_alone", "where": "backward"},
        {"repeats": 3},
        {"val": True},
        {"accumulate": 2},
    ],
    ids=repr,
)
def test_so_it_is_for_the_first_pass_of_all_and_with_each_option(pair: Ranks, options: Any) -> None:
    """FSDP2 prepares itself in the first pass; without gradients, the root stays whole."""
    assert_as_without(pair.play("train_test_train", **options))


@pytest.mark.parametrize(
    "kind",
    [
        "within_a_plain_module",
        "tied",
        "frozen",
        "mixed",
        "offloaded",
        "replicated_shards",
        "tensor_parallel",
    ],
)
def test_so_it_is_for_each_way_to_shard(pair: Ranks, kind: str) -> None:
    assert_as_without(pair.play("train_test_train", kind=kind))


@pytest.mark.slow
@pytest.mark.parametrize("where", list(ENDS))
@pytest.mark.parametrize(
    "kind",
    ["tied", "mixed", "offloaded", "replicated", "grouped", "checkpointed", "tensor_parallel"],
)
def test_so_it_is_for_each_of_them_however_it_ends(pair: Ranks, kind: str, where: str) -> None:
    assert_as_without(pair.play("train_test_train", kind=kind, where=where, evaluate=True))
    assert_as_without(pair.play("train_test_train", kind=kind, where=where, adam=False))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    ranks = Ranks(__file__, tmp_path_factory.mktemp("ranks"), world=4)
    yield ranks
    assert set(ranks.end()) <= {0}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["in_two_dimensions", "replicated_shards"])
@pytest.mark.parametrize("where", list(ENDS))
def test_four_ranks_in_two_dimensions(four: Ranks, kind: str, where: str) -> None:
    assert_as_without(four.play("train_test_train", kind=kind, where=where))
    assert_as_without(four.play("train_test_train", kind=kind, where=where, evaluate=True))


@pytest.mark.parametrize("kind", ["layers", "tensor_parallel"])
def test_a_scaler_clipping_and_autocast_work(pair: Ranks, kind: str) -> None:
    assert_as_without(pair.play("own_step", how="scaler", kind=kind))


def test_a_rate_that_is_a_tensor_works(pair: Ranks) -> None:
    assert_as_without(pair.play("own_step", how="tensor rate"))


@pytest.mark.parametrize(
    ("how", "kind", "fails_at"),
    [
        ("accumulated", "layers", 0),
        ("accumulated", "layers", 6),  # with reduction, unlike before
        ("accumulated", "mixed", 7),
        ("accumulated in groups", "replicated_shards", 0),
        ("accumulated in groups", "replicated_shards", 7),
    ],
)
def test_gradients_that_are_not_reduced_yet_are_put_back(
    pair: Ranks, how: str, kind: str, fails_at: int
) -> None:
    """Two of three batches were accumulated before the test, which has batches of its own."""
    results = pair.play("own_step", how=how, kind=kind, fails_at=fails_at)
    assert [told["end"][0] for told in results] == ["Boom: step" if fails_at else "completed"] * 2
    assert_as_without(results)


def test_a_loss_of_which_each_rank_has_a_part_is_read_whole(pair: Ranks) -> None:
    results = pair.play("own_step", how="parts")
    assert [told["end"] for told in results] == [["completed", *[1.0] * 8]] * 2
    assert_as_without(results)


def test_trial_runs_are_the_same_on_each_rank(pair: Ranks) -> None:
    first, second = pair.play("compared")
    assert first == second
    assert first["changed"] == []
    assert len(first["ranking"]) == 3


def test_another_thread_is_kept_away_before_it_takes_the_weights(pair: Ranks) -> None:
    first, second = pair.play("used_by_another_thread")
    assert first["same"]
    assert second["same"]
    assert (len(first["said"]), len(second["said"])) == (10, 5)
    assert all("in the foreground" in said for said in first["said"] + second["said"])


def test_a_frozen_part_is_compared_by_its_shards(pair: Ranks) -> None:
    for told in pair.play("frozen_part_that_changes"):
        assert told["without"] == []
        assert any("first.weight" in said for said in told["with"])


# -- one process ----------------------------------------------------------------------------------


class Deaf(torch.optim.SGD):
    """An optimizer that has a rate of its own."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=0.01)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("kind", ["layers", "tensor_parallel"])
def test_a_single_process_also_tries_the_rate_and_evaluates(kind: str) -> None:
    trainer = Trainer(0, kind)
    trainer.train(2)
    before = trainer.picture()
    arguments = trainer.model, trainer.optimizer, trainer.batches, CE
    deaf = Deaf(trainer.optimizer.param_groups[0]["params"], lr=0.1)
    assert range_test(trainer.model, deaf, trainer.batches, CE).reason == "no-effect"
    slow = range_test(*arguments, start_lr=1e-9, end_lr=1e-8, num_iter=12)
    assert slow.baseline is not None
    plain = compare(*arguments, lrs=[1e-2], steps=12)
    judged = compare(*arguments, lrs=[1e-2], steps=12, held_out=trainer.batches[:3])
    assert plain.losses[1e-2].tolist() == judged.losses[1e-2].tolist()
    assert changed(before, trainer.picture()) == []


@pytest.mark.usefixtures("alone")
def test_a_snapshot_alone_takes_no_gradients_away() -> None:
    trainer = Trainer(0, "layers")
    trainer.train(1)
    group = sharded._groups(trainer.model)[0]
    parameter = group.fsdp_params[0]
    parameter.unsharded_param.grad = whole = torch.ones_like(parameter.unsharded_param)
    parameter.unsharded_accumulated_grad = group._partial_reduce_output = torch.ones(FEATURES)
    Snapshot([trainer.model])
    assert parameter.unsharded_param.grad is whole
    assert parameter.unsharded_accumulated_grad is group._partial_reduce_output is not None


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("shard", [False, True])
def test_a_large_tensor_of_shards_that_a_step_changes_is_said(shard: bool) -> None:
    from torch.distributed.tensor import Shard, distribute_tensor

    table = distribute_tensor(torch.zeros(2**21), mesh_of(1), [Shard(0)])
    trainer = Trainer(0, "layers")

    def step(batch: Any) -> Tensor:
        (table.to_local() if shard else table).add_(1)
        return CE(trainer.model(batch[0]), batch[1]).detach()

    with pytest.warns(RuntimeWarning, match="changes the large tensor table in place"):
        range_test(trainer.model, trainer.optimizer, trainer.batches, step=step, num_iter=5)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("kind", ["layers", "tensor_parallel"])
def test_an_optimizer_from_before_the_sharding_is_refused(kind: str) -> None:
    early = torch.optim.SGD(Net().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="after it is sharded"):
        sweep(MODELS[kind](), early, [], CE)


@pytest.mark.usefixtures("alone")
def test_the_optimizer_of_a_model_that_was_left_whole_is_recognised() -> None:
    trainer = Trainer(0, "root_alone")
    trainer.evaluate()
    sweep(trainer.model, trainer.optimizer, trainer.batches, CE).close()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("kind", ["flat", "older"])
@pytest.mark.parametrize("way", ["as the model", "in preserve", "in the step"])
def test_what_cannot_be_put_back_is_refused_first(
    monkeypatch: pytest.MonkeyPatch, way: str, kind: str
) -> None:
    from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

    trainer = Trainer(0, "layers")
    trainer.train(2)
    given, optimizer = trainer.model, trainer.optimizer
    plain = nn.Linear(FEATURES, CLASSES)
    plains = torch.optim.SGD(plain.parameters(), lr=0.1)
    before = trainer.picture()
    if kind == "older":
        monkeypatch.delattr(FSDPModule, "reset_iter_state")
    else:
        given = FullyShardedDataParallel.__new__(FullyShardedDataParallel)
        nn.Module.__init__(given)  # its own constructor wants a device
        given.inner = trainer.model
    run: dict[str, Callable[[], Any]] = {
        "as the model": lambda: sweep(given, optimizer, trainer.batches, CE),
        "in preserve": lambda: range_test(plain, plains, trainer.batches, CE, preserve=[given]),
        "in the step": lambda: range_test(plain, plains, trainer.batches, step=step),
    }

    def step(batch: Any) -> Tensor:
        return CE(given(batch[0]), batch[1])

    said = "FSDP1" if kind == "flat" else "torch 2.13"
    with pytest.raises(TypeError, match=said):
        run[way]()
    assert changed(before, trainer.picture()) == []


if __name__ == "__main__":
    serve()
