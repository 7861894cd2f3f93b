"""A curve is read without the noise of its batches, which its baseline shows."""

from __future__ import annotations

import numpy as np
import pytest
from curves import hidden, repeated
from hypothesis import given
from hypothesis import strategies as st

from lrfinder_widget import LossCurve
from lrfinder_widget.curve.control_variate import falls_enough, spread, subtract_shared_noise
from lrfinder_widget.curve.rules import RULES


def test_a_fall_that_batches_hide_is_seen_beside_the_same_batches_at_the_start() -> None:
    refused = 0
    for seed in range(40):
        lrs, losses, baseline = hidden(seed=seed)
        refused += LossCurve(lrs, losses).suggestion.lr is None
        found = LossCurve(lrs, losses, baseline=baseline).suggestion
        assert found.lr is not None
        assert 3e-3 < found.lr < 0.1
        assert "only once that noise is subtracted" in found.reason
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.lr <= found.high
    assert refused > 20


def test_a_small_fall_as_that_of_a_trained_model_is_none() -> None:
    for seed in range(40):
        lrs, losses, baseline = hidden(fall=0.1, own=0.02, seed=seed)
        curve = LossCurve(lrs, losses, baseline=baseline)
        assert curve.suggestion.lr is None
        assert "trained model" in curve.suggestion.reason


@pytest.mark.parametrize(("own", "most"), [(0.1, 1), (0.3, 12)])
def test_noise_that_a_baseline_explains_is_no_fall(own: float, most: int) -> None:
    found = 0
    for seed in range(300):
        lrs, losses, baseline = hidden(fall=0.0, own=own, seed=seed)
        found += LossCurve(lrs, losses, baseline=baseline).suggestion.lr is not None
    assert found <= most


def test_a_baseline_that_tells_nothing_adds_no_noise() -> None:
    lrs, losses, _ = hidden(fall=8.0)
    for seed in range(20):
        other = np.random.default_rng(seed + 100).normal(size=len(lrs))
        with_it = LossCurve(lrs, losses, baseline=other).smooth()
        without = LossCurve(lrs, losses).smooth()
        assert np.median(np.abs(with_it - without)) < 0.2


def test_a_batch_that_is_an_outlier_is_taken_off_too() -> None:
    lrs, losses, baseline = hidden()
    for at in (20, 60, 75):
        losses[at] += 50
        baseline[at] += 50
    found = LossCurve(lrs, losses, baseline=baseline).suggestion.lr
    assert found is not None
    assert 3e-3 < found < 0.1


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-1e4, 1e4),
    st.sampled_from([1e-6, 0.3, 17.0, 1e8]),
    st.sampled_from([1e-3, 10.0]),
)
def test_offset_scale_and_shift_do_not_matter(
    seed: int, offset: float, scale: float, factor: float
) -> None:
    lrs, losses, baseline = hidden(seed=seed)
    candidates = LossCurve(lrs, losses, baseline=baseline).candidates()
    others = LossCurve(
        factor * lrs, scale * (losses + offset), baseline=scale * (baseline + offset)
    ).candidates()
    for rule in RULES:
        lr = candidates[rule]
        assert others[rule] == (None if lr is None else pytest.approx(factor * lr, rel=1e-6))


anything = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(st.floats(), anything), min_size=1, max_size=30))
def test_any_baseline_can_be_read(pairs: list[tuple[float, float]]) -> None:
    losses, baseline = zip(*pairs, strict=True)
    curve = LossCurve(np.geomspace(1e-6, 1, len(pairs)), losses, baseline=baseline)
    assert np.isfinite(curve.smooth()).tolist() == np.isfinite(losses).tolist()
    assert set(curve.candidates()) == set(RULES)
    assert LossCurve.from_json(curve.to_json()) == curve


def test_the_losses_stay_what_they_are_and_the_smoothed_ones_are_without_the_batches() -> None:
    lrs, losses, baseline = hidden(own=0.0, fall=0.0)
    curve = LossCurve(lrs, losses, baseline=baseline)
    assert curve.losses.tolist() == losses.tolist()
    assert curve.smooth(0)[:70].tolist() == losses[:70].tolist()
    assert curve.smooth()[:70] == pytest.approx(np.full(70, baseline[:75].mean()), abs=0.2)


def test_repeats_are_read_beside_their_baselines() -> None:
    found = repeated(3).suggestion
    assert found.lr is not None
    assert 3e-3 < found.lr < 0.1
    assert found.spread is not None
    assert "only once that noise is subtracted" in found.reason
    assert "candidates of 3 repeats" in found.reason
    assert repeated(3, fall=0.1).suggestion.lr is None


# -- its parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "taken"), [(1.0, 1.0), (0.5, 0.5), (-1.0, 0.0), (3.0, 1.2)])
def test_what_is_shared_is_subtracted_up_to_a_little_more_than_once(
    share: float, taken: float
) -> None:
    baseline = np.random.default_rng(0).normal(size=100)
    rest = subtract_shared_noise(share * baseline, baseline, 100)
    assert rest == pytest.approx(share * baseline - taken * (baseline - baseline.mean()))


def test_only_the_losses_before_the_blow_up_say_how_much_is_shared() -> None:
    baseline = np.random.default_rng(0).normal(size=100)
    losses = np.where(np.arange(100) < 60, baseline, -50 * baseline)
    rest = subtract_shared_noise(losses, baseline, 60)
    assert rest[:60] == pytest.approx(np.full(60, baseline[:60].mean()))
    assert subtract_shared_noise(losses, baseline, 0).tolist() == losses.tolist()


def test_a_fall_is_enough_if_a_twelfth_of_the_losses_is_a_tenth_of_the_spread_lower() -> None:
    baseline = np.linspace(0.0, 1.0, 121)
    assert spread(baseline) == pytest.approx(0.8)
    for fall, enough in ((0.07, False), (0.09, True)):
        losses = np.full(120, baseline.mean())
        losses[50:60] -= fall
        assert falls_enough(losses, baseline) == enough
