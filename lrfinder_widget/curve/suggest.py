"""Suggest a candidate learning rate from a curve, or refuse with a reason. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import reasons
from .budget import NO_BUDGET, USUAL_DENSITY, USUAL_LR, USUAL_STEPS, Budget, shift
from .fall import Fall, Part
from .plan import check_positive
from .rules import DIVIDED, RULES, Rule
from .smoothing import kernel_width

_BELOW_LAST = 10  # as the rule "minimum" has it
FEWEST_POINTS = 10
"""A curve with fewer points before its turn is not read."""


@dataclass(frozen=True)
class Suggestion:
    """A candidate learning rate with its band and its evidence, or a refusal with the reason.

    Attributes
    ----------
    lr : float or None
        The candidate; None if the curve shows none and nothing can be guessed.
    low, high : float or None
        The band around it: the base and maximum learning rate of Smith, arXiv 1506.01186, section
        3.3. It ends well before the loss turns up. For the rule ``"budget"``, it is one standard
        error wide on either side; for the others, it begins where the loss begins to fall clearly.
    rule : str
        The rule that was used.
    reason : str
        One sentence (not a keyword, as on a `LossCurve`): what the curve shows, and for which
        training the candidate is, or what to do about it. A second one says how far repeats agree,
        or warns of what makes a reading too high or too low.
    spread : float or None
        Decades between the lowest and the highest candidate of the repeats; None without repeats.
    weak : bool
        Whether the candidate rests on a drop of the loss that is hardly larger than the noise, or
        no larger than that of a trained model may be, or is a guess, as noise hides the drop. Check
        such a candidate with trial runs.
    """

    lr: float | None
    low: float | None
    high: float | None
    rule: str
    reason: str
    spread: float | None = None
    weak: bool = False

    @property
    def label(self) -> str:
        """What to call the candidate in a chart: ``"candidate"`` or ``"weak candidate"``."""
        return "weak candidate" if self.weak else "candidate"


def suggest(
    part: Part,
    *,
    rule: Rule | None = None,
    divisor: float | None = None,
    budget: Budget = NO_BUDGET,
    completed: bool = True,
    repeats: Sequence[float | None] = (),
    alike: bool = False,
) -> Suggestion:
    """Suggest a candidate, or refuse and say why.

    Parameters
    ----------
    part : Part
        The part of the curve before it turns up.
    rule : {"budget", "minimum", "steepest", "valley", "slide", "divergence"}, optional
        Default ``"budget"``.
    divisor : float, optional
        For ``"minimum"`` and ``"divergence"``, divides the learning rate they find. By default,
        each has a divisor of its own.
    budget : Budget
        What the candidate is for. Only the rule ``"budget"`` uses its length and its schedule.
    completed : bool
        Whether the test covered its whole range.
    repeats : sequence of (float or None)
        The candidates of the single curves, if `part` belongs to their median. The suggestion is
        then the geometric mean of all candidates, unless it is a guess.
    alike : bool
        Whether the repeats are all the same curve.

    Raises
    ------
    ValueError
        If the rule is unknown or takes no divisor, or the divisor is not a positive number.
    """
    rule = rule or "budget"
    read = _apply(rule, part, divisor)
    if rule == "budget":
        read = _assumed(read, part, budget)
    lr = _moved(read, part, budget) if rule == "budget" else read
    words: dict[str, object] = {"rule": rule, "training": _training(budget)}
    refusal = _refusal(part, read, lr, completed)
    if refusal or lr is None:
        reason = refusal.format(n=len(part.lrs), fewest=FEWEST_POINTS, **words)
        return Suggestion(None, None, None, rule, reason)
    off = np.array([np.log10(single / lr) for single in repeats if single is not None])
    guessed = rule == "budget" and _is_guessed(part, budget)
    by_repeats = 1.0 if guessed else 10 ** (float(off.sum()) / (1 + len(off)))
    lr *= by_repeats
    onset, lowest, last, end = _places(part)
    end = last / 2 if guessed else end
    low, high = min(onset, lr), max(lr, end)
    if rule == "budget":
        error = 10 ** shift(budget)[1]
        low, high = min(lr, max(lr / error, float(part.lrs[0]))), min(lr * error, high)
        words |= {"low": low, "high": high, "more": _more(read, part, budget, by_repeats)}
    why_weak = _why_weak(part, budget, repeated=bool(repeats))
    sentence = (reasons.WEAK if why_weak else reasons.BY_RULE)[rule]
    if guessed:
        sentence = reasons.GUESS if part.fall else reasons.GUESS_WITHOUT_DROP
    elif part.fall is None:
        sentence = reasons.WITHOUT_DROP
    reason = sentence.format(
        **words,
        lr=lr,
        onset=onset,
        lowest=lowest,
        below_lowest=lowest / lr,
        last=last,
        below_last=last / lr,
    )
    if why_weak:
        reason = f"{reason[:-1]}; this is a weak candidate: {why_weak}."
    spread = float(np.ptp(off)) if len(off) > 1 and not alike else None
    if repeats:
        few = reasons.FEW if len(off) else reasons.NONE
        some = reasons.SPREAD if len(off) == len(repeats) else few
        agreement = reasons.ALL_ALIKE if alike else some
        reason += " " + agreement.format(found=len(off), repeats=len(repeats), spread=spread)
    reason = " ".join([reason, *budget.cautions])
    return Suggestion(lr, low, high, rule, reason, spread, bool(why_weak))


def _places(part: Part) -> tuple[float, float, float, float]:
    """Return where the fall begins, is lowest and turns, and where a band ends at the latest."""
    lrs, fall, last = part.lrs, part.fall, float(part.lrs[-1])
    if fall is None:
        return last, last, last, last / 2
    lowest = fall.centre(part.log10_lr)
    end = float(lrs[fall.last]) / 2 if fall.weak else min(float(lrs[fall.first]), lowest / 2)
    return float(lrs[fall.onset]), lowest, last, end


def _why_weak(part: Part, budget: Budget, *, repeated: bool) -> str:
    """Return why a candidate is weak; an empty string if it is not."""
    if part.fall is None:
        return reasons.NO_DROP
    if part.fall.weak:
        perhaps = "" if budget.trained is False else reasons.PERHAPS_TRAINED
        why = reasons.HARDLY if part.baseline is None else reasons.HIDDEN
        return why.format(perhaps_trained=perhaps, repeats="" if repeated else reasons.REPEATS)
    if budget.trained:
        return reasons.TRAINED
    return reasons.TO_THE_END if _is_still_falling(part) else ""


def _is_long(fall: Fall, n: int) -> bool:
    """Return whether a fall is clear, and more than one wiggle of the smoothed losses."""
    return not fall.weak and fall.first - fall.onset >= kernel_width(n)


def _is_still_falling(part: Part) -> bool:
    n, fall = len(part.lrs), part.fall
    return fall is not None and not part.turned and fall.first > 0.9 * n and fall.last == n - 1


def _is_guessed(part: Part, budget: Budget) -> bool:
    """Return whether what is usual counts more than a curve that shows little or no drop.

    Not if the model was trained, or may have been: its curve usually shows little.
    """
    little = part.fall is None or part.fall.weak
    return little and budget.trained is False and budget.family in USUAL_LR


def _assumed(read: float | None, part: Part, budget: Budget) -> float | None:
    """Return what the rule reads, or what to assume if an untrained model's curve shows little.

    That is what the rule reads on most curves with such an optimizer, but at most `_BELOW_LAST`
    times more or less than what it reads on this one, and within the range.
    """
    if read is None and part.turned and budget.trained is False and len(part.lrs):
        read = float(part.lrs[-1]) / _BELOW_LAST
    if read is None or not _is_guessed(part, budget):
        return read
    nearest = min(max(USUAL_LR[budget.family], read / _BELOW_LAST), read * _BELOW_LAST)
    return max(nearest, float(part.lrs[0]))


def _moved(read: float | None, part: Part, budget: Budget) -> float | None:
    """Move what the rule reads to where it is for this training, but not above the lowest place.

    A guess, for which the lowest place says little, stays well below where the loss turns up.
    """
    if read is None:
        return None
    highest = read if part.fall is None else max(read, part.fall.centre(part.log10_lr))
    if _is_guessed(part, budget):
        highest = float(part.lrs[-1]) / 2
    return min(read * 10 ** shift(budget, _density(part, read))[0], highest)


def _density(part: Part, read: float) -> float:
    """Return how many steps the test took per decade, in that which ends at what was read."""
    ends = np.clip(np.log10([read / 10, read]), part.log10_lr[0], part.log10_lr[-1])
    first, last = np.interp(ends, part.log10_lr, np.arange(len(part.lrs)))
    decades = ends[1] - ends[0]
    return float((last - first) / decades) if decades > 0 else USUAL_DENSITY


def _training(budget: Budget) -> str:
    """Describe the training for which a candidate is."""
    steps = budget.train_steps
    length = f"about {USUAL_STEPS:,}" if steps is None else f"{steps:,}"
    return f"{length} step{'s' if steps != 1 else ''} {reasons.SCHEDULES[budget.schedule]}"


def _more(read: float | None, part: Part, budget: Budget, factor: float) -> str:
    """Say what the candidate would be for another length, if any, or that it lacks the length."""
    if budget.train_steps is None:
        return reasons.NO_LENGTH
    other = 100 if budget.train_steps >= 1_000 else 10_000
    lr = _moved(read, part, replace(budget, train_steps=other))
    if lr is None or lr < part.lrs[0]:  # it would be refused
        return ""
    return f", and for {other:,} it would be {factor * lr:.1e}"


def _apply(rule: Rule, part: Part, divisor: float | None) -> float | None:
    if rule not in RULES:
        raise ValueError(f"rule must be one of {sorted(RULES)}; got {rule!r}.")
    if divisor is None:
        return RULES[rule](part)
    if rule not in DIVIDED:
        raise ValueError(f"only the rules {sorted(DIVIDED)} take a divisor; got {rule!r}.")
    return DIVIDED[rule](part, check_positive("divisor", divisor))


def _refusal(part: Part, read: float | None, lr: float | None, completed: bool) -> str:
    """Return why the curve has no candidate; an empty string if it has one."""
    n, fall, refusal = len(part.lrs), part.fall, ""
    if not n:
        refusal = reasons.NOTHING
    elif n < FEWEST_POINTS:
        refusal = reasons.RISES_AT_ONCE if part.turned else reasons.TOO_FEW
    elif fall is None and read is None:
        refusal = (
            reasons.RISES_ONLY if part.turned else reasons.FLAT if completed else reasons.NOT_YET
        )
    elif fall is not None and _is_still_falling(part) and not (completed and _is_long(fall, n)):
        refusal = reasons.STILL_FALLING if completed else reasons.CUT_SHORT
    elif read is None or lr is None:
        refusal = reasons.NOT_BY_THIS_RULE
    elif lr < part.lrs[0]:
        refusal = reasons.BELOW_THE_RANGE if read < part.lrs[0] else reasons.BELOW_FOR_THIS_TRAINING
    return refusal


def trial_candidates(part: Part, found: Suggestion) -> list[float]:
    """Return at most five learning rates worth comparing by trial runs, ascending.

    They lie around the candidate, a quarter of a decade apart, which is about the error of the
    candidate itself. All lie below the learning rate where the loss is lowest, since short trials
    favour learning rates that are too high. If the candidate is weak or missing, the lowest place
    says little, and noise hides small differences between trials as well, so there are three, half
    a decade apart. Without a candidate, the middle one is a tenth of where the loss turned up; if
    it did not, the highest is the end of the range. If there is a candidate without any drop to be
    seen, little is known, and more of them lead up to where the loss turned up.
    """
    if len(part.lrs) < FEWEST_POINTS:
        return []
    halves, last, lr = np.array([-0.5, 0.0, 0.5]), float(part.lrs[-1]), found.lr
    if lr is None:
        lrs, highest = last * 10 ** (halves - (1 if part.turned else 0.5)), last
    elif part.fall is None:
        lrs, highest = lr * 10 ** (np.arange(-1, 4) / 2), last
    elif found.weak:
        lrs, highest = lr * 10**halves, last
    else:
        lrs = lr * 10 ** (np.arange(-4, 3) / 4)
        highest = max(lr, 0.8 * part.fall.centre(part.log10_lr))
    within = (lrs >= part.lrs[0]) & (lrs <= 1.001 * highest)
    return [float(each) for each in lrs[within][-5:]]
