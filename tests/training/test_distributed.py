"""Several processes that train one model: one curve, one end, and each is what it was.

The file is also the program of a rank, see `ranks`.
"""

from __future__ import annotations

import _thread
import datetime as dt
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from ranks import LIMIT_S, Ranks, Result, scenario, serve
from support import CLASSES, FEATURES, classes, picture, sgd_momentum
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import lrfinder_widget.training.distributed
from lrfinder_widget import LossCurve, RangeTest, range_test, sweep, training_step
from lrfinder_widget.curve.points import Recorder

CE = nn.CrossEntropyLoss()
ELSEWHERE = "failed on another rank"


class Boom(Exception):
    pass


# -- what a rank has ------------------------------------------------------------------------------


class Trainer:
    """A model, an optimizer, data that differ from rank to rank, and what a run did to them."""

    def __init__(self, rank: int, *, parallel: bool = True) -> None:
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))
        self.model = DistributedDataParallel(self.inner) if parallel else self.inner
        self.optimizer = sgd_momentum(self.inner)
        x, y = classes(seed=rank).tensors
        self.batches = list(zip(x.split(8), y.split(8), strict=True))
        self.own_losses: list[float] = []
        self.before = picture(self.inner, self.optimizer)

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        loss = CE(output, target)
        self.own_losses.append(loss.item())
        return loss

    def run(self, batches: Any = None, background: bool = False, **options: Any) -> Result:
        """Run a test, and tell all about it."""
        batches = self.batches if batches is None else batches
        if "step" not in options:
            options.setdefault("criterion", self.criterion)
        points = sweep(self.model, self.optimizer, batches, **options)
        told: Result = {}
        try:
            curve = run_in_background(points) if background else run_here(points)
        except BaseException as error:  # noqa: BLE001
            told["error"] = f"{type(error).__name__}: {error}"
        else:
            told.update(reason=curve.reason, losses=curve.losses.tolist())
            if curve.metric is not None:
                told["metric"] = curve.metric.tolist()
        return {**told, **self.tell()}

    def tell(self) -> Result:
        return {
            "own": self.own_losses,
            "restored": picture(self.inner, self.optimizer) == self.before,
            "groups": len(dist.distributed_c10d._world.pg_map),
            "guard": [key for key, value in vars(self.model).items() if "hooks" in key and value],
        }


def run_here(points: Any) -> LossCurve:
    pairs = []
    with closing(points):
        while True:
            try:
                pairs.append(next(points))
            except StopIteration as end:
                recorder = Recorder()
                for pair in pairs:
                    recorder.take(pair)
                recorder.end(end.value)
                return LossCurve.median(recorder.curves)


def run_in_background(points: Any) -> LossCurve:
    return RangeTest(points).start().wait(LIMIT_S).curve


def at(n: int, value: Any, otherwise: Any = None) -> Callable[..., Any]:
    """Return, or raise, `value` at the n-th call."""
    calls = itertools.count(1)

    def act(*_: Any) -> Any:
        if next(calls) != n:
            return otherwise
        if isinstance(value, BaseException):
            raise value
        return value

    return act


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    pair = Ranks(__file__, tmp_path_factory.mktemp("ranks"))
    yield pair
    assert set(pair.end()) <= {0}


def assert_as_before(*results: Result) -> None:
    for told in results:
        assert told["restored"]
        assert told["groups"] == 1
        assert told["guard"] == []


# -- one curve ------------------------------------------------------------------------------------


@scenario
def parallel(rank: int, background: bool = False, **options: Any) -> Result:
    return Trainer(rank).run(background=background, stop=None, num_iter=20, **options)


@pytest.mark.parametrize("background", [False, True])
def test_the_curve_is_the_mean_over_the_ranks_and_the_same_on_each(
    pair: Ranks, background: bool
) -> None:
    first, second = pair.play("parallel", background=background)
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == 20
    assert first["own"] != second["own"]
    means = [(a + b) / 2 for a, b in zip(first["own"], second["own"], strict=True)]
    assert first["losses"] == pytest.approx(means, rel=1e-6)
    assert_as_before(first, second)


