"""From short trials to a longer training: the best of each horizon, and the line through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrfinder_widget import Comparison
from lrfinder_widget.curve.extrapolate import MUON_SLOPES, SLOPES, Horizon, best_at, extrapolate
from lrfinder_widget.curve.trial import Trial

GRID = np.arange(-4.0, -0.9, 0.5)


def horizon(steps: int, best: float, grid: Any = GRID, scale: float = 1.0) -> Horizon:
    """Losses whose logarithm is a parabola over log10 lr, lowest at `best`."""
    losses = scale * np.exp(0.1 * (grid - best) ** 2)
    close = np.arange(len(grid)) == losses.argmin()
    return Horizon(steps, np.array(grid), losses, close)


# -- one horizon ----------------------------------------------------------------------------------


@given(best=st.floats(-3.5, -1.5), scale=st.floats(1e-6, 1e6))
def test_a_parabola_is_found_between_the_learning_rates_whatever_the_scale(
    best: float, scale: float
) -> None:
    assert best_at(horizon(100, best, scale=scale))[0] == pytest.approx(best, abs=1e-6)


def test_uneven_learning_rates_are_no_obstacle() -> None:
    assert best_at(horizon(100, -2.2, np.array([-4.0, -2.5, -2.0, -1.0])))[0] == pytest.approx(-2.2)


def test_losses_below_zero_are_taken_as_they_are() -> None:
    losses = (GRID + 2.2) ** 2 - 5
    found = best_at(Horizon(100, GRID, losses, losses < -4.9))[0]
    assert found == pytest.approx(-2.2)


@pytest.mark.parametrize(("beyond", "edge"), [(-6.0, -4.0), (1.0, -1.0)])
def test_at_an_edge_it_is_the_edge_and_the_error_is_a_step_of_the_grid(
    beyond: float, edge: float
) -> None:
    assert best_at(horizon(100, beyond)) == (edge, 0.5)
    assert best_at(horizon(100, -2.2))[1] == pytest.approx(0.1)


def test_a_single_learning_rate_is_half_a_decade_sure() -> None:
    assert best_at(horizon(100, -2.0, np.array([-3.0]))) == (-3.0, 0.5)


def test_equal_losses_have_their_middle_and_those_hard_to_distinguish_count_as_error() -> None:
    flat = Horizon(100, GRID[:3], np.ones(3), np.ones(3, dtype=bool))
    assert best_at(flat) == (-4.0, 0.5)
    wide = Horizon(100, GRID, horizon(100, -2.5).losses, np.ones(len(GRID), dtype=bool))
    assert best_at(wide) == (pytest.approx(-2.5), pytest.approx(0.75))


# -- the line through several ---------------------------------------------------------------------


def test_without_a_slope_of_its_own_it_is_that_of_other_trainings() -> None:
    mean, deviation = SLOPES["constant"]
    lr, error = extrapolate([horizon(100, -2.2)], 10_000, "constant")
    assert lr == pytest.approx(-2.2 + 2 * mean)
    assert error == pytest.approx(np.hypot(0.1, 2 * deviation))


def test_its_own_slope_and_that_of_others_are_weighted_by_their_precision() -> None:
    slope, (mean, deviation) = -0.8, SLOPES["constant"]
    steps = (125, 250, 500)
    horizons = [horizon(n, -2.2 + slope * np.log10(n / 500)) for n in steps]
    own = 0.1**-2 * ((np.log10(steps) - np.log10(steps).mean()) ** 2).sum()
    expected = (slope * own + mean * deviation**-2) / (own + deviation**-2)
    shrunk = [extrapolate(horizons, n, "constant")[0] for n in (500, 50_000)]
    assert (shrunk[1] - shrunk[0]) / 2 == pytest.approx(expected)
    assert slope < expected < mean


def test_the_further_ahead_the_larger_the_error() -> None:
    horizons = [horizon(n, -2.2) for n in (125, 250, 500)]
    errors = [extrapolate(horizons, n, "constant")[1] for n in (500, 2_500, 25_000)]
    assert errors == sorted(errors)
    here = extrapolate(horizons, 500, "constant")
    assert here == (pytest.approx(-2.2), pytest.approx(0.1))  # three of one trial know no more


def test_trials_with_another_schedule_are_a_starting_point_and_no_slope() -> None:
    horizons = [horizon(n, -2.2 - 2 * np.log10(n / 500)) for n in (125, 250, 500)]
    mean, deviation = SLOPES["decay"]
    lr, error = extrapolate(horizons, 5_000, "decay", as_tried=False)
    assert lr == pytest.approx(-2.2 + mean)
    assert error == pytest.approx(np.hypot(np.hypot(0.1, 0.2), deviation))


def test_the_slope_of_others_is_that_of_the_kind_of_optimizer() -> None:
    here = [horizon(100, -2.2)]
    muon, adam, unknown = (
        extrapolate(here, 10_000, "decay", family=family)[0]
        for family in ("muon", "adaptive", None)
    )
    assert muon == pytest.approx(-2.2 + 2 * MUON_SLOPES["decay"][0])
    assert adam == unknown == pytest.approx(-2.2 + 2 * SLOPES["decay"][0])


# -- suggestions ----------------------------------------------------------------------------------

LRS = [1e-4, 1e-3, 1e-2, 1e-1]


def trial(lr: Any, *, best: float = 1e-2, slope: float = -0.3, n: int = 400) -> Trial:
    """A trial whose held-out losses are lowest at a rate that falls with the steps."""
    largest = max(lr) if isinstance(lr, tuple) else lr
    batches = 0.5 + 0.001 * np.array([-1.0, 0.0, 1.0, 2.0])
    held_out = {
        steps: batches * np.exp((np.log10(largest / best) - slope * np.log10(steps / n)) ** 2 / 5)
        for steps in (n // 4, n // 2, n)
    }
    return Trial(lr, np.linspace(2.0, 1.0, n), True, held_out)


def start(loss: float = 2.0) -> Any:
    return loss + np.array([-0.01, 0.0, 0.01, 0.02])


def test_a_longer_training_gets_a_lower_rate_with_an_interval_and_a_sentence() -> None:
    found = Comparison([trial(lr) for lr in LRS], held_out=start())
    now, later = found.suggest(), found.suggest(40_000)
    assert now.lr == pytest.approx(1e-2)
    mean, _ = SLOPES["constant"]
    assert 1e-2 * 10 ** (2 * mean) < later.lr < 1e-2 * 10 ** (2 * -0.3)  # its own slope is -0.3
    for one in (now, later):
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.lr < one.high  # type: ignore[operator]
        assert one.rule == "trials"
    assert later.high / later.low > now.high / now.low  # type: ignore[operator]
    assert later.reason == (
        f"For 40,000 steps at a constant rate: {later.lr:.1e} ({later.low:.1e} to "
        f"{later.high:.1e}), by trial runs of 400 steps at a constant rate, for which it would be "
        "1.0e-02."
    )


def test_a_decay_is_planned_from_constant_trials_with_less_confidence() -> None:
    found = Comparison([trial(lr) for lr in LRS], held_out=start())
    assert found.suggest() == found.suggest(400, "constant")
    decay = found.suggest(400, "decay")
    assert decay.lr == pytest.approx(found.suggest().lr)
    assert decay.high / decay.low > found.suggest().high / found.suggest().low  # type: ignore[operator]
    assert "with a decay" in decay.reason
    scheduled = Comparison([trial(lr) for lr in LRS], held_out=start(), scheduled=True)
    assert scheduled.suggest() == scheduled.suggest(400, "decay")


def test_one_step_is_no_steps_and_any_number_of_them_can_be_planned() -> None:
    found = Comparison([trial(lr) for lr in LRS], held_out=start())
    assert found.suggest(1).reason.startswith("For 1 step at a constant rate: ")
    assert found.suggest(10**30).lr is not None


def test_muon_gets_a_lower_rate_for_a_longer_training() -> None:
    trials = [trial(lr) for lr in LRS]
    muon, other = (
        Comparison(trials, held_out=start(), family=family) for family in ("muon", "momentum")
    )
    assert muon.suggest(40_000).lr < 0.5 * other.suggest(40_000).lr  # type: ignore[operator]
    assert muon.suggest().lr == pytest.approx(other.suggest().lr)


def test_the_edge_of_what_was_tried_is_told() -> None:
    low = Comparison([trial(lr, best=1e-6) for lr in LRS], held_out=start(9.0)).suggest()
    high = Comparison([trial(lr, best=1e2) for lr in LRS], held_out=start(9.0)).suggest()
    assert (low.lr, high.lr) == (pytest.approx(1e-4), pytest.approx(1e-1))
    assert "The lowest learning rate that came this far did best: try lower ones too." in low.reason
    assert "try higher ones too" in high.reason


def test_where_nothing_improves_training_on_does_not_help() -> None:
    found = Comparison([trial(lr) for lr in LRS], held_out=start(0.45)).suggest(10_000)
    assert (found.lr, found.low, found.high) == (None, None, None)
    assert found.reason.startswith("Training on does not help: after 400 steps, 1.00e-02 has the")
    assert "not clearly below the 0.455 of the starting weights" in found.reason


def test_where_every_trial_exploded_there_is_nothing_to_suggest() -> None:
    gone = [Trial(lr, np.array([1.0, np.inf]), False) for lr in LRS]
    found = Comparison(gone, held_out=start()).suggest(10_000)
    assert found.lr is None
    assert found.reason == (
        "No trial completed: unless they were stopped, try smaller learning rates."
    )


def test_without_held_out_losses_it_says_what_to_pass() -> None:
    found = Comparison([Trial(0.1, np.ones(20), True)]).suggest()
    assert found.lr is None
    assert "pass held_out=[…] to compare" in found.reason


def test_an_exploded_trial_counts_as_far_as_it_came() -> None:
    whole = [trial(lr) for lr in LRS[:3]]
    early = Trial(1e-1, np.ones(150), False, {100: trial(1e-1).held_out[100]})
    assert Comparison([*whole, early], held_out=start()).suggest().lr == pytest.approx(1e-2)
    not_finite = Trial(1e-1, np.ones(150), False, {100: np.full(4, np.nan)})
    assert Comparison([*whole, not_finite], held_out=start()).suggest().lr is not None


def test_rates_of_groups_are_those_of_the_largest_and_other_ratios_are_left_out() -> None:
    groups = [trial((lr / 10, lr)) for lr in LRS]
    other = trial((1e-2, 3e-2), best=1e9)
    found = Comparison([*groups, other], held_out=start())
    assert found.winner == (1e-3, 1e-2)
    assert found.suggest() == Comparison([trial(lr) for lr in LRS], held_out=start()).suggest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_steps": 0}, "train_steps must be a whole number, at least 1"),
        ({"schedule": "cosine"}, 'schedule must be "constant" or "decay"; got \'cosine\''),
    ],
)
def test_a_wrong_argument_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Comparison([trial(lr) for lr in LRS], held_out=start()).suggest(**change)
