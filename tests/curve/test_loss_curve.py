import copy
import json
import pickle
import time
from dataclasses import FrozenInstanceError

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.stop_rules import Divergence

mpl.use("Agg")


RULES = ["minimum", "steepest", "valley", "slide", "divergence"]
any_loss = st.floats(allow_nan=True, allow_infinity=True)


def ladder(n, start=1e-7, end=10.0):
    return np.geomspace(start, end, n)


def falling(lrs, noise=0.0, seed=0):
    """A fall of 2 about 3e-3, with noise as a part of it."""
    scatter = np.random.default_rng(seed).normal(size=len(lrs))
    return 2.3 - 2 / (1 + np.exp(-(np.log10(lrs) + 2.5) / 0.35)) + 2 * noise * scatter


def blowing_up(lrs, noise=0.0, seed=0):
    return falling(lrs, noise, seed) + 0.05 * np.expm1(np.minimum(lrs / 0.3, 300))


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


def test_a_data_frame_has_raw_and_smoothed_losses():
    curve = LossCurve([1e-3, 1e-2, 1e-1], [2.0, 1.0, float("nan")])
    frame = curve.to_dataframe()
    assert frame.columns.tolist() == ["lr", "loss", "smoothed"]
    assert frame["lr"].tolist() == curve.lrs.tolist()
    assert frame["loss"].tolist()[:2] == [2.0, 1.0]
    assert frame["smoothed"].isna().tolist() == [False, False, True]


def test_a_plot_is_logarithmic_where_the_ladder_is_and_shows_the_candidate():
    plt = pytest.importorskip("matplotlib.pyplot")
    curve = LossCurve(ladder(100), blowing_up(ladder(100)))
    ax = curve.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"candidate {curve.suggestion.lr:.2e}" in labels
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[1] < 10 < curve.losses.max()  # the fall fills the picture
    own = plt.figure().subplots()
    even = np.linspace(1e-3, 1.0, 50)
    assert LossCurve(even, blowing_up(even)).plot(own) is own
    assert own.get_xscale() == "linear"
    plt.close("all")


@pytest.mark.parametrize(
    "losses",
    [[], [1.0], [1.0] * 30, [float("nan")] * 3, [1e308, float("inf")]],
)
def test_an_odd_curve_can_be_drawn_too(losses):
    plt = pytest.importorskip("matplotlib.pyplot")
    ax = LossCurve(ladder(len(losses)), losses).plot()
    assert len(ax.lines) == 2
    plt.close("all")


# -- smoothing ------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("n", [2, 3, 7, 40, 1_000])
def test_smoothing_leaves_a_straight_line_as_it_is_up_to_its_ends(n):
    line = 5.0 - 3.0 * np.arange(n) / n
    np.testing.assert_allclose(LossCurve(ladder(n), line).smooth(), line, rtol=1e-12)


@pytest.mark.parametrize("n", [50, 100, 1_000])
def test_smoothing_does_not_lag(n):
    lrs = ladder(n)
    smoothed = LossCurve(lrs, falling(lrs)).smooth()
    halfway = np.interp(-1.3, -smoothed, np.log10(lrs))  # the true fall is halfway at 10**-2.5
    assert abs(halfway - -2.5) < 0.02


@pytest.mark.parametrize("n", [100, 1_000, 10_000])
def test_smoothing_halves_the_noise_at_least(n):
    lrs = ladder(n)
    smoothed = LossCurve(lrs, falling(lrs, noise=0.05)).smooth()
    assert np.std(smoothed - falling(lrs)) < 0.5 * 0.05 * 2


def test_a_lone_outlier_is_not_smeared():
    lrs, losses = ladder(100), falling(ladder(100))
    spoilt = losses.copy()
    spoilt[30] += 100.0
    np.testing.assert_allclose(
        LossCurve(lrs, spoilt).smooth(), LossCurve(lrs, losses).smooth(), atol=1e-3
    )


@pytest.mark.parametrize("end", [0, -1])
def test_an_outlier_at_an_end_makes_no_spike(end):
    lrs = ladder(100)
    losses = falling(lrs, noise=0.01)
    spoilt = losses.copy()
    spoilt[end] += 1.0 if end else -1.0
    moved = LossCurve(lrs, spoilt).smooth() - LossCurve(lrs, losses).smooth()
    assert np.abs(moved).max() < 0.05


@pytest.mark.parametrize("tail", [[1e3, 1e6, 1e12, 1e300], [1e9, float("nan")], [float("inf")] * 7])
def test_a_blow_up_does_not_reach_back(tail):
    n = 80
    lrs = ladder(n + len(tail), 1e-7, 1e-2)
    losses = falling(lrs[:n], noise=0.03)
    alone = LossCurve(lrs[:n], losses)
    with_tail = LossCurve(lrs, [*losses, *tail], "diverged")
    np.testing.assert_array_equal(with_tail.smooth()[:n], alone.smooth())
    np.testing.assert_array_equal(np.isfinite(with_tail.smooth()[n:]), np.isfinite(tail))