@scenario
def with_a_metric(rank: int, fail_at: int | None = None, background: bool = False) -> Result:
    trainer, own = Trainer(rank, parallel=fail_at is None), list[float]()

    def right(output: Tensor, target: Tensor) -> Tensor:
        if len(own) == fail_at and rank == 1:
            raise Boom("here")
        own.append((output.argmax(1) == target).float().mean().item())
        return (output.argmax(1) == target).float().mean()

    told = trainer.run(stop=None, num_iter=20, metric=right, background=background)
    return {**told, "own_metric": own}


@pytest.mark.parametrize("background", [False, True])
def test_a_metric_is_the_mean_over_the_ranks_and_the_losses_are_the_same(
    pair: Ranks, background: bool
) -> None:
    first, second = pair.play("with_a_metric", background=background)
    assert first["metric"] == second["metric"]
    assert first["own_metric"] != second["own_metric"]
    both = zip(first["own_metric"], second["own_metric"], strict=True)
    assert first["metric"] == pytest.approx([(a + b) / 2 for a, b in both], rel=1e-6)
    assert first["losses"] == pair.play("parallel")[0]["losses"]
    assert_as_before(first, second)


def test_a_metric_that_fails_on_one_rank_ends_all_of_them(pair: Ranks) -> None:
    first, second = pair.play("with_a_metric", fail_at=4)
    assert ELSEWHERE in first["error"]
    assert second["error"] == "Boom: here"
    assert_as_before(first, second)


@scenario
def given_losses(rank: int, losses: list[list[float]], **options: Any) -> Result:
    trainer = Trainer(rank, parallel=False)
    own = iter(losses[rank])
    told = trainer.run(step=lambda batch: next(own), num_iter=len(losses[0]), **options)
    return {**told, "left": len(list(own))}


def test_the_mean_is_as_exact_as_the_losses(pair: Ranks) -> None:
    losses = [[1e9 + 1.0, 1e-60, 1e60, 0.1], [1e9 + 2.0, 3e-60, 3e60, 0.3]]
    first, second = pair.play("given_losses", losses=losses, stop=None)
    assert first["losses"] == second["losses"] == [1e9 + 1.5, 2e-60, 2e60, 0.2]


@scenario
def validation(rank: int) -> Result:
    trainer = Trainer(rank)
    return trainer.run(val_batches=trainer.batches[:2], stop=None, num_iter=5)


def test_the_loss_on_validation_batches_is_the_mean_as_well(pair: Ranks) -> None:
    first, second = pair.play("validation")
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == 5
    assert_as_before(first, second)


@scenario
def training_goes_on(rank: int, with_sweep: bool) -> Result:
    trainer = Trainer(rank)

    def train(steps: int) -> None:
        for x, y in itertools.islice(itertools.cycle(trainer.batches), steps):
            trainer.optimizer.zero_grad()
            trainer.criterion(trainer.model(x), y).backward()
            trainer.optimizer.step()

    train(3)
    if with_sweep:
        range_test(trainer.model, trainer.optimizer, trainer.batches, CE, num_iter=10)
    train(20)
    return {"own": trainer.own_losses}


def test_training_goes_on_as_if_no_sweep_had_been(pair: Ranks) -> None:
    with_sweep = pair.play("training_goes_on", with_sweep=True)
    assert with_sweep == pair.play("training_goes_on", with_sweep=False)
    assert len(with_sweep[0]["own"]) == 23


@scenario
def shared_gradients(rank: int) -> Result:
    trainer = Trainer(rank)
    trainer.model = DistributedDataParallel(trainer.inner, gradient_as_bucket_view=True)
    for x, y in trainer.batches[:3]:  # the last gradients stay
        trainer.optimizer.zero_grad()
        CE(trainer.model(x), y).backward()
    trainer.before = picture(trainer.inner, trainer.optimizer)
    trainer.grad = trainer.inner[0].weight.grad.clone()
    told = trainer.run(stop=None, num_iter=5)
    return {**told, "same": torch.equal(trainer.inner[0].weight.grad, trainer.grad)}


