"""What a candidate is for: how far the length, the schedule and the optimizer move it."""

import copy
import json
import pickle
import re
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from curves import decades, first_weak, known, repeated
from hypothesis import given, settings
from hypothesis import strategies as st

from lrfinder_widget import LossCurve
from lrfinder_widget.curve.budget import (
    LONGEST,
    SHORTEST,
    USUAL_STEPS,
    Budget,
    Family,
    Schedule,
    shift,
)

FAMILIES = get_args(Family)
each_schedule = pytest.mark.parametrize("schedule", get_args(Schedule))
each_family = pytest.mark.parametrize("family", [None, *FAMILIES])


# -- what a budget is -----------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, -5, 2.5, "100", True, float("nan"), [100]])
def test_a_length_that_is_no_positive_whole_number_is_named(steps):
    with pytest.raises(ValueError, match="train_steps must be a whole number, at least 1; got"):
        Budget(train_steps=steps)
    with pytest.raises(ValueError, match="train_steps must be a whole number, at least 1; got"):
        LossCurve(*known()).suggest(train_steps=steps)


@pytest.mark.parametrize("schedule", ["cosine", None, 3, []])
def test_an_unknown_schedule_is_named(schedule):
    message = f'schedule must be "constant" or "decay"; got {schedule!r}.'
    with pytest.raises(ValueError, match=re.escape(message)):
        Budget(schedule=schedule)


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match="'shampoo'"):
        Budget("shampoo")


def test_whole_numbers_of_any_kind_become_the_same_budget():
    assert Budget(train_steps=np.int64(7)) == Budget(train_steps=7)
    assert type(Budget(train_steps=np.int64(7)).train_steps) is int


# -- the shift ------------------------------------------------------------------------------------


@each_family
@each_schedule
def test_the_shift_is_a_line_over_the_logarithm_of_the_steps(family, schedule):
    def at(steps):
        return shift(Budget(family, steps, schedule))

    for low, high in pairwise((SHORTEST, 500, 2_000, 8_000, LONGEST)):
        middle = at(round((low * high) ** 0.5))
        assert middle[0] == pytest.approx((at(low)[0] + at(high)[0]) / 2, abs=0.001)
        assert at(high)[0] < at(low)[0]
    for end, beyond in ((SHORTEST, 1), (LONGEST, 10**9)):
        assert at(beyond)[0] == at(end)[0]


@each_family
@each_schedule
def test_the_error_grows_outside_the_measured_lengths(family, schedule):
    def error(steps):
        return shift(Budget(family, steps, schedule))[1]

    assert error(500) == error(8_000)
    for steps in ((20_000, 40_000, LONGEST, 10**9, 10**400), (250, 200, SHORTEST, 1)):
        errors = list(map(error, steps))
        assert errors == sorted(set(errors))


@each_schedule
def test_what_is_unknown_makes_the_error_larger(schedule):
    known = shift(Budget("adaptive", USUAL_STEPS, schedule))
    for budget in (Budget(None, USUAL_STEPS, schedule), Budget("adaptive", None, schedule)):
        assert known[1] < shift(budget)[1] < shift(Budget(None, None, schedule))[1]


@each_schedule
def test_an_unknown_length_is_the_usual_one_and_an_unknown_kind_lies_between_the_kinds(schedule):
    kinds = [shift(Budget(family, USUAL_STEPS, schedule))[0] for family in FAMILIES]
    assert [shift(Budget(family, None, schedule))[0] for family in FAMILIES] == kinds
    assert min(kinds) <= shift(Budget(None, USUAL_STEPS, schedule))[0] <= max(kinds)


@each_family
def test_a_decay_bears_more_than_a_constant_rate(family):
    for steps in (SHORTEST, 2_000, LONGEST):
        constant, decay = (shift(Budget(family, steps, s))[0] for s in ("constant", "decay"))
        assert decay > constant


# -- what it does to the candidate ----------------------------------------------------------------


def curve_for(*budget, **more):
    return LossCurve(*known(100, 0.01), budget=Budget(*budget, **more))


@each_family
@each_schedule
@pytest.mark.parametrize("steps", [None, 500, 3_000, 20_000])
def test_the_candidate_is_the_minimums_moved_by_the_shift(family, schedule, steps):
    curve = curve_for(family, steps, schedule)
    moved, error = shift(curve.budget)
    minimum, found = curve.suggest("minimum"), curve.suggestion
    assert found == curve.suggest("budget")
    part = curve._reading.before_turn
    place = part.fall.centre(part.log10_lr)
    assert found.lr == pytest.approx(min(minimum.lr * 10**moved, place))
    assert found.rule == "budget"
    assert found.low == pytest.approx(found.lr / 10**error)
    assert found.lr <= found.high <= found.lr * 10**error * 1.001
    assert found.high <= max(minimum.high, found.lr)  # it still ends well before the turn


