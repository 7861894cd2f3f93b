"""The draggable marker on the chart; it depends on a range and a scale, not on the chart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from .draggable import Draggable, check_positive
from .number import format_lr, positive

if TYPE_CHECKING:
    _Trait = traitlets.TraitType[NDArray[np.float64], Any]
else:
    _Trait = traitlets.TraitType  # before traitlets 5.8, it takes no types


class _Numbers(_Trait):
    """A one-dimensional, read-only array of float64."""

    default_value = np.empty(0)

    def validate(self, obj: Any, value: Any) -> NDArray[np.float64]:  # noqa: ARG002
        try:
            numbers = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(())
        if numbers.ndim != 1:
            raise traitlets.TraitError(
                f"{self.name} must be a one-dimensional array of numbers, got {value!r}"
            )
        numbers.flags.writeable = False
        return numbers


def _to_bytes(numbers: NDArray[np.float64], _widget: object) -> bytes:
    return numbers.astype("<f8").tobytes()


class LRMarker(Draggable):
    """A vertical line with a handle that can be dragged along the learning-rate axis.

    The marker lies on top of a chart, in the same grid cell; its position follows from the range,
    the scale and the margins alone. Moving the marker and picking a learning rate are separate:
    `lr` follows the drag, and the callbacks of `on_commit` are called when it ends.

    Parameters
    ----------
    low, high : float
        The ends of the axis. `low` is positive on a log scale and may be zero on a linear one.
        To change both, set them inside ``with marker.hold_sync():``.
    scale : {"log", "linear"}
        The scale of the axis.
    lr : float
        The position of the marker, finite and positive. Outside the range, the marker is drawn at
        the edge, and its label shows the true value.
    kind : {"start", "candidate", "pick"}
        Whether `lr` is an initial value, a suggestion (both drawn hollow), or a pick (drawn solid).
    weak : bool
        Whether a candidate is labelled as weak.
    variable : str
        The name shown with a pick, as in ``lr = 3.16e-03``; empty to show the number alone.
    margin : dict
        ``top``, ``right``, ``bottom``, ``left`` in pixels: the space between the chart's box and
        its plot area. The default is that of a bqplot ``Figure``.
    disabled : bool
        Whether the marker cannot be moved by the user.
    ticks : dict of str to float
        Learning rates marked on the axis, by name. Clicking one moves the marker there, as a
        candidate.
    curve_lrs, curve_losses : array_like
        The smoothed curve in order of ascending learning rates; the page interpolates it to show
        the loss at the marker. Stored as read-only float64 arrays of shape (n,) and sent as bytes.
        If they are empty or differ in length, no loss is shown.

    Attributes
    ----------
    moving_from : float or None
        The position before the drag or key press in progress; None if there is none. Written by
        the page.
    commit : dict
        The latest pick, ``{"lr": float, "n": int}``, with three significant digits and within the
        range; `n` distinguishes equal picks. Written by the page; use `on_commit` to react to it.
    received : int
        The `n` of the latest pick whose callbacks have returned. Until then, the page does not
        draw it as a pick, so the label never shows an assignment that has not happened.

    Raises
    ------
    FileNotFoundError
        If the JavaScript has not been built, as in a fresh clone.
    traitlets.TraitError
        If a value does not meet the description above. Such a value *from the page* is dropped
        instead, and the page is sent the current one.

    Examples
    --------
    >>> marker = LRMarker(low=1e-6, high=1.0, lr=1e-3, variable="lr")
    >>> marker.on_commit(lambda lr: print(f"picked {lr:.2e}"))
    >>> marker
    LRMarker(lr=1.00e-03, kind='start', low=1.00e-06, high=1.00e+00, scale='log')
    """

    POSITION = "lr"

    low = traitlets.Float(1e-7).tag(sync=True)
    high = traitlets.Float(10.0).tag(sync=True)
    scale = traitlets.Enum(["log", "linear"], "log").tag(sync=True)
    lr = traitlets.Float(1e-3).tag(sync=True)
    weak = traitlets.Bool(False).tag(sync=True)
    margin = traitlets.Dict(
        default_value={"top": 60, "right": 60, "bottom": 60, "left": 60},
        key_trait=traitlets.Enum(["top", "right", "bottom", "left"]),
    ).tag(sync=True)
    ticks = traitlets.Dict(key_trait=traitlets.Unicode(), value_trait=traitlets.Float()).tag(
        sync=True
    )
    curve_lrs = _Numbers().tag(sync=True, to_json=_to_bytes)
    curve_losses = _Numbers().tag(sync=True, to_json=_to_bytes)

    def _ends(self) -> tuple[float, float]:
        return self.low, self.high

    @traitlets.validate("lr", "high")
    def _check_positive(self, proposal: dict[str, Any]) -> float:
        return check_positive(proposal)

    @traitlets.validate("low", "scale")
    def _check_low(self, proposal: dict[str, Any]) -> Any:
        is_scale = proposal["trait"].name == "scale"
        low, scale = self.low, self.scale
        if is_scale:
            scale = proposal["value"]
        else:
            low = proposal["value"]
        if not math.isfinite(low) or low < 0 or (low == 0 and scale == "log"):
            raise traitlets.TraitError(
                "low must be a finite positive number (or zero on a linear scale), "
                f"got low={low!r} with scale={scale!r}"
            )
        return proposal["value"]

    @traitlets.validate("margin")
    def _check_margin(self, proposal: dict[str, Any]) -> dict[str, float]:
        for side, width in proposal["value"].items():
            if width != 0 and positive(width) is None:
                raise traitlets.TraitError(
                    f"margin must be in pixels, zero or more; got {width!r} for {side!r}"
                )
        return {side: float(width) for side, width in proposal["value"].items()}

    def __repr__(self) -> str:
        return (
            f"LRMarker(lr={format_lr(self.lr)}, kind={self.kind!r}, low={format_lr(self.low)}, "
            f"high={format_lr(self.high)}, scale={self.scale!r})"
        )
