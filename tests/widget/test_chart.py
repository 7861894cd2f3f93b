"""The chart: what a redraw sends to the page, and the choices behind it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import comm
import numpy as np
import pytest
from comm.base_comm import BaseComm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lrfinder_widget import LossCurve, Suggestion
from lrfinder_widget.widget.chart import (
    DRAWN_POINTS,
    Chart,
    dots,
    log_ticks,
    loss_limits,
    round_ticks,
    thin_out,
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
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    arrays(np.float64, 40, elements=st.floats(-1, 1)).filter(lambda y: np.ptp(y[:5]) > 1e-2),
)
def test_the_picture_depends_on_neither_offset_nor_scale(
    offset: float, factor: float, losses: Array
) -> None:
    low, high = limits(losses)
    shifted_low, shifted_high = limits(losses * factor + offset)
    scale = factor * (high - low) + abs(offset)
    assert shifted_low == pytest.approx(low * factor + offset, abs=1e-9 * scale)
    assert shifted_high == pytest.approx(high * factor + offset, abs=1e-9 * scale)


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


class Messages:
    """A page that is no page: keeps what the widgets send, message by message."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []

    def connect(self, **options: Any) -> BaseComm:
        kept = self.updates

        class Connection(BaseComm):
            def publish_msg(
                self, msg_type: str, data: Any = None, buffers: Any = None, **rest: Any
            ) -> None:
                json.dumps(data, allow_nan=False)  # the browser's parser knows no NaN
                if msg_type == "comm_msg":
                    state = data["state"]
                    for path, buffer in zip(data["buffer_paths"], buffers or [], strict=True):
                        state[path[0]] = np.frombuffer(buffer, state[path[0]]["dtype"])
                    kept.append(state)

        return Connection(**options)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Messages:
    messages = Messages()
    monkeypatch.setattr(comm, "create_comm", messages.connect)
    return messages


@pytest.fixture
def chart(messages: Messages) -> Iterator[Chart]:
    chart = Chart(1e-7, 10.0, log=True)
    yield chart
    chart.close()


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


@pytest.mark.parametrize("losses", CURVES.values(), ids=CURVES.keys())
def test_only_finite_values_are_sent_and_x_and_y_together(
    chart: Chart, messages: Messages, losses: Any
) -> None:
    chart.draw(curve_of(noisy(30)))  # so that each curve is a change
    messages.updates.clear()
    chart.draw(curve_of(losses))
    assert messages.updates
    for state in messages.updates:
        for name, value in state.items():
            if isinstance(value, (float, np.ndarray)):
                assert np.isfinite(without_breaks(value) if name == "y" else value).all()
        assert ("x" in state) == ("y" in state)  # or their lengths disagree for a moment
        if "x" in state:
            assert np.shape(state["x"]) == np.shape(state["y"])
            assert np.size(state["x"]) <= DRAWN_POINTS


def points(mark: Any) -> tuple[list[float], list[float]]:
    kept = ~np.isnan(mark.y)
    return mark.x[kept].tolist(), mark.y[kept].tolist()


def without_breaks(y: np.ndarray) -> np.ndarray:
    """Dots are drawn by a line that is broken between them."""
    is_dots = y.size % 2 == 1 and bool(np.isnan(y[1::2]).all())
    return y[::2] if is_dots else y


@pytest.mark.parametrize("losses", CURVES.values(), ids=CURVES.keys())
def test_limits_are_explicit_finite_and_in_order(chart: Chart, losses: Any) -> None:
    chart.draw(curve_of(losses))
    for axis in chart.figure.axes:
        low, high = axis.scale.min, axis.scale.max
        assert low is not None
        assert high is not None
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert low < high


def test_the_marks_hold_the_finite_points(chart: Chart) -> None:
    curve = curve_of(with_gaps())
    chart.draw(curve)
    good = np.isfinite(curve.losses)
    drawn = [points(mark) for mark in chart.figure.marks[1:]]
    assert (curve.lrs[good].tolist(), curve.losses[good].tolist()) in drawn
    assert (curve.lrs[good].tolist(), curve.smooth()[good].tolist()) in drawn


def test_a_growing_curve_grows_on_the_chart_and_a_new_one_begins_again(chart: Chart) -> None:
    sizes = []
    for n in (0, 1, 2, 50, 100, 0, 1):
        chart.draw(curve_of(noisy(100)[:n]))
        sizes.append({len(points(mark)[0]) for mark in chart.figure.marks[1:]})
    assert sizes == [{0}, {1}, {2}, {50}, {100}, {0}, {1}]


