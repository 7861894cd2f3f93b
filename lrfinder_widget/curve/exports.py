"""What leaves a curve: a data frame, JSON, a plot and a report."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .arrays import Array, to_plain
from .budget import NO_BUDGET, Budget, Schedule
from .diagnosis import Diagnosis
from .plots import draw_curve
from .reading import Reading
from .report import Readable, Report, report

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_Made = TypeVar("_Made")


class _Tried(Protocol):
    def summary(self, train_steps: int | None, schedule: Schedule) -> dict[str, Any]: ...


class _Curve(Readable, Protocol):
    @property
    def repeats(self) -> Sequence[_Curve]: ...
    @property
    def baseline(self) -> Array | None: ...
    @property
    def diagnosis(self) -> Diagnosis | None: ...
    @property
    def _reading(self) -> Reading: ...
    def smooth(self) -> Array: ...
    def to_json(self) -> str: ...


class Exports:
    """The methods of `LossCurve` that give out what was measured."""

    def to_dataframe(self: _Curve) -> pd.DataFrame:
        """Return a pandas frame: ``lr``, ``loss``, ``smoothed``.

        Also ``baseline``, ``metric``, and the columns of the `Diagnosis`, if there are any.
        """
        import pandas as pd

        frame = pd.DataFrame({"lr": self.lrs, "loss": self.losses, "smoothed": self.smooth()})
        if self.baseline is not None:
            frame = frame.assign(baseline=self.baseline)
        if self.metric is not None:
            frame = frame.assign(metric=self.metric)
        return frame if self.diagnosis is None else frame.assign(**self.diagnosis.columns())

    def to_json(self: _Curve) -> str:
        """Return the curve as valid JSON, bit for bit; nan and infinities become strings."""
        content = {
            "lrs": self.lrs.tolist(),
            "losses": to_plain(self.losses),
            "reason": self.reason,
            "repeats": [json.loads(curve.to_json()) for curve in self.repeats],
            **({} if self.baseline is None else {"baseline": self.baseline.tolist()}),
            **({} if self.budget == NO_BUDGET else {"budget": asdict(self.budget)}),
            **({} if self.diagnosis is None else {"diagnosis": self.diagnosis.to_plain()}),
            **_metric_to_plain(self.metric, self.metric_name),
        }
        return json.dumps(content, allow_nan=False)

    def plot(self: _Curve, ax: Axes | None = None) -> Axes:
        """Draw the raw and smoothed losses and the candidate with its band, with Matplotlib.

        If there is a metric, it is drawn on a second axis to the right.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default, in a new figure.
        """
        s, candidate = self.suggestion, None
        if s.lr is not None and s.low is not None and s.high is not None:
            candidate = s.label, s.lr, s.low, s.high
        before_turn = self._reading.before_turn.smoothed
        metric = None if self.metric is None else (str(self.metric_name), self.metric)
        return draw_curve(ax, self.lrs, self.losses, self.smooth(), before_turn, candidate, metric)

    def report(
        self: _Curve,
        *,
        comparison: _Tried | None = None,
        picked: float | None = None,
        run: Mapping[str, Any] | None = None,
        unrestored: Sequence[str] = (),
    ) -> Report:
        """Return what was run, what was seen and what to do next, with the numbers behind it.

        Parameters
        ----------
        comparison : Comparison, optional
            The trial runs that followed.
        picked : float, optional
            The learning rate that was picked.
        run : mapping, optional
            More about what was run, such as the model's name: plain values.
        unrestored : sequence of str
            What could not be put back, see `LRFinder`.

        Returns
        -------
        Report
            A dictionary of plain values, whose text is a page of Markdown.
        """
        planned = self.budget.train_steps, self.budget.schedule
        return report(
            self,
            self._reading.before_turn,
            run=run,
            picked=picked,
            trials=None if comparison is None else comparison.summary(*planned),
            unrestored=unrestored,
        )


def from_json(text: str, make: Callable[..., _Made]) -> _Made:
    """Return what `make` makes of the values of a curve in the output of `to_json`.

    Raises
    ------
    ValueError
        If it is something else.
    """
    try:
        return _from(json.loads(text), make)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"text must be what LossCurve.to_json() returns; got {reprlib.repr(text)}."
        ) from error


def _from(content: Mapping[str, Any], make: Callable[..., _Made]) -> _Made:
    losses = [float(v) for v in content["losses"]]
    repeats = [_from(each, make) for each in content.get("repeats", ())]
    baseline, budget = content.get("baseline"), Budget(**content.get("budget", {}))
    seen = content.get("diagnosis")
    seen = None if seen is None else Diagnosis(**seen)
    metric, name = content.get("metric"), content.get("metric_name")
    metric = None if metric is None else [float(v) for v in metric]
    single = content["lrs"], losses, content["reason"], repeats
    return make(*single, baseline, budget, seen, metric, name)


def _metric_to_plain(metric: Array | None, name: str | None) -> dict[str, Any]:
    return {} if metric is None else {"metric": to_plain(metric), "metric_name": name}
