"""What differs between the notebooks that a finder can be in.

They are looked up rather than imported: who runs in one has imported it.
"""

from __future__ import annotations

import sys
import threading


def draws_only_during_cells() -> bool:
    """Return whether the page shows nothing of a background thread unless a cell runs.

    Colab's does so: https://github.com/googlecolab/colabtools/issues/3373.
    """
    return "google.colab" in sys.modules


def draws_from_this_thread() -> bool:
    """Return whether the page shows at once what the calling thread sends."""
    return not draws_only_during_cells() or _answers_the_page()


def _answers_the_page() -> bool:
    thread = threading.current_thread()
    return thread is threading.main_thread() or thread.name.startswith("subshell-")


def in_marimo() -> bool:
    """Return whether this code runs in a marimo notebook."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())
