"""The marker's half in the kernel: what it believes, and what it tells."""

import json
import math
import threading

import ipywidgets
import numpy as np
import pytest
import traitlets
from hypothesis import given
from hypothesis import strategies as st

from lrfinder_widget import LRMarker
from lrfinder_widget.widget import draggable


class FakePage:
    """The other end of a marker's comm: a page that can say anything, and hears everything."""

    comm_id = "a page"

    def __init__(self, marker):
        self.updates = []
        self.echoes = []
        self.buffers = []
        marker.comm.close()
        self._handle = None
        marker.comm = self

    def on_msg(self, handle):
        self._handle = handle

    def send(self, data=None, metadata=None, buffers=None):
        messages = self.echoes if data["method"] == "echo_update" else self.updates
        messages.append(data["state"])
        self.buffers += buffers or []

    def close(self):
        pass

    def says(self, **state):
        state = json.loads(json.dumps(state))
        self._handle({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


@pytest.fixture
def marker():
    marker = LRMarker(low=1e-6, high=1.0, lr=1e-3)
    yield marker
    marker.close()


@pytest.fixture
def page(marker):
    return FakePage(marker)


@pytest.fixture
def picked(marker):
    picked = []
    marker.on_commit(picked.append)
    return picked


def test_a_drag_moves_the_number_and_picks_nothing(marker, page, picked):
    page.says(lr=0.0123456, moving_from=1e-3)
    assert marker.lr == 0.0123456
    assert marker.moving_from == 1e-3
    assert picked == []


def test_a_commit_is_told_once_and_then_acknowledged(marker, page, picked):
    acknowledged_before = []
    marker.on_commit(lambda lr: acknowledged_before.append(marker.received))
    page.says(lr=0.00316, moving_from=None, commit={"lr": 0.00316, "n": 7})
    assert picked == [0.00316]
    assert acknowledged_before == [0]
    assert marker.received == 7
    assert {"received": 7} in page.updates
    page.says(commit={"lr": 0.00316, "n": 7})
    assert picked == [0.00316]


def test_equal_picks_are_two_picks(marker, page, picked):
    page.says(commit={"lr": 0.01, "n": 1})
    page.says(commit={"lr": 0.01, "n": 2})
    assert picked == [0.01, 0.01]


def test_lr_is_up_to_date_when_a_commit_is_told(marker, page):
    seen = []
    marker.on_commit(lambda lr: seen.append((lr, marker.lr)))
    page.says(lr=0.02, commit={"lr": 0.02, "n": 1})
    assert seen == [(0.02, 0.02)]


def test_a_pick_is_a_plain_float_although_json_says_one_without_a_point(marker, page, picked):
    page.says(lr=1, commit={"lr": 1, "n": 1})
    assert [type(lr) for lr in [*picked, marker.lr, marker.commit["lr"]]] == [float] * 3


def test_a_pick_is_brought_inside_the_range_and_the_page_is_told(marker, page, picked):
    page.says(commit={"lr": 50.0, "n": 1})
    page.says(commit={"lr": 1e-12, "n": 2})
    assert picked == [1.0, 1e-6]
    assert {"commit": {"lr": 1.0, "n": 1}} in page.updates


def test_a_callback_may_move_and_mark_the_marker(marker, page):
    def settle(lr):
        with marker.hold_sync():
            marker.lr, marker.kind = lr / 2, "pick"

    marker.on_commit(settle)
    page.says(lr=0.02, commit={"lr": 0.02, "n": 1})
    assert (marker.lr, marker.kind, marker.received) == (0.01, "pick", 1)
    assert {"lr": 0.01, "kind": "pick"} in page.updates


def test_a_commit_whose_callback_fails_is_not_acknowledged(marker, page, caplog):
    def fail(lr):
        raise RuntimeError("no room for it")

    marker.on_commit(fail)
    page.says(commit={"lr": 0.02, "n": 1})
    assert marker.received == 0
    assert "no room for it" in caplog.text
    page.says(lr=0.03)
    assert marker.lr == 0.03


NOT_A_POSITIVE_NUMBER = [math.nan, math.inf, -math.inf, 0, -1e-3, True, None, "1e-3", [1e-3], {}]
TOO_BIG_FOR_A_FLOAT = int("9" * 400)


@pytest.mark.parametrize("nonsense", [*NOT_A_POSITIVE_NUMBER, TOO_BIG_FOR_A_FLOAT])
def test_nonsense_from_the_page_changes_nothing_and_the_page_is_told(
    marker, page, picked, nonsense
):
    page.says(lr=nonsense)
    page.says(commit={"lr": nonsense, "n": 1})
    assert marker.lr == 1e-3
    assert marker.commit == {}
    assert picked == []
    assert page.updates == [{"lr": 1e-3}, {"commit": {}}]
    assert page.echoes == []


@pytest.mark.parametrize(
    "nonsense",
    [
        3,
        [],
        {},
        {"lr": 0.01},
        {"n": 1},
        {"lr": 0.01, "n": 1.5},
        {"lr": 0.01, "n": True},
        {"lr": 0.01, "n": "1"},
        {"lr": 0.01, "n": None},
        {"lr": 0.01, "n": 1, "then": "x"},
    ],
)
def test_a_malformed_commit_picks_nothing(marker, page, picked, nonsense):
    page.says(commit=nonsense)
    assert picked == []
    assert marker.received == 0


def test_nonsense_in_the_small_things_is_dropped_too(marker, page):
    page.says(moving_from="x")
    assert marker.moving_from is None


def test_one_bad_value_does_not_take_the_good_ones_with_it(marker, page, picked):
    page.says(lr=math.nan, moving_from=None, commit={"lr": 0.01, "n": 1})
    assert picked == [0.01]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    lr=json_values,
    commit=json_values | st.fixed_dictionaries({"lr": json_values, "n": st.integers()}),
)
def test_no_message_from_the_page_can_break_the_marker(lr, commit):
    marker = LRMarker(low=1e-6, high=1.0)
    page, picked = FakePage(marker), []
    marker.on_commit(picked.append)
    page.says(lr=lr, commit=commit)
    page.says(lr=0.25)
    marker.close()
    assert marker.lr == 0.25
    assert all(1e-6 <= lr <= 1.0 for lr in picked)


@pytest.mark.parametrize("name", ["lr", "low", "high"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 0, -1.0, "1e-3", None])
def test_in_python_nonsense_is_an_error_that_says_so(marker, name, value):
    before = getattr(marker, name)
    with pytest.raises(traitlets.TraitError, match=name):
        setattr(marker, name, value)
    assert getattr(marker, name) == before


def test_a_linear_axis_may_begin_at_zero_and_a_log_axis_not():
    marker = LRMarker(scale="linear", low=0.0, high=0.5)
    with pytest.raises(traitlets.TraitError, match=r"low=0\.0 with scale='log'"):
        marker.scale = "log"
    with pytest.raises(traitlets.TraitError, match="low"):
        LRMarker(scale="log", low=0.0)


def test_on_a_linear_axis_from_zero_nobody_can_pick_zero():
    marker = LRMarker(scale="linear", low=0.0, high=0.5)
    page, picked = FakePage(marker), []
    marker.on_commit(picked.append)
    page.says(commit={"lr": 0, "n": 1})
    assert picked == []


@pytest.mark.parametrize(
    "margin",
    [
        {"top": -1},
        {"top": "1px"},
        {"topp": 1},
        {"left": math.nan},
        {"left": True},
        {"left": math.inf},
    ],
)
def test_a_margin_is_pixels_on_the_four_sides(marker, margin):
    with pytest.raises(traitlets.TraitError):
        marker.margin = margin


@pytest.mark.parametrize(("name", "value"), [("kind", "best"), ("scale", "sqrt"), ("variable", 3)])
def test_the_words_are_checked(marker, name, value):
    with pytest.raises(traitlets.TraitError):
        setattr(marker, name, value)


def test_a_numpy_float_is_a_number(marker):
    marker.lr = np.float64(0.02)
    assert marker.lr == 0.02


def test_a_value_beyond_the_range_is_kept_as_it_is(marker):
    marker.lr = 100.0
    assert marker.lr == 100.0


def test_a_curve_goes_to_the_page_as_bytes(marker, page):
    marker.curve_lrs = [1e-4, 1e-2]
    marker.curve_losses = np.array([2, 1])
    assert [np.frombuffer(buffer, "<f8").tolist() for buffer in page.buffers] == [
        [1e-4, 1e-2],
        [2.0, 1.0],
    ]


def test_a_curve_is_kept_as_arrays_that_nobody_can_write(marker):
    given = np.array([1.0, 2.0])
    marker.curve_losses = given
    given[0] = 7.0
    assert marker.curve_losses.tolist() == [1.0, 2.0]
    assert marker.curve_losses.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        marker.curve_losses[0] = 7.0


@pytest.mark.parametrize("name", ["curve_lrs", "curve_losses"])
@pytest.mark.parametrize("nonsense", ["abc", None, 1.0, [[1.0]], {"a": 1}, ["x"]])
def test_a_curve_is_a_flat_array_of_numbers(marker, name, nonsense):
    with pytest.raises(
        traitlets.TraitError, match=rf"{name} must be a one-dimensional array of numbers"
    ):
        setattr(marker, name, nonsense)
    assert len(getattr(marker, name)) == 0


def test_the_page_cannot_change_the_curve(marker, page):
    marker.curve_losses = [1.0]
    page.says(curve_losses=[7.0], lr=0.5)
    assert (marker.curve_losses.tolist(), marker.lr) == ([1.0], 0.5)


def test_what_belongs_together_goes_in_one_message(marker, page):
    with marker.hold_sync():
        marker.low, marker.high, marker.lr, marker.kind = 1e-4, 2.0, 0.5, "candidate"
    assert page.updates == [{"low": 1e-4, "high": 2.0, "lr": 0.5, "kind": "candidate"}]


def test_the_worker_may_place_the_marker(marker, page):
    thread = threading.Thread(target=setattr, args=(marker, "lr", 0.5))
    thread.start()
    thread.join(5)
    assert page.updates == [{"lr": 0.5}]


def test_the_repr_says_where_it_stands_and_what_that_is(marker):
    assert repr(marker) == (
        "LRMarker(lr=1.00e-03, kind='start', low=1.00e-06, high=1.00e+00, scale='log')"
    )


def test_the_page_is_sent_its_code_and_style(marker):
    state = marker.get_state()
    assert "render" in state["_esm"]
    assert ".lrf-handle" in state["_css"]


def test_without_the_bundle_the_module_imports_and_a_marker_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(draggable, "STATIC", tmp_path)
    assert draggable._asset("finder.js") == ""
    monkeypatch.setattr(LRMarker, "_esm", "")
    before = len(ipywidgets.widgets.widget._instances)
    with pytest.raises(FileNotFoundError, match=r"finder\.js is missing.*npm run build"):
        LRMarker()
    assert len(ipywidgets.widgets.widget._instances) == before
