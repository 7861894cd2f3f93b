"""The one widget model of a finder: what the page shows, and what it may say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import traitlets

from .draggable import Draggable, check_positive


def _kernel(trait: Any) -> Any:
    """Synchronize a trait that the page must not write, and that `Page.show` alone does."""
    return trait.tag(sync=True, kernel=True)


class Page(Draggable):
    """The model of the page: its traits are the whole of what kernel and page know in common.

    Python keeps state and meaning, the page keeps looks. A redraw of a growing curve is one
    message, the trait `chart`. Lines are given as ``{"x": bytes, "y": bytes}``, little-endian
    float64. The messages that the page sends are described in `Clicks`.

    Attributes
    ----------
    chart : dict
        The axes, the progress, and the points and the smoothed line of the current run:
        ``x: [low, high]``, ``x_log: bool``, ``y: [low, high] | None``, ``y_log: bool``, ``n: int``,
        ``total: int`` (0 if it is unknown), ``per_second: float | None``, ``dots``, ``line``.
        Without a point, `y` is None. If there is a metric, also ``metric``: its ``name``, the
        limits ``y`` of its axis, or None, and its ``line``, in which nan is a gap.
    repeats : list of dict
        The lines of the repeats that have ended.
    runs : list of dict
        The runs on the chart if there are several: ``key, name, style, shown, current, latest,
        line``.
    reading : dict
        ``candidates`` by rule, ``band`` (its ends, or None), ``weak``.
    diagnosis : dict
        What the steps of the current run did besides their losses, if that was measured: lines on
        the axis of the learning rate, and words for them; see `shown_diagnosis`.
    status : dict
        ``state``, ``stopping``, ``text``, ``problem``, ``unrestored``, ``traceback``.
    picked : dict
        ``text``, ``about``, ``code``, ``applied``, ``optimizer``.
    settings : dict
        The contents of the boxes, see `RunSettings`.
    offers : list
        Lengths of the training to choose from, each a value and a label.
    planned : dict
        The training that the candidates are for: ``steps``, ``schedule``, ``lr``.
    trials : dict
        The trial runs, if there are any: ``state``, ``steps``, ``text``, ``y``, ``lines``,
        ``take``.
    trial_cost : str
        How many steps trial runs would take.
    varied : dict
        The tests with other settings varied, if there are any: ``state``, ``text``, ``x``,
        ``x_log``, ``y``, ``y_log``; ``lines``, each with ``style``, ``line`` and ``dot``, its
        candidate; ``table``, rows of text, of which the first ``heads`` are the values; ``map``,
        rows of a text and a share, if two settings are varied.
    vary_cost : str
        How many steps such tests would take.
    blocked : dict
        Why a control cannot be used, by its name; the others can.
    figure : dict
        The models of the bqplot figure by their parts; empty without a figure. The page fills them.
    lr : float or None
        The pick.
    position, kind, moving_from, commit, received, disabled
        The marker, as those of `LRMarker`, whose ``lr`` is `position` here.
    """

    layout = traitlets.Any(None, allow_none=True).tag(sync=True)  # would be a model of its own

    chart = _kernel(traitlets.Dict())
    repeats = _kernel(traitlets.List())
    runs = _kernel(traitlets.List())
    reading = _kernel(traitlets.Dict())
    diagnosis = _kernel(traitlets.Dict())
    status = _kernel(traitlets.Dict())
    picked = _kernel(traitlets.Dict())
    settings = _kernel(traitlets.Dict())
    offers = _kernel(traitlets.List())
    planned = _kernel(traitlets.Dict())
    trials = _kernel(traitlets.Dict())
    trial_cost = _kernel(traitlets.Unicode(""))
    varied = _kernel(traitlets.Dict())
    vary_cost = _kernel(traitlets.Unicode(""))
    blocked = _kernel(traitlets.Dict())
    figure = _kernel(traitlets.Dict())
    lr = _kernel(traitlets.Float(None, allow_none=True, read_only=True))
    position = traitlets.Float(1e-3).tag(sync=True)

    _whole = False  # until the constructor is done
    _held: list[str] | None = None  # the traits that are to be sent together

    def open(self) -> None:
        """Open the channel to the page, once there is something to show: in one message."""
        if self._whole:
            super().open()

    def show(self, **values: Any) -> None:
        """Set traits that only the kernel writes; those that stay the same cost no message."""
        with self.at_once():
            for name, value in values.items():
                self.set_trait(name, value)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Send what `show` sets inside the block in one message; under the view's lock."""
        if self._held is not None:
            yield
            return
        # Not `hold_sync`: that would hold back what another thread sets meanwhile, and could lose
        # it. The marker is not under the lock.
        held = self._held = []
        try:
            yield
        finally:
            self._held = None
            if held:
                self.send_state(held)

    def _should_send_property(self, key: str, value: object) -> bool:
        if self._held is None or not self.trait_metadata(key, "kernel"):
            return bool(super()._should_send_property(key, value))
        self._held.append(key)
        return False

    def on_message(self, callback: Callable[[object], object]) -> None:
        """Register a callback for the messages of the page, on whatever thread they come."""
        self.on_msg(lambda _widget, content, _buffers: callback(content))

    def download(self, name: str, kind: str, text: str) -> None:
        """Ask the page that was clicked last to save a text as a file.

        Parameters
        ----------
        name : str
            The name of the file.
        kind : str
            Its MIME type. For ``"image/png"``, `text` is an SVG picture that the page rasterizes.
        text : str
            Its content.
        """
        self.send({"download": name, "type": kind, "text": text})

    def _ends(self) -> tuple[float, float]:
        low, high = self.chart["x"]
        return low, high

    @traitlets.validate("position")
    def _check_position(self, proposal: dict[str, Any]) -> float:
        return check_positive(proposal)
