"""What a page may send to a finder's models, mutated: nothing gives way, nothing is written."""

from __future__ import annotations

import itertools
import logging
import math
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
import torch
from support import linear, picture, sgd_momentum

import lrfinder_widget
from lrfinder_widget import LRFinder, State
from lrfinder_widget.widget.marker import LRMarker

PACKAGE = str(Path(lrfinder_widget.__file__).parent)
WAIT_S = 20.0
AT_LEAST = 2000
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
        """Every model of the finder, in the order in which it was made."""
        found: dict[str, ipywidgets.Widget] = {}
        waiting: list[Any] = [self.finder, self.finder._presenter.view.trials.figure]
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


INPUTS = (
    *(ipywidgets.Text, ipywidgets.Checkbox, ipywidgets.Dropdown, ipywidgets.ToggleButton),
    ipywidgets.BoundedIntText,
)


@pytest.mark.timeout(120)
def test_no_mutated_message_gets_through(setting: Setting) -> None:
    assert send_mutated(setting, few=3) >= AT_LEAST


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_mutated_message_at_all_gets_through(setting: Setting) -> None:
    assert send_mutated(setting, few=len(VALUES)) >= 50 * AT_LEAST


def send_mutated(setting: Setting, few: int) -> int:
    """Send so many values for each trait, and all for those that a finder reads; count them."""
    dice = random.Random(0)
    before, got_through, sent = setting.untouched(), [], 0
    widgets = setting.widgets()
    ids = [f"IPY_MODEL_{widget.model_id}" for widget in widgets]
    values = itertools.cycle(VALUES)
    for widget in widgets:
        for name in sorted(widget.keys):
            read = isinstance(widget, LRMarker) or (isinstance(widget, INPUTS) and name == "value")
            for _ in range(len(VALUES) if read else few):
                value = next(values) if dice.random() < 0.9 else dice.choice([ids[:3], ids[7]])
                data = {"method": "update", "state": {name: value}}
                buffers: list[bytes] = []
                if dice.random() < 0.2:  # a buffer in its place, or in no place
                    data["buffer_paths"] = dice.choice([[[name]], [[name, "value"]], [[name, 0]]])
                    # Without digits: a number in the box is a pick, however it was written there.
                    buffers = [dice.randbytes(dice.randrange(20)).translate(None, b"0123456789")]
                send(widget, data, buffers)
                sent += 1
                if (setting.namespace, setting.finder.lr) != before[1:]:
                    got_through.append((type(widget).__name__, name, value))
    assert got_through == []
    assert setting.untouched() == before
    still_works(setting)
    return sent


def test_no_unknown_message_gets_through(setting: Setting) -> None:
    before = setting.untouched()
    for widget in setting.widgets():
        for data in ENVELOPES:
            send(widget, data, [b"\0"])
        for content in CUSTOM:
            send(widget, {"method": "custom", "content": content})
    assert setting.untouched() == before
    still_works(setting)


@pytest.mark.parametrize(("end", "value", "share"), [("min", -1, 0.0), ("max", 1000, 0.5)])
def test_a_box_whose_ends_the_page_moves_smooths_no_more_than_it_may(
    setting: Setting, end: str, value: int, share: float
) -> None:
    looks = setting.finder._presenter.view.looks
    send(looks.smoothing, {"method": "update", "state": {end: value}})
    send(looks.smoothing, {"method": "update", "state": {"value": value}})
    assert looks.smoothing.value == value
    assert looks.share == share


def test_messages_during_a_run_do_not_disturb_it() -> None:
    setting = Setting()
    before = setting.untouched()
    dice = random.Random(1)
    widgets = [widget for widget in setting.widgets() if not isinstance(widget, ipywidgets.Layout)]
    setting.finder.start()
    while setting.finder.state is State.RUNNING:
        widget = dice.choice(widgets)
        name, value = dice.choice(sorted(widget.keys)), dice.choice(VALUES)
        send(widget, {"method": "update", "state": {name: value}})
    setting.finder.wait(WAIT_S)
    assert len(setting.finder.curve) == 25
    assert setting.untouched() == before
    still_works(setting)
    setting.finder.close()


def still_works(setting: Setting) -> None:
    """A person goes on: sets up, starts, sees the curve, picks."""
    finder, view, before = setting.finder, setting.finder._presenter.view, setting.untouched()
    setup = view.setup
    boxes = (setup.start_lr, setup.end_lr, setup.num_iter, setup.repeats, setup.train_steps)
    for box, value in zip(boxes, ("1e-6", "1.0", "30", "1", ""), strict=True):
        send(box, {"method": "update", "state": {"value": value}})
    # A page that has taken the choices away has to put them back: without them the run is refused.
    mode = {"_options_labels": ["exponential", "linear"], "index": 0}
    send(view.setup.mode, {"method": "update", "state": {"index": None}})
    send(view.setup.mode, {"method": "update", "state": mode})
    schedule = {"_options_labels": ["constant", "decays"], "index": 1}
    send(view.setup.schedule, {"method": "update", "state": {"index": None}})
    send(view.setup.schedule, {"method": "update", "state": schedule})
    send(view.looks.log_loss, {"method": "update", "state": {"value": False}})
    send(view.controls.start, {"method": "custom", "content": {"event": "click"}})
    finder.wait(WAIT_S)
    said = view.controls.status.value
    assert (finder.state, len(finder.curve)) == (State.FINISHED, 30), said
    assert setting.untouched() == before
    assert len(view.chart._smooth.x) == len(view.chart._raw.x[::2]) == 30
    assert "verything has been restored" in view.controls.status.value
    assert (view.marker.low, view.marker.high, view.marker.scale) == (1e-6, 1.0, "log")
    commit = {"lr": 0.0123, "n": 10**13}
    send(view.marker, {"method": "update", "state": {"lr": 0.0123, "commit": commit}})
    assert setting.namespace == {"lr": 0.0123, "mine": [1, 2]}
    assert finder.lr == 0.0123
    assert setting.untouched()[0] == before[0]


def test_the_page_can_move_and_pick_but_not_change_what_the_marker_is() -> None:
    marker = LRMarker(low=1e-6, high=1.0, lr=1e-3, variable="lr")
    held = repr(marker.get_state())
    for name in set(marker.keys) - {"lr", "commit", "moving_from", "ready"}:
        for value in VALUES:
            send(marker, {"method": "update", "state": {name: value}})
    assert repr(marker.get_state()) == held
    marker.close()
