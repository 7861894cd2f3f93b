"""Tests with other settings varied, for the page: which values, what they take, what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lrfinder_widget.background.range_test import RangeTest
from lrfinder_widget.background.state import State
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.variation import Value, row_of
from lrfinder_widget.runs.varied_runs import MOST, Setting, Values, VariedRuns, check_settings
from lrfinder_widget.training.variants import USUAL

from .drawing import Drawing, Line, Looks, packed
from .number import format_lr
from .run_settings import RunSettings
from .sentences import after_failure, restored_sentence

MOST_TESTS = 16
_NONE = "–"
_BOXES = ("vary", "vary_2")


class VariationPlan:
    """What the boxes of the settings to vary hold.

    Parameters
    ----------
    settings : RunSettings
        Has the boxes.
    offered : sequence of Setting
        What can be varied, with values to try, as far as it is known.
    """

    def __init__(self, settings: RunSettings, offered: Sequence[Setting]) -> None:
        self._settings = settings
        self._offered = dict.fromkeys(_BOXES, "")
        self._seen = dict.fromkeys(_BOXES, ("", ""))  # a setting, and the values for it
        self.offer(offered)

    def offer(self, offered: Sequence[Setting] | None = None) -> None:
        """Suggest values, unless those in the box have been edited for the setting before them."""
        if offered is not None:
            self._known = {setting.name: setting for setting in offered}
        for box in _BOXES:
            seen = self._settings.values[box], self._settings.values[f"{box}_values"]
            name, typed = seen
            is_for_another = name != self._seen[box][0] and typed == self._seen[box][1]
            if typed in ("", self._offered[box]) or is_for_another:
                text = self._text(name)
                self._settings.set(**{f"{box}_values": text})
                self._offered[box] = text
                seen = name, text
            self._seen[box] = seen

    def _text(self, name: str) -> str:
        """Return the values that are offered for a setting, as they could be typed."""
        setting = self._known.get(name, Setting(name, why_not="not known yet"))
        values: Sequence[Value] = setting.values
        if name == "optimizer" and not setting.why_not:
            values = list(USUAL)
        return ", ".join(format_value(name, value) for value in values)

    @property
    def why_not(self) -> str:
        """Why what is chosen cannot be varied; an empty string if it can, as far as is known."""
        chosen = (self._known.get(self._settings.values[box]) for box in _BOXES)
        return " ".join(dict.fromkeys(one.why_not for one in chosen if one and one.why_not))

    def values(self) -> dict[str, Any]:
        """Return the values of each setting, as `finder.vary` takes them.

        Raises
        ------
        ValueError
            If they cannot be values of it, or are too many.
        """
        given: dict[str, list[Any]] = {}
        for box in _BOXES:
            name, typed = self._settings.values[box], self._settings.values[f"{box}_values"]
            if name in given:
                raise ValueError("choose two different settings to vary.")
            if name:
                given[name] = _parsed(name, typed)
        try:
            found: dict[str, Any] = check_settings(**given)
        except ValueError as error:  # in the words of the page
            raise ValueError(str(error).replace("_", " ")) from None
        if (count := math.prod(map(len, found.values()))) > MOST_TESTS:
            raise ValueError(f"vary at most {MOST_TESTS} values or pairs of values; got {count}.")
        if names := found.pop("optimizer", None):
            found["optimizers"] = {name: USUAL[name] for name in names}
        return found

    def cost(self, pace: float | None) -> str:
        """Say how many steps a click would take, and how long they are at a pace in seconds."""
        try:
            steps = math.prod(map(len, self.values().values())) * self._settings.plan().steps
        except ValueError:  # a click tells
            return ""
        text = f"at most {steps:,} steps"
        return text if pace is None else f"{text}, about {math.ceil(pace * steps)} s"


def _parsed(name: str, typed: str) -> list[Any]:
    parts = [part.strip() for part in typed.replace(";", ",").split(",") if part.strip()]
    if name == "optimizer":
        known = {usual.lower(): usual for usual in USUAL}
        if unknown := [part for part in parts if part.lower() not in known]:
            raise ValueError(
                f"optimizers must be among {', '.join(USUAL)}; got {unknown[0]!r}. Others are "
                "varied in code: finder.vary(optimizers=[…])."
            )
        return [known[part.lower()] for part in parts]
    kind: Any = int if name == "batch_size" else float
    try:
        return [kind(part) for part in parts]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        label = name.replace("_", " ")
        raise ValueError(f"values of the {label} must be {what}; got {typed!r}.") from None


def format_value(name: str, value: Value) -> str:
    """Write a value of a setting as short as it is."""
    if isinstance(value, str):
        return value
    return str(int(value)) if name == "batch_size" else f"{value:g}"


class ShownVariation:
    """Varied tests for the page; what has been read off a curve is kept until that changes."""

    def __init__(self) -> None:
        self._rows: dict[Values, tuple[LossCurve, dict[str, Any]]] = {}
        self._drawings: dict[Values, Drawing] = {}

    def show(
        self,
        run: RangeTest,
        varied: VariedRuns,
        looks: Looks,
        *,
        here: bool,
        waiting: str,
    ) -> dict[str, Any]:
        """Return the tests so far, as the trait `varied` of the page.

        Parameters
        ----------
        run : RangeTest
            The tests as one run in the background.
        varied : VariedRuns
            What it runs.
        looks : Looks
            How curves are drawn.
        here : bool
            Whether it trains the notebook's own model.
        waiting : str
            What it waits for as long as it has no points.
        """
        ended = run.state.ended  # before the curves: if it has ended, they are whole
        whole, curves = varied.variation.curves, varied.curves
        shown = {v: curve for v, curve in curves.items() if not ended or v in whole}
        drawings = {v: self._drawing(v, curve, looks) for v, curve in shown.items()}
        rows = {v: self._row(v, curve) for v, curve in shown.items() if v in whole}
        ends = [one.limits for one in drawings.values() if one.limits is not None]
        lines = [
            {
                "style": style,
                "line": drawings[job.values].beside,
                "dot": _dot(drawings[job.values], rows.get(job.values, {}).get("lr")),
            }
            for style, job in enumerate(varied.jobs)
            if job.values in shown
        ]
        names = [name.replace("_", " ") for name in varied.names]
        return {
            "state": run.state.value,
            "text": _text(run, varied, rows, here=here, waiting=waiting),
            "x": [varied.plan.start_lr, varied.plan.end_lr],
            "x_log": varied.plan.log,
            "y": [min(low for low, _ in ends), max(high for _, high in ends)] if ends else None,
            "y_log": looks.log_loss,
            "lines": lines,
            "heads": len(names),
            "table": [
                [*names, "candidate", "turns up after", "lowest loss"],
                *(_cells(varied.names, values, rows.get(values)) for values in shown),
            ],
            "map": _map(varied, rows) if len(names) == MOST else [],
        }

    def _drawing(self, values: Values, curve: LossCurve, looks: Looks) -> Drawing:
        made = self._drawings.get(values)
        if made is None or made.curve is not curve or made.looks != looks:
            made = self._drawings[values] = Drawing(curve, looks)
        return made

    def _row(self, values: Values, curve: LossCurve) -> dict[str, Any]:
        if values not in self._rows or self._rows[values][0] is not curve:
            self._rows[values] = curve, row_of(curve)
        return self._rows[values][1]


def _dot(drawing: Drawing, lr: float | None) -> Line:
    """Return the point of a smoothed line at a candidate, if there is one."""
    at = np.array([] if lr is None or not len(drawing.lrs) else [lr], dtype=np.float64)
    if len(at):
        return packed(at, np.interp(np.log(at), np.log(drawing.lrs), drawing.smooth))
    return packed(at, at)


def _cells(names: Sequence[str], values: Values, row: dict[str, Any] | None) -> list[str]:
    """Return a row of the table; of a test that is going on, what it is."""
    cells = [_candidate(row), "", ""]
    if row is not None:
        turns, lowest = row["turns_up_after"], row["lowest_loss"]
        cells[1:] = [_NONE if turns is None else format_lr(turns)]
        cells += [_NONE if lowest is None else f"{lowest:.4g}"]
    return [*map(format_value, names, values), *cells]


def _candidate(row: dict[str, Any] | None) -> str:
    if row is None:
        return "running"
    weak = ", weak" if row["weak"] else ""
    return "none" if row["lr"] is None else f"{format_lr(row['lr'])}{weak}"


def _map(varied: VariedRuns, rows: Mapping[Values, dict[str, Any]]) -> list[list[Any]]:
    """Return the candidates by the values of two settings: texts, and how high each is, from 0."""
    first, second = (list(dict.fromkeys(each)) for each in zip(*varied.all_values, strict=True))
    logs = {v: math.log(row["lr"]) for v, row in rows.items() if row["lr"] is not None}
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=0.0)

    def cell(values: Values) -> list[Any]:
        if values not in logs:
            return [_candidate(rows[values]) if values in rows else "", None]
        share = (logs[values] - low) / (high - low) if high > low else 0.5
        return [_candidate(rows[values]), share]

    one, other = varied.names
    heads = [[format_value(other, value), None] for value in second]
    return [
        [["", None], *heads],
        *([[format_value(one, a), None], *(cell((a, b)) for b in second)] for a in first),
    ]


def _text(
    run: RangeTest,
    varied: VariedRuns,
    rows: Mapping[Values, dict[str, Any]],
    *,
    here: bool,
    waiting: str,
) -> str:
    if run.state is State.FAILED:
        return f"The tests failed{after_failure(run, here=here)}"
    whole, in_all = len(rows), len(varied.jobs)
    if not run.state.ended and waiting and not len(run):
        return waiting
    if not run.state.ended:
        done, pace = len(run), varied.seconds_per_step
        text = (
            f"{in_all} test{'s' * (in_all > 1)} of at most {varied.plan.steps:,} steps each, from "
            f"the same start: {whole} complete, {done:,} steps done"
        )
        left = 0.0 if pace is None else pace * (varied.steps_in_all - done)
        return f"{text}, at most {left:.0f} s left." if pace else f"{text}."
    parts = [f"Stopped: {whole} of {in_all} tests are complete." if whole < in_all else ""]
    parts += [_result(varied.names, rows), restored_sentence(run, here=here), *run.unrestored]
    return " ".join(filter(None, parts))


_MORE_SEEN = "In as many steps, a larger batch sees more samples: that alone may lower its loss."


def _result(names: Sequence[str], rows: Mapping[Values, dict[str, Any]]) -> str:
    """Say which test has the lowest loss, and its candidate."""
    found = {v: row for v, row in rows.items() if row["lowest_loss"] is not None}
    if not found:
        return ""
    values, row = min(found.items(), key=lambda one: float(one[1]["lowest_loss"]))
    where = " and ".join(
        f"{name.replace('_', ' ')} {format_value(name, value)}"
        for name, value in zip(names, values, strict=True)
    )
    lr = row["lr"]
    after = "; no candidate there." if lr is None else f": candidate {format_lr(lr)}."
    result = f"The lowest loss, {row['lowest_loss']:.4g}, is with {where}{after}"
    return f"{result} {_MORE_SEEN}" if "batch_size" in names else result
