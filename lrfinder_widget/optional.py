"""Matplotlib, which is imported only where something is drawn by it, and may be missing."""

from __future__ import annotations

from typing import Any


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises
    ------
    ImportError
        If it is not installed; the message says what to do.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "plot() draws with Matplotlib, which is not installed here: pip install matplotlib. "
            "A finder's snapshot() does without."
        ) from error
    return plt
