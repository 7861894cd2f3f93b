"""What a page may send to a finder, mutated: nothing gives way, nothing is written."""

from __future__ import annotations

import itertools
import logging
import math
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comm
import ipywidgets
import pytest
import torch
from support import linear, picture, sgd_momentum
from widget_support import Wire, points

import lrfinder_widget
from lrfinder_widget import LRFinder, State
from lrfinder_widget.widget.marker import LRMarker

PACKAGE = str(Path(lrfinder_widget.__file__).parent)
WAIT_S = 20.0
AT_LEAST = 4000
MARKUP = '<img src=x onerror="alert(1)"></script><b>bold</b>'
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 3, 10**400, -(10**400), 2**63, 0.5, -0.5, 1e308, 5e-324, 1e-3),
    *(math.nan, math.inf, -math.inf, "", "nan", "-1", "1e999", "fast", "\0", "\ud800", MARKUP),
    *([], [None], [1, "two", None], [math.nan] * 3, ["x"] * 1000, [[[[]]]], {}, {"lr": "fast"}),
    *({"lr": math.nan, "n": 1}, {"lr": -1.0, "n": 1}, {"lr": 0.1}, {"lr": 0.1, "n": "1"}),
    *({"lr": 0.1, "n": 1, "more": 1}, {"value": None, "shape": [2**40], "dtype": "float64"}),
    *({"shape": [-1], "dtype": "object", "value": None}, {"type": "evil", "values": MARKUP}),
    *(b"", b"\0" * 7, memoryview(b"\xff" * 16), "IPY_MODEL_", "IPY_MODEL_none", ["IPY_MODEL_none"]),
]
CUSTOM: list[Any] = [
    *(None, 3, "click", [], {}, {"event": None}, {"event": ["click"]}, {"event": MARKUP}),
    *({"event": "Click"}, {"event": "upload_png"}, {"event": "upload_svg"}, {"event": "hover"}),
    *({"event": "drag_end", "point": {"x": math.nan}}, {"event": "brush", "lr": 0.1}),
    {"kind": "anywidget-command", "id": "1", "name": "__init__", "msg": None},
    {"kind": "anywidget-command", "id": 1, "name": "close", "msg": {"lr": 0.1}},
]
MESSAGES: list[dict[str, Any]] = [  # of the page; each part of each is replaced in turn
    *({"click": "no such button"}, {"type": "no number"}, {"save": "no such kind"}),
    *({"set": {name: "x"}} for name in ("num_iter", "mode", "schedule", "zoom", "smoothing")),
    *({"set": {name: "x"}} for name in ("train_steps", "trial_lrs", "trial_steps", "log_loss")),
    *({"run": 0, "shown": True}, {"run": 0, "name": "x"}, {"run": 0, "do": "no such thing"}),
    *({"run": 0, "do": "choose"}, {"run": -1, "do": "remove"}, {"hello": 1}),
]
ENVELOPES: list[Any] = [  # the `data` of a message that is none
    *({}, {"method": None}, {"method": "close"}, {"method": "__init__"}, {"method": ["update"]}),
    *({"method": "update"}, {"method": "update", "state": None}, {"method": "update", "state": []}),
    *({"method": "update", "state": "lr"}, {"method": "update", "state": {"no_such_trait": 1}}),
    {"method": "update", "state": {"comm": None, "keys": [], "_trait_values": {}}},
    {"method": "update", "state": {"observe": 1, "close": 1, "_handle_msg": 1, "__class__": 1}},
    {"method": "update", "state": {}, "buffer_paths": [["x"], [0, 1], [], None]},
    {"method": "update", "state": {"x": 1}, "buffer_paths": "x"},
    *({"method": "custom"}, {"method": "custom", "content": None}, {"method": "request_states"}),
    *({"method": "echo_update", "state": {"lr": 0.1}}, {"method": MARKUP}),
]


