"""What the plots show, drawn by Matplotlib."""

import matplotlib as mpl
import numpy as np
import pytest
from curves import blowing_up, first_weak, ladder

from lrfinder_widget import Comparison, LossCurve
from lrfinder_widget.curve.comparison import Trial

mpl.use("Agg")


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


def test_a_plot_calls_a_weak_candidate_weak():
    plt = pytest.importorskip("matplotlib.pyplot")
    curve = first_weak()
    labels = [text.get_text() for text in curve.plot().get_legend().get_texts()]
    assert f"weak candidate {curve.suggestion.lr:.2e}" in labels
    plt.close("all")


def test_trials_are_drawn_in_their_ranking_over_the_starting_weights():
    plt = pytest.importorskip("matplotlib.pyplot")
    own = plt.figure().subplots()
    found = Comparison(
        [Trial(0.1, np.full(40, 2.0), True), Trial(0.2, np.full(40, 1.0), True)], np.full(40, 3.0)
    )
    assert found.plot(own) is own
    assert [line.get_label() for line in own.lines] == ["starting weights", "2.00e-01", "1.00e-01"]
    assert [line.get_ydata().tolist() for line in own.lines] == [
        pytest.approx([loss] * 40) for loss in (3.0, 1.0, 2.0)
    ]
    assert own.lines[0].get_linestyle() == ":"
    plt.close("all")


def test_an_exploding_trial_leaves_the_plot_to_the_others():
    plt = pytest.importorskip("matplotlib.pyplot")
    losses = np.append(np.full(20, 2.0), [1e9, float("inf")])
    calm = Trial(0.1, np.linspace(2.0, 1.0, 40), True)
    axes = Comparison([calm, Trial(9.0, losses, False)]).plot()
    assert axes.get_ylim()[1] < 3
    plt.close("all")
