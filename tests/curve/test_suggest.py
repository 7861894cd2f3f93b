"""What is suggested, with its band and its sentence; what is refused; what is worth a trial."""

import re
import reprlib

import numpy as np
import pytest
from curves import STEEPEST, decades, first_weak, known, lowest
from curves import hidden as batches

from lrfinder_widget import LossCurve, Suggestion
from lrfinder_widget.curve.budget import LAW, USUAL_LR, Budget, shift
from lrfinder_widget.curve.rules import RULES
from lrfinder_widget.curve.suggest import FEWEST_POINTS

# -- the band -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(10))
def test_the_band_holds_the_candidate_and_ends_well_before_the_turn(rule, seed):
    found = LossCurve(*known(100, 0.03, seed)).suggest(rule)
    assert found.low <= found.lr <= found.high
    assert found.low > 1e-5
    assert found.low < STEEPEST or rule == "budget"  # whose band says how sure it is
    assert found.high < max(0.6 * lowest(), found.lr * 1.001)


@pytest.mark.parametrize("rule", RULES)
def test_the_band_of_a_cliff_holds_the_candidate_too(rule):
    lrs = np.geomspace(1e-7, 10, 161)
    losses = np.interp(np.log10(lrs), [-7, -0.5, 0, 1], [2.0, 2.0, 0.0, 9.0])
    found = LossCurve(lrs, losses).suggest(rule)
    assert found.low <= found.lr <= found.high


def test_the_band_ends_at_half_of_a_sharp_minimum():
    lrs = np.geomspace(1e-7, 10, 161)
    losses = np.interp(np.log10(lrs), [-7, -4, -2, 1], [2.0, 2.0, 0.0, 3.0])
    assert LossCurve(lrs, losses).suggestion.high == pytest.approx(0.5e-2, rel=0.2)


def test_a_floor_that_never_turns_still_gives_a_candidate():
    lrs = np.geomspace(1e-7, 10, 100)
    losses = np.interp(np.log10(lrs), [-7, -3, -2, 1], [2.0, 2.0, 1.0, 1.0])
    losses += 0.02 * np.random.default_rng(0).normal(size=100)
    found = LossCurve(lrs, losses).suggestion
    assert 1e-3 < found.lr < 0.1
    assert found.high <= max(0.02, found.lr)  # the floor begins at 1e-2


def test_a_loss_that_rises_at_the_very_end_has_turned():
    losses = np.interp(np.arange(100), [0, 80, 96, 99], [2.3, 2.3, 1.0, 2.2])
    assert (
        0.1 < LossCurve(np.geomspace(1e-7, 10, 100), losses).suggestion.lr < 1.7
    )  # the lowest is 3.3


def test_a_nan_after_the_fall_is_a_turn():
    lrs, losses = known(100, noise=0.01)
    fall = lrs < 0.8 * lowest()
    assert "end_lr" in LossCurve(lrs[fall], losses[fall]).suggestion.reason
    losses[fall.sum()] = np.nan
    end = fall.sum() + 1
    found = LossCurve(lrs[:end], losses[:end], "non-finite").suggest("minimum")
    assert lowest() / 30 < found.lr < lowest() / 4


# -- rules and divisors ---------------------------------------------------------------------------


def test_a_divisor_without_a_rule_is_that_of_the_minimum():
    curve = LossCurve(*known(100))
    assert curve.suggest(divisor=10) == curve.suggest("minimum", divisor=10)


@pytest.mark.parametrize("rule", ["budget", "steepest", "valley", "slide"])
def test_a_divisor_is_refused_where_nothing_is_divided(rule):
    with pytest.raises(ValueError, match=rule):
        LossCurve(*known(100)).suggest(rule, divisor=10)


@pytest.mark.parametrize(
    "divisor", [0.0, -3.0, float("nan"), float("inf"), "three", [10], 10**400], ids=reprlib.repr
)
def test_a_divisor_that_is_no_positive_number_is_named(divisor):
    message = f"divisor must be a positive, finite number; got {re.escape(reprlib.repr(divisor))}"
    with pytest.raises(ValueError, match=message):
        LossCurve(*known(100)).suggest("minimum", divisor=divisor)


