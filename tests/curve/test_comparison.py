"""What trial runs show: a ranking, how clear it is, and whether they gain anything."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lrfinder_widget import Comparison, LossCurve
from lrfinder_widget.curve.comparison import Trial
from lrfinder_widget.curve.variation import Variation


def trials(**losses: Any) -> Comparison:
    return Comparison([Trial(float(lr[1:]), np.array(y), True) for lr, y in losses.items()])


def test_a_clear_lead_is_told_from_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 500)
    own = [0.01 * np.random.default_rng(i).normal(0, 1, 500) for i in range(3)]
    found = trials(_1=1 + noise + own[0], _2=1.05 + noise + own[1], _3=1.0001 + noise + own[2])
    assert set(found.ranking[:2]) == {1.0, 3.0}
    assert found.ranking[2] == 2.0
    second = found.ranking[1]
    assert found.margins[found.winner or 0] == 0
    assert found.margins[second] < 2 < 10 < found.margins[2.0]
    assert f"{second:.2e} can hardly be distinguished from it" in found.reason


def test_without_noise_the_smallest_lead_is_clear() -> None:
    found = trials(_1=np.ones(50), _2=np.ones(50) + 1e-9)
    assert (found.winner, found.margins[2.0]) == (1.0, math.inf)
    assert "clearly below" in found.reason
    assert trials(_1=np.ones(50), _2=np.ones(50)).margins[2.0] == 0


def test_where_nothing_came_to_its_end_there_is_no_winner() -> None:
    found = Comparison([Trial(1.0, np.array([1.0, math.inf]), completed=False)])
    assert found.winner is None
    assert found.margins == {}
    assert "smaller learning rates" in found.reason
    assert Comparison([]).winner is None


def test_the_way_out() -> None:
    found = trials(_1=np.arange(20.0)[::-1], _2=np.arange(20.0)[::-1] / 2)
    frame = found.to_dataframe()
    assert frame.columns.tolist() == ["lr", "step", "loss"]
    assert len(frame) == 40
    axes = found.plot()
    assert [line.get_label() for line in axes.get_lines()] == ["2.00e+00", "1.00e+00"]
    assert "2.00e+00" in repr(found)


def test_the_ranking_puts_shorter_trials_behind_longer_ones_and_failed_ones_last() -> None:
    lengths = {1.0: (10, False), 2.0: (20, True), 3.0: (5, False), 4.0: (40, True), 5.0: (40, True)}
    found = Comparison(
        [Trial(lr, np.full(n, 10 - lr), completed) for lr, (n, completed) in lengths.items()]
    )
    assert found.lrs == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert found.ranking == [5.0, 4.0, 2.0, 1.0, 3.0]
    assert found.winner == 5.0
    assert found.margins == {1.0: math.inf, 2.0: math.inf, 3.0: math.inf, 4.0: math.inf, 5.0: 0.0}
    assert math.isnan(found.results[1.0])


def test_a_gain_counts_from_a_share_of_the_spread_of_the_baseline() -> None:
    baseline = np.tile(np.linspace(0.0, 1.0, 11), 10)  # its spread is 0.8, a share of 0.18 is 0.144
    start = float(baseline[-22:].mean())
    for gain, improves in ((0.13, False), (0.16, True)):
        found = Comparison([Trial(0.1, np.full(110, start - gain), True)], baseline)
        assert found.improves is improves
        assert ("starting weights have a loss of" in found.reason) != improves
        assert "no other learning rate was tried" in found.reason


def test_without_a_winner_or_a_baseline_a_gain_is_unknown() -> None:
    trial = Trial(0.1, np.ones(20), True)
    assert Comparison([trial]).improves is None
    assert "starting weights" not in Comparison([trial]).reason
    assert Comparison([Trial(0.1, np.ones(20), False)], np.ones(20)).improves is None


def test_the_baseline_counts_on_the_batches_of_the_result() -> None:
    baseline = np.append(np.linspace(1.9, 2.1, 50), np.full(50, 9.0))
    assert Comparison([Trial(0.1, np.full(50, 2.5), True)], baseline).improves is False


# -- judged on held-out batches -------------------------------------------------------------------

NOISE = np.array([0.3, -0.2, 0.1, -0.2, 0.05, -0.05])
START = 1.0 + NOISE
BASELINE = np.tile([0.9, 1.0, 1.1, 1.0, 1.0], 4)


def held_out(lr: Any, loss: float, *, completed: bool = True, training: float = 1.0) -> Trial:
    own = 0.002 * np.random.default_rng(round(1e6 * loss)).normal(0, 1, len(NOISE))
    at_end = {n: loss + (20 - n) / 100 + NOISE + own for n in (5, 10, 20)}
    return Trial(lr, np.full(20, training), completed, at_end)


def test_held_out_losses_decide_whatever_the_training_losses_are() -> None:
    low, high = held_out(0.1, 0.5, training=2.0), held_out(0.2, 0.6, training=0.0)
    found = Comparison([high, low], held_out=START)
    assert found.ranking == [0.1, 0.2]
    assert found.winner == 0.1
    assert found.margins[0.1] == 0
    assert 10 < found.margins[0.2] < math.inf
    assert found.results == {0.2: 0.0, 0.1: 2.0}
    assert found.improves is True
    mean = found.held_out_losses[0.1][20]
    assert mean == pytest.approx(0.5, abs=0.01)
    assert found.held_out_losses[0.1][0] == pytest.approx(1.0)
    assert found.reason == (
        f"after 20 steps, 1.00e-01 has the lowest loss on the held-out batches, {mean:.4g} (1 at "
        "the starting weights), clearly below the others."
    )


def test_a_trial_that_exploded_ranks_last_even_if_it_had_been_better() -> None:
    exploded = held_out(0.2, 0.1, completed=False)
    lost = Trial(0.3, np.ones(20), True, {20: np.full(6, math.nan)})
    found = Comparison([exploded, lost, held_out(0.1, 0.5)], held_out=START)
    assert found.ranking == [0.1, 0.3, 0.2]
    assert found.margins[0.2] == math.inf
    only = Comparison([exploded], held_out=START)
    assert (only.winner, only.improves) == (None, None)
    assert "smaller learning rates" in only.reason


def test_those_that_can_hardly_be_distinguished_are_named() -> None:
    found = Comparison([held_out(0.1, 0.5), held_out(0.2, 0.5001)], held_out=START)
    assert "can hardly be distinguished from it" in found.reason


def test_no_gain_beyond_noise_is_no_improvement() -> None:
    found = Comparison([held_out(0.1, 1.0001), held_out(0.2, 1.2)], held_out=START)
    assert found.improves is False
    assert found.reason.startswith("training on does not help: after 20 steps, 1.00e-01 has the")
    assert found.reason.endswith("not clearly below the 1 of the starting weights.")
    lower = Comparison([held_out(0.1, 0.98)], held_out=START)  # much less than the batches' spread
    assert lower.improves is True


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({1e-9: 1.0}, "higher"),
        ({1e-9: 1.003, 1e-8: 1.0}, "higher"),
        ({300.0: 5.0}, "lower"),
        ({300.0: 5.0, 3000.0: 9.0}, "lower"),
        ({1e-9: 1.0, 300.0: 5.0}, "between"),
        ({1e-4: 1.0, 1e-3: 2.0}, None),
        ({1e-4: 1.1, 1e-3: 1.0, 1e-2: 2.0}, None),
        ({1e-4: 1.1, 1e-3: 0.5, 1e-2: 2.0}, None),
    ],
)
@pytest.mark.parametrize("judged", [False, True])
def test_that_training_on_does_not_help_is_said_of_what_was_tried(
    losses: dict[float, float], expected: str | None, judged: bool
) -> None:
    made = [
        held_out(lr, loss) if judged else Trial(lr, np.full(20, loss), True)
        for lr, loss in losses.items()
    ]
    found = Comparison(made, **{"held_out": START} if judged else {"baseline": BASELINE})
    summary = found.summary(None, "constant")
    assert summary["untried"] == expected
    helps = min(losses.values()) < 0.9
    assert summary["improves"] is helps
    assert ("training on does not help" in found.reason) is (expected is None and not helps)
    if expected is not None:
        other = "those" if expected == "between" else expected
        assert f"none of these learning rates helps, and {other}" in found.reason


def test_a_single_number_improves_by_a_hundredth() -> None:
    def one(loss: float) -> Comparison:
        trial = Trial(0.1, np.ones(20), True, {20: np.array([loss])})
        other = Trial(0.2, np.ones(20), True, {20: np.array([loss + 1])})
        return Comparison([trial, other], held_out=np.array([1.0]))

    assert (one(0.98).improves, one(0.995).improves) == (True, False)
    assert math.isnan(one(0.98).margins[0.2])
    assert "clearly below the others" in one(0.98).reason


def test_a_trial_with_an_infinite_held_out_loss_is_infinitely_far_behind() -> None:
    gone = Trial(0.2, np.ones(20), True, {20: np.array([1.0, math.inf, 1.0, 1.0, 1.0, 1.0])})
    found = Comparison([held_out(0.1, 0.5), gone], held_out=START)
    assert found.margins == {0.1: 0.0, 0.2: math.inf}


def test_one_of_them_is_no_plural() -> None:
    assert "Comparison of 1 learning rate: " in repr(trials(_1=np.ones(20)))
    assert "Comparison of 2 learning rates: " in repr(trials(_1=np.ones(20), _2=np.ones(20)))
    varied = Variation(("momentum",), {(0.9,): LossCurve([], [])})
    assert repr(varied) == "<Variation of momentum: 1 LR range test>"


def test_trials_that_were_stopped_are_not_said_to_have_been_too_high() -> None:
    stopped = Comparison([Trial(1.0, np.ones(5), completed=False)])
    assert (
        stopped.reason
        == "no trial completed: unless they were stopped, try smaller learning rates."
    )


def test_trials_whose_evaluation_is_not_finite_are_not_said_to_be_incomplete() -> None:
    found = Comparison([Trial(0.1, np.ones(20), True, {20: np.full(6, math.nan)})], held_out=START)
    assert found.winner is None
    assert "finite loss on the held-out batches: check these" in found.reason
    report = LossCurve([0.1], [1.0]).report(comparison=found)
    assert "check these" in report["next"][0]


def test_without_the_starting_weights_an_improvement_is_unknown() -> None:
    found = Comparison([held_out(0.1, 0.5)])
    assert found.improves is None
    assert "starting weights" not in found.reason


def test_longer_trials_are_not_compared_with_shorter_ones() -> None:
    shorter = Trial(0.2, np.ones(10), True, {10: 0.1 + NOISE})
    found = Comparison([shorter, held_out(0.1, 0.5)], held_out=START)
    assert found.ranking == [0.1, 0.2]
    assert found.margins[0.2] == math.inf


def test_the_way_out_has_the_held_out_losses_where_they_were_measured() -> None:
    found = Comparison([held_out(0.1, 0.5), held_out((0.02, 0.2), 0.6)], held_out=START)
    frame = found.to_dataframe()
    assert frame.columns.tolist() == ["lr", "step", "loss", "held_out"]
    measured = frame[frame.held_out.notna()]
    assert measured.step.tolist() == [4, 9, 19] * 2
    assert measured.held_out.tolist()[:3] == list(found.held_out_losses[0.1].values())[1:]
    axes = found.plot()
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[0, 5, 10, 20]] * 2
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["1.00e-01", "(2.00e-02, 2.00e-01)"]
    assert "dots: held out" in axes.get_legend().get_title().get_text()
