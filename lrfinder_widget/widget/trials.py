"""Trial runs for the page: what to try, what it takes, their lines, and the ranking."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.smoothing import moving_average
from lrfinder_widget.curve.trial import format_rate
from lrfinder_widget.runs.ladder import MOST_RUNGS, Ladder
from lrfinder_widget.runs.trial_runs import TrialRuns

from .drawing import LARGEST, Line, loss_limits, packed, thin_out
from .lines import START
from .number import format_lr, parse_number, positive
from .run_settings import RunSettings
from .sentences import after_failure, restored_sentence

MAX_TRIALS = 12
_DRAWN_POINTS = 200
_WAY_ON = "Try compares {}, from the same start, by trial runs."


class TrialPlan:
    """What the boxes of the trial runs hold.

    Parameters
    ----------
    settings : RunSettings
        Has the boxes.
    ladder : callable
        Returns what to try if the curve has no candidate; None if that is not known.

    Attributes
    ----------
    seconds_per_step : float or None
        The pace of the latest test; None before the first.
    """

    def __init__(self, settings: RunSettings, ladder: Callable[[], Ladder | None]) -> None:
        self._settings = settings
        self._ladder = ladder
        self._offered = ""
        self._offered_ladder: Ladder | None = None  # what was offered last, if it is one
        self.seconds_per_step: float | None = None

    def offer(self, lrs: list[float]) -> str:
        """Suggest what to try, unless the box has been edited; the ladder if there are no `lrs`.

        Returns
        -------
        str
            The sentence that names the ladder, or an empty string.
        """
        ladder = None if lrs else self._ladder()
        if self._settings.values["trial_lrs"] in ("", self._offered):
            self._offered_ladder = ladder
            self._offered = ", ".join(map(format_lr, lrs if ladder is None else ladder.lrs))
            self._settings.set(trial_lrs=self._offered)
        return "" if ladder is None else _WAY_ON.format(ladder.reason)

    def values(self) -> tuple[list[float] | Literal["ladder"], int]:
        """Return the learning rates, or the ladder that was offered, and the number of steps.

        Raises
        ------
        ValueError
            If they are not positive numbers, or too many.
        """
        typed: str = self._settings.values["trial_lrs"]
        parts = [part for part in typed.replace(";", ",").split(",") if part.strip()]
        try:
            lrs = [float(part) for part in parts]
        except ValueError:
            raise ValueError(
                f"the learning rates must be numbers separated by commas; got {typed!r}."
            ) from None
        if not 1 <= len(lrs) <= MAX_TRIALS:
            raise ValueError(
                f"enter at least one learning rate and at most {MAX_TRIALS}; got {len(lrs)}."
            )
        if not all(map(positive, lrs)) or len(set(lrs)) < len(lrs):
            raise ValueError(f"enter positive learning rates, each once; got {typed!r}.")
        steps = parse_number("steps", self._settings.values["trial_steps"], int, at_most=1_000_000)
        is_ladder = self._offered_ladder is not None and typed == self._offered
        return ("ladder" if is_ladder else lrs), steps

    @property
    def cost(self) -> str:
        """How many steps a click on Run would take, and how long they are."""
        try:
            lrs, steps = self.values()
        except ValueError:  # a click tells
            return ""
        ladder = self._offered_ladder if lrs == "ladder" else None
        if ladder is None:
            text, steps = "", steps * len(lrs)
        else:
            text, steps = "at most ", ladder.steps(steps) * MOST_RUNGS
        text, pace = f"{text}{steps:,} steps", self.seconds_per_step
        return text if pace is None else f"{text}, about {math.ceil(pace * steps)} s"


def shown_trials(
    run: RangeTest,
    trials: TrialRuns,
    pace: float | None,
    planned: Budget,
    *,
    here: bool,
    waiting: str,
) -> dict[str, Any]:
    """Return the trials so far for the page, as its trait `trials`.

    Parameters
    ----------
    run : RangeTest
        The trials as a run in the background.
    trials : TrialRuns
        What it runs.
    pace : float or None
        The seconds of a step, if they are known.
    planned : Budget
        The training that the result is for.
    here : bool
        Whether it trains the notebook's own model.
    waiting : str
        What it waits for as long as it has no points.
    """
    comparison = trials.comparison
    lines = _lines(comparison, trials.steps)
    seen = [line["smooth"] for line in lines if len(line["smooth"])]
    y = None
    if seen:
        longest, lowest = max(seen, key=len), min(seen, key=lambda y: float(y.min()))
        beside = [line["beside"][1] for line in lines]
        # Mostly above all others, the line of the starting weights would be half cut off.
        whole = [line["smooth"] for line in lines if line["style"] == START]
        beside += [np.array([y.min(), y.max()]) for y in whole if len(y)]
        y = loss_limits(
            np.concatenate([longest[:1], lowest, *beside]), np.concatenate([lowest, *beside])
        )
    take, about = _result(comparison, planned) if run.state.ended else (None, "")
    text = waiting if not (len(run) or run.state.ended) else ""
    text = text or _sentences(run, trials, comparison, pace, here=here)
    return {
        "state": run.state.value,
        "steps": trials.steps,
        "text": " ".join([f"{text}{about}".strip(), *run.unrestored]),
        "y": y,
        "lines": [
            {
                "name": line["name"],
                "style": line["style"],
                "line": _line(line["smooth"]),
                "held_out": packed(*line["beside"]),
            }
            for line in lines
        ],
        "take": take,
    }


def _lines(comparison: Comparison, steps: int) -> list[dict[str, Any]]:
    held_out = list(comparison.held_out_losses.values())
    if not any(trial.held_out for trial in comparison.trials):
        held_out = [{}] * len(held_out)
    lines: list[dict[str, Any]] = []
    for i, (lr, losses) in enumerate(zip(comparison.lrs, comparison.losses.values(), strict=True)):
        name = format_rate(lr)
        if len(held_out[i]) > 1:
            name = f"{name}: {held_out[i][max(held_out[i])]:.4g} held out"
        lines.append({"name": name, "style": i, "losses": losses, "beside": _points(held_out[i])})
    if comparison.baseline is not None:
        start = {"name": "starting weights", "style": START, "losses": comparison.baseline}
        lines.append(start | {"beside": _points({})})
    return [{**line, "smooth": _smoothed(line["losses"], steps)} for line in lines]


def _line(smooth: Array) -> Line:
    return packed(*thin_out(np.arange(len(smooth), dtype=np.float64), smooth, _DRAWN_POINTS))


def _result(comparison: Comparison, planned: Budget) -> tuple[float | None, str]:
    """Return the learning rate that a click can take, and what it is if none of those tried.

    With held-out batches, it is the one for the length of the training that is planned; else that
    with the lowest loss. There is none if it is known to be of no use, or if it is several.
    """
    winner = comparison.winner
    if isinstance(winner, tuple):
        return None, ""
    if comparison.held_out is None:
        return winner, ""
    schedule = None if planned.train_steps is None else planned.schedule
    found = comparison.suggest(planned.train_steps, schedule)
    return found.lr, "" if found.lr is None else f" {found.reason}"


def _points(held_out: dict[int, float]) -> tuple[Array, Array]:
    """Return the finite held-out losses as x and y."""
    found = [(n, loss) for n, loss in held_out.items() if abs(loss) < LARGEST]
    points = np.array(found, dtype=np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def _smoothed(losses: Array, steps: int) -> Array:
    """Average over a twentieth of the planned steps, so that a line grows and never moves."""
    finite = np.clip(losses[np.isfinite(losses)], -LARGEST, LARGEST)
    return moving_average(finite, max(1, steps // 20))


def _sentences(
    run: RangeTest, trials: TrialRuns, comparison: Comparison, pace: float | None, *, here: bool
) -> str:
    if run.state is State.FAILED:
        return f"The trial runs failed{after_failure(run, here=here)}"
    what = f"{trials.about[0].upper()}{trials.about[1:]}: " if trials.about else ""
    if not run.state.ended:
        done, in_all = len(run), trials.steps_in_all
        most, pace = "at most " if trials.about else "", trials.seconds_per_step or pace
        text = (
            f"{what}{'t' if what else 'T'}rial runs of {trials.steps} steps each, {most}{in_all:,} "
            f"in all, from the same weights on the same batches: {done} steps done"
        )
        left = max(0, in_all - done)
        return f"{text}." if pace is None else f"{text}, {most}about {pace * left:.0f} s left."
    stopped = "Stopped: " if run.state is State.STOPPED else ""
    text = f"{stopped}{what}{comparison.reason}"
    return f"{text[0].upper()}{text[1:]} {restored_sentence(run, here=here)}".strip()