def test_a_loss_that_is_not_finite_leaves_a_gap_and_nothing_else():
    losses = 5.0 - np.arange(30.0)
    losses[[0, 12]] = np.nan, np.inf
    smoothed = LossCurve(ladder(30), losses).smooth()
    assert np.flatnonzero(np.isnan(smoothed)).tolist() == [0, 12]
    np.testing.assert_allclose(smoothed[13:], losses[13:], atol=0.6)


def test_a_thousand_points_are_read_within_five_milliseconds():
    lrs = ladder(1_000)
    seconds = []
    for seed in range(30):
        curve = LossCurve(lrs, blowing_up(lrs, noise=0.05, seed=seed))
        start = time.perf_counter()
        assert curve.suggestion.lr is not None
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 5e-3


# -- the rule that ends a test --------------------------------------------------------------------


def stops_at(losses):
    """The index of the loss at which the rule stops, or None."""
    diverged = Divergence()
    return next((i for i, loss in enumerate(np.asarray(losses).tolist()) if diverged(loss)), None)


def outliers(rng, n):
    return rng.normal(size=n) + 50 * (rng.random(n) < 0.01)


@pytest.mark.parametrize("n", [20, 100, 1_000])
@pytest.mark.parametrize(
    "noise",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.standard_t(3, size=n),
        lambda rng, n: rng.exponential(size=n),
        lambda rng, n: np.round(0.4 * rng.normal(size=n)),
        outliers,
    ],
    ids=["gaussian", "heavy-tailed", "skewed", "coarsely rounded", "outliers of 50 sigma"],
)
def test_noise_never_stops_a_test(noise, n):
    rng = np.random.default_rng(n)
    assert [stops_at(noise(rng, n)) for _ in range(30)] == [None] * 30


@pytest.mark.parametrize(
    "losses",
    [
        np.full(1_000, 0.3),
        np.full(1_000, -7.0),
        np.full(1_000, 0.0),
        np.append(np.full(500, 1.0), np.full(500, 1.1)),
        np.arange(1_000.0),
        -np.arange(1_000.0),
        np.sqrt(np.arange(1_000.0)),
        falling(ladder(1_000)),
    ],
    ids=[
        "constant",
        "negative",
        "zero",
        "one step",
        "rising evenly",
        "falling",
        "slowing",
        "a fall",
    ],
)
def test_what_is_calm_never_stops_a_test(losses):
    assert stops_at(losses) is None


def explosion(n, after, factor=2.0):
    return np.where(np.arange(n) < after, 0.0, 0.05 * factor ** (np.arange(n) - after + 0.0))


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.05])
@pytest.mark.parametrize("fall", [0.0, 2.0], ids=["trained", "from scratch"])
@pytest.mark.parametrize(("n", "after"), [(20, 9), (30, 20), (100, 60), (1_000, 600)])
def test_an_explosion_stops_a_test_within_eleven_doublings(n, after, fall, noise):
    rng = np.random.default_rng(n)
    losses = fall * np.clip(1 - 2 * np.arange(n) / n, 0, 1) + noise * rng.normal(size=n)
    stopped = stops_at(losses + explosion(n, after))
    assert after + 2 <= stopped <= after + 10


@pytest.mark.parametrize("factor", [1.3, 2.0, 10.0])
def test_a_test_that_explodes_at_once_is_stopped(factor):
    assert stops_at(2.3 * factor ** np.arange(60.0)) < 30


def test_a_network_that_dies_near_its_start_level_stops_the_test():
    rng = np.random.default_rng(0)
    fall = np.interp(np.arange(100), [0, 40, 70, 71, 99], [2.33, 2.33, 0.4, 2.303, 2.303])
    assert 71 < stops_at(fall + 0.01 * rng.normal(size=100)) <= 76


def test_giving_back_half_of_the_fall_is_borne():
    run = np.interp(np.arange(100), [0, 30, 60, 66, 99], [2.3, 2.3, 0.3, 1.4, 1.4])
    assert stops_at(run + 0.01 * np.random.default_rng(0).normal(size=100)) is None


def test_a_linear_ladder_is_stopped_where_it_explodes():
    lrs = np.linspace(1e-4, 1.0, 200)
    losses = 0.2 + 2 * np.exp(-lrs / 0.05) + 1e-3 * np.expm1(np.maximum(lrs - 0.5, 0) * 80)
    stopped = stops_at(losses + 0.03 * np.random.default_rng(0).normal(size=200))
    assert 0.5 < lrs[stopped] < 0.65


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.integers(-40, 40).map(lambda k: 2.0**k),
    offset=st.integers(-1000, 1000),
)
def test_offset_sign_and_scale_of_the_loss_do_not_matter(seed, scale, offset):
    rng = np.random.default_rng(seed)
    losses = blowing_up(ladder(150), noise=0.03, seed=seed) + rng.normal()
    stopped = stops_at(losses)
    assert stopped is not None
    assert stops_at(scale * losses) == stopped
    assert stops_at(losses + offset) == stopped


def test_a_long_run_costs_no_more_per_loss_than_a_short_one():
    diverged, losses = Divergence(), np.random.default_rng(0).normal(size=100_000).tolist()
    start = time.perf_counter()
    assert not any(map(diverged, losses))
    assert time.perf_counter() - start < 100_000 * 10e-6
