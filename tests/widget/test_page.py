"""The model of the page: what the page may write and may not, and what it is sent."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import comm
import pytest
import traitlets
from widget_support import (
    DESCENT,
    RISE,
    WAIT_S,
    Gate,
    Wire,
    click,
    finished,
    in_thread,
    page_sends,
    page_writes,
)

from lrfinder_widget import LRFinder, LRMarker
from lrfinder_widget.widget.draggable import Draggable
from lrfinder_widget.widget.page import Page

OF_THE_KERNEL = {
    *("chart", "repeats", "runs", "reading", "status", "picked", "settings", "offers", "planned"),
    *(
        "diagnosis",
        "trials",
        "trial_cost",
        "varied",
        "vary_cost",
        "blocked",
        "figure",
        "lr",
        "variable",
        "received",
        "disabled",
    ),
}
OF_BOTH = {"position", "kind", "moving_from", "commit"}
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 1e-3, 0.25, math.nan, math.inf, 10**400, "", "pick", "start"),
    *("0.1", [], [1], [0.1, 1.0], {}, {"x": [1, 2]}, {"lr": 0.1}, {"lr": 0.1, "n": 1}, b"\0" * 8),
]


@pytest.fixture
def finder(make: Any) -> LRFinder:
    return finished(finished(make([*DESCENT, *RISE], namespace={})))


OF_ANYWIDGET = {"_esm", "_css", "_anywidget_id"}


def own(kind: type[Draggable]) -> set[str]:
    """The synchronized traits that are ours."""
    ours = [cls for cls in kind.__mro__ if cls.__module__.startswith("lrfinder_widget.")]
    names = {name for cls in ours for name, t in vars(cls).items() if isinstance(t, TRAIT)}
    return {name for name in names if kind.class_traits()[name].metadata.get("sync")}


TRAIT = traitlets.TraitType


def test_the_traits_are_those_that_the_page_knows() -> None:
    assert own(LRFinder) == own(Page) == OF_THE_KERNEL | OF_BOTH | OF_ANYWIDGET | {"layout"}


@pytest.mark.parametrize("name", sorted(OF_THE_KERNEL | OF_ANYWIDGET | {"layout", "tooltip"}))
def test_the_page_cannot_write_what_is_the_kernels(finder: LRFinder, name: str) -> None:
    before = finder.get_state()
    for value in VALUES:
        page_writes(finder, **{name: value})
    assert finder.get_state() == before


def test_a_finder_needs_no_class_of_its_own(finder: LRFinder) -> None:
    assert type(finder) is LRFinder
    finder.add_traits(extra=traitlets.Int(3))  # as anybody may: that takes one
    assert finder.extra == 3


def test_the_page_can_write_no_trait_but_four(finder: LRFinder) -> None:
    for name in set(finder.keys) - OF_BOTH:
        before = finder.get_state()
        for value in VALUES:
            page_writes(finder, **{name: value})
        assert finder.get_state() == before, name


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("position", [1, 1e-3, 0.25, 1e-300, 1e300]),
        ("kind", ["candidate"]),
        ("moving_from", [None, 1e-3, 1]),
        ("commit", [{"lr": 0.1, "n": 1}, {"lr": 1, "n": 2}, {"lr": 0.1, "n": 2**53}]),
    ],
)
def test_the_page_can_write_these_and_nothing_else_of_them(
    finder: LRFinder, name: str, good: list[Any]
) -> None:
    for value in good:
        page_writes(finder, **{name: value})
        assert getattr(finder, name) == value
    before = getattr(finder, name)
    for value in VALUES:
        if not any(value == one and type(value) is not bool for one in [*good, 0.1, 0.25, 1e-3]):
            page_writes(finder, **{name: value})
            assert getattr(finder, name) == before, value


def test_a_value_that_is_refused_is_sent_back_and_no_other(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})
    wire.updates.clear()
    page_writes(finder, position="fast", chart=None, kind="pick", moving_from=0.1)
    assert len(wire.updates) == 1
    sent = wire.updates[0]
    assert sorted(sent) == ["chart", "kind", "position"]
    assert (sent["position"], sent["kind"]) == (finder.position, "start")
    assert sent["chart"]["x"] == finder.chart["x"]
    assert finder.moving_from == 0.1


def test_a_pick_is_brought_inside_the_axis_of_the_chart(finder: LRFinder) -> None:
    low, high = finder.chart["x"]
    page_writes(finder, commit={"lr": high * 100, "n": 1})
    assert (finder.lr, finder.position) == (high, high)
    page_writes(finder, commit={"lr": low / 100, "n": 2})
    assert finder.lr == low


def by_trait(wire: Wire) -> dict[str, list[Any]]:
    """All values that each trait was sent with."""
    sent: dict[str, list[Any]] = {}
    for update in wire.updates:
        for name, value in update.items():
            sent.setdefault(name, []).append(value)
    return sent


@pytest.mark.parametrize("moment", ["while it is read", "while it is checked"])
def test_nothing_is_lost_when_another_thread_assigns_while_a_message_is_handled(
    make: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})
    handling: list[threading.Thread] = []
    assigned: list[int] = []

    def assign() -> None:
        """Assign on another thread, while this one waits in the middle of the message."""
        n = len(assigned) + 1
        assigned.append(n)

        def work() -> None:
            finder.show(trial_cost=f"{n} steps", chart={**finder.chart, "n": n})
            finder.variable = f"lr_{n}"

        assert in_thread(work)() is None

    def read(value: Any, widget: Any) -> Any:
        assign()
        return value

    check = traitlets.TraitType._cross_validate

    def checked(self: Any, obj: Any, value: Any) -> Any:
        found = check(self, obj, value)
        if threading.current_thread() in handling and self.name != "commit":
            assign()
        return found

    monkeypatch.setattr(LRFinder, "_trait_from_json", staticmethod(read))
    if moment == "while it is checked":
        monkeypatch.setattr(traitlets.TraitType, "_cross_validate", checked)
    for i in range(1, 51):
        wire.updates.clear()
        before = len(assigned)

        def message(i: int = i) -> None:
            handling[:] = [threading.current_thread()]
            page_writes(finder, moving_from=0.001 * i, position=0.002 * i)

        assert in_thread(message)() is None
        assert len(assigned) >= before + 2
        sent = by_trait(wire)
        expected = assigned[before:]
        assert [chart["n"] for chart in sent["chart"]] == expected
        assert sent["trial_cost"] == [f"{n} steps" for n in expected]
        assert sent["variable"] == [f"lr_{n}" for n in expected]
        assert (finder.chart["n"], finder.variable) == (expected[-1], f"lr_{expected[-1]}")
        assert (finder.moving_from, finder.position) == (0.001 * i, 0.002 * i)


def test_nothing_is_lost_in_a_storm_of_messages_and_assignments(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})

    wire.updates.clear()

    def assign() -> None:
        for n in range(1, 301):
            finder.show(chart={**finder.chart, "n": n})

    assigning = in_thread(assign)
    for n in range(300):
        page_writes(finder, position=0.001 * (n + 1), moving_from=0.5)
    assert assigning() is None
    sent = [update["chart"]["n"] for update in wire.updates if "chart" in update]
    assert sent == list(range(1, 301))
    assert finder.position == 0.3


# -- what is sent ---------------------------------------------------------------------------------


def test_the_start_and_the_end_of_a_run_take_a_message_each(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    gate = Gate([*DESCENT, *RISE])
    finder = make(gate, namespace={})
    wire.updates.clear()
    finder.start()
    gate.let_all()  # not before: a test that ends before the start is drawn takes one message
    finder.wait(WAIT_S)
    begun, ended = (set(update) for update in wire.updates if {"status", "blocked"} & set(update))
    assert begun == {"status", "blocked"}
    assert ended >= {"status", "blocked", "chart", "reading", "settings", "trial_cost"}


def test_what_is_written_before_an_interrupt_is_sent(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})
    wire.updates.clear()

    def write() -> None:
        with finder.at_once():
            finder.show(trial_cost="1 step", vary_cost="2 steps")
            finder.position = 0.5  # the marker is not held back
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    finder.show(trial_cost="3 steps")
    assert wire.updates == [
        {"position": 0.5},
        {"trial_cost": "1 step", "vary_cost": "2 steps"},
        {"trial_cost": "3 steps"},
    ]


def check(state: Any) -> int:
    """Check that a state is bytes and what JSON can hold; return its size."""
    if isinstance(state, bytes | memoryview):
        return len(state)
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return sum(check(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(check(value) for value in state)
    return len(json.dumps(state, allow_nan=False))


def states(make: Any, gate: Gate) -> Iterator[LRFinder]:
    """Finders in many states."""
    yield make(namespace={})
    yield make(namespace={"lr": 0.5}, train_steps=700, mode="linear")
    running = make(gate, namespace={}, repeats=2).start()
    gate.let(70)
    gate.wait_until_asked(71)
    running._presenter.redraw()
    yield running
    gate.let_all()
    yield running.wait(WAIT_S)
    for losses in ([math.nan] * 60, [1e308, -1e308], [5e-324], [0.0]):
        finder = finished(make(losses, namespace={}))
        yield finder
        page_sends(finder, {"set": {"log_loss": True}})
        yield finder
    full = finished(finished(make(namespace={})))
    page_sends(full, {"run": 0, "name": "\0\u2028</script>\U0001f600"})
    click(full, "start")
    full.wait(WAIT_S)
    full.compare([1e-3, 1e-2], steps=10).wait(WAIT_S)
    full.pick()
    full._repr_mimebundle_()
    yield full

    def fails(batch: Any) -> float:
        raise ValueError("<b>\0")

    failed = make(fails, namespace={}).start()
    with pytest.raises(ValueError, match="<b>"):
        failed.wait(WAIT_S)
    yield failed


def test_every_trait_is_json_with_bytes_in_every_state(make: Any, gate: Gate) -> None:
    seen = 0
    for finder in states(make, gate):
        state = finder.get_state(OF_THE_KERNEL | OF_BOTH)
        assert set(state) == OF_THE_KERNEL | OF_BOTH
        check(state)
        seen += 1
    assert seen > 10


def test_the_keys_of_the_traits_are_those_of_the_contract(finder: LRFinder) -> None:
    finder.compare([1e-3], steps=10).wait(WAIT_S)
    finder.vary(momentum=[0.9]).wait(WAIT_S)
    finder._repr_mimebundle_()
    keys = {
        "chart": "x x_log y y_log n total per_second dots line",
        "reading": "candidates band weak",
        "status": "state stopping text problem unrestored traceback",
        "picked": "text about code applied optimizer",
        "settings": "start_lr end_lr num_iter mode repeats diagnose train_steps schedule zoom "
        "log_loss smoothing trial_lrs trial_steps vary vary_values vary_2 vary_2_values",
        "planned": "steps schedule lr",
        "trials": "state steps text y lines take",
        "varied": "state text x x_log y y_log lines heads table map",
        "figure": "figure x y unit x_axis y_axis band repeats solid dashed dash_dotted dots line",
    }
    for name, expected in keys.items():
        assert set(getattr(finder, name)) == set(expected.split())
    for run in finder.runs:
        assert set(run) == {"key", "name", "style", "shown", "current", "latest", "line"}
    for one in finder.trials["lines"]:
        assert set(one) == {"name", "style", "line", "held_out"}
    for one in finder.varied["lines"]:
        assert set(one) == {"style", "line", "dot"}


def test_what_stays_the_same_costs_no_message(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = finished(make(namespace={}))
    wire.updates.clear()
    for _ in range(3):
        finder._presenter.redraw()
    assert wire.updates == []


def test_a_finder_opens_one_comm_whole_and_sends_nothing_more(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})
    assert len(wire.opened) == 1
    module = len(finder._esm) + len(finder._css)
    assert wire.bytes - 1.1 * module < 12_000


def test_a_download_goes_to_the_page_as_text(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})
    finder.download("a.csv", "text/csv", "x,y")
    assert wire.custom == [{"download": "a.csv", "type": "text/csv", "text": "x,y"}]


def test_the_module_of_the_marker_is_that_of_the_finder() -> None:
    assert (
        LRMarker.class_traits()["_esm"].default_value
        == LRFinder.class_traits()["_esm"].default_value
    )
    assert (
        LRMarker.class_traits()["_css"].default_value
        == LRFinder.class_traits()["_css"].default_value
    )