def test_a_candidate_is_a_plain_number_whatever_kind_the_divisor_is():
    curve = LossCurve(*known(100))
    found = curve.suggest(divisor=np.array(10))
    assert type(found.lr) is float
    assert found == curve.suggest(divisor=10)


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="'coin'"):
        LossCurve(*known()).suggest("coin")


# -- what must be refused -------------------------------------------------------------------------


def refusal(lrs, losses, reason="completed"):
    curve = LossCurve(lrs, losses, reason)
    found = curve.suggestion
    assert (found.lr, found.low, found.high) == (None, None, None)
    assert set(curve.candidates().values()) == {None}
    return found.reason


def test_a_trained_model_whose_loss_only_blows_up_is_refused():
    lrs = np.geomspace(1e-7, 10, 100)
    for seed in range(50):
        noise = np.random.default_rng(seed).normal(size=100)
        losses = 0.3 + 0.03 * noise + np.minimum(np.expm1(np.minimum(lrs / 0.1, 300)), 1e9)
        assert "trained model" in refusal(lrs, losses, "diverged")


def test_a_run_that_diverged_is_never_told_to_go_higher():
    noise = np.random.default_rng(0).normal(size=100)
    assert "raise end_lr" in refusal(np.geomspace(1e-7, 10, 100), noise, "completed")
    assert "lower start_lr" in refusal(np.geomspace(1e-7, 10, 100), noise, "diverged")


def test_a_curve_that_only_rises_is_told_to_start_lower():
    lrs = np.geomspace(1e-2, 10, 100)
    assert "smaller start_lr" in refusal(lrs, 2.3 + lrs)
    noise = 0.5 * np.random.default_rng(0).normal(size=100)
    assert "lower start_lr" in refusal(lrs, 2.3 + lrs + noise)


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_a_curve_that_blows_up_at_once_is_told_to_start_lower(kept):
    losses = [2.3] * kept + [2.3 * 10.0**k for k in range(12)] + [float("nan")]
    assert "start_lr" in refusal(np.geomspace(1, 100, len(losses)), losses, "non-finite")


def test_a_blow_up_at_once_that_ends_on_a_plateau_is_no_fall():
    plateau = 2.303 + 0.01 * np.random.default_rng(0).normal(size=95)
    losses = [2.31, 4e3, 1e5, 3e3, 7e2, *plateau]
    assert "smaller start_lr" in refusal(np.geomspace(1, 100, 100), losses)


@pytest.mark.parametrize("level", [2.3, 0.0, -7.0, 1e-30, 1e30])
def test_a_constant_loss_is_refused(level):
    assert "not fall" in refusal(np.geomspace(1e-7, 10, 100), np.full(100, level))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, FEWEST_POINTS - 1])
def test_too_few_points_are_refused(n):
    reason = refusal(np.geomspace(1e-7, 1e-3, n), np.linspace(2, 1, n))
    assert f"({n}," in reason
    assert "more points" in reason


@pytest.mark.parametrize("n", [0, 1, 20])
def test_a_curve_without_a_finite_loss_is_refused(n):
    assert "no finite loss" in refusal(np.geomspace(1e-7, 1e-3, n), np.full(n, np.nan))


@pytest.mark.parametrize("reason", ["stopped", "exhausted", "stop-rule"])
def test_a_loss_still_falling_where_a_test_was_cut_short_is_refused(reason):
    lrs, losses = known(100, noise=0.01, end=10**-2.3)
    assert "let it run" in refusal(lrs, losses, reason)


@pytest.mark.parametrize("rule", ["budget", "minimum", "steepest"])
def test_a_loss_still_falling_at_the_end_of_the_range_gives_a_weak_candidate(rule):
    found = LossCurve(*known(100, noise=0.01, end=10**-2.3)).suggest(rule)
    assert found.weak
    assert found.low <= found.lr <= found.high < 10**-2.3
    assert "still falling at the end of the range" in found.reason
    assert found.reason.endswith("raise end_lr.")
    assert not LossCurve(*known(100, noise=0.01)).suggest(rule).weak


def test_a_fall_that_only_a_baseline_shows_is_refused_if_it_goes_on_to_the_end():
    lrs, losses = known(100, noise=0.01, end=10**-2.3)
    baseline = 2.3 + 0.02 * np.random.default_rng(0).normal(size=100)
    found = LossCurve(lrs, losses, baseline=baseline).suggestion
    assert found.lr is None
    assert "raise end_lr" in found.reason


