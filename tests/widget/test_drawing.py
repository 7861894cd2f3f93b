"""What is drawn of a curve: the points that are sent, and the choices behind them."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from widget_support import points

from lrfinder_widget import LossCurve
from lrfinder_widget.widget.drawing import (
    DRAWN_POINTS,
    LARGEST,
    OTHER_POINTS,
    Drawing,
    Looks,
    loss_limits,
    packed,
    round_ticks,
    thin_out,
    tick_labels,
)

Array = np.ndarray[Any, np.dtype[np.float64]]

finite = st.floats(-1e290, 1e290)
moderate = st.floats(-1e6, 1e6)


def losses_of(elements: Any, least: int = 0) -> Any:
    return st.integers(least, 60).flatmap(lambda n: arrays(np.float64, n, elements=elements))


# -- the limits of the loss axis ------------------------------------------------------------------


def descent(n: int = 100, explosion: float = 0.0) -> Array:
    """A loss from 2.3 down to 0.5; the last tenth climbs to `explosion` above that."""
    x = np.linspace(0.0, 1.0, n)
    return 1.4 - 0.9 * np.tanh(6 * (x - 0.5)) + explosion * np.clip(10 * x - 9, 0, None) ** 2


def limits(losses: Any, smooth: Any = None) -> tuple[float, float]:
    losses = np.asarray(losses, dtype=np.float64)
    return loss_limits(losses, losses if smooth is None else np.asarray(smooth))


def test_the_limits_of_nothing_are_those_of_an_empty_chart() -> None:
    assert limits([]) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-12, -1e12, 1e300])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_constant_loss_stands_between_its_limits(value: float, n: int) -> None:
    low, high = limits([value] * n)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < value < high


@given(losses_of(finite, least=1))
def test_limits_are_finite_and_in_order_for_any_finite_losses(losses: Array) -> None:
    low, high = limits(losses)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high


@given(losses_of(moderate, least=1))
def test_the_lowest_loss_and_the_start_are_inside(losses: Array) -> None:
    low, high = limits(losses)
    assert low <= losses.min()
    head = losses[: max(5, len(losses) // 10)]
    assert np.median(head) <= high


def test_a_loss_that_is_constant_but_for_rounding_is_not_blown_up() -> None:
    losses = 1e6 + 1e-10 * np.arange(20.0)
    low, high = limits(losses)
    assert low < losses.min()
    assert losses.max() < high
    assert high - low > 1e-6


def test_a_descent_fills_the_axis() -> None:
    losses = descent()
    low, high = limits(losses)
    assert low < losses.min()
    assert losses.max() < high
    assert np.ptp(losses) > 0.8 * (high - low)


@pytest.mark.parametrize("explosion", [10.0, 1e3, 1e30, 1e300])
def test_an_explosion_does_not_squash_the_descent(explosion: float) -> None:
    calm, losses = descent(), descent(explosion=explosion)
    low, high = limits(losses)
    assert np.ptp(calm) > 0.4 * (high - low)


@given(
    st.floats(-1, 1),
    st.floats(1e-3, 1e3),
    arrays(np.float64, 40, elements=st.floats(-1, 1)).filter(lambda y: np.ptp(y[:5]) > 1e-2),
)
def test_the_picture_depends_on_neither_offset_nor_scale(
    offset: float, factor: float, losses: Array
) -> None:
    low, high = limits(losses)
    shifted_low, shifted_high = limits((losses + offset) * factor)
    scale = factor * (high - low + abs(offset))
    assert shifted_low == pytest.approx((low + offset) * factor, abs=1e-9 * scale)
    assert shifted_high == pytest.approx((high + offset) * factor, abs=1e-9 * scale)


@pytest.mark.parametrize("change", [1e-3, 1e-5, 1e-7, 1e-12])
@given(st.floats(0.1, 9e4))
def test_however_little_a_loss_changes_its_labels_have_room(change: float, loss: float) -> None:
    low, high = limits(loss * (1 + change * np.linspace(-0.5, 0.5, 20)))
    labels = [f"{tick:.6g}" for tick in round_ticks(low, high)]
    assert len(set(labels)) == len(labels) > 1
    assert max(map(len, labels)) <= 7


# -- ticks ----------------------------------------------------------------------------------------

spans = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda t: (t[0], t[0] + t[1]))


@given(spans)
def test_ticks_are_few_evenly_spaced_and_between_the_limits(span: tuple[float, float]) -> None:
    low, high = span
    ticks = round_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    room = 1e-9 * (high - low)
    assert low - room <= ticks[0]
    assert ticks[-1] <= high + room
    assert np.allclose(np.diff(ticks), (ticks[-1] - ticks[0]) / (len(ticks) - 1))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.4, 2.4, [0.5, 1.0, 1.5, 2.0]),
        (-30.0, 25.0, [-30.0, -20.0, -10.0, 0.0, 10.0, 20.0]),
        (2.3009, 2.3041, [2.301, 2.302, 2.303, 2.304]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high).tolist() == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ([0.1, 0.2, 0.1 + 0.2], ["0.1", "0.2", "0.3"]),
        ([123456.01, 123456.02], ["123456.01", "123456.02"]),
        ([1.0, 1.0], ["1", "1"]),
        ([], []),
    ],
)
def test_labels_of_ticks_are_told_apart(ticks: list[float], labels: list[str]) -> None:
    assert tick_labels(np.array(ticks)) == labels


@given(losses_of(finite, least=1))
def test_ticks_are_finite_wherever_the_limits_come_from_losses(losses: Array) -> None:
    ticks = round_ticks(*limits(losses))
    assert np.isfinite(ticks).all()
    assert len(ticks) < 20


# -- thinning -------------------------------------------------------------------------------------

many = st.tuples(st.integers(1, 400), st.integers(4, 60))


def test_a_line_that_can_be_drawn_is_left_alone() -> None:
    x = np.geomspace(1e-7, 10, DRAWN_POINTS)
    kept_x, kept_y = thin_out(x, x**2)
    assert (kept_x.tolist(), kept_y.tolist()) == (x.tolist(), (x**2).tolist())


@given(many, st.randoms(use_true_random=False))
def test_thinning_keeps_real_points_in_order_both_ends_and_the_extremes(
    sizes: tuple[int, int], random: Any
) -> None:
    n, limit = sizes
    x = np.arange(float(n))
    y = np.array([random.gauss(0, 1) for _ in range(n)])
    kept_x, kept_y = thin_out(x, y, limit)
    assert len(kept_x) == len(kept_y) <= limit
    assert (np.diff(kept_x) > 0).all()
    assert (y[kept_x.astype(int)] == kept_y).all()
    assert (kept_x[0], kept_x[-1]) == (0, n - 1)
    assert (kept_y.min(), kept_y.max()) == (y.min(), y.max())


def test_a_lone_spike_among_many_points_stays_visible() -> None:
    x, y = np.arange(100_000.0), np.zeros(100_000)
    y[54_321] = 7.0
    assert (54_321.0, 7.0) in set(zip(*thin_out(x, y), strict=True))


@given(st.integers(0, 100), st.integers(4, 20))
def test_thinning_twice_is_thinning_once(n: int, limit: int) -> None:
    x = np.arange(float(n))
    once = thin_out(x, np.sin(x), limit)
    twice = thin_out(*once, limit)
    assert [a.tolist() for a in once] == [a.tolist() for a in twice]


# -- what is sent ---------------------------------------------------------------------------------


def curve_of(losses: Any) -> LossCurve:
    return LossCurve(np.geomspace(1e-7, 10.0, len(losses)) if len(losses) != 1 else [1e-7], losses)


def noisy(n: int) -> Array:
    return descent(n) + 0.05 * np.random.default_rng(0).standard_normal(n)


def with_gaps() -> Array:
    losses = noisy(60)
    losses[[0, 17, 30]] = math.nan, math.inf, -math.inf
    return losses


CURVES: dict[str, Any] = {
    "empty": [],
    "one point": [2.3],
    "two points": [2.3, 2.2],
    "constant": [1.0] * 40,
    "constant zero": [0.0] * 40,
    "a descent": noisy(100),
    "an explosion": descent(explosion=1e300),
    "huge": [1e308, -1e308] * 20,
    "the largest": [1.7976931348623157e308] * 20,
    "tiny and constant": [1e-322] * 20,
    "tiny": [5e-324, 1e-323] * 20,
    "large and hardly different": [1e16, 1e16 + 2] * 20,
    "negative": -noisy(100),
    "a lone nan": [math.nan],
    "nan from the start": [math.nan] * 20,
    "all infinite": [math.inf, -math.inf] * 5,
    "gaps": with_gaps(),
    "nan at the end": [*noisy(50), math.nan],
    "more than can be drawn": noisy(10_001),
}
LOOKS = [Looks(), Looks(smoothing=0.0), Looks(smoothing=0.5), Looks(log_loss=True)]


@pytest.mark.parametrize("looks", LOOKS, ids=repr)
@pytest.mark.parametrize("losses", CURVES.values(), ids=CURVES.keys())
def test_only_finite_values_are_sent_and_as_many_of_x_as_of_y(losses: Any, looks: Looks) -> None:
    drawing = Drawing(curve_of(losses), looks)
    most = {"dots": DRAWN_POINTS // 2, "line": DRAWN_POINTS, "beside": OTHER_POINTS}
    for name, limit in most.items():
        line = getattr(drawing, name)
        assert set(line) == {"x", "y"}
        assert {type(part) for part in line.values()} == {bytes}
        x, y = points(line)
        assert np.isfinite([*x, *y]).all()
        assert np.abs(y).max(initial=0.0) <= LARGEST  # the page's arithmetic has to bear it
        assert len(x) == len(y) <= limit
        assert (len(x) > 0) == bool(len(drawing.losses))


@pytest.mark.parametrize("looks", LOOKS, ids=repr)
@pytest.mark.parametrize("losses", CURVES.values(), ids=CURVES.keys())
def test_limits_are_explicit_finite_and_in_order(losses: Any, looks: Looks) -> None:
    drawing = Drawing(curve_of(losses), looks)
    if not len(drawing.losses):
        assert drawing.limits is None  # the page writes no numbers on the axis
        return
    low, high = drawing.limits
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high
    assert low > 0 or not looks.log_loss


def test_the_dots_are_the_finite_points_and_the_line_is_smoothed() -> None:
    curve = curve_of(with_gaps())
    good = np.isfinite(curve.losses)
    drawing = Drawing(curve, Looks())
    lrs = curve.lrs[good].tolist()
    assert points(drawing.dots) == (lrs, curve.losses[good].tolist())
    assert points(drawing.line) == (lrs, curve.smooth()[good].tolist())
    assert points(drawing.beside) == points(drawing.line)  # while it is short


def test_numbers_are_sent_as_little_endian_doubles_to_the_last_bit() -> None:
    line = packed(np.array([0.1]), np.array([1 / 3], dtype=">f8"))
    assert line == {"x": struct.pack("<d", 0.1), "y": struct.pack("<d", 1 / 3)}


def test_thinning_is_for_the_drawing_only_and_keeps_both_ends() -> None:
    curve = curve_of(noisy(5_000))
    drawing = Drawing(curve, Looks())
    for line in (drawing.dots, drawing.line, drawing.beside):
        lrs, _ = points(line)
        assert 0 < len(lrs) <= DRAWN_POINTS
        assert (lrs[0], lrs[-1]) == (curve.lrs[0], curve.lrs[-1])
    assert len(curve) == 5_000


def test_a_line_beside_follows_the_smoothed_curve() -> None:
    lrs = np.geomspace(1e-6, 1.0, 50_000)
    curve = LossCurve(lrs, 2.0 + np.linspace(-1, 1, 50_000) ** 2)
    x, y = points(Drawing(curve, Looks()).beside)
    between = np.interp(np.log(curve.lrs), np.log(x), y)
    np.testing.assert_allclose(between, curve.smooth(), atol=2e-3)


def test_each_point_is_a_dot_until_there_are_too_many() -> None:
    few, many = Drawing(curve_of(noisy(500)), Looks()), Drawing(curve_of(noisy(5_000)), Looks())
    assert len(points(few.dots)[0]) == 500
    lrs, losses = points(many.dots)
    assert len(lrs) <= 500
    assert min(losses) == many.losses.min()
    assert max(losses) == many.losses.max()


def test_a_logarithmic_loss_axis_leaves_out_what_is_not_positive() -> None:
    lrs = np.geomspace(1e-5, 1.0, 40)
    losses = np.where(np.arange(40) % 7 == 3, -1.0, 1.0 / (1 + np.arange(40)))
    some = Drawing(LossCurve(lrs, losses), Looks(log_loss=True))
    assert 0 < len(points(some.dots)[0]) < 40
    assert min(points(some.dots)[1]) > 0
    assert min(points(some.line)[1]) > 0
    assert 0 < some.limits[0] < some.limits[1]
    none = Drawing(LossCurve(lrs, -np.abs(losses)), Looks(log_loss=True))
    assert points(none.dots) == points(none.line) == ([], [])
    assert none.limits is None


def test_what_is_drawn_is_worked_out_once() -> None:
    drawing = Drawing(curve_of(noisy(100)), Looks())
    for name in ("dots", "line", "beside", "limits"):
        assert getattr(drawing, name) is getattr(drawing, name)