def test_gradients_in_memory_of_data_parallelism_are_put_back(pair: Ranks) -> None:
    results = pair.play("shared_gradients")
    assert [told["same"] for told in results] == [True, True]
    assert_as_before(*results)


# -- one end --------------------------------------------------------------------------------------


@scenario
def diverging(rank: int) -> Result:
    return Trainer(rank).run(start_lr=1e-2, end_lr=1e6, num_iter=60)


def test_divergence_is_seen_at_the_same_point(pair: Ranks) -> None:
    first, second = pair.play("diverging")
    assert first["reason"] == second["reason"] == "diverged"
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) < 60
    assert_as_before(first, second)


def test_one_rank_that_diverges_ends_both(pair: Ranks) -> None:
    falling = [10.0 - 0.1 * i for i in range(40)]
    rising = [10.0 - 0.1 * i + (2.0 ** (i - 20) if i > 20 else 0) for i in range(40)]
    first, second = pair.play("given_losses", losses=[falling, rising])
    assert first["reason"] == second["reason"] == "diverged"
    assert first["losses"] == second["losses"]
    assert first["left"] == second["left"] > 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_loss_that_is_not_finite_ends_both(pair: Ranks, value: float) -> None:
    losses = [[1.0] * 10, [1.0] * 4 + [value] + [1.0] * 5]
    first, second = pair.play("given_losses", losses=losses, stop=None)
    assert first["reason"] == second["reason"] == "non-finite"
    assert repr(first["losses"]) == repr(second["losses"]) == repr([1.0] * 4 + [value])
    assert_as_before(first, second)


@scenario
def own_rule(rank: int, ranks: list[int], at_point: int, num_iter: int) -> Result:
    rule = (lambda losses: len(losses) == at_point) if rank in ranks else None
    return Trainer(rank).run(stop=rule, num_iter=num_iter)


@pytest.mark.parametrize("at_point", [1, 5, 8])
@pytest.mark.parametrize("ranks", [[0], [1], [0, 1]], ids=["first", "second", "both"])
def test_a_rule_of_ones_own_ends_all_ranks(pair: Ranks, ranks: list[int], at_point: int) -> None:
    """The eighth of eight points is the last: whoever does not stop there is through."""
    results = pair.play("own_rule", ranks=ranks, at_point=at_point, num_iter=8)
    for rank, told in enumerate(results):
        ended = "completed" if at_point == 8 else "stopped"
        assert told["reason"] == ("stop-rule" if rank in ranks else ended)
        assert len(told["losses"]) == at_point
    assert results[0]["losses"] == results[1]["losses"]
    assert_as_before(*results)


@scenario
def rule_that_fails(rank: int) -> Result:
    return Trainer(rank).run(stop=at(5, Boom("rule"), False) if rank == 1 else None)


def test_a_rule_that_fails_on_one_rank_fails_on_both(pair: Ranks) -> None:
    first, second = pair.play("rule_that_fails")
    assert ELSEWHERE in first["error"]
    assert second["error"] == "Boom: rule"
    assert_as_before(first, second)


@scenario
def closing_one(rank: int, points_taken: int) -> Result:
    trainer = Trainer(rank)
    if rank == 1:
        return trainer.run(stop=None, num_iter=8)
    points = sweep(trainer.model, trainer.optimizer, trainer.batches, CE, stop=None, num_iter=8)
    with closing(points):
        losses = [loss for _, loss in itertools.islice(points, points_taken)]
    return {"losses": losses, **trainer.tell()}