class Setting:
    """A finder on a model that was trained, with the number that its variable holds."""

    def __init__(self, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = linear()
        self.optimizer = sgd_momentum(self.model)
        self.namespace: dict[str, Any] = {"lr": 0.01, "mine": [1, 2]}
        x, y = torch.randn(32, 6), torch.arange(32) % 3
        torch.nn.functional.cross_entropy(self.model(x), y).backward()
        self.optimizer.step()
        self.finder = LRFinder(
            self.model,
            self.optimizer,
            [(x, y)],
            torch.nn.CrossEntropyLoss(),
            num_iter=25,
            stop=None,
            namespace=self.namespace,
            **options,
        )

    def untouched(self) -> Any:
        return picture(self.model, self.optimizer), dict(self.namespace), self.finder.lr

    def widgets(self) -> list[ipywidgets.Widget]:
        """Every model of the displayed finder, itself first."""
        found: dict[str, ipywidgets.Widget] = {}
        self.finder._repr_mimebundle_()
        waiting: list[Any] = [self.finder, self.finder._presenter.view.display.box()]
        while waiting:
            one = waiting.pop(0)
            if isinstance(one, list | tuple):
                waiting += one
            elif isinstance(one, dict):
                waiting += one.values()
            elif isinstance(one, ipywidgets.Widget) and one.model_id not in found:
                found[one.model_id] = one
                waiting += [getattr(one, name) for name in sorted(one.keys)]
        return list(found.values())


@pytest.fixture(autouse=True)
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Whatever is sent to the page can be sent."""
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    return wire


@pytest.fixture
def setting() -> Iterator[Setting]:
    setting = Setting()
    setting.finder.start().wait(WAIT_S)
    setting.finder.add(setting.finder.curve, name="kept")
    yield setting
    setting.finder.close()


def send(widget: ipywidgets.Widget, data: Any, buffers: Any = ()) -> None:
    """Give a message to a model as its comm does."""
    widget._handle_msg({"content": {"data": data}, "buffers": list(buffers)})


@pytest.fixture(autouse=True)
def nothing_of_ours_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What ipywidgets, traitlets or bqplot refuse is logged by ipywidgets, and no more."""
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert [told for record in records if (told := failure_of_ours(record))] == []


def failure_of_ours(record: logging.LogRecord) -> str | None:
    if not record.exc_info:
        return None
    frames = traceback.extract_tb(record.exc_info[2])
    # The marker's door asks ipywidgets in its turn: that frame is not the one that failed.
    ours = [f for f in frames if f.filename.startswith(PACKAGE) and f.name != "set_state"]
    return "".join(traceback.format_exception(*record.exc_info)) if ours else None


@pytest.mark.timeout(120)
def test_no_mutated_message_gets_through(setting: Setting) -> None:
    assert send_mutated(setting, few=3) >= AT_LEAST


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_mutated_message_at_all_gets_through(setting: Setting) -> None:
    assert send_mutated(setting, few=4 * len(VALUES)) >= 25 * AT_LEAST


def send_mutated(setting: Setting, few: int) -> int:
    """Send so many values for each trait, and all for those of the finder; count them."""
    dice = random.Random(0)
    before, got_through, sent = setting.untouched(), [], 0
    widgets = setting.widgets()
    finder = setting.finder
    ids = [f"IPY_MODEL_{widget.model_id}" for widget in widgets]
    values = itertools.cycle(VALUES)
    for widget in widgets:
        for name in sorted(widget.keys):
            for _ in range(max(few, len(VALUES)) if widget is finder else few):
                value = next(values) if dice.random() < 0.9 else dice.choice([ids[:3], ids[7]])
                data = {"method": "update", "state": {name: value}}
                buffers: list[bytes] = []
                if dice.random() < 0.2:  # a buffer in its place, or in no place
                    data["buffer_paths"] = dice.choice([[[name]], [[name, "value"]], [[name, 0]]])
                    buffers = [dice.randbytes(dice.randrange(20))]
                send(widget, data, buffers)
                sent += 1
                if (setting.namespace, finder.lr) != before[1:]:
                    got_through.append((type(widget).__name__, name, value))
    for message in mutated_messages(dice, few):
        send(finder, {"method": "custom", "content": message})
        sent += 1
        if (setting.namespace, finder.lr) != before[1:]:
            got_through.append(message)
    assert got_through == []
    assert setting.untouched() == before
    assert finder.state is State.FINISHED  # nothing was started
    still_works(setting)
    return sent


def mutated_messages(dice: random.Random, few: int) -> Iterator[Any]:
    """Yield the messages of the page with each of their parts replaced by each value."""
    for message in MESSAGES:
        yield message
        for value in VALUES:
            for key in message:
                yield {**message, key: value}
                if isinstance(message[key], dict):
                    yield {key: dict.fromkeys(message[key], value)}
                    if not isinstance(value, list | dict | memoryview):
                        yield {key: {value: "x"}}
            if not isinstance(value, list | dict | memoryview):
                yield {**message, value: value}
            for _ in range(few // len(VALUES)):
                other = dice.choice(MESSAGES)
                yield {**other, dice.choice(sorted(message)): value}


def test_no_unknown_message_gets_through(setting: Setting) -> None:
    before = setting.untouched()
    for widget in setting.widgets():
        for data in ENVELOPES:
            send(widget, data, [b"\0"])
        for content in CUSTOM:
            send(widget, {"method": "custom", "content": content})
    assert setting.untouched() == before
    still_works(setting)


def test_messages_during_a_run_do_not_disturb_it() -> None:
    setting = Setting()
    before = setting.untouched()
    dice = random.Random(1)
    widgets = [widget for widget in setting.widgets() if not isinstance(widget, ipywidgets.Layout)]
    messages = itertools.cycle(mutated_messages(dice, len(VALUES)))
    setting.finder.start()
    while setting.finder.state is State.RUNNING:
        widget = dice.choice([setting.finder, *widgets])
        name, value = dice.choice(sorted(widget.keys)), dice.choice(VALUES)
        send(widget, {"method": "update", "state": {name: value}})
        send(setting.finder, {"method": "custom", "content": next(messages)})
    setting.finder.wait(WAIT_S)
    assert len(setting.finder.curve) == 25
    assert setting.untouched() == before
    still_works(setting)
    setting.finder.close()


def still_works(setting: Setting) -> None:
    """A person goes on: sets up, starts, sees the curve, picks."""
    finder, before = setting.finder, setting.untouched()
    boxes = {"start_lr": "1e-6", "end_lr": "1.0", "num_iter": "30", "repeats": "1", "mode": "exp"}
    boxes |= {"train_steps": "", "schedule": "decay", "log_loss": False, "zoom": True}
    send(finder, {"method": "custom", "content": {"set": boxes}})
    send(finder, {"method": "custom", "content": {"click": "start"}})
    finder.wait(WAIT_S)
    said = finder.status
    assert (finder.state, len(finder.curve)) == (State.FINISHED, 30), said
    assert setting.untouched() == before
    lines = [points(finder.chart[name]) for name in ("dots", "line")]
    assert [len(x) for x, _ in lines] == [30, 30]
    assert "verything has been restored" in said["text"]
    assert (finder.chart["x"], finder.chart["x_log"]) == ([1e-6, 1.0], True)
    commit = {"lr": 0.0123, "n": 10**13}
    send(finder, {"method": "update", "state": {"position": 0.0123, "commit": commit}})
    assert setting.namespace == {"lr": 0.0123, "mine": [1, 2]}
    assert finder.lr == 0.0123
    assert setting.untouched()[0] == before[0]


def test_the_page_can_move_and_pick_but_not_change_what_the_marker_is() -> None:
    marker = LRMarker(low=1e-6, high=1.0, lr=1e-3, variable="lr")
    held = repr(marker.get_state())
    for name in set(marker.keys) - {"lr", "commit", "moving_from"}:
        for value in VALUES:
            send(marker, {"method": "update", "state": {name: value}})
    assert repr(marker.get_state()) == held
    marker.close()