@pytest.mark.parametrize(
    ("reason", "advice"),
    [("completed", "raise end_lr"), ("stopped", "let it run"), ("exhausted", "let it run")],
)
def test_a_test_that_ended_before_any_fall_is_no_sign_of_a_trained_model(reason, advice):
    lrs, losses = known(100, noise=0.01)
    assert advice in refusal(lrs[:30], losses[:30], reason)
    assert ("trained model" in refusal(lrs[:30], losses[:30], reason)) == (reason == "completed")


def test_a_candidate_below_the_range_is_refused():
    lrs = np.geomspace(10**-1.8, 10, 60)
    curve = LossCurve(*known(lrs=lrs, noise=0.003))
    assert "lower start_lr" in curve.suggest("minimum", divisor=10).reason
    assert curve.suggest("minimum", divisor=10).lr is None
    assert curve.suggest("minimum", divisor=5).lr > lrs[0]


# -- whether the model was trained ----------------------------------------------------------------


def hidden(trained, seed=0, family="adaptive", turn=0.1):
    """Noise that hides any fall, and a blow-up."""
    lrs = np.geomspace(1e-7, 10, 100)
    noise = np.random.default_rng(seed).normal(size=100)
    losses = 0.3 + 0.03 * noise + np.minimum(np.expm1(np.minimum(lrs / turn, 300)), 1e9)
    return LossCurve(lrs, losses, "diverged", budget=Budget(family, trained=trained))


@pytest.mark.parametrize("seed", range(10))
def test_where_noise_hides_the_fall_of_an_untrained_model_there_is_a_weak_candidate(seed):
    curve = hidden(False, seed)
    found = curve.suggest(train_steps=2_000, schedule="constant")
    turn = curve.report()["seen"]["turns_up_after"]
    moved, error = shift(curve.budget.planned(2_000, "constant"))
    assert found.lr == pytest.approx(turn / 10 * 10**moved)
    assert found.low == pytest.approx(found.lr / 10**error)
    assert found.lr < found.high < turn
    assert found.weak
    assert "the model is untrained" in found.reason
    assert "trial runs" in found.reason
    assert curve.suggest("minimum").lr is None  # only the default goes so far
    tried = curve.trial_candidates()
    assert tried[1] == pytest.approx(curve.suggestion.lr)
    assert turn / 4 < tried[-1] <= 1.001 * turn  # little is known, so they lead up to there


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("family", USUAL_LR)
def test_where_noise_hides_the_fall_the_candidate_is_what_is_usual(family, seed):
    curve = hidden(False, seed, family, turn=2)
    assert curve.suggest("minimum").lr is None
    found = curve.suggest(train_steps=2_000, schedule="constant")
    usual = USUAL_LR[family] * 10 ** shift(Budget(family, 2_000))[0]
    assert found.lr == pytest.approx(usual)
    assert found.low < found.lr < found.high < curve.report()["seen"]["turns_up_after"]
    assert found.weak
    assert "untrained models usually need" in found.reason
    assert "trial runs" in found.reason
    later = curve.suggest(train_steps=8_000, schedule="constant").lr
    assert later == pytest.approx(usual * 4 ** LAW[family]["constant"][1])


@pytest.mark.parametrize("family", USUAL_LR)
@pytest.mark.parametrize("schedule", ["constant", "decay"])
def test_what_is_usual_is_not_farther_than_ten_times_from_what_the_curve_says(family, schedule):
    moved = 10 ** shift(Budget(family, 2_000, schedule))[0]
    for turn in (1e-3, 1e-2, 30):
        curve = hidden(False, 0, family, turn)
        last = curve.report()["seen"]["turns_up_after"]
        found = curve.suggest(train_steps=2_000, schedule=schedule)
        nearest = min(max(USUAL_LR[family], last / 100), last)
        assert found.lr == pytest.approx(min(nearest * moved, last / 2))
        assert found.lr <= found.high < 0.51 * last


def test_a_guess_below_the_range_is_not_put_down_to_an_early_turn():
    lrs = np.geomspace(0.01, 10, 100)
    noise = 0.03 * np.random.default_rng(0).normal(size=100)
    rise = np.where(lrs > 0.5, np.expm1(np.minimum(lrs / 2, 300)), 0)
    curve = LossCurve(lrs, 2.3 + noise + rise, "diverged", budget=Budget("adam", trained=False))
    assert curve.report()["seen"]["turns_up_after"] > 0.3
    found = curve.suggest(train_steps=2_000)
    assert found.lr is None
    assert found.reason.startswith("The candidate for 2,000 steps")
    assert found.reason.endswith("lower start_lr.")