@pytest.mark.parametrize("points_taken", [1, 5, 8])
def test_a_sweep_that_is_closed_on_one_rank_is_stopped_on_the_other(
    pair: Ranks, points_taken: int
) -> None:
    first, second = pair.play("closing_one", points_taken=points_taken)
    assert second["reason"] == ("completed" if points_taken == 8 else "stopped")
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == points_taken
    assert_as_before(first, second)


@scenario
def stopping_one(rank: int) -> Result:
    trainer = Trainer(rank)
    points = sweep(
        trainer.model, trainer.optimizer, trainer.batches, CE, stop=None, num_iter=100_000
    )
    test = RangeTest(points)
    if rank == 0:
        test.listen(lambda test: len(test) >= 5 and test.stop())
    test.start().wait(LIMIT_S)
    return {
        "state": test.state.value,
        "reason": test.reason,
        "points": len(test),
        **trainer.tell(),
    }


def test_stop_on_one_rank_ends_both(pair: Ranks) -> None:
    first, second = pair.play("stopping_one")
    assert (first["state"], second["state"]) == ("stopped", "finished")
    assert first["reason"] == second["reason"] == "stopped"
    assert first["points"] == second["points"] < 100_000
    assert_as_before(first, second)


@scenario
def data_used_up(rank: int, on: int, count: int) -> Result:
    trainer = Trainer(rank)
    batches = iter(trainer.batches[:count]) if rank == on else trainer.batches
    return trainer.run(batches, stop=None, num_iter=20)


@pytest.mark.parametrize("on", [0, 1])
def test_data_used_up_on_one_rank_ends_both(pair: Ranks, on: int) -> None:
    first, second = pair.play("data_used_up", on=on, count=5)
    assert first["reason"] == second["reason"] == "exhausted"
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == 5
    assert_as_before(first, second)


@pytest.mark.parametrize("on", [0, 1])
def test_no_data_at_all_on_one_rank_is_a_failure_of_both(pair: Ranks, on: int) -> None:
    results = pair.play("data_used_up", on=on, count=0)
    assert "yielded nothing" in results[on]["error"]
    assert ELSEWHERE in results[1 - on]["error"]
    assert_as_before(*results)


# -- failures -------------------------------------------------------------------------------------


class FailingData:
    def __init__(self, batches: list[Any], begin: Any, take: Any) -> None:
        self.batches, self.begin, self.take = batches, begin, take

    def __iter__(self) -> Iterator[Any]:
        self.begin()
        return (self.take() or batch for batch in self.batches)


@scenario
def loading_fails(rank: int, on: int, at_begin: int, at_batch: int) -> Result:
    trainer = Trainer(rank)
    batches: Any = trainer.batches
    if rank == on:
        batches = FailingData(batches, at(at_begin, Boom("begin")), at(at_batch, Boom("batch")))
    return trainer.run(batches, stop=None, num_iter=20)


@pytest.mark.parametrize(
    ("at_begin", "at_batch"),
    [(1, -1), (2, -1), (-1, 1), (-1, 5)],
    ids=["at-the-start", "at-the-second-beginning", "first-batch", "fifth-batch"],
)
@pytest.mark.parametrize("on", [0, 1])
def test_data_that_fail_on_one_rank_fail_on_both(
    pair: Ranks, on: int, at_begin: int, at_batch: int
) -> None:
    results = pair.play("loading_fails", on=on, at_begin=at_begin, at_batch=at_batch)
    assert results[on]["error"].startswith("Boom")
    assert ELSEWHERE in results[1 - on]["error"]
    assert_as_before(*results)


@scenario
def step_fails(rank: int, on: int, what: str, at_step: int, background: bool = False) -> Result:
    trainer = Trainer(rank, parallel=False)
    faults: dict[str, Any] = {
        "exception": Boom("step"),
        "interrupt": KeyboardInterrupt("step"),
        "no-loss": "no number",
    }
    fault = at(at_step, faults[what])

    def step(batch: Any) -> Any:
        trainer.optimizer.zero_grad()
        loss = CE(trainer.inner(batch[0]), batch[1])
        loss.backward()
        trainer.optimizer.step()
        return (fault() if rank == on else None) or loss

    return trainer.run(step=step, stop=None, num_iter=8, background=background)


