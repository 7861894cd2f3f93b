"""A place for workers without any engine: calls are late, overtake each other, or are lost."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lrfinder_widget import LRFinder
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.remote.source import RemoteSource
from lrfinder_widget.remote.work import Work
from lrfinder_widget.widget.variable import Variable

ANSWER, LATE, LOSE, ANEW, HANG = range(5)
"""What happens while somebody waits: a call is answered, or none is, or the worker is gone, or is
made anew elsewhere, or never says anything again."""


class Place:
    """One thread: a call is answered when somebody waits, whichever `fate` and `luck` choose."""

    def __init__(self, index: int = 0, fate: Callable[[], int] = lambda: ANSWER) -> None:
        self.index = index
        self.fate = fate
        self.luck = random.Random(index)
        self.work: Work | None = None
        self.room, self.hangs, self.lost = True, False, False
        self.calls: list[Answer] = []
        self.heard: list[str] = []  # the calls that were answered

    def make(self) -> None:
        assert self.work is None
        self.work, self.hangs, self.lost, self.calls = Work(), False, False, []

    def is_there(self) -> bool:
        return self.room

    def call(self, name: str, *args: Any) -> Answer:
        if self.work is None or self.lost:
            raise ConnectionError("the engine knows nothing of it")
        answer = Answer(self, name, pickle.dumps(args))
        self.calls.append(answer)
        return answer

    def kill(self) -> None:
        self.work = None

    def go_on(self) -> None:
        fate = LATE if self.hangs else self.fate()
        self.lost, self.hangs = self.lost or fate == LOSE, self.hangs or fate == HANG
        if fate == ANEW and self.work is not None:
            self.work = Work()
        if fate == ANSWER and self.calls:
            self.calls.pop(self.luck.randrange(len(self.calls))).answer()


class Answer:
    def __init__(self, place: Place, name: str, args: bytes) -> None:
        self.place, self.name, self.args = place, name, args
        self.value: Any = None
        self.has_come = False

    def answer(self) -> None:
        assert self.place.work is not None
        told = getattr(self.place.work, self.name)(*pickle.loads(self.args))
        if self.name == "hello":
            told["pid"] = self.place.index  # as if it were in another process
        self.value, self.has_come = json.loads(json.dumps(told)), True  # nothing but plain values
        self.place.heard.append(self.name)

    def wait(self, seconds: float) -> bool:
        for _ in range(9 if seconds > 1 else 1):
            if not self.has_come and not self.place.lost and self.place.work is not None:
                self.place.go_on()
        return self.has_come or self.place.lost

    def result(self) -> Any:
        if not self.has_come:
            raise ConnectionError("the connection was closed\nby its peer")
        return self.value


def parts(**options: Any) -> dict[str, Any]:
    """What a small training is made of; the same each time."""
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(16, 4, 6)
    batches = [(one, one[:, :3].argmax(1)) for one in x]
    made = {"model": model, "optimizer": optimizer, "batches": batches}
    return made | {"criterion": nn.CrossEntropyLoss()} | options


def scripted() -> dict[str, Any]:
    """A training whose losses are those of a formula: quick, and the same on every worker."""
    made = parts(batches=list(range(16)))
    del made["criterion"]
    group = made["optimizer"].param_groups[0]

    def step(batch: int) -> float:
        return group["lr"] + 1 / (1 + batch)

    return made | {"step": step, "stop": None}


def source_on(*places: Place, setup: Callable[[], Any] = parts) -> RemoteSource:
    return RemoteSource(places, setup)


def finder_on(*places: Place, setup: Callable[[], Any] = parts, **plan: Any) -> LRFinder:
    plan = {"num_iter": 12, "start_lr": 1e-4, "end_lr": 1.0} | plan
    namespace = plan.pop("namespace", {})
    source = source_on(*places, setup=setup)
    return LRFinder._of(source, SweepPlan(**plan), Budget(), Variable("lr", namespace))
