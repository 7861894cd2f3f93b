"""One number into and out of a namespace: what is written, what is left alone, what is followed."""

from __future__ import annotations

import collections
import gc
import keyword
import math
import sys
import types
from collections.abc import Iterator, MutableMapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import IPython
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrfinder_widget.widget.variable import Variable


class Refusing(dict[str, Any]):
    """A mapping of the user's own that cannot be written to."""

    def __setitem__(self, key: str, value: object) -> None:
        raise PermissionError("this namespace is sealed")


class Noting(MutableMapping[str, Any]):
    """A mapping that is no dict, and notes what was done to it."""

    def __init__(self) -> None:
        self.inner: dict[str, Any] = {}
        self.writes: list[tuple[str, Any]] = []

    def __getitem__(self, key: str) -> Any:
        return self.inner[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.writes.append((key, value))
        self.inner[key] = value

    def __delitem__(self, key: str) -> None:
        del self.inner[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


# -- names ----------------------------------------------------------------------------------------

NAMES = ["lr", "_lr", "LR", "lr_1", "learning_rate", "η", "match", "type_"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_can_be_assigned_to_is_taken(name: str) -> None:
    namespace: dict[str, Any] = {}
    variable = Variable(name, namespace)
    assert variable.writable
    assert variable.write(0.1) is None
    assert namespace == {name: 0.1}
    exec(f"seen = {name}", namespace)  # a cell can read it by that name
    assert namespace["seen"] == 0.1


@pytest.mark.parametrize("name", keyword.kwlist)
def test_a_keyword_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a Python keyword"):
        Variable(name, {})


@pytest.mark.parametrize("name", ["print", "list", "type", "__import__", "KeyboardInterrupt"])
def test_a_builtin_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a Python builtin"):
        Variable(name, {})


@pytest.mark.parametrize("name", ["__lr", "__lr__", "_"])
def test_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is reserved"):
        Variable(name, {})


@pytest.mark.parametrize(
    "name", ["", "1r", "my lr", "lr-1", "opt.lr", "lr ", "lrs[0]", "<b>", b"lr", 3, 0.1, ["lr"]]
)
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is not a Python name"):
        Variable(name, {})


def test_the_error_says_what_was_given_and_what_to_do() -> None:
    with pytest.raises(ValueError, match=r'lambda.*Use another name, such as "lr", or None'):
        Variable("lambda", {})


def test_no_name_writes_nowhere_and_reads_nothing() -> None:
    namespace = {"lr": 0.1, "None": 0.2}
    variable = Variable(None, namespace)
    assert not variable.writable
    assert (variable.read(), variable.changed(), variable.write(0.3)) == (None, None, None)
    assert namespace == {"lr": 0.1, "None": 0.2}


# -- mappings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "namespace",
    [
        types.MappingProxyType({}),
        [],
        "lr",
        0.1,
        types.SimpleNamespace(),
        types.ModuleType("m"),
        {"lr"},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_written_to_is_refused_at_once(namespace: Any) -> None:
    with pytest.raises(TypeError, match=f"mutable mapping.*got {type(namespace).__name__}"):
        Variable("lr", namespace)


@pytest.mark.parametrize("make", [dict, Noting, collections.OrderedDict, collections.UserDict])
def test_any_mapping_that_can_be_written_to_will_do(make: Any) -> None:
    namespace = make()
    variable = Variable("lr", namespace)
    assert variable.write(0.1) is None
    assert (namespace["lr"], variable.read(), len(namespace)) == (0.1, 0.1, 1)


def test_an_empty_mapping_is_a_namespace_too() -> None:
    assert Variable("lr", {}).writable


def test_the_globals_of_a_module_will_do() -> None:
    name = "lr_of_this_test"
    try:
        Variable(name, globals()).write(0.25)
        assert globals()[name] == 0.25
    finally:
        globals().pop(name, None)


def test_a_mapping_that_refuses_the_write_is_a_sentence_not_an_error() -> None:
    namespace = Refusing()
    said = Variable("lr", namespace).write(0.1)
    assert said == "lr could not be assigned: this namespace is sealed"
    assert not namespace


# -- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [0.1, 1, np.float32(0.5), np.float64(0.1), np.int64(2)])
def test_a_plain_float_is_written(given: Any) -> None:
    namespace: dict[str, Any] = {}
    Variable("lr", namespace).write(given)
    assert type(namespace["lr"]) is float
    assert namespace["lr"] == float(given)


NUMBERS = [0.1, 3, -1.0, 0, math.nan, math.inf, np.float32(0.1), np.int8(3), Fraction(1, 8)]
OTHERS = [
    math,
    "0.1",
    b"0.1",
    True,
    np.True_,
    1j,
    Decimal("0.1"),
    np.array(0.1),
    np.array([0.1]),
    torch.tensor(0.1),
    torch.nn.Linear(1, 1),
    [0.1],
    {},
    lambda: 0.1,
    float,
]


@pytest.mark.parametrize("held", NUMBERS, ids=repr)
def test_a_number_is_overwritten(held: Any) -> None:
    namespace = {"lr": held}
    assert Variable("lr", namespace).write(0.2) is None
    assert namespace == {"lr": 0.2}


@pytest.mark.parametrize("held", OTHERS, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_not_overwritten_and_a_sentence_says_so(held: Any) -> None:
    namespace = {"lr": held}
    variable = Variable("lr", namespace)
    said = variable.write(0.2)
    assert said is not None
    assert said.startswith(f"lr holds a {type(held).__name__}, not a number")
    assert "not overwritten" in said
    assert namespace["lr"] is held
    assert variable.read() is None


def test_none_counts_as_free() -> None:
    namespace = {"lr": None}
    assert Variable("lr", namespace).write(0.2) is None
    assert namespace == {"lr": 0.2}


def test_what_is_freed_later_is_written_then() -> None:
    namespace: dict[str, Any] = {"lr": math}
    variable = Variable("lr", namespace)
    assert variable.write(0.2) is not None
    del namespace["lr"]
    assert variable.write(0.2) is None
    assert namespace == {"lr": 0.2}


# -- reading and following ------------------------------------------------------------------------


@pytest.mark.parametrize("held", [0.1, 3, np.float32(0.5), np.int16(2), Fraction(1, 8), 5e-324])
def test_a_positive_number_is_read_as_a_float(held: Any) -> None:
    read = Variable("lr", {"lr": held}).read()
    assert type(read) is float
    assert read == float(held)


UNREADABLE = [0, -1, 0.0, -0.0, math.nan, math.inf, -math.inf, 10**400, np.float32("nan"), None]


@pytest.mark.parametrize("held", [*UNREADABLE, *OTHERS], ids=lambda v: type(v).__name__)
def test_what_is_no_positive_number_is_neither_read_nor_followed(held: Any) -> None:
    assert Variable("lr", {"lr": held}).read() is None
    namespace: dict[str, Any] = {"lr": 0.1}
    variable = Variable("lr", namespace)
    namespace["lr"] = held
    assert variable.changed() is None


def test_what_it_holds_at_first_is_no_change() -> None:
    variable = Variable("lr", {"lr": 0.1})
    assert variable.changed() is None


def test_what_a_cell_assigns_is_followed_once_and_unrounded() -> None:
    namespace: dict[str, Any] = {}
    variable = Variable("lr", namespace)
    namespace["lr"] = 0.0123456789
    assert variable.changed() == 0.0123456789
    assert variable.changed() is None
    namespace["lr"] = np.float32(0.5)
    assert variable.changed() == 0.5


def test_what_was_written_here_is_not_followed() -> None:
    namespace: dict[str, Any] = {}
    variable = Variable("lr", namespace)
    variable.write(0.1)
    assert variable.changed() is None


def test_the_same_number_assigned_again_by_a_cell_is_followed() -> None:
    namespace: dict[str, Any] = {}
    variable = Variable("lr", namespace)
    variable.write(0.1)
    namespace["lr"] = float("0.1")  # equal, but another object: a cell did it
    assert variable.changed() == 0.1


def test_after_a_deletion_a_new_assignment_is_followed() -> None:
    namespace: dict[str, Any] = {"lr": 0.1}
    variable = Variable("lr", namespace)
    del namespace["lr"]
    assert variable.changed() is None
    namespace["lr"] = 0.2
    assert variable.changed() == 0.2


def test_what_another_finder_wrote_is_not_followed() -> None:
    namespace: dict[str, Any] = {}
    one, other = Variable("lr", namespace), Variable("lr", namespace)
    one.write(0.1)
    assert other.changed() is None
    assert other.read() == 0.1
    namespace["lr"] = 0.2
    assert (one.changed(), other.changed()) == (0.2, 0.2)


def test_finders_with_other_names_or_namespaces_do_not_hear_of_each_other() -> None:
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    here, there, beside = Variable("lr", first), Variable("lr", second), Variable("mu", first)
    here.write(0.1)
    assert (first, second) == ({"lr": 0.1}, {})
    assert (there.changed(), beside.changed()) == (None, None)
    second["lr"] = first["lr"]  # a cell copies it: an assignment like any other
    assert there.changed() == 0.1


def test_what_a_finder_wrote_that_is_gone_is_a_number_like_any_other() -> None:
    # Its namespace may be gone too, and another have its place in memory.
    namespace: dict[str, Any] = {}
    Variable("lr", namespace).write(0.1)
    gc.collect()
    variable = Variable("lr", namespace)
    value = namespace.pop("lr")
    assert variable.changed() is None
    namespace["lr"] = value
    assert variable.changed() == 0.1


def test_an_old_pick_that_a_cell_assigns_back_is_followed() -> None:
    namespace: dict[str, Any] = {}
    variable = Variable("lr", namespace)
    variable.write(0.1)
    kept = namespace["lr"]
    namespace["lr"] = 0.2
    assert variable.changed() == 0.2
    namespace["lr"] = kept
    assert variable.changed() == 0.1


@given(st.lists(st.one_of(st.floats(), st.integers(), st.none(), st.text(), st.booleans())))
def test_any_sequence_of_assignments_is_followed_as_read(assigned: list[Any]) -> None:
    namespace: dict[str, Any] = {}
    variable = Variable("lr", namespace)
    for value in assigned:
        before = namespace.get("lr")
        namespace["lr"] = value
        followed = variable.changed()
        assert followed == (None if value is before else variable.read())
        assert followed is None or (math.isfinite(followed) and followed > 0)


# -- the notebook ---------------------------------------------------------------------------------


def test_by_default_it_lives_in_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = types.SimpleNamespace(user_ns={"lr": 0.5})
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    variable = Variable("lr")
    assert (variable.writable, variable.read()) == (True, 0.5)
    variable.write(0.25)
    assert shell.user_ns == {"lr": 0.25}


def test_the_notebooks_namespace_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = types.SimpleNamespace(user_ns={})
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    variable, first = Variable("lr"), shell.user_ns
    shell.user_ns = {}
    variable.write(0.25)
    assert (first, shell.user_ns) == ({"lr": 0.25}, {})


def without_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython")


def without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)


@pytest.mark.parametrize("outside", [without_ipython, without_a_shell])
def test_outside_a_notebook_nothing_is_written_and_nothing_fails(
    outside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside(monkeypatch)
    variable = Variable("lr")
    assert not variable.writable
    assert (variable.read(), variable.write(0.1), variable.changed()) == (None, None, None)
    assert "lr" not in globals()


def test_outside_a_notebook_a_bad_name_is_refused_all_the_same() -> None:
    with pytest.raises(ValueError, match="is a Python builtin"):
        Variable("sum")