@pytest.mark.parametrize(
    ("n", "density"), [(30, 99 / 16), (55, 54 / 8), (400, 399 / 8), (5_000, 990 / 8)]
)
def test_a_test_of_more_steps_reads_a_lower_place_as_it_trains_longer_itself(n, density):
    lrs = np.geomspace(1e-7, 10, n)
    curve = LossCurve(lrs, known(lrs=lrs)[1], budget=Budget("adaptive", 8_000))
    read = curve.suggest("minimum").lr
    usual, moved = shift(curve.budget)[0], shift(curve.budget, density)[0]
    assert moved - usual == pytest.approx(0.3 * np.log10(density / (99 / 8)))
    assert curve.suggestion.lr == pytest.approx(read * 10**moved)


def test_the_steps_per_decade_are_those_about_the_place():
    lrs = np.linspace(1e-4, 1, 2_000)
    curve = LossCurve(lrs, known(lrs=lrs)[1], budget=Budget("adaptive", 8_000))
    read = curve.suggest("minimum").lr
    ends = np.array([max(read / 10, 1e-4), read])
    density = np.diff(ends / (lrs[1] - lrs[0])) / np.diff(np.log10(ends))
    moved, _ = shift(curve.budget, float(density[0]))
    assert curve.suggestion.lr == pytest.approx(read * 10**moved, rel=0.02)


def test_no_training_is_short_enough_for_more_than_the_lowest_place():
    curve = curve_for("sgd")
    found = curve.suggest(train_steps=1, schedule="decay")
    place = curve.suggest("minimum", divisor=1).lr
    assert found.lr <= place * 1.001
    assert decades(found.lr, place) < 0.05


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([None, *FAMILIES]),
    st.integers(1, 10**7) | st.none(),
    st.sampled_from(get_args(Schedule)),
    st.integers(0, 1000),
    st.sampled_from([20, 100, 400]),
)
def test_the_band_holds_the_candidate_and_lies_in_the_range(family, steps, schedule, seed, n):
    lrs, losses = known(n, 0.03, seed)
    found = LossCurve(lrs, losses, budget=Budget(family, steps, schedule)).suggestion
    if found.lr is not None:
        assert lrs[0] <= found.low <= found.lr <= found.high <= lrs[-1]


