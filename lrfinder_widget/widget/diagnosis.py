"""The diagnosis of a curve as the page shows it: lines, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrfinder_widget.curve.arrays import Array
from lrfinder_widget.curve.diagnosis import Diagnosis
from lrfinder_widget.curve.loss_curve import LossCurve

from .drawing import LARGEST, OTHER_POINTS, Line, packed, thin_out
from .number import format_lr

GUIDE = 1e-3
"""The usual update relative to the weights (from Karpathy's lectures)."""

_LEGEND = (
    "The thick line of the update is the middle module, the thin ones are the smallest and the "
    "largest; the level is a thousandth of the weights."
)
_ROOM = 0.06  # of the height, above and below
_SMALLEST = 1e-30


def shown_diagnosis(curve: LossCurve) -> dict[str, Any]:
    """Return what the page shows of the diagnosis of a curve; nothing if it has none.

    Returns
    -------
    dict
        ``gradient`` and ``update``, each with its ``lines`` and the limits ``y`` of its logarithmic
        axis (None without a point). The lines of the update are those of the smallest, the median
        and the largest module; it has a ``guide``, and the critical learning rates as ``marks``.
        ``text`` says it all.
    """
    if (diagnosis := curve.diagnosis) is None:
        return {}
    ratios = diagnosis.update_ratio_min, diagnosis.update_ratio, diagnosis.update_ratio_max
    critical = diagnosis.critical_lr[np.isfinite(diagnosis.critical_lr)].tolist()
    return {
        "gradient": _panel(curve.lrs, [diagnosis.gradient_norm]),
        "update": {**_panel(curve.lrs, ratios, GUIDE), "guide": GUIDE, "marks": critical},
        "text": " ".join(filter(None, _sentences(curve, diagnosis))),
    }


def lines_of(shown: dict[str, Any]) -> list[Line]:
    """Return the lines in what is shown."""
    return [
        line for part in ("gradient", "update") for line in shown.get(part, {}).get("lines", ())
    ]


class ShownDiagnosis:
    """What is shown of the curve that was asked for last, made once."""

    def __init__(self) -> None:
        self._made: tuple[LossCurve | None, dict[str, Any]] = (None, {})

    def of(self, curve: LossCurve) -> dict[str, Any]:
        """Return what is shown of a curve."""
        if self._made[0] is not curve:
            self._made = curve, shown_diagnosis(curve)
        return self._made[1]


def _panel(lrs: Array, values: Any, *included: float) -> dict[str, Any]:
    lines, seen = list[Line](), list[Array]()
    for each in values:
        good = (each >= _SMALLEST) & (each <= LARGEST)  # neither nan nor infinite
        lines.append(packed(*thin_out(lrs[good], each[good], OTHER_POINTS)))
        seen.append(each[good])
    every = np.concatenate(seen)
    if not len(every):
        return {"lines": lines, "y": None}
    low, high = (np.log10(end([*every.tolist(), *included])) for end in (min, max))
    room = _ROOM * max(high - low, 1.0)
    return {"lines": lines, "y": [float(10 ** (low - room)), float(10 ** (high + room))]}


def _sentences(curve: LossCurve, diagnosis: Diagnosis) -> list[str]:
    return [
        _of_gradient(curve.lrs, diagnosis),
        _of_update(curve, diagnosis),
        _of_critical(diagnosis),
        _LEGEND,
    ]


def _of_gradient(lrs: Array, diagnosis: Diagnosis) -> str:
    norms = diagnosis.gradient_norm
    known = np.flatnonzero(np.isfinite(norms))
    if not len(known):
        return "The gradient is not known: the step shows none to its optimizer."
    low = known[norms[known].argmin()]
    return (
        f"The norm of the gradient is {norms[known[0]]:.2g} at first, {norms[low]:.2g} at its "
        f"lowest, at {format_lr(lrs[low])}, and {norms[known[-1]]:.2g} at the last point."
    )


def _of_update(curve: LossCurve, diagnosis: Diagnosis) -> str:
    lrs, ratios = curve.lrs, diagnosis.update_ratio
    known = np.flatnonzero(np.isfinite(ratios) & np.isfinite(curve.smooth()))
    if not len(known):
        return ""
    above = known[ratios[known] >= GUIDE]
    # Not at the last point: beyond the turn, it is chance which module is ahead.
    turn = known[curve.smooth()[known].argmin()]
    reached = f"at {format_lr(lrs[above[0]])}" if len(above) else "nowhere"
    low, high = diagnosis.update_ratio_min[turn], diagnosis.update_ratio_max[turn]
    low_in, high_in = diagnosis.update_ratio_min_in[turn], diagnosis.update_ratio_max_in[turn]
    return (
        f"The update of the middle module reaches a thousandth of its weights {reached}; where the "
        f"loss is lowest, at {format_lr(lrs[turn])}, it is {ratios[turn]:.1e}, from {low:.1e} in "
        f"{_module(low_in)} to {high:.1e} in {_module(high_in)}."
    )


def _module(name: str) -> str:
    return name if " " in name else f"module {name}"  # others are outside the model


def _of_critical(diagnosis: Diagnosis) -> str:
    rates = diagnosis.critical_lr[np.isfinite(diagnosis.critical_lr)]
    if not len(rates):
        return ""
    low, high = format_lr(rates.min()), format_lr(rates.max())
    between = f"from {low}" if low == high else f"from somewhere between {low} and {high}"
    points = "1 point" if len(rates) == 1 else f"{len(rates)} points"
    return (
        f"A single step raises the loss of its own batch {between} on (the critical learning rate, "
        f"found at {points} and marked on the axis): a limit for one step, and no "
        "candidate."
    )