@pytest.mark.parametrize("at_step", [1, 5, 8])
@pytest.mark.parametrize("what", ["exception", "interrupt", "no-loss"])
@pytest.mark.parametrize("on", [0, 1])
def test_a_step_that_fails_on_one_rank_fails_on_both(
    pair: Ranks, on: int, what: str, at_step: int
) -> None:
    results = pair.play("step_fails", on=on, what=what, at_step=at_step)
    expected = {"exception": "Boom", "interrupt": "KeyboardInterrupt", "no-loss": "TypeError"}
    assert results[on]["error"].startswith(expected[what])
    assert ELSEWHERE in results[1 - on]["error"]
    assert_as_before(*results)


def test_a_failure_in_the_background_is_one_of_both_too(pair: Ranks) -> None:
    first, second = pair.play("step_fails", on=0, what="exception", at_step=3, background=True)
    assert first["error"] == "Boom: step"
    assert ELSEWHERE in second["error"]
    assert_as_before(first, second)


class Unready:
    """Something to preserve that fails to tell its state, or to take it back."""

    def __init__(self, at_begin: bool, at_end: bool) -> None:
        self.at_begin, self.at_end = at_begin, at_end

    def state_dict(self) -> dict[str, Any]:
        if self.at_begin:
            raise Boom("begin")
        return {}

    def load_state_dict(self, state: Any) -> None:
        if self.at_end:
            raise Boom("end")


@scenario
def snapshot_fails(rank: int, at_begin: bool, at_end: bool) -> Result:
    preserve = [Unready(at_begin, at_end)] if rank == 0 else []
    return Trainer(rank).run(preserve=preserve, stop=None, num_iter=5)


def test_a_restore_that_fails_on_one_rank_leaves_no_process_group(pair: Ranks) -> None:
    first, second = pair.play("snapshot_fails", at_begin=False, at_end=True)
    assert first["error"] == "Boom: end"
    assert second["reason"] == "completed"
    assert_as_before(first, second)


def test_a_snapshot_that_fails_on_one_rank_fails_on_both(pair: Ranks) -> None:
    first, second = pair.play("snapshot_fails", at_begin=True, at_end=False)
    assert first["error"] == "Boom: begin"
    assert ELSEWHERE in second["error"]
    assert_as_before(first, second)


@scenario
def beginning_fails(rank: int) -> Result:
    trainer = Trainer(rank)
    if rank == 0:
        trainer.model.train = at(1, Boom("train"))  # type: ignore[method-assign]
        trainer.model.training = False
    told = trainer.run(stop=None, num_iter=5)
    trainer.model.__dict__.pop("train", None)
    return told


def test_a_beginning_that_fails_on_one_rank_fails_on_both(pair: Ranks) -> None:
    first, second = pair.play("beginning_fails")
    assert first["error"] == "Boom: train"
    assert ELSEWHERE in second["error"]
    assert_as_before(first, second)


@scenario
def fails_before_a_collective(rank: int) -> Result:
    """Raise on one rank while the other waits for it in the backward pass, until it gives up."""
    lrfinder_widget.training.distributed._FAREWELL = dt.timedelta(seconds=1)
    trainer = Trainer(rank)
    group = dist.new_group(timeout=dt.timedelta(seconds=4))
    trainer.model = DistributedDataParallel(trainer.inner, process_group=group)
    fault = at(3, Boom("forward"))

    def criterion(output: Tensor, target: Tensor) -> Tensor:
        if rank == 0:
            fault()
        return CE(output, target)

    return trainer.run(criterion=criterion, stop=None, num_iter=8)