def test_the_longer_the_training_the_lower_the_candidate():
    curve = curve_for("momentum")
    found = [curve.suggest(train_steps=n).lr for n in (100, 500, 2_000, 8_000, 50_000)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5
    for steps in (500, 20_000):
        decaying = curve.suggest(train_steps=steps, schedule="decay").lr
        assert decaying > curve.suggest(train_steps=steps, schedule="constant").lr


def test_what_is_not_given_is_what_the_curve_was_made_for():
    curve = curve_for("sgd", 5_000, "decay")
    assert curve.suggest() == curve.suggest(train_steps=5_000, schedule="decay")
    assert curve.suggest(train_steps=800) == curve.suggest(train_steps=800, schedule="decay")
    assert curve.suggest(schedule="constant").lr < curve.suggest().lr
    assert curve.suggest("minimum") == curve_for("adaptive").suggest("minimum")
    assert curve.candidates()["budget"] == curve.suggestion.lr


def test_a_weak_candidate_is_moved_too_and_stays_weak():
    curve = first_weak()
    long, short = (curve.suggest(train_steps=n) for n in (20_000, 500))
    assert long.weak
    assert long.low <= long.lr <= long.high
    assert long.lr < short.lr
    assert re.search(r"for 20,000 steps at a constant .* weak candidate", long.reason)


def test_a_candidate_that_the_length_moves_below_the_range_is_refused():
    lrs, losses = known(100, 0.01)
    curve = LossCurve(lrs[62:], losses[62:], budget=Budget("adaptive"))
    assert curve.suggest("minimum").lr is not None
    found = curve.suggest(train_steps=100_000)
    assert (found.lr, found.low, found.high) == (None, None, None)
    assert "for 100,000 steps at a constant learning rate lies below" in found.reason
    assert "lower start_lr" in found.reason


@pytest.mark.parametrize("rule", ["minimum", "steepest", "valley", "slide", "divergence"])
def test_only_the_budget_takes_a_length_and_a_schedule(rule):
    for more in ({"train_steps": 100}, {"schedule": "constant"}):
        with pytest.raises(ValueError, match=f"\"budget\" takes train_steps .* got '{rule}'"):
            LossCurve(*known()).suggest(rule, **more)
    with pytest.raises(ValueError, match="got 'minimum' with a divisor"):
        LossCurve(*known()).suggest(divisor=10, train_steps=100)


def test_repeats_answer_for_the_same_training():
    median = repeated(0, fall=8.0)
    assert len(median.repeats) == 3
    moved = median.suggest(train_steps=8_000).lr / median.suggest(train_steps=500).lr
    assert moved == pytest.approx(
        10 ** (shift(Budget(None, 8_000))[0] - shift(Budget(None, 500))[0])
    )
    twin = median.with_budget(Budget("adaptive", 8_000))
    assert twin.suggestion == median.with_budget(Budget("adaptive")).suggest(train_steps=8_000)


# -- what is said ---------------------------------------------------------------------------------


def test_the_reason_says_for_what_the_candidate_holds():
    curve = curve_for("momentum")
    for steps, other in ((5_000, 100), (1_000, 100), (200, 10_000)):
        found, otherwise = (curve.suggest(train_steps=n) for n in (steps, other))
        assert (
            f"for {steps:,} steps at a constant learning rate, this suggests {found.lr:.1e} "
            f"({found.low:.1e} to {found.high:.1e}), and for {other:,} it would be "
            f"{otherwise.lr:.1e}."
        ) in found.reason
    decaying = curve.suggest(train_steps=1, schedule="decay").reason
    assert "for 1 step with a decaying learning rate, this" in decaying


def test_without_a_length_it_says_for_about_which_it_holds_and_how_to_give_it():
    curve = curve_for("momentum")
    steps = USUAL_STEPS
    assert f"for about {steps:,} steps at a constant learning rate" in curve.suggestion.reason
    assert "give train_steps" in curve.suggestion.reason
    assert "train_steps" not in curve.suggest(train_steps=steps).reason


def test_cautions_follow_the_candidate_of_any_rule_and_no_refusal():
    cautions = ("Such readings are too low.", "They are <b>odd</b>.")
    curve = curve_for("sgd", cautions=cautions)
    for rule in ("budget", "minimum", "steepest"):
        assert curve.suggest(rule).reason.endswith(f". {cautions[0]} {cautions[1]}")
    flat = LossCurve(curve.lrs, np.ones(100), budget=curve.budget).suggestion
    assert flat.lr is None
    assert cautions[0] not in flat.reason


# -- that a curve keeps it ------------------------------------------------------------------------


def test_it_belongs_to_the_value_of_a_curve():
    curve = curve_for("sgd", 300, "decay", cautions=("Too low.",), trained=True)
    assert curve != LossCurve(curve.lrs, curve.losses)
    assert curve != curve.with_budget(Budget("sgd", 301, "decay"))
    for twin in (
        copy.copy(curve),
        copy.deepcopy(curve),
        pickle.loads(pickle.dumps(curve)),
        LossCurve.from_json(curve.to_json()),
        curve.with_budget(Budget()).with_budget(curve.budget),
    ):
        assert twin == curve
        assert twin.budget == curve.budget
        assert twin.suggestion == curve.suggestion
    assert LossCurve.median([curve, curve, curve]).budget == curve.budget
    assert repr(curve) == repr(LossCurve(curve.lrs, curve.losses))


def test_a_curve_for_another_training_is_the_same_one_where_nothing_differs():
    curve = curve_for("sgd", 300)
    assert curve.with_budget(Budget("sgd", 300)) is curve
    other = curve.with_budget(Budget("muon"))
    assert other.losses.tolist() == curve.losses.tolist()
    curve.smooth()
    assert curve.with_budget(Budget("muon")).smooth() is curve.smooth()  # not computed again


def test_the_json_of_a_curve_without_one_is_as_it_was_and_still_loads():
    old = LossCurve(*known(20))
    assert list(json.loads(old.to_json())) == ["lrs", "losses", "reason", "repeats"]
    assert LossCurve.from_json(old.to_json()).budget == Budget()
    new = json.loads(curve_for("sgd", 300, "decay").to_json())
    assert new["budget"] == {
        "family": "sgd",
        "train_steps": 300,
        "schedule": "decay",
        "cautions": [],
        "trained": None,
    }
    del new["budget"]["trained"]  # as older versions wrote it
    assert LossCurve.from_json(json.dumps(new)) == curve_for("sgd", 300, "decay")


def test_what_is_no_budget_is_refused():
    with pytest.raises(TypeError, match="budget must be a Budget, as of another curve; got 300"):
        LossCurve([1e-3, 1e-2], [1.0, 2.0], budget=300)
