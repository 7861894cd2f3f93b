"""The points of runs as generators, and how blocking functions say what could not be put back."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from typing import Any

from lrfinder_widget.curve.points import unrestored_text


def note_on(error: Exception, unrestored: Sequence[str]) -> None:
    """Note on an error what could not be put back, if there is anything."""
    if unrestored:
        error.add_note(unrestored_text(unrestored))


def warn_of(unrestored: Sequence[str], *, stacklevel: int) -> None:
    """Warn of what could not be put back, if there is anything."""
    if unrestored:
        warnings.warn(unrestored_text(unrestored), RuntimeWarning, stacklevel=stacklevel + 1)


class RunPoints(Generator[Any, None, Any]):
    """A generator of points that tells, once it has ended, what could not be put back."""

    def __init__(self, items: Generator[Any, None, Any], unrestored: list[str]) -> None:
        self._items = items
        self.unrestored = unrestored

    def __iter__(self) -> Generator[Any, None, Any]:
        """Return the inner generator, so that a loop over it has no overhead."""
        return self._items

    def send(self, value: None) -> Any:
        """Continue, as with any generator."""
        return self._items.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in it, as with any generator."""
        return self._items.throw(*error)

    def close(self) -> None:
        """End it, which puts everything back."""
        self._items.close()
