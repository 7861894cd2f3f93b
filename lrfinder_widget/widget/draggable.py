"""A number that is dragged in the page: what the page may write, and what a pick is."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import anywidget
import traitlets

from .number import positive

STATIC = pathlib.Path(__file__).parents[1] / "static"


def _asset(name: str) -> str:
    """The text of a built file, or ``""``, as the rest of the package works without the bundle."""
    path = STATIC / name
    return path.read_text("utf-8") if path.is_file() else ""


class Draggable(anywidget.AnyWidget):
    """The front-end module with a position that the user moves and picks.

    The trait named `POSITION` follows a drag; the callbacks of `on_commit` are called when it ends.
    Values from the page are checked. An invalid one is dropped, and the page is sent the current.

    Raises
    ------
    FileNotFoundError
        If the JavaScript has not been built, as in a fresh clone.
    """

    POSITION = "position"

    # Text, not paths: anywidget keeps a reference to each widget whose files it watches.
    _esm = traitlets.Unicode(_asset("finder.js")).tag(sync=True)
    _css = traitlets.Unicode(_asset("finder.css")).tag(sync=True)
    _anywidget_id = traitlets.Unicode("lrfinder_widget").tag(sync=True)  # of the style sheet

    kind = traitlets.Enum(["start", "candidate", "pick"], "start").tag(sync=True)
    variable = traitlets.Unicode("").tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    moving_from = traitlets.Float(None, allow_none=True).tag(sync=True)
    commit = traitlets.Dict().tag(sync=True)
    received = traitlets.Int(0).tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        self._commit_callbacks: list[Callable[[float], object]] = []
        if not self._esm:
            raise FileNotFoundError(
                f"the JavaScript has not been built: {STATIC / 'finder.js'} is missing. "
                "Run `npm ci` and `npm run build` in js/, or `pip install -e .` again; then "
                "restart Python."
            )
        super().__init__(**kwargs)
        self.observe(self._tell_commit, "commit")

    def add_traits(self, **traits: Any) -> None:
        """Add traits, except those that the class has.

        anywidget adds one that it has here. For any at all, traitlets makes a class of its own for
        the widget, which takes longer than all else when a finder is made.
        """
        lacking = {name: trait for name, trait in traits.items() if not self.has_trait(name)}
        if lacking:
            super().add_traits(**lacking)

    def __copy__(self) -> NoReturn:
        raise NotImplementedError(f"a {type(self).__name__} cannot be copied; make another one.")

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled, as its page is here: send what is read "
            "from it, such as its lr."
        )

    def _ends(self) -> tuple[float, float]:
        """Return the ends of the axis, within which a pick lies."""
        raise NotImplementedError

    def on_commit(self, callback: Callable[[float], object]) -> None:
        """Register a callback that is called with each learning rate picked on the page.

        Parameters
        ----------
        callback : callable
            Called as ``callback(lr)`` with a finite, positive float within the range, on the thread
            on which the kernel handles messages. Its exceptions are shown in the notebook.
        """
        self._commit_callbacks.append(callback)

    def open(self) -> None:
        """Open the channel to the page."""
        super().open()
        _receive_where_sent(self.comm)

    def close(self) -> None:
        """Close the widget and drop its callbacks, as anywidget keeps every widget alive."""
        super().close()
        self._commit_callbacks.clear()
        self.unobserve_all()

    @contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Hold nothing back once it is shown: what another thread assigns could get lost."""
        if self.comm is not None:
            yield
            return
        with super().hold_trait_notifications():
            yield

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Accept values from the page, except invalid ones and those that it must not write.

        ipywidgets would raise on the first such value and lose the valid ones that came with it.
        """
        known = {name: value for name, value in sync_data.items() if name in self.keys}
        rejected = [name for name, value in known.items() if not self._accepts(name, value)]
        # The pick comes last: its callbacks see the rest.
        order = sorted(known.keys() - set(rejected), key=lambda name: name == "commit")
        super().set_state({name: known[name] for name in order})
        if rejected:
            self.log.debug("rejected values from the page: %s", rejected)
            self.send_state(rejected)

    def _accepts(self, name: str, value: object) -> bool:
        if name == self.POSITION:
            return positive(value) is not None
        if name == "commit":
            return self._read_commit(value) is not None
        if name == "moving_from":
            return value is None or positive(value) is not None
        if name == "kind":
            return value == "candidate"  # by clicking a tick
        return False  # written by Python only

    def _read_commit(self, value: object) -> dict[str, float | int] | None:
        """Return a commit with `lr` clipped to the range, or None if it is not a valid commit."""
        if not isinstance(value, dict) or set(value) != {"lr", "n"}:
            return None
        lr, n = positive(value["lr"]), value["n"]
        if lr is None or isinstance(n, bool) or not isinstance(n, int):
            return None
        low, high = self._ends()
        lr = min(max(lr, low), high)
        return {"lr": lr, "n": n} if lr > 0 else None

    def _tell_commit(self, _change: object) -> None:
        commit = self.commit  # another one may arrive, on another thread, before this returns
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


def _receive_where_sent(comm: Any) -> None:
    """Have the kernel hand over each message on the subshell that the page has sent it to.

    ipykernel 7.4 takes another: that of the message which the kernel was handling when the widget
    last sent something. A run sends all the time. So after a page was reloaded, that was a subshell
    of the page before; it was gone, and every click was dropped until a cell ran.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, sent_to: sent_to


def check_positive(proposal: dict[str, Any]) -> float:
    """Return the value that is proposed for a trait.

    Raises
    ------
    traitlets.TraitError
        If it is not a finite, positive number.
    """
    value = positive(proposal["value"])
    if value is None:
        name = proposal["trait"].name
        raise traitlets.TraitError(
            f"{name} must be a finite positive number, got {proposal['value']!r}"
        )
    return value