def test_a_drop_hardly_larger_than_the_noise_counts_for_little():
    curve = first_weak()
    plain = curve.suggest(train_steps=2_000, schedule="constant")
    for trained, moved in ((None, False), (True, False), (False, True)):
        twin = curve.with_budget(Budget("adam", trained=trained))
        found = twin.suggest(train_steps=2_000, schedule="constant")
        assert found.weak
        assert ("usually need" in found.reason) is moved
        usual = USUAL_LR["adam"] * 10 ** shift(Budget("adam", 2_000))[0]
        assert (found.lr == pytest.approx(usual)) is moved
    assert plain.weak


def test_a_drop_that_only_a_baseline_shows_counts_for_little_too():
    lrs, losses, baseline = batches()
    curve = LossCurve(lrs, losses, baseline=baseline)
    assert curve.suggestion.weak
    assert "already trained" in curve.suggestion.reason
    fresh = curve.with_budget(Budget("adam", trained=False)).suggestion
    assert fresh.weak
    assert "usually need" in fresh.reason
    assert "that noise is subtracted" in fresh.reason
    assert "trained model, so" not in fresh.reason


@pytest.mark.parametrize("family", [None, "adaptive", "muon"])
def test_where_nothing_is_usual_a_weak_drop_is_read_as_it_is(family):
    unknown, fresh = (
        first_weak().with_budget(Budget(family, 2_000, "decay", trained=trained)).suggestion
        for trained in (None, False)
    )
    assert fresh == unknown


def test_a_clear_drop_is_read_whatever_is_usual():
    fresh, unknown = (
        LossCurve(*known(noise=0.01), budget=Budget("adam", 300, trained=trained)).suggest()
        for trained in (False, None)
    )
    assert fresh == unknown
    assert not fresh.weak


@pytest.mark.parametrize("trained", [True, None])
def test_where_the_model_may_be_trained_there_is_none(trained):
    for seed in range(10):
        curve = hidden(trained, seed)
        assert curve.suggestion.lr is None
        assert "as is common for a trained model" in curve.suggestion.reason


def test_without_a_blow_up_or_enough_points_an_untrained_model_has_none_either():
    noise, fresh = np.random.default_rng(0).normal(size=100), Budget(trained=False)
    for n in (5, 100):
        curve = LossCurve(np.geomspace(1e-7, 10, n), noise[:n], budget=fresh)
        assert curve.suggestion.lr is None
    high = LossCurve(np.geomspace(1, 30, 100), 2 + noise + 9 * np.arange(100), budget=fresh)
    assert (
        "lower start_lr" in high.suggestion.reason or "smaller start_lr" in high.suggestion.reason
    )
    assert high.suggestion.lr is None
    assert LossCurve([], [], budget=fresh).suggestion.lr is None


@pytest.mark.parametrize("rule", RULES)
def test_a_candidate_for_a_trained_model_is_weak(rule):
    fresh, trained = (
        LossCurve(*known(noise=0.01), budget=Budget("sgd", 300, trained=trained)).suggest(rule)
        for trained in (False, True)
    )
    assert (fresh.weak, trained.weak) == (False, True)
    assert (trained.lr, trained.low, trained.high) == (fresh.lr, fresh.low, fresh.high)
    assert "trained before" in trained.reason
    assert "trained before" not in fresh.reason


# -- what is worth a trial ------------------------------------------------------------------------


def are_steps_of(decades_, lrs):
    return np.diff(np.log10(lrs)) == pytest.approx(np.full(len(lrs) - 1, decades_))


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("n", [30, 100, 1_000])
def test_five_quarter_decades_around_the_candidate_are_worth_a_trial(n, noise):
    curve = LossCurve(*known(n, noise))
    trials = curve.trial_candidates()
    assert len(trials) == 5
    assert are_steps_of(0.25, trials)
    assert min(decades(lr, curve.suggestion.lr) for lr in trials) < 1e-9
    assert trials[0] < curve.suggestion.lr
    assert trials[-1] < 0.95 * lowest()


