"""One number into and out of the notebook's namespace, safely."""

from __future__ import annotations

import builtins
import keyword
import sys
from collections.abc import MutableMapping
from typing import Any

from .number import is_number, positive

Namespace = MutableMapping[str, Any]

# What finders wrote, by namespace and name: a number that another finder wrote is not followed.
_written: dict[tuple[int, str], tuple[object, object]] = {}  # the number, and who wrote it


class Variable:
    """The name that a pick is written to.

    Parameters
    ----------
    name : str or None
        The variable's name; `None` writes nowhere.
    namespace : MutableMapping, optional
        Where it lives; by default the notebook's own namespace, if there is a notebook.

    Raises
    ------
    ValueError
        If `name` cannot or should not be assigned to.
    TypeError
        If `namespace` is not a mapping that can be written to.
    """

    def __init__(self, name: str | None, namespace: Namespace | None = None) -> None:
        if name is not None:
            _check_name(name)
        if namespace is not None and not isinstance(namespace, MutableMapping):
            raise TypeError(
                "namespace must be a mapping that can be written to, such as a dict; "
                f"got {type(namespace).__name__}."
            )
        self.name = name
        self._namespace = _notebook() if namespace is None else namespace
        self._seen = self._held()
        self._token = object()

    @property
    def writable(self) -> bool:
        """Whether there is a place to write to at all."""
        return self.name is not None and self._namespace is not None

    def read(self) -> float | None:
        """Return the positive number that the variable holds, or `None`."""
        return positive(self._held())

    def write(self, value: float) -> str | None:
        """Assign a plain `float`; return `None`, or a sentence that says why it was not done."""
        if self.name is None or self._namespace is None:
            return None
        held = self._held()
        if held is not None and not is_number(held):
            return (
                f"{self.name} holds a {type(held).__name__}, not a number, so it was not "
                "overwritten. The pick is in the finder's .lr."
            )
        number = float(value)
        try:
            self._namespace[self.name] = number
        except Exception as error:  # noqa: BLE001 - a mapping of the user's own may refuse
            return f"{self.name} could not be assigned: {error}"
        self._seen = number
        _written[self._key] = (number, self._token)
        return None

    def changed(self) -> float | None:
        """Return the positive number that a cell has assigned since the last look, or `None`."""
        held = self._held()
        if held is self._seen:
            return None
        self._seen = held
        written, writer = _written.get(self._key, (None, None))
        return None if held is written and writer is not self._token else positive(held)

    @property
    def _key(self) -> tuple[int, str]:
        return id(self._namespace), str(self.name)

    def _held(self) -> Any:
        if self.name is None or self._namespace is None:
            return None
        return self._namespace.get(self.name)


def _check_name(name: object) -> None:
    problem = None
    if not isinstance(name, str) or not name.isidentifier():
        problem = "is not a Python name"
    elif keyword.iskeyword(name):
        problem = "is a keyword of Python"
    elif hasattr(builtins, name):
        problem = "is a builtin of Python"
    elif name.startswith("__") or name == "_":
        problem = "is reserved"
    if problem:
        raise ValueError(
            f"variable must be a name to assign the learning rate to; {name!r} {problem}. "
            'Use another, such as "lr", or None to write nowhere.'
        )


def _notebook() -> Namespace | None:
    """Return the namespace that the notebook's cells share; `None` outside of one."""
    shell = notebook_shell()
    return None if shell is None else shell.user_ns


def notebook_shell() -> Any:
    """Return the running IPython shell; `None` outside of a notebook.

    IPython is looked up, never imported: where it runs, it has been imported.
    """
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
