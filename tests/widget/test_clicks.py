"""What each message of the page does, and what is no message does nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from widget_support import (
    DESCENT,
    RISE,
    WAIT_S,
    Gate,
    click,
    fill,
    finished,
    marker,
    page_sends,
    problem,
    status,
    type_in,
)

from lrfinder_widget import LossCurve, LRFinder, State


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second click on Start is not the second of a double click."""
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)


# -- start, stop, pause ---------------------------------------------------------------------------


def test_a_double_click_on_start_starts(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    click(finder, "start")
    click(finder, "start")
    assert finder.state is State.RUNNING
    assert not finder.status["stopping"]
    gate.let_all()
    assert finder.wait(WAIT_S).state is State.FINISHED


@pytest.mark.usefixtures("at_once")
def test_start_stops_what_runs_and_pause_resumes_what_is_paused(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    states = [finder.state]
    for name in ("start", "pause", "pause"):
        click(finder, name)
        gate.wait_until_asked() if name == "start" else None
        states.append(finder.state)
        assert finder.status["state"] == finder.state.value
    assert states == [State.READY, State.RUNNING, State.PAUSED, State.RUNNING]
    click(finder, "start")
    assert "Stopping" in status(finder)
    gate.let_all()
    finder._session.test.join(WAIT_S)
    assert finder.state is State.STOPPED
    click(finder, "start")
    assert finder.wait(WAIT_S).state is State.FINISHED


def test_what_a_click_runs_into_is_shown_not_raised(make: Any) -> None:
    finder = make(namespace={})
    click(finder, "pause")  # the page was too late to know that it is blocked
    assert problem(finder) == finder.blocked["pause"] == "No test is running."
    fill(finder, num_iter="many")
    click(finder, "start")
    assert problem(finder) == "'points' must be a whole number; got 'many'."
    assert finder.state is State.READY
    fill(finder, num_iter="20")
    click(finder, "start")
    assert problem(finder) == ""
    assert finder.wait(WAIT_S).state is State.FINISHED


# -- what is no message ---------------------------------------------------------------------------

BUTTONS = ("start", "pause", "apply", "narrow", "try", "take", "vary")
NOT_A_NAME: list[Any] = [None, 1, True, "", "Start", "stop", "close", ["start"], {"start": 1}]
NO_TEXT: list[Any] = ["\ud83d", None, 0.1, True, [], ["0.1"], {}, "0" * 198 + "0.1", b"0.1"]
NO_BOXES: list[Any] = [None, 1, "num_iter", [], [["num_iter", "7"]], {}, {"num_iter": 7}]
NO_BOXES += [{"num_iter": "7" * 501}, {1: "7"}, {"no such box": "7"}, {"zoom": "true"}]
NO_BOXES += [{"vary": ""}, {"vary": "lr"}, {"vary_2": "lr"}, {"vary_values": [0.1]}]
MALFORMED: list[Any] = [
    *(
        None,
        0,
        True,
        "click",
        "start",
        [],
        ["click", "start"],
        {},
        {"hello": 1},
        {"Click": "start"},
    ),
    *({"": "start"}, {None: "start"}, {"event": "click"}, {"download": "x.csv", "text": "x"}),
    *({"click": value} for value in NOT_A_NAME),
    *({"type": value} for value in NO_TEXT),
    *({"set": value} for value in NO_BOXES),
    *({"save": value} for value in [None, 1, "", "exe", "SVG", "../svg", ["svg"], {}, "svg" * 99]),
    *({"run": value, "do": "remove"} for value in [None, -1, 99, 0.5, "0", [], {}, 10**400]),
    *({"run": 0, "shown": value} for value in [None, 0, 1, "false", []]),
    *({"run": 0, "name": value} for value in [None, 1, [], {"x": 1}, "\ud83d", "x" * 10**6]),
    *({"run": 0, "do": value} for value in [None, 1, "Remove", "close", [], ["remove"]]),
    *({"run": 0}, {"run": True, "do": "remove"}, {"run": False, "do": "remove"}),
]


def everything(finder: LRFinder) -> Any:
    state = finder.get_state(set(finder.keys) - {"comm", "layout", "_esm", "_css"})
    return state, finder.state, [len(curve) for curve in finder.curves]


@pytest.fixture
def finder(make: Any) -> Iterator[LRFinder]:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={"lr": 0.1})))
    finder.add(finder.curves[0], name="of another")
    return finder