def test_a_weak_fall_is_tried_at_three_places_half_a_decade_apart():
    curve = first_weak()
    trials = curve.trial_candidates()
    assert len(trials) == 3
    assert are_steps_of(0.5, trials)
    assert trials[1] == pytest.approx(curve.suggestion.lr)


def test_no_trial_is_worth_it_below_the_range():
    lrs = np.geomspace(10**-1.9, 10, 60)
    curve = LossCurve(*known(lrs=lrs, noise=0.003))
    found, trials = curve.suggestion.lr, curve.trial_candidates()
    assert lrs[0] <= trials[0] < lrs[0] * 10**0.25
    assert found in trials


def test_without_a_fall_the_learning_rates_before_the_turn_are_worth_a_trial():
    lrs = np.geomspace(1e-7, 10, 100)
    noise = np.random.default_rng(0).normal(size=100)
    losses = 0.3 + 0.03 * noise + np.minimum(np.expm1(np.minimum(lrs / 0.1, 300)), 1e9)
    curve = LossCurve(lrs, losses, "diverged")
    assert curve.suggestion.lr is None
    trials = curve.trial_candidates()
    assert len(trials) == 3
    assert are_steps_of(0.5, trials)
    assert 1e-4 < trials[-1] < 3e-3  # it has risen by its own noise near 3e-3


def test_where_nothing_turns_the_end_of_the_range_is_worth_a_trial():
    lrs = np.geomspace(1e-7, 1e-3, 100)
    flat = LossCurve(lrs, np.random.default_rng(0).normal(size=100))
    assert flat.suggestion.lr is None
    assert flat.trial_candidates()[-1] == pytest.approx(flat.lrs[-1])
    assert len(flat.trial_candidates()) == 3


def test_where_it_still_falls_at_the_end_what_lies_above_the_candidate_is_worth_a_trial():
    falling = LossCurve(*known(100, 0.01, end=10**-2.3))
    trials = falling.trial_candidates()
    assert are_steps_of(0.5, trials)
    assert trials[1] == pytest.approx(falling.suggestion.lr)
    assert trials[-1] == pytest.approx(falling.suggestion.lr * 10**0.5)


@pytest.mark.parametrize(
    "losses", [[], [2.3], [float("nan")] * 20, [2.3, 4e3, 1e5, 3e6] + [1e9] * 20]
)
def test_what_cannot_be_read_has_nothing_worth_a_trial(losses):
    assert LossCurve(np.geomspace(1, 100, len(losses)), losses).trial_candidates() == []


# -- what is said ---------------------------------------------------------------------------------


def every_reason():
    lrs, losses = known(100, noise=0.01)
    flat = np.full(100, 2.0)
    yield from (LossCurve(lrs, losses).suggest(rule) for rule in RULES)
    yield LossCurve(lrs, losses).suggest(train_steps=5_000, schedule="decay")
    yield LossCurve(lrs[62:], losses[62:]).suggest(train_steps=100_000)
    yield first_weak().suggestion
    yield LossCurve(lrs, flat).suggestion
    yield LossCurve(lrs, flat + lrs).suggestion
    yield LossCurve(lrs[:60], losses[:60]).suggestion
    yield LossCurve(lrs, losses, budget=Budget(trained=True)).suggestion
    yield hidden(trained=False).suggestion
    yield LossCurve(lrs[:60], losses[:60], "stopped").suggestion
    yield LossCurve(lrs[:30], losses[:30], "stopped").suggestion
    yield LossCurve(lrs[65:], losses[65:]).suggestion
    yield LossCurve(lrs[86:], losses[86:]).suggestion
    yield LossCurve(lrs[:5], losses[:5]).suggestion
    yield LossCurve([], []).suggestion


def test_every_reason_is_one_modest_sentence():
    reasons = {found.reason for found in every_reason()}
    assert len(reasons) == 20
    for reason in reasons:
        assert re.fullmatch(r"[A-Z0-9].*[^.]\.", reason), reason
        assert not re.search(r"\. [A-Z]|[{}!]|\b(optimal|best)\b", reason), reason


def test_a_suggestion_is_a_frozen_value():
    found = LossCurve(*known()).suggestion
    assert found == Suggestion(found.lr, found.low, found.high, "budget", found.reason)
    with pytest.raises(AttributeError):
        found.lr = 1.0
    assert LossCurve(*known()).candidates()["budget"] == found.lr


