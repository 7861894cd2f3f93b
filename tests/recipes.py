"""Each recipe of `your_own_loop.ipynb` is compared with a plain loop, and has left no trace.

Imported in the notebook's kernel: `watch` before the first recipe, `check` after each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import setups
import support
import torch
from torch import Tensor, nn

from lrfinder_widget import LRFinder

Names = dict[str, Any]
checked: list[str] = []


def watch() -> None:
    """Have every finder note what is there when it starts, and when it has been waited for."""
    start, wait = LRFinder.start, LRFinder.wait

    def watched_start(finder: Any) -> Any:
        finder.at_start = state(finder)
        return start(finder)

    def watched_wait(finder: Any) -> Any:
        wait(finder)
        finder.at_end = state(finder)
        return finder

    LRFinder.start, LRFinder.wait = watched_start, watched_wait


def state(finder: Any) -> list[Any]:
    task = finder._session.source.task
    others = [
        support.picture(thing, task.optimizer)
        if isinstance(thing, nn.Module)
        else setups.exact(thing.state_dict(), identities=False)
        for thing in task._preserve
    ]
    return [support.picture(task.model, task.optimizer), *others]


def check(recipe: str, names: Names) -> None:
    """Go through the same learning rates by hand; leaves the model trained."""
    finder = names["finder"]
    assert finder.at_end == finder.at_start
    assert state(finder) == finder.at_start
    curve, task = finder.curve, finder._session.source.task
    assert len(curve) > 40
    assert curve.reason in ("diverged", "completed", "non-finite")
    base = [group["lr"] for group in task.optimizer.param_groups]
    batches = endless(task.batches)
    train = TRAIN.get(recipe, own_step)
    losses = []
    for lr in curve.lrs.tolist():
        for group, rate in zip(task.optimizer.param_groups, base, strict=True):
            group["lr"] = lr * (rate / max(base))
        losses.append(float(train(names, batches)))
    np.testing.assert_array_equal(losses, curve.losses)
    checked.append(recipe)


def endless(batches: Any) -> Any:
    while True:
        yield from batches


# -- what a person writes who has no finder -------------------------------------------------------


def own_step(names: Names, batches: Any) -> Tensor:
    return names["step"](next(batches))


def textbook(names: Names, batches: Any, clip: float | None = None) -> Tensor:
    task = names["finder"]._session.source.task
    x, y = next(batches)
    task.optimizer.zero_grad()
    loss = names["criterion"](task.model(x), y)
    loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(task.model.parameters(), clip)
    task.optimizer.step()
    return loss.detach()


def likelihood(names: Names, batches: Any) -> Tensor:
    return textbook({**names, "criterion": names["negative_log_likelihood"]}, batches)


def accumulation(names: Names, batches: Any) -> Tensor:
    model, optimizer, criterion = (names[name] for name in ("model", "optimizer", "criterion"))
    optimizer.zero_grad()
    losses = []
    for x, y in [next(batches) for _ in range(4)]:
        loss = criterion(model(x), y) / 4
        loss.backward()
        losses.append(loss.detach())
    optimizer.step()
    return torch.stack(losses).sum()


def precision(names: Names, batches: Any) -> Tensor:
    model, optimizer, scaler = (names[name] for name in ("model", "optimizer", "scaler"))
    x, y = next(batches)
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = names["criterion"](model(x), y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()


def clipping(names: Names, batches: Any) -> Tensor:
    return textbook(names, batches, clip=1.0)


def lbfgs(names: Names, batches: Any) -> Tensor:
    model, optimizer, criterion = (names[name] for name in ("model", "optimizer", "criterion"))
    x, y = next(batches)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        return loss

    return optimizer.step(closure).detach()


def transformers(names: Names, batches: Any) -> Tensor:
    task = names["finder"]._session.source.task
    task.optimizer.zero_grad()
    loss = task.model(**next(batches)).loss
    loss.backward()
    task.optimizer.step()
    return loss.detach()


TRAIN: dict[str, Callable[[Names, Any], Tensor]] = {
    "accumulation": accumulation,
    "precision": precision,
    "clipping": clipping,
    "groups": textbook,
    "lbfgs": lbfgs,
    "text": textbook,
    "nll": likelihood,
    "transformers": transformers,
    "fastai": textbook,
    "timm": textbook,
}