def test_thinning_is_for_the_drawing_only(chart: Chart) -> None:
    curve = curve_of(noisy(5_000))
    chart.draw(curve)
    assert all(0 < len(mark.x) <= DRAWN_POINTS for mark in chart.figure.marks[1:])
    assert len(curve) == 5_000


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    ("low", "high"), [(1e-7, 10.0), (1e-3, 2e-3), (0.5, 0.500001), (1e-300, 1e300)]
)
def test_the_axis_of_learning_rates_is_that_of_the_test(
    messages: Messages, log: bool, low: float, high: float
) -> None:
    chart = Chart(low, high, log=log)
    scale = chart._raw.scales["x"]
    assert (scale.min, scale.max, scale.allow_padding) == (low, high, False)
    axis = next(axis for axis in chart.figure.axes if axis.scale is scale)
    if axis.tick_values is not None:
        assert (axis.tick_values >= low * (1 - 1e-9)).all()
        assert (axis.tick_values <= high * (1 + 1e-9)).all()
    chart.close()


def test_there_is_a_tick_for_each_decade(chart: Chart) -> None:
    axis = next(axis for axis in chart.figure.axes if axis.scale.min == 1e-7)
    assert axis.tick_values.tolist() == pytest.approx([10.0**k for k in range(-7, 2)])


def test_the_plot_area_is_the_box_less_the_margins(chart: Chart) -> None:
    figure = chart.figure  # what the marker relies on to find its place
    assert set(figure.fig_margin) == {"top", "right", "bottom", "left"}
    assert (figure.padding_x, figure.padding_y) == (0, 0)
    assert figure.min_aspect_ratio <= 0.01
    assert figure.max_aspect_ratio >= 100


def test_repeats_are_drawn_faintly_and_their_median_on_top() -> None:
    lrs = np.geomspace(1e-5, 1.0, 30)
    curves = [LossCurve(lrs, 2.0 + shift - lrs, "completed") for shift in (0.0, 0.2, 0.1)]
    chart = Chart(1e-5, 1.0, log=True)
    chart.draw(curves[0], curves[:1])
    assert chart.figure.marks == [chart._band, chart._raw, chart._smooth]
    under_way = LossCurve(lrs[:7], 3.0 - lrs[:7], "stopped")
    chart.draw(curves[0], [curves[0], under_way])  # the second is under way
    assert [len(points(mark)[0]) for mark in chart.figure.marks[1:]] == [30, 7, 7, 30]
    assert points(chart._raw)[1] == under_way.losses.tolist()
    median = LossCurve.median(curves)
    chart.draw(median, curves)
    assert [len(points(mark)[0]) for mark in chart.figure.marks[1:]] == [30] * 5
    assert points(chart._raw)[1] == median.losses.tolist() == curves[2].losses.tolist()
    chart.draw(curves[1], curves[1:2])  # the next run has no repeats
    assert [len(points(mark)[0]) for mark in chart.figure.marks[1:]] == [0, 0, 0, 30, 30]


def test_the_band_of_a_suggestion_is_shaded_over_all_the_height() -> None:
    chart = Chart(1e-5, 1.0, log=True)
    chart.show_band(Suggestion(0.01, 0.002, 0.03, "minimum", "because"))
    assert (chart._band.x.tolist(), chart._band.y.tolist()) == ([0.002, 0.03], [1.0, 1.0])
    assert (chart._band.scales["y"].min, chart._band.scales["y"].max) == (0.0, 1.0)
    for refused in (None, Suggestion(None, None, None, "minimum", "refused")):
        chart.show_band(refused)
        assert len(chart._band.x) == len(chart._band.y) == 0


@pytest.mark.parametrize(
    ("low", "high"), [(0.01, 3.0), (0.5, 2.5), (1e-9, 1e9), (2.1, 2.4), (1e-300, 1e300)]
)
def test_ticks_of_a_logarithmic_loss_axis_lie_within_it(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    assert low <= ticks.min() < ticks.max() <= high
    assert np.all(np.diff(ticks) > 0)


def test_each_point_is_a_dot_until_there_are_too_many() -> None:
    x = np.arange(1.0, 501.0)
    xs, ys = dots(x, -x)
    assert xs.tolist() == np.repeat(x, 2)[:-1].tolist()
    assert ys[::2].tolist() == (-x).tolist()
    assert np.isnan(ys[1::2]).all()
    many = np.arange(5000.0)
    xs, ys = dots(many, np.sin(many))
    assert len(xs) == len(ys) <= DRAWN_POINTS
    assert {many[0], many[-1], many[np.sin(many).argmin()]} <= set(xs)


def test_a_logarithmic_loss_axis_leaves_out_what_is_not_positive() -> None:
    lrs = np.geomspace(1e-5, 1.0, 40)
    losses = np.where(np.arange(40) % 7 == 3, -1.0, 1.0 / (1 + np.arange(40)))
    chart = Chart(1e-5, 1.0, log=True, log_loss=True)
    chart.draw(LossCurve(lrs, losses))
    assert 0 < len(points(chart._raw)[0]) < 40
    assert min(points(chart._raw)[1]) > 0
    assert 0 < chart._y.min < chart._y.max
    chart.draw(LossCurve(lrs, -np.abs(losses)))
    assert len(chart._raw.x) == 0
    assert 0 < chart._y.min < chart._y.max