def test_a_candidate_is_called_weak_where_it_is_drawn():
    assert LossCurve(*known()).suggestion.label == "candidate"
    assert first_weak().suggestion.label == "weak candidate"


# -- repeats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_candidate_of_repeats_is_the_mean_of_the_medians_and_theirs(rule):
    singles = [LossCurve(*known(noise=0.05, seed=seed)) for seed in range(3)]
    median = LossCurve.median(singles)
    alone = LossCurve(median.lrs, median.losses)
    lrs = [curve.suggest(rule).lr for curve in (alone, *singles)]
    assert None not in lrs
    found = median.suggest(rule)
    assert found.lr == pytest.approx(np.exp(np.mean(np.log(lrs))))
    assert found.low <= found.lr <= found.high
    assert found.spread == pytest.approx(np.ptp(np.log10(lrs[1:])))
    assert f"candidates of 3 repeats lie within {found.spread:.2f} decades" in found.reason
    if rule == "minimum":
        lowest, below = map(
            float, re.findall(r"lowest near (\S+);.*divided by (\S+),", found.reason)[0]
        )
        assert lowest / below == pytest.approx(found.lr, rel=0.1)


def test_a_repeat_without_a_candidate_is_left_out():
    singles = [LossCurve(*known(noise=0.05, seed=seed)) for seed in range(2)]
    flat = LossCurve(singles[0].lrs, 2 + 0.1 * np.random.default_rng(5).normal(size=100))
    assert flat.suggestion.lr is None
    found = LossCurve.median([*singles, flat]).suggestion
    assert found.lr is not None
    assert "A candidate of its own is seen in only 2 of 3 repeats." in found.reason


def test_repeats_that_are_alike_have_the_candidate_of_each():
    single = LossCurve(*known(noise=0.05))
    found = LossCurve.median([single, single]).suggestion
    assert found.lr == single.suggestion.lr
    assert found.spread is None
    assert "same data in the same order" in found.reason


def test_a_clear_drop_of_the_median_is_not_mixed_with_guesses_for_its_repeats():
    lrs, clear = np.geomspace(1e-7, 10, 100), 0
    level = 2.3 - 0.5 / (1 + np.exp(-(np.log10(lrs) + 4) / 0.25))
    level += 0.05 * np.minimum(np.expm1(np.minimum(lrs / 1e-3, 300)), 1e6)
    for seed in range(20):
        noise = 0.45 * np.random.default_rng(seed).normal(size=(3, 100))
        fresh, unknown = (
            LossCurve.median(
                [
                    LossCurve(lrs, level + each, "diverged", budget=Budget("adam", trained=trained))
                    for each in noise
                ]
            )
            for trained in (False, None)
        )
        if fresh.report()["seen"]["fall"] == "clear":
            assert fresh.suggestion == unknown.suggestion
            clear += any("usually need" in each.suggestion.reason for each in fresh.repeats)
    assert clear > 2


@pytest.mark.parametrize("family", USUAL_LR)
def test_a_guess_is_no_mean_and_repeats_do_not_seem_to_agree_on_it(family):
    median = LossCurve.median([hidden(False, seed, family, turn=2) for seed in range(3)])
    alone = LossCurve(median.lrs, median.losses, "diverged", budget=median.budget)
    found = median.suggestion
    assert "usually need" in found.reason
    assert (found.lr, found.low, found.high) == pytest.approx(
        (alone.suggestion.lr, alone.suggestion.low, alone.suggestion.high)
    )
    assert found.spread is None
    assert "None of the 3 repeats shows a candidate of its own." in found.reason


def test_repeats_are_not_asked_for_where_they_are() -> None:
    single = first_weak()
    assert "rerun with repeats=3, larger batches" in single.suggestion.reason
    found = LossCurve.median([single, single]).suggestion
    assert found.weak
    assert "rerun with larger batches" in found.reason


def test_what_it_would_be_for_another_length_is_not_told_where_that_is_refused() -> None:
    lrs, losses = known(60, start=1e-3)
    curve = LossCurve(lrs, losses, budget=Budget("muon", 100))
    assert curve.suggestion.lr is not None
    assert curve.suggest(train_steps=10_000).lr is None
    assert "10,000" not in curve.suggestion.reason
