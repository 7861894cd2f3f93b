"""Three threads do whatever a person, a cell and a page might do, at random: nothing gives way."""

from __future__ import annotations

import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from support import linear, picture, sgd_momentum
from widget_support import click, fill, number_of_widgets, page_sends, page_writes, type_in

from lrfinder_widget import LRFinder, State
from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import TRANSITIONS

WAIT_S = 60.0
EXPECTED = (RuntimeError, ValueError)  # the wrong moment, or bad input: said in words


PAGE = threading.Lock()  # ipywidgets itself does not bear two messages for one widget at once


class Watch:
    """Notes each step of each run's state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[State, State]] = []
        set_state = RangeTest._set_state

        def noted(test: RangeTest, to: State) -> None:
            self.steps.append((test._state, to))
            set_state(test, to)

        monkeypatch.setattr(RangeTest, "_set_state", noted)


def actions(finder: LRFinder, namespace: dict[str, Any], dice: random.Random) -> list[Any]:
    def from_page(**state: Any) -> None:
        with PAGE:
            page_writes(finder, **state)

    def drag() -> None:
        lr = 10 ** dice.uniform(-5, 0)
        from_page(position=lr, moving_from=finder.position)
        if dice.random() < 0.5:
            n = dice.randrange(10**12)
            from_page(position=lr, moving_from=None, commit={"lr": lr, "n": n})

    def use() -> None:
        lr, n = finder.position, dice.randrange(10**12)
        from_page(commit={"lr": lr, "n": n})

    def go_to_a_candidate() -> None:
        if found := list(finder.reading["candidates"].values()):
            from_page(position=dice.choice(found), kind="candidate")

    def change_a_run(**what: Any) -> None:
        if runs := finder.runs:
            page_sends(finder, {"run": dice.choice(runs)["key"], **what})

    def cell() -> None:
        namespace["lr"] = dice.choice([10 ** dice.uniform(-5, 0), None, 3])
        finder._picker.follow()

    typed = ["1e-3", "fast", "", "nan", "-1", "1e999", "0.02"]
    return [
        finder.start,
        finder.pause,
        finder.resume,
        finder._session.test.stop,
        finder._session.trial_test.stop,
        finder._session.varied_test.stop,
        finder.pick,
        lambda: finder.pick(10 ** dice.uniform(-5, 0)),
        lambda: finder.compare([1e-3, 1e-2], steps=10),
        lambda: finder.vary(momentum=[0.0, 0.9]),
        finder.apply,
        drag,
        drag,
        drag,
        cell,
        lambda: click(finder, "start"),
        lambda: click(finder, "pause"),
        use,
        lambda: click(finder, "apply"),
        lambda: click(finder, "try"),
        lambda: click(finder, "take"),
        lambda: click(finder, "vary"),
        lambda: click(finder, "narrow"),
        lambda: type_in(finder, dice.choice(typed)),
        lambda: fill(finder, num_iter=dice.choice(["20", "30", "1", "x"])),
        lambda: fill(finder, repeats=dice.choice(["1", "2", "0"])),
        lambda: fill(finder, vary=dice.choice(["momentum", "batch_size", "weight_decay"])),
        lambda: fill(finder, mode=dice.choice(["exp", "linear"])),
        lambda: fill(finder, log_loss=dice.random() < 0.5),
        lambda: fill(finder, zoom=dice.random() < 0.5),
        lambda: fill(finder, smoothing=dice.choice([0, 10, 45])),
        lambda: fill(finder, train_steps=dice.choice(["", "300", "x"]), schedule="decay"),
        go_to_a_candidate,
        lambda: finder.add(finder.curve),
        lambda: change_a_run(do="remove"),
        lambda: change_a_run(do="choose"),
        lambda: change_a_run(name="x"),
        lambda: change_a_run(shown=dice.random() < 0.5),
        lambda: page_sends(finder, {"save": dice.choice(["svg", "png", "csv", "json"])}),
        lambda: page_sends(finder, {"hello": 1}),
        finder._repr_mimebundle_,
        lambda: (finder.curves, finder.suggestion, finder.comparison, repr(finder), finder.code),
        lambda: finder.variation and finder.variation.rows,
        finder.snapshot,
        lambda: finder.wait(0.01),
    ]


def hammer(act: Callable[[], Any]) -> None:
    try:
        act()
    except (*EXPECTED, TimeoutError):
        pass


def walk(seed: int, threads: int, events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)
    watch, interval, widgets = Watch(monkeypatch), sys.getswitchinterval(), number_of_widgets()
    model = linear()
    optimizer = sgd_momentum(model)
    namespace: dict[str, Any] = {"lr": 1e-3}
    inputs, target = torch.randn(8, 6), torch.randint(3, (8,))
    finder = LRFinder(
        model,
        optimizer,
        [(inputs, target)],
        torch.nn.CrossEntropyLoss(),
        num_iter=20,
        namespace=namespace,
    )
    before, lr = picture(model, optimizer), optimizer.param_groups[0]["lr"]
    failures: list[str] = []

    def person(number: int) -> None:
        dice = random.Random(seed * 10 + number)
        try:
            for _ in range(events):
                hammer(dice.choice(actions(finder, namespace, dice)))
        except BaseException:  # noqa: BLE001 - told by the test
            failures.append(traceback.format_exc())

    people = [threading.Thread(target=person, args=(i,), daemon=True) for i in range(threads)]
    for one in people:
        one.start()
    for one in people:
        one.join(WAIT_S)
    assert not any(one.is_alive() for one in people), "somebody waits in vain"
    finder.stop()
    assert failures == []
    assert set(watch.steps) <= {(a, b) for a, ends in TRANSITIONS.items() for b in ends}
    # There was something to disturb; how much depends on what else the machine has to do.
    assert len(watch.steps) > threads * events / 200
    session = finder._session
    for run in (session.test, session.trial_test, session.varied_test):
        assert run.state.ended or run.state is State.READY

    # The last pick wins everywhere.
    namespace["lr"] = 1.0
    finder.pick(0.0123)
    assert (finder.lr, namespace["lr"], finder.position) == (0.0123, 0.0123, 0.0123)
    assert finder.kind == "pick"
    # And the page shows what is.
    shown = finder.get_state()
    finder._presenter.redraw()
    assert finder.get_state() == shown
    assert finder.status["state"] == finder.state.value
    optimizer.param_groups[0]["lr"] = lr  # what Apply did was asked for
    assert picture(model, optimizer) == before
    assert sys.getswitchinterval() == interval
    finder.close()
    finder.close()
    assert number_of_widgets() == widgets
    alive = [thread.name for thread in threading.enumerate() if thread.name == "LR range test"]
    assert alive == []


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A listener that failed is only logged."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(3))
def test_nothing_gives_way_to_three_threads(
    seed: int, monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    walk(seed, 3, 400, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_gives_way_to_ten_thousand_events(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "WAIT_S", 500.0)
    walk(99, 3, 3334, monkeypatch)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(5))
def test_nothing_gives_way_to_one_thread(
    seed: int, monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    walk(100 + seed, 1, 200, monkeypatch)