@pytest.mark.parametrize("message", MALFORMED, ids=lambda message: repr(message)[:60])
def test_what_is_no_message_does_nothing(
    finder: LRFinder, message: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(finder, "send", sent.append)
    before = everything(finder)
    page_sends(finder, message)
    assert everything(finder) == before
    assert sent == []


def test_of_two_messages_in_one_the_first_kind_is_done(finder: LRFinder) -> None:
    page_sends(finder, {"type": "0.02", "set": {"num_iter": "7"}})
    assert (finder.lr, finder.settings["num_iter"]) == (0.02, "60")


@pytest.mark.parametrize(
    "message",
    [
        *({"click": name} for name in BUTTONS),
        {"type": "0.02"},
        {"set": {"num_iter": "7", "log_loss": True}},
        {"run": 0, "do": "remove"},
        {"run": 0, "name": "x"},
        {"save": "csv"},
    ],
    ids=repr,
)
def test_after_close_no_message_does_anything(
    finder: LRFinder, message: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (heard,) = finder._msg_callbacks.callbacks
    finder.close()
    sent: list[Any] = []
    monkeypatch.setattr(finder, "send", sent.append)
    before, runs = everything(finder), finder.to_json()
    page_sends(finder, message)
    heard(finder, message, [])  # one that was under way
    assert (everything(finder), finder.to_json(), sent) == (before, runs, [])


def test_the_longest_that_can_be_typed_is_read(finder: LRFinder) -> None:
    type_in(finder, "0.02".rjust(200))
    assert finder.lr == 0.02
    type_in(finder, "0.03".rjust(201))
    assert finder.lr == 0.02


# -- the buttons ----------------------------------------------------------------------------------


def test_each_button_does_what_it_says(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = make([*DESCENT, *RISE], namespace=namespace)
    click(finder, "start")
    finder.wait(WAIT_S)
    click(finder, "narrow")
    assert finder.settings["start_lr"] != "1e-05"
    fill(finder, trial_lrs="1e-3, 1e-2", trial_steps="10")
    click(finder, "try")
    finder.wait(WAIT_S)
    assert finder.trials["state"] == "finished"
    click(finder, "take")
    assert finder.lr == namespace["lr"] == finder.trials["take"]
    assert marker(finder) == (finder.lr, "pick")
    click(finder, "apply")
    assert finder._session.source.task.optimizer.param_groups[0]["lr"] == finder.lr
    assert problem(finder) == ""


def test_a_page_that_says_hello_is_answered_by_nothing(finder: LRFinder) -> None:
    before = everything(finder)
    page_sends(finder, {"hello": 1})
    assert everything(finder) == before


def test_a_value_that_was_refused_is_sent_again(
    finder: LRFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows it as if it were set."""
    sent: list[Any] = []
    monkeypatch.setattr(finder, "send_state", lambda key=None: sent.append(key))
    fill(finder, mode="sqrt")
    assert "settings" in sent


# -- files ----------------------------------------------------------------------------------------


def test_what_is_shown_can_be_saved_as_a_file(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    page_sends(finder, {"run": finder.runs[0]["key"], "name": '<b>"one", two</b>'})
    finder.pick(0.01)
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(finder, "send", sent.append)
    kinds = {
        "svg": "image/svg+xml",
        "png": "image/png",
        "csv": "text/csv",
        "json": "application/json",
    }
    for ending in kinds:
        page_sends(finder, {"save": ending})
    names = [(message["download"], message["type"]) for message in sent]
    assert names == [(f"lr-range-test.{ending}", kind) for ending, kind in kinds.items()]
    assert {tuple(sorted(message)) for message in sent} == {("download", "text", "type")}
    svg, png, table, runs = (message["text"] for message in sent)
    assert svg == png == finder.snapshot()._repr_svg_()
    assert "&lt;b&gt;&quot;one&quot;, two&lt;/b&gt;" in svg
    assert "<b>" not in svg
    read = list(csv.DictReader(io.StringIO(table)))
    assert [
        float(row["loss"]) for row in read if row["run"] == "SGD #2"
    ] == finder.curve.losses.tolist()
    assert {row["run"] for row in read} == {'<b>"one", two</b>', "SGD #2"}
    content = json.loads(runs)
    assert content["lr"] == 0.01
    assert LossCurve.from_json(json.dumps(content["runs"][1])) == finder.curve
    assert finder.picked["code"] == finder.code  # what the page copies


def test_files_can_be_saved_before_there_is_a_point(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = make(namespace={})
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(finder, "send", sent.append)
    for ending in ("svg", "png", "csv", "json"):
        page_sends(finder, {"save": ending})
    assert len(sent) == 4
    assert problem(finder) == ""
    assert json.loads(sent[-1]["text"]) == {"lr": None, "runs": []}
