"""What an LR range test measured, and what can be read off it. NumPy only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import Array
from .control_variate import without_batches
from .fall import Part
from .plots import draw_curve
from .rules import RULES, Rule
from .smoothing import SMOOTHING, count_before_turn, noise, running_median, smooth
from .suggest import FEWEST_POINTS, Suggestion, suggest, trial_candidates

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Reason = Literal[
    "completed", "diverged", "non-finite", "exhausted", "stop-rule", "stopped", "failed"
]


_LARGEST = 1e290  # so that no sum overflows
_CUT_SHORT = ("stopped", "exhausted", "failed")


@dataclass(frozen=True)
class LossCurve:
    """The learning rates and losses of an LR range test, as measured; all reading hangs on it.

    Parameters
    ----------
    lrs : array_like of float, shape (n,)
        Learning rates: positive, finite, each larger than the one before.
    losses : array_like of float, shape (n,)
        The raw loss at each of them, before the update with it. May hold nan and infinities.
    reason : str
        Why the test ended: ``"completed"``, ``"diverged"``, ``"non-finite"`` (the last loss is
        nan or infinite), ``"exhausted"`` (the data ran out), ``"stop-rule"`` (a rule of yours said
        so), ``"stopped"`` (by hand) or ``"failed"`` (an exception).
    repeats : iterable of LossCurve, optional
        The single curves, where this is the median of several.
    baseline : array_like of float, shape (n,), optional
        The losses of the same batches at the starting weights. All that is read off the curve is
        then read off the losses less the scatter that they share with these.

    Raises
    ------
    ValueError
        If the shapes differ, the learning rates do not rise, the baseline is not finite, or the
        reason is unknown.

    Notes
    -----
    Both arrays are float64 copies and read-only. Curves compare by value, nan equal to nan.

    Examples
    --------
    >>> import numpy as np
    >>> lrs = np.geomspace(1e-5, 1.0, 50)
    >>> curve = LossCurve(lrs, 2.0 - np.tanh(np.log10(lrs) + 3.0) + 9.0 * lrs**2)
    >>> f"{curve.suggestion.lr:.1e}"
    '1.3e-02'
    """

    lrs: Array
    losses: Array
    reason: Reason
    repeats: tuple[LossCurve, ...] = ()
    baseline: Array | None = None

    def __init__(
        self,
        lrs: ArrayLike,
        losses: ArrayLike,
        reason: Reason = "completed",
        repeats: Iterable[LossCurve] = (),
        baseline: ArrayLike | None = None,
    ) -> None:
        x, y = np.array(lrs, dtype=np.float64), np.array(losses, dtype=np.float64)
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(
                "lrs and losses must be two sequences of the same length; "
                f"got shapes {x.shape} and {y.shape}."
            )
        # Where each is larger than the one before, the ends tell of all; nan is larger than none.
        if x.size and not (x[0] > 0 and x[-1] < np.inf and (x[1:] > x[:-1]).all()):
            raise ValueError(
                "lrs must be positive and finite, each larger than the one before; got "
                f"{np.array2string(x, threshold=8)}."
            )
        if reason not in get_args(Reason):
            raise ValueError(f"reason must be one of {get_args(Reason)}; got {reason!r}.")
        start = None if baseline is None else np.array(baseline, dtype=np.float64)
        if start is not None and not (start.shape == y.shape and np.isfinite(start).all()):
            raise ValueError(
                f"baseline must hold {len(y)} finite losses, one for each of losses; got "
                f"{np.array2string(start, threshold=8)}."
            )
        values = {"lrs": x, "losses": y, "reason": reason, "repeats": tuple(repeats)}
        for name, value in {**values, "baseline": start}.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def median(cls, curves: Sequence[LossCurve]) -> LossCurve:
        """Combine repeats of one test: their pointwise median, as long as the shortest of them.

        Parameters
        ----------
        curves : sequence of LossCurve
            At least one, with the same learning rates as far as they go. Those that were stopped,
            or ran out of data, do not count beside others; what counts becomes its `repeats`. A
            single one is returned as it is.
        """
        whole = [c for c in curves if c.reason not in _CUT_SHORT] or curves[:1]
        if len(whole) == 1:
            return whole[0]
        shortest = min(whole, key=len)
        n = len(shortest)
        losses = np.median([curve.losses[:n] for curve in whole], axis=0)
        starts = [curve.baseline[:n] for curve in whole if curve.baseline is not None]
        start = np.median(starts, axis=0) if 2 * len(starts) > len(whole) else None
        return cls(shortest.lrs, losses, shortest.reason, whole, start)

    def __len__(self) -> int:
        return len(self.lrs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LossCurve):
            return NotImplemented
        return (
            self.reason == other.reason
            and np.array_equal(self.lrs, other.lrs)
            and np.array_equal(self.losses, other.losses, equal_nan=True)
            and self.repeats == other.repeats
            and np.array_equal(self.baseline, other.baseline)  # type: ignore[arg-type]
        )

    def __hash__(self) -> int:
        return hash((self.reason, self.lrs.tobytes()))

    def __reduce__(self) -> tuple[Any, ...]:  # so that a copy is read-only too
        return LossCurve, (self.lrs, self.losses, self.reason, self.repeats, self.baseline)

    def __repr__(self) -> str:
        if not len(self):
            return f"<LossCurve empty, {self.reason}>"
        ends = f"lr {self.lrs[0]:.2e} to {self.lrs[-1]:.2e}"
        losses = f"loss {self.losses[0]:.4g} to {self.losses[-1]:.4g}"
        return f"<LossCurve {len(self)} points, {ends}, {losses}, {self.reason}>"

    # -- reading ----------------------------------------------------------------------------------

    def smooth(self, share: float = SMOOTHING) -> Array:
        """Smooth the losses without delay: centred, over about a tenth of the points.

        A running median of three takes out lone outliers, then a local straight line is fitted
        around each point (Cleveland, J. Am. Stat. Assoc. 74, 1979), so that slopes and ends are not
        biased. What follows a blow-up does not reach back before it. Of a curve with a baseline,
        the scatter that the losses share with that is taken off before.

        Parameters
        ----------
        share : float, default 0.1
            Over which share of the points; 0 leaves the losses as they are. What is read off the
            curve does not depend on it.

        Returns
        -------
        ndarray of float64, shape (n,), read-only
            nan where the loss is not finite.

        Raises
        ------
        ValueError
            If the share is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be between 0 and 1; got {share!r}.")
        return self._read[0] if share == SMOOTHING else self._smoothed(share)[0]

    def suggest(self, rule: Rule | None = None, *, divisor: float | None = None) -> Suggestion:
        """Read a candidate learning rate off the curve, or refuse and say why.

        Of repeats it is the geometric mean of what their median shows and what each does by itself:
        that scatters less than either.

        Parameters
        ----------
        rule : {"minimum", "steepest", "valley", "slide", "divergence"}, optional
            See `lrfinder_widget.curve.suggest`; without one, the default rule.
        divisor : float, optional
            For ``"minimum"`` and ``"divergence"``, what the learning rate found is divided by:
            ``curve.suggest("minimum", divisor=10)`` is Gugger's tenth.

        Raises
        ------
        ValueError
            If there is no such rule, it takes no divisor, or the divisor is not positive.
        """
        singles = [curve.suggest(rule, divisor=divisor).lr for curve in self.repeats]
        return suggest(
            self._before_turn,
            rule=rule,
            divisor=divisor,
            completed=self.reason == "completed",
            repeats=singles,
            alike=all(curve == self.repeats[0] for curve in self.repeats),
        )

    @cached_property
    def suggestion(self) -> Suggestion:
        """The candidate of the default rule; of repeats, with the spread of theirs."""
        return self.suggest()

    @property
    def needs_baseline(self) -> bool:
        """Whether the losses alone, of a test that went as far as it should, show no clear fall."""
        if self.baseline is not None or self.reason not in ("completed", "diverged"):
            return False
        part = self._before_turn
        return len(part.lrs) >= FEWEST_POINTS and (part.fall is None or part.fall.weak)

    def candidates(self) -> dict[Rule, float | None]:
        """Return the learning rate that each rule reads off the curve, None where it cannot."""
        return {rule: self.suggest(rule).lr for rule in RULES}

    def trial_candidates(self) -> list[float]:
        """Return a few learning rates worth comparing by trial runs, ascending.

        Returns
        -------
        list of float
            At most five, within the range: a quarter of a decade apart around the candidate and
            below the learning rate where the loss is lowest, since short trials flatter what is too
            high. Three, half a decade apart, where the candidate is weak or there is none: then
            before the turn, or up to the end where the curve has none. Empty if fewer than ten
            points can be read: the loss is not finite, or it rises at once.
        """
        return trial_candidates(self._before_turn, self.suggestion.lr)

    @cached_property
    def _before_turn(self) -> Part:
        smoothed, error, seen = self._read
        turned = self.reason == "diverged" or seen[-1:].tolist() != [len(self) - 1]
        y = np.clip(self._without_batches[seen], -_LARGEST, _LARGEST)
        singles = self.repeats if self.repeats and self.baseline is not None else (self,)
        starts = [one.baseline[seen] for one in singles if one.baseline is not None]
        start = np.clip(np.concatenate(starts), -_LARGEST, _LARGEST) if starts else None
        return Part(self.lrs[seen], smoothed[seen], error[seen], turned, y, start)

    @cached_property
    def _without_batches(self) -> Array:
        """What is read: the losses, less the scatter that the batches had at the start."""
        if self.baseline is None:
            return self.losses
        if self.repeats:
            return np.median([c._without_batches[: len(self)] for c in self.repeats], axis=0)
        y, finite = np.clip(self.losses, -_LARGEST, _LARGEST), np.isfinite(self.losses)
        turn = count_before_turn(y[finite])
        y[finite] = without_batches(y[finite], self.baseline[finite], turn)
        return y

    @cached_property
    def _read(self) -> tuple[Array, Array, NDArray[np.intp]]:
        """The smoothed losses, their standard errors, and the finite points before the turn."""
        return self._smoothed(SMOOTHING)

    def _smoothed(self, share: float) -> tuple[Array, Array, NDArray[np.intp]]:
        finite = np.isfinite(self.losses)
        y = np.clip((self._without_batches if share else self.losses)[finite], -_LARGEST, _LARGEST)
        turn = count_before_turn(y)
        smoothed, error = np.full((2, len(self)), np.nan)
        # The part before the turn must not see what follows. There no line fits: losses jump from
        # step to step, and only medians give a level.
        after = running_median(y, 5) if share else y
        parts = [smooth(y[:turn], share), np.stack([after, noise(y)])[:, turn:]]
        smoothed[finite], error[finite] = np.concatenate(parts, axis=1)
        smoothed.flags.writeable = error.flags.writeable = False
        return smoothed, error, np.flatnonzero(finite)[:turn]

    # -- the way out ------------------------------------------------------------------------------

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame: ``lr``, ``loss``, ``smoothed``, and ``baseline`` if it has one."""
        import pandas as pd

        frame = pd.DataFrame({"lr": self.lrs, "loss": self.losses, "smoothed": self.smooth()})
        return frame if self.baseline is None else frame.assign(baseline=self.baseline)

    def to_json(self) -> str:
        """Return the curve as valid JSON, to the bit; nan and infinities become strings."""
        content = {
            "lrs": self.lrs.tolist(),
            "losses": [v if np.isfinite(v) else str(v) for v in self.losses.tolist()],
            "reason": self.reason,
            "repeats": [json.loads(curve.to_json()) for curve in self.repeats],
            **({} if self.baseline is None else {"baseline": self.baseline.tolist()}),
        }
        return json.dumps(content, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> LossCurve:
        """Make a curve from what `to_json` returned."""
        return cls._from(json.loads(text))

    @classmethod
    def _from(cls, content: dict[str, Any]) -> LossCurve:
        losses = [float(v) for v in content["losses"]]
        repeats = map(cls._from, content.get("repeats", ()))
        baseline = content.get("baseline")
        return cls(content["lrs"], losses, content["reason"], repeats, baseline)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the raw losses, the smoothed ones and the candidate with its band, by Matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without one, in a new figure.
        """
        found = self.suggestion
        band = None
        if found.lr is not None and found.low is not None and found.high is not None:
            name = "weak candidate" if found.weak else "candidate"
            band = name, found.lr, found.low, found.high
        seen = self._before_turn.smoothed
        return draw_curve(ax, self.lrs, self.losses, self.smooth(), seen, band)
