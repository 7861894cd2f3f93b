"""The draggable marker on the chart: it knows a range, a scale and one number."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from .number import format_lr, positive

STATIC = pathlib.Path(__file__).parents[1] / "static"


def _asset(name: str) -> str:
    """The text of a built file, or ``""``: the rest of the package works without the bundle."""
    path = STATIC / name
    return path.read_text("utf-8") if path.is_file() else ""


class _Numbers(traitlets.TraitType[NDArray[np.float64], Any]):
    """A flat array of float64 that nobody can write to."""

    default_value = np.empty(0)

    def validate(self, obj: Any, value: Any) -> NDArray[np.float64]:  # noqa: ARG002
        try:
            numbers = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(())
        if numbers.ndim != 1:
            raise traitlets.TraitError(
                f"{self.name} must be a flat array of numbers, got {value!r}"
            )
        numbers.flags.writeable = False
        return numbers


def _to_bytes(numbers: NDArray[np.float64], _widget: object) -> bytes:
    return numbers.astype("<f8").tobytes()


class LRMarker(anywidget.AnyWidget):
    """A vertical line with a handle that a person drags along the learning-rate axis.

    The marker lies over a chart, in the same cell of a grid, and finds its place from the range,
    the scale and the margins alone. Moving it and choosing a learning rate are two things: `lr`
    follows the hand, and `on_commit` hears of it when the hand lets go.

    Parameters
    ----------
    low, high : float
        The ends of the axis. `low` is positive on a log scale and may be zero on a linear one.
        Where both change, set them inside ``with marker.hold_sync():``.
    scale : {"log", "linear"}
        How the axis divides its range.
    lr : float
        Where the marker stands. Finite and positive; outside the range it is drawn at the edge,
        and the label tells its value.
    kind : {"start", "candidate", "pick"}
        What the number is: nothing yet, a suggestion (both drawn hollow), or chosen (drawn full).
    weak : bool
        Whether a suggestion is shown as a weak one.
    variable : str
        The name that a pick is shown with, as in ``lr = 3.16e-03``; empty for the number alone.
    margin : dict
        ``top``, ``right``, ``bottom``, ``left`` in pixels: the chart's box less these is its plot
        area. The default is that of a bqplot ``Figure``.
    disabled : bool
        Whether the marker refuses to be moved.
    ticks : dict of str to float
        Learning rates that are marked on the axis, by name. A click on one puts the marker there,
        as a candidate.
    curve_lrs, curve_losses : array_like
        The smoothed curve, learning rates from low to high, whose loss the page shows beside the
        marker, interpolated. Kept as read-only float64 arrays of shape (n,), and sent as bytes;
        empty, or of different lengths, they say nothing.

    Attributes
    ----------
    moving_from : float or None
        Where the marker stood before the drag (or the held key) that is going on in the page;
        None while nobody moves it. Written by the page.
    commit : dict
        The latest choice, ``{"lr": float, "n": int}``, three significant digits, within the range;
        `n` tells equal choices apart. Written by the page; use `on_commit` to hear of it.
    received : int
        The `n` of the latest choice whose callbacks have returned. Until then the page does not
        draw it as chosen, so the label never claims what the notebook does not have.
    ready : bool
        True once the marker and a chart have been drawn together in some page.

    Raises
    ------
    FileNotFoundError
        If the marker's JavaScript has not been built, as in a fresh clone.
    traitlets.TraitError
        If a value is not what is written above. A value *from the page* that is not is dropped,
        and the page is told the one that holds.

    Examples
    --------
    >>> marker = LRMarker(low=1e-6, high=1.0, lr=1e-3, variable="lr")
    >>> marker.on_commit(lambda lr: print(f"picked {lr:.2e}"))
    >>> marker
    LRMarker(lr=1.00e-03, kind='start', low=1.00e-06, high=1.00e+00, scale='log')
    """

    # Traits, not paths: anywidget keeps each widget whose files it watches, closed or not.
    _esm = traitlets.Unicode(_asset("marker.js")).tag(sync=True)
    _css = traitlets.Unicode(_asset("marker.css")).tag(sync=True)

    low = traitlets.Float(1e-7).tag(sync=True)
    high = traitlets.Float(10.0).tag(sync=True)
    scale = traitlets.Enum(["log", "linear"], "log").tag(sync=True)
    lr = traitlets.Float(1e-3).tag(sync=True)
    kind = traitlets.Enum(["start", "candidate", "pick"], "start").tag(sync=True)
    weak = traitlets.Bool(False).tag(sync=True)
    variable = traitlets.Unicode("").tag(sync=True)
    margin = traitlets.Dict(
        default_value={"top": 60, "right": 60, "bottom": 60, "left": 60},
        key_trait=traitlets.Enum(["top", "right", "bottom", "left"]),
    ).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    ticks = traitlets.Dict(key_trait=traitlets.Unicode(), value_trait=traitlets.Float()).tag(
        sync=True
    )
    curve_lrs = _Numbers().tag(sync=True, to_json=_to_bytes)
    curve_losses = _Numbers().tag(sync=True, to_json=_to_bytes)

    moving_from = traitlets.Float(None, allow_none=True).tag(sync=True)
    commit = traitlets.Dict().tag(sync=True)
    received = traitlets.Int(0).tag(sync=True)
    ready = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        self._commit_callbacks: list[Callable[[float], object]] = []
        if not self._esm:
            raise FileNotFoundError(
                f"the marker's JavaScript is not built: there is no {STATIC / 'marker.js'}. "
                "Run `npm ci` and `npm run build` in the folder js/ (or `pip install -e .` again), "
                "then restart Python."
            )
        super().__init__(**kwargs)
        self.observe(self._tell_commit, "commit")

    def on_commit(self, callback: Callable[[float], object]) -> None:
        """Have `callback` called with each learning rate that a person chooses.

        Parameters
        ----------
        callback : callable
            Called as ``callback(lr)`` with a finite, positive float within the range, on whatever
            thread the kernel handles the page's messages. What it raises is shown in the notebook.
        """
        self._commit_callbacks.append(callback)

    def download(self, name: str, kind: str, text: str) -> None:
        """Have the page where somebody has just clicked save a text as a file.

        Parameters
        ----------
        name : str
            Of the file.
        kind : str
            Its MIME type. For ``"image/png"``, the text is an SVG picture that the page draws.
        text : str
            What is in it.
        """
        self.send({"download": name, "type": kind, "text": text})

    def copy(self, text: str) -> None:
        """Have the page where somebody has just clicked put a text on the clipboard."""
        self.send({"copy": text})

    def close(self) -> None:
        """Close the marker and forget who listened: anywidget itself keeps each widget for ever."""
        super().close()
        self._commit_callbacks.clear()
        self.unobserve_all()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take values from the page, without those that do not make sense or are not its to write.

        ipywidgets would raise on the first such value and lose the good ones beside it.
        """
        known = {name: value for name, value in sync_data.items() if name in self.keys}
        rejected = [name for name, value in known.items() if not self._accepts(name, value)]
        super().set_state({k: v for k, v in known.items() if k not in rejected})
        if rejected:
            self.log.debug("values from the page were not taken: %s", rejected)
            self.send_state(rejected)

    def _accepts(self, name: str, value: object) -> bool:
        if name == "lr":
            return positive(value) is not None
        if name == "commit":
            return self._read_commit(value) is not None
        if name == "moving_from":
            return value is None or positive(value) is not None
        if name == "ready":
            return isinstance(value, bool)
        if name == "kind":
            return value == "candidate"  # by a click on a tick
        return False  # Python's alone

    def _read_commit(self, value: object) -> dict[str, float | int] | None:
        """A commit with its number inside the range, or None if it is not a commit."""
        if not isinstance(value, dict) or set(value) != {"lr", "n"}:
            return None
        lr, n = positive(value["lr"]), value["n"]
        if lr is None or isinstance(n, bool) or not isinstance(n, int):
            return None
        lr = min(max(lr, self.low), self.high)
        return {"lr": lr, "n": n} if lr > 0 else None

    def _tell_commit(self, _change: object) -> None:
        commit = self.commit  # the next one may arrive, on another thread, before this is done
        if not commit:
            return
        for callback in tuple(self._commit_callbacks):
            callback(float(commit["lr"]))
        self.received = commit["n"]

    @traitlets.validate("commit")
    def _check_commit(self, proposal: dict[str, Any]) -> dict[str, float | int]:
        if proposal["value"] == {}:
            return {}
        commit = self._read_commit(proposal["value"])
        if commit is None:
            raise traitlets.TraitError(
                f'commit must be {{"lr": positive number, "n": integer}}, got {proposal["value"]!r}'
            )
        return commit

    @traitlets.validate("lr", "high")
    def _check_positive(self, proposal: dict[str, Any]) -> float:
        value = positive(proposal["value"])
        if value is None:
            name = proposal["trait"].name
            raise traitlets.TraitError(
                f"{name} must be a finite positive number, got {proposal['value']!r}"
            )
        return value

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
                    f"margin must hold pixels, zero or more, got {width!r} for {side!r}"
                )
        return {side: float(width) for side, width in proposal["value"].items()}

    def __repr__(self) -> str:
        return (
            f"LRMarker(lr={format_lr(self.lr)}, kind={self.kind!r}, low={format_lr(self.low)}, "
            f"high={format_lr(self.high)}, scale={self.scale!r})"
        )
