"""What a curve keeps, refuses and gives back, and that any curve can be read."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from curves import blowing_up, hidden, ladder, repeated
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lrfinder_widget import LossCurve

RULES = ["budget", "minimum", "steepest", "valley", "slide", "divergence"]
any_loss = st.floats(allow_nan=True, allow_infinity=True)


# -- what a curve is ------------------------------------------------------------------------------


def test_a_curve_keeps_what_was_measured():
    curve = LossCurve([1e-3, 1e-2], [2.0, float("nan")], "non-finite")
    assert curve.lrs.tolist() == [1e-3, 1e-2]
    assert curve.losses[0] == 2.0
    assert np.isnan(curve.losses[1])
    assert curve.reason == "non-finite"
    assert curve.lrs.dtype == curve.losses.dtype == np.float64
    assert len(curve) == 2


def test_a_curve_cannot_be_changed():
    given_losses = np.array([2.0, 1.0])
    curve = LossCurve([1e-3, 1e-2], given_losses)
    given_losses[0] = 9.0
    assert curve.losses[0] == 2.0
    for array in (curve.lrs, curve.losses, curve.smooth()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(FrozenInstanceError):
        curve.reason = "failed"


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_a_copy_is_equal_and_cannot_be_changed_either(duplicate):
    curve = LossCurve(ladder(20), blowing_up(ladder(20)), "stopped")
    assert curve.suggestion is not None  # so that something is cached
    twin = duplicate(curve)
    assert twin == curve
    assert not twin.losses.flags.writeable


@pytest.mark.parametrize(
    ("lrs", "losses", "reason", "message"),
    [
        ([1e-3], [1.0, 2.0], "completed", "same length"),
        ([[1e-3]], [[1.0]], "completed", "same length"),
        ([0.0, 1.0], [1.0, 2.0], "completed", "positive"),
        ([1e-3, float("inf")], [1.0, 2.0], "completed", "finite"),
        ([1e-3, float("nan")], [1.0, 2.0], "completed", "finite"),
        ([1e-2, 1e-3], [1.0, 2.0], "completed", "larger than the one before"),
        ([1e-2, 1e-2], [1.0, 2.0], "completed", "larger than the one before"),
        ([1e-3], [1.0], "tired", "'tired'"),
    ],
)
def test_what_is_no_curve_is_refused_and_named(lrs, losses, reason, message):
    with pytest.raises(ValueError, match=message):
        LossCurve(lrs, losses, reason)


def test_curves_are_equal_by_value_and_nan_equals_nan():
    curve = LossCurve([1e-3, 1e-2], [2.0, float("nan")], "non-finite")
    same = LossCurve(np.array([1e-3, 1e-2]), (2.0, float("nan")), "non-finite")
    assert curve == same
    assert hash(curve) == hash(same)
    assert curve != LossCurve([1e-3, 1e-2], [2.0, float("nan")], "stopped")
    assert curve != LossCurve([1e-3, 1e-2], [2.0, 1.0], "non-finite")
    assert curve != LossCurve([1e-3, 2e-2], [2.0, float("nan")], "non-finite")
    assert curve != LossCurve([1e-3], [2.0], "non-finite")
    assert curve != "a curve"


def test_the_repr_says_how_many_points_from_where_to_where_and_why_it_ended():
    text = repr(LossCurve([1e-3, 1e-2], [2.0, 1.5], "stopped"))
    for part in ("2 points", "1.00e-03", "1.00e-02", "2", "1.5", "stopped"):
        assert part in text
    assert "empty" in repr(LossCurve([], []))


positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@settings(deadline=None)
@given(st.dictionaries(positive, any_loss, max_size=30), st.sampled_from(["completed", "failed"]))
def test_json_is_valid_and_gives_back_every_bit(points, reason):
    lrs = sorted(points)
    curve = LossCurve(lrs, [points[lr] for lr in lrs], reason)
    text = curve.to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = LossCurve.from_json(text)
    assert again == curve
    assert again.lrs.tobytes() == curve.lrs.tobytes()
    finite = ~np.isnan(curve.losses)
    assert again.losses[finite].tobytes() == curve.losses[finite].tobytes()


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "null", "3", "{}", '{"lr": 0.1, "runs": []}', '{"lrs": [0.1], "losses": [1.0]}'),
        '{"lrs": [0.1], "losses": [null], "reason": "completed"}',
        '{"lrs": [0.1], "losses": [1.0], "reason": "completed", "repeats": [3]}',
        '{"lrs": [0.1], "losses": [1.0], "reason": "completed", "budget": {"colour": "red"}}',
        '{"lrs": [0.1], "losses": [1.0], "reason": "completed", "diagnosis": []}',
        *("", "no JSON", LossCurve([0.1], [1.0])),
    ],
)
def test_json_that_is_no_curve_is_told_so(text):
    with pytest.raises(ValueError, match=r"text must be what LossCurve\.to_json\(\) returns"):
        LossCurve.from_json(text)


def test_json_of_a_curve_that_cannot_be_says_why():
    with pytest.raises(ValueError, match="lrs must be positive"):
        LossCurve.from_json('{"lrs": [-1.0], "losses": [1.0], "reason": "completed"}')


def test_a_data_frame_has_raw_and_smoothed_losses():
    curve = LossCurve([1e-3, 1e-2, 1e-1], [2.0, 1.0, float("nan")])
    frame = curve.to_dataframe()
    assert frame.columns.tolist() == ["lr", "loss", "smoothed"]
    assert frame["lr"].tolist() == curve.lrs.tolist()
    assert frame["loss"].tolist()[:2] == [2.0, 1.0]
    assert frame["smoothed"].isna().tolist() == [False, False, True]


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 6, 9, 20, 100, 1_000, 10_000])
def test_any_number_of_points_can_be_read(n):
    curve = LossCurve(ladder(n), blowing_up(ladder(n), noise=0.03))
    assert curve.smooth().shape == (n,)
    assert np.isfinite(curve.smooth()).all()
    assert list(curve.candidates()) == RULES


@settings(deadline=None)
@given(st.lists(any_loss, max_size=40))
@example([1e308, -1e308] * 9)
def test_any_losses_can_be_read(losses):
    curve = LossCurve(ladder(len(losses)), losses)
    np.testing.assert_array_equal(np.isfinite(curve.smooth()), np.isfinite(losses))
    assert list(curve.candidates()) == RULES


# -- the baseline ---------------------------------------------------------------------------------


def test_it_belongs_to_the_value_of_a_curve() -> None:
    lrs, losses, baseline = hidden()
    curve = LossCurve(lrs, losses, baseline=baseline)
    assert curve != LossCurve(lrs, losses)
    assert curve != LossCurve(lrs, losses, baseline=baseline + 1)
    for twin in (copy.copy(curve), copy.deepcopy(curve), LossCurve.from_json(curve.to_json())):
        assert twin == curve
        assert twin.baseline is not None
        assert twin.baseline.tolist() == baseline.tolist()
        assert not twin.baseline.flags.writeable
    frame = curve.to_dataframe()
    assert frame.columns.tolist() == ["lr", "loss", "smoothed", "baseline"]
    assert frame["baseline"].tolist() == baseline.tolist()


def test_of_repeats_most_must_have_one() -> None:
    for starts, there in ((0, False), (1, False), (2, True), (3, True)):
        curve = repeated(starts)
        assert (curve.baseline is not None) == there
        for twin in (copy.deepcopy(curve), LossCurve.from_json(curve.to_json())):
            assert twin == curve
            assert twin.suggestion == curve.suggestion


@pytest.mark.parametrize("wrong", [[1.0], [[1.0, 2.0]], [1.0, np.nan], [np.inf, 1.0]])
def test_what_is_no_baseline_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="2 finite losses"):
        LossCurve([1e-3, 1e-2], [1.0, 2.0], baseline=wrong)


def test_only_a_curve_that_went_as_far_as_it_should_and_shows_no_clear_fall_needs_one() -> None:
    lrs, losses, baseline = hidden()
    assert LossCurve(lrs, losses).needs_baseline
    assert LossCurve(lrs, losses, "diverged").needs_baseline
    assert not LossCurve(lrs, losses, "stopped").needs_baseline
    assert not LossCurve(lrs, losses, "stop-rule").needs_baseline
    assert not LossCurve(lrs, losses, baseline=baseline).needs_baseline
    assert not LossCurve(lrs[:9], losses[:9]).needs_baseline
    assert not LossCurve(*hidden(fall=8.0)[:2]).needs_baseline
