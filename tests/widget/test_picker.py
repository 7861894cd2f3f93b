"""The picked learning rate: from code, the page, the number box or a cell, into the variable."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import IPython
import numpy as np
import pytest
import torch
from traitlets import TraitError
from widget_support import (
    RISE,
    WAIT_S,
    Gate,
    Shell,
    candidate,
    commit,
    drag,
    finished,
    in_thread,
    is_picked,
    marker,
    page_writes,
    problem,
    status,
    type_in,
    use,
    written,
)

from lrfinder_widget import LRFinder

# -- picks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "picked"),
    [
        (0.0031622776, 0.00316),
        (1, 1.0),
        (0.1, 0.1),
        (np.float32(0.3), 0.3),
        (np.int64(2), 2.0),
        (Fraction(1, 3), 0.333),
        (1e-300, 1e-300),
        (123456.0, 123000.0),  # outside the range is the user's own affair
    ],
)
def test_a_pick_in_code_is_rounded_and_written(make: Any, given: Any, picked: float) -> None:
    namespace: dict[str, Any] = {"lr": 0.5}
    finder = make(namespace=namespace)
    assert finder.pick(given) == finder.lr == namespace["lr"] == picked
    assert type(namespace["lr"]) is float
    assert marker(finder) == (picked, "pick")
    assert written(finder) == f"lr = {picked:.2e}"
    assert is_picked(finder)


@pytest.mark.parametrize(
    "given",
    [0, -0.1, math.nan, math.inf, -math.inf, "0.1", True, 1j, 10**400, [0.1], torch.tensor(0.1)],
    ids=lambda given: repr(given)[:12],
)
def test_a_pick_that_is_no_positive_number_is_refused(make: Any, given: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    with pytest.raises(ValueError, match="lr must be a positive, finite number"):
        finder.pick(given)
    assert (namespace, finder.lr, marker(finder)) == ({"lr": 0.5}, None, (0.5, "start"))


@pytest.mark.parametrize("given", [1.7976931348623157e308, 5e-324])
def test_no_rounding_makes_a_pick_zero_or_infinite(make: Any, given: float) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)
    try:
        picked = finder.pick(given)
    except ValueError:
        assert (namespace, finder.lr) == ({}, None)
    else:
        assert 0 < picked < math.inf


def test_without_a_number_the_suggestion_is_picked(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    picked = finder.pick()
    assert picked == float(f"{candidate(finder):.2e}")
    assert namespace == {"lr": picked}
    assert marker(finder) == (picked, "pick")


@pytest.mark.parametrize("ran", [False, True])
def test_a_pick_without_a_suggestion_raises_with_the_reason(make: Any, ran: bool) -> None:
    namespace = {"lr": 0.5}
    finder = make(RISE, namespace=namespace)
    if ran:
        finished(finder)
    with pytest.raises(RuntimeError) as caught:
        finder.pick()
    assert finder.suggestion.reason in str(caught.value)
    assert (namespace, finder.lr) == ({"lr": 0.5}, None)


def test_a_commit_on_the_page_is_a_pick(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)
    commit(finder, 0.0031622776)
    assert namespace == {"lr": 0.00316}
    assert finder.lr == 0.00316
    assert marker(finder) == (0.00316, "pick")
    assert written(finder) == "lr = 3.16e-03"


def test_the_page_is_told_when_its_commit_has_been_written(make: Any) -> None:
    finder = make(namespace={})
    commit(finder, 0.01)
    assert finder.received == finder.commit["n"] > 0


def test_a_marker_that_is_moved_writes_nothing(make: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    drag(finder, 0.01, released=False)
    drag(finder, 0.02)
    assert (namespace, finder.lr, finder.position) == ({"lr": 0.5}, None, 0.02)
    assert not is_picked(finder)


@pytest.mark.parametrize(
    "message",
    [
        {"commit": {"lr": math.nan, "n": 1}},
        {"commit": {"lr": -1.0, "n": 1}},
        {"commit": {"lr": "0.1", "n": 1}},
        {"commit": {"lr": 0.1}},
        {"commit": 0.1},
        {"position": math.inf},
        {"position": None},
        {"lr": 0.1},
        {"picked": {"text": "lr = 1.00e-01"}},
    ],
)
def test_a_message_that_makes_no_sense_changes_nothing(make: Any, message: Any) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    page_writes(finder, **message)
    assert (namespace, finder.lr, marker(finder)) == ({"lr": 0.5}, None, (0.5, "start"))


def test_the_use_button_picks_where_the_marker_stands(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    use(finder)
    assert namespace == {"lr": float(f"{candidate(finder):.2e}")}
    drag(finder, 0.0123456)
    use(finder)
    assert namespace == {"lr": 0.0123}
    assert marker(finder) == (0.0123, "pick")


def test_marker_variable_and_pick_agree_after_commits_from_many_threads(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)

    def pick_often(first: int) -> None:
        for i in range(first, first + 40):
            finder.pick(i / 1000)

    picking = [in_thread(lambda first=first: pick_often(first)) for first in (1, 101, 201, 301)]
    assert [finish() for finish in picking] == [None] * 4
    assert namespace["lr"] == finder.lr == finder.position


def test_a_pick_is_a_trait_that_other_code_can_observe(make: Any) -> None:
    finder = make(namespace={})
    heard: list[Any] = []
    finder.observe(lambda change: heard.append(change["new"]), "lr")
    commit(finder, 0.02)
    finder.pick(0.03)
    finder.pick(0.03)
    assert heard == [0.02, 0.03]
    with pytest.raises(TraitError, match="lr"):
        finder.lr = 0.04


def test_a_pick_on_a_closed_finder_is_in_its_lr(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    finder.close()
    assert finder.pick(0.02) == finder.lr == namespace["lr"] == 0.02


def test_the_training_that_is_planned_is_shown_with_the_pick_or_the_candidate(
    make: Any, gate: Gate
) -> None:
    finder = make(gate, namespace={}, train_steps=700, schedule="decay")
    assert finder.planned == {"steps": 700, "schedule": "decay", "lr": None}
    finder.start()
    gate.let_all()
    finder.wait(WAIT_S)
    assert finder.planned == {"steps": 700, "schedule": "decay", "lr": candidate(finder)}
    finder.pick(0.02)
    assert finder.planned == {"steps": 700, "schedule": "decay", "lr": 0.02}


# -- the variable ----------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [0.0123456, 3, np.float32(0.5), 1e-9, 1e3])
def test_the_marker_starts_unrounded_at_what_the_variable_holds(make: Any, held: Any) -> None:
    finder = make(namespace={"lr": held})
    assert marker(finder) == (float(held), "start")
    assert written(finder) == f"lr = {float(held):.2e}"
    assert not is_picked(finder)


@pytest.mark.parametrize("held", [None, -1.0, 0, math.nan, math.inf, "0.1", math, True])
def test_where_it_holds_no_positive_number_the_marker_starts_in_the_middle(
    make: Any, held: Any
) -> None:
    finder = make(namespace={"lr": held})
    assert marker(finder) == (pytest.approx(math.sqrt(1e-5 * 1.0)), "start")


def test_what_is_no_number_is_kept_and_the_status_says_so(make: Any) -> None:
    namespace: dict[str, Any] = {"lr": math}
    finder = make(namespace=namespace)
    commit(finder, 0.01)
    assert namespace == {"lr": math}
    assert "lr holds a module, not a number" in problem(finder)
    assert (finder.lr, marker(finder)) == (0.01, (0.01, "pick"))
    namespace["lr"] = None
    finder.pick(0.02)
    assert namespace == {"lr": 0.02}
    assert problem(finder) == ""


def test_a_namespace_that_refuses_is_shown_not_raised(make: Any) -> None:
    class Sealed(dict[str, Any]):
        def __setitem__(self, key: str, value: object) -> None:
            raise PermissionError("<sealed>")

    finder = make(namespace=Sealed())
    commit(finder, 0.01)
    assert problem(finder) == "lr could not be assigned: <sealed>"  # the page shows it as text
    assert finder.lr == 0.01


def test_another_name_is_written_and_shown(make: Any) -> None:
    namespace: dict[str, Any] = {"lr": 0.5}
    finder = make(namespace=namespace, variable="max_lr")
    finder.pick(0.01)
    assert namespace == {"lr": 0.5, "max_lr": 0.01}
    assert written(finder) == "max_lr = 1.00e-02"
    assert finder.variable == "max_lr"


def test_without_a_variable_the_pick_is_in_the_finder_alone(make: Any, shell: Shell) -> None:
    finder = make(variable=None)
    finder.pick(0.01)
    assert (finder.lr, shell.user_ns, shell.listening) == (0.01, {}, 0)
    assert (finder.variable, written(finder)) == ("", "1.00e-02")
    assert status(finder)


def test_outside_a_notebook_the_pick_is_in_the_finder_alone(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    finder = make()
    finder.pick(0.01)
    assert finder.lr == 0.01
    assert (finder.variable, written(finder)) == ("", "1.00e-02")


def test_by_default_the_pick_is_in_the_notebooks_namespace(make: Any, shell: Shell) -> None:
    finder = shell.run("a", make)
    commit(finder, 0.01)
    assert shell.run("b", lambda: shell.user_ns["lr"]) == 0.01


@pytest.mark.parametrize("value", [0.0123456, 2, np.float32(0.5)])
def test_a_cell_that_assigns_moves_the_marker_unrounded(
    make: Any, shell: Shell, value: Any
) -> None:
    finder = shell.run("a", make)
    shell.run("b", lambda: shell.user_ns.update(lr=value))
    assert marker(finder) == (float(value), "pick")
    assert finder.lr == float(value)
    assert shell.user_ns["lr"] is value
    assert f"lr = {float(value):.2e}" in written(finder)
    assert finder.planned["lr"] == float(value)
    assert "apply" not in finder.blocked


def test_what_the_constructing_cell_assigns_afterwards_is_followed(make: Any, shell: Shell) -> None:
    def cell() -> LRFinder:
        finder = make()
        shell.user_ns["lr"] = 0.02
        return finder

    assert marker(shell.run("a", cell)) == (0.02, "pick")


@pytest.mark.parametrize("value", [-1.0, 0, math.nan, math.inf, "0.1", math, True, None])
def test_what_is_no_positive_number_does_not_move_the_marker(
    make: Any, shell: Shell, value: Any
) -> None:
    shell.user_ns["lr"] = 0.5
    finder = shell.run("a", make)
    shell.run("b", lambda: shell.user_ns.update(lr=value))
    assert marker(finder) == (0.5, "start")
    assert finder.lr is None


def test_cells_that_do_not_assign_change_nothing(make: Any, shell: Shell) -> None:
    finder = finished(shell.run("a", make))
    for _ in range(3):
        shell.run("b")
    assert marker(finder) == (candidate(finder), "candidate")
    commit(finder, 0.01)
    for _ in range(3):
        shell.run("b")
    assert (marker(finder), finder.lr) == ((0.01, "pick"), 0.01)


def test_what_another_finder_wrote_is_not_followed(make: Any, shell: Shell) -> None:
    one, other = shell.run("a", make), shell.run("b", make)
    one.pick(0.02)
    other.pick(0.03)
    shell.run("c")
    assert shell.user_ns["lr"] == 0.03
    assert one.position == one.lr == 0.02
    assert marker(one)[1] != "pick"  # not drawn as if the notebook had it
    assert marker(other) == (0.03, "pick")
    assert written(one) == "lr = 3.00e-02"


@pytest.mark.parametrize("held", ["deleted", "something else"])
def test_a_variable_that_is_gone_is_not_shown_as_picked(make: Any, shell: Shell, held: str) -> None:
    finder = shell.run("a", make)
    commit(finder, 0.01)
    if held == "deleted":
        shell.run("b", shell.user_ns.clear)  # as %reset does
    else:
        shell.run("b", lambda: shell.user_ns.update(lr="cosine"))
    assert marker(finder) == (0.01, "start")
    assert written(finder) == ""
    commit(finder, 0.02)
    assert shell.user_ns["lr"] == (0.02 if held == "deleted" else "cosine")


# -- the number box --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "picked"),
    [("0.01", 0.01), ("1e-2", 0.01), (" 3.1622e-03 ", 0.00316), ("1", 1.0), ("50", 50.0)],
)
def test_a_number_that_is_typed_is_a_pick(make: Any, typed: str, picked: float) -> None:
    namespace: dict[str, Any] = {}
    finder = make(namespace=namespace)
    type_in(finder, typed)
    assert namespace == {"lr": picked}
    assert (finder.lr, marker(finder)) == (picked, (picked, "pick"))


def test_what_the_box_shows_anyway_is_no_pick(make: Any) -> None:
    namespace: dict[str, Any] = {}
    finder = finished(make(namespace=namespace))
    type_in(finder, f"{candidate(finder):.2e}")  # the page leaves the box
    assert (namespace, marker(finder)) == ({}, (candidate(finder), "candidate"))


BAD = ["", "  ", "abc", "0,01", "nan", "-1", "0", "inf", "1e999", "1e-999", "0.1 0.2", "lr"]


@pytest.mark.parametrize("typed", BAD)
def test_what_is_typed_and_is_no_positive_number_is_said_and_taken_back(
    make: Any, typed: str
) -> None:
    namespace = {"lr": 0.5}
    finder = make(namespace=namespace)
    type_in(finder, typed)
    assert (namespace, finder.lr, marker(finder)) == ({"lr": 0.5}, None, (0.5, "start"))
    assert problem(finder) == f"{typed!r} is not a positive number; the marker has not moved."


def test_markup_that_is_typed_stays_text(make: Any) -> None:
    finder = make(namespace={})
    type_in(finder, "<img src=x onerror=alert(1)>")
    assert "'<img src=x onerror=alert(1)>' is not" in problem(finder)
    assert "<img" not in status(finder)


def test_a_complaint_goes_away_with_the_next_pick_or_start(make: Any) -> None:
    finder = make(namespace={})
    type_in(finder, "abc")
    type_in(finder, "0.01")
    assert problem(finder) == ""
    type_in(finder, "abc")
    assert problem(finder)
    finished(finder)
    assert problem(finder) == ""