@pytest.mark.slow
def test_a_rank_that_fails_while_another_waits_for_it_is_put_back_first(
    tmp_path: Path,
) -> None:
    pair = Ranks(__file__, tmp_path)
    try:
        first, second = pair.play("fails_before_a_collective")
    finally:
        pair.end(kill=True)
    assert first["error"] == "Boom: forward"
    assert "error" in second
    for told in (first, second):
        assert told["restored"]
        assert told["guard"] == []


# -- waiting --------------------------------------------------------------------------------------


@scenario
def pausing(rank: int, timeout_s: float, pause_s: float) -> Result:
    trainer = Trainer(rank)
    constants = dist.distributed_c10d
    usual, constants.default_pg_timeout = (
        constants.default_pg_timeout,
        dt.timedelta(seconds=timeout_s),
    )
    try:
        points = sweep(trainer.model, trainer.optimizer, trainer.batches, CE, stop=None, num_iter=8)
        with closing(points):
            for i, _ in enumerate(points):
                if rank == 0 and i == 3:
                    time.sleep(pause_s)
    finally:
        constants.default_pg_timeout = usual
    return {"points": i + 1, **trainer.tell()}


@pytest.mark.parametrize(
    ("timeout_s", "pause_s"), [(1, 2), pytest.param(5, 10, marks=pytest.mark.slow)]
)
def test_a_pause_on_one_rank_may_be_longer_than_the_usual_time_out(
    pair: Ranks, timeout_s: float, pause_s: float
) -> None:
    results = pair.play("pausing", 60.0, timeout_s=timeout_s, pause_s=pause_s)
    assert [told["points"] for told in results] == [8, 8]
    assert_as_before(*results)


@scenario
def interrupted_while_waiting(rank: int) -> Result:
    trainer = Trainer(rank, parallel=False)
    here = lrfinder_widget.training.distributed
    usual, here._FAREWELL = here._FAREWELL, dt.timedelta(seconds=2)
    step = training_step(trainer.inner, trainer.optimizer, CE)
    points = sweep(trainer.inner, trainer.optimizer, trainer.batches, step=step, num_iter=8)
    told: Result = {}
    try:
        with closing(points):
            for i, _ in enumerate(points):
                if i == 3 and rank == 0:
                    time.sleep(2)
                elif i == 3:
                    threading.Timer(0.1, _thread.interrupt_main).start()
    except BaseException as error:  # noqa: BLE001
        told["error"] = f"{type(error).__name__}: {error}"
    finally:
        here._FAREWELL = usual
    return {**told, **trainer.tell()}


def test_a_rank_that_waits_for_another_can_be_interrupted(pair: Ranks) -> None:
    first, second = pair.play("interrupted_while_waiting")
    assert ELSEWHERE in first["error"]
    assert second["error"].startswith("KeyboardInterrupt")
    assert_as_before(first, second)


@scenario
def lost_while_paused(rank: int) -> Result:
    trainer = Trainer(rank)
    points = sweep(trainer.model, trainer.optimizer, trainer.batches, CE, stop=None, num_iter=8)
    told: Result = {}
    try:
        with closing(points):
            for i, _ in enumerate(points):
                if i == 3 and rank == 0:
                    os._exit(1)
    except RuntimeError as error:
        told["notes"] = " ".join(error.__notes__)
    return {**told, **trainer.tell()}


@pytest.mark.slow
def test_a_rank_that_is_gone_is_noticed_and_the_others_are_put_back(tmp_path: Path) -> None:
    ranks = Ranks(__file__, tmp_path)
    try:
        (second,) = ranks.play("lost_while_paused", lost=[0])
    finally:
        ranks.end(kill=True)
    assert "has ended or cannot be reached" in second["notes"]
    assert second["restored"]
    assert second["guard"] == []


# -- one process ----------------------------------------------------------------------------------


def test_a_world_of_one_is_a_single_process(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        assert not lrfinder_widget.training.distributed.several_ranks()
        trainer = Trainer(0)
        assert trainer.run(num_iter=5)["reason"] == "completed"
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    serve()
