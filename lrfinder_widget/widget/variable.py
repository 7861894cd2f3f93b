"""The notebook variable that a pick is assigned to, written and followed safely."""

from __future__ import annotations

import builtins
import keyword
import sys
import weakref
from collections.abc import MutableMapping
from typing import Any

from .number import is_number, positive

Namespace = MutableMapping[str, Any]

# The last number that a finder wrote, and its writer, by namespace and name: other finders do not
# follow it. As long as the writer exists, so does the namespace, and nothing else has its id.
_written: dict[tuple[int, str], tuple[object, weakref.ref[Variable]]] = {}


class Variable:
    """The variable that a pick is assigned to.

    Parameters
    ----------
    name : str or None
        The variable's name; with `None`, nothing is written.
    namespace : MutableMapping, optional
        The namespace of the variable; by default that of the notebook, if there is one.

    Raises
    ------
    ValueError
        If `name` cannot be assigned to, or should not be.
    TypeError
        If `namespace` is not a mutable mapping.
    """

    def __init__(self, name: str | None, namespace: Namespace | None = None) -> None:
        if name is not None:
            _check_name(name)
        if namespace is not None and not isinstance(namespace, MutableMapping):
            raise TypeError(
                "namespace must be a mutable mapping, such as a dict; "
                f"got {type(namespace).__name__}."
            )
        self.name = name
        self._namespace = _notebook() if namespace is None else namespace
        self._seen = self._value()

    @property
    def writable(self) -> bool:
        """Whether there is a variable to write to."""
        return self.name is not None and self._namespace is not None

    def read(self) -> float | None:
        """Return the value of the variable if it is a positive number, else `None`."""
        return positive(self._value())

    def write(self, value: float) -> str | None:
        """Assign `value` as a plain `float`; return `None`, or a sentence that says why not."""
        if self.name is None or self._namespace is None:
            return None
        present = self._value()
        if present is not None and not is_number(present):
            return (
                f"{self.name} holds a {type(present).__name__}, not a number, so it was not "
                "overwritten. The pick is in the finder's .lr."
            )
        number = float(value)
        try:
            self._namespace[self.name] = number
        except Exception as error:  # noqa: BLE001 - the user's own mapping may refuse
            return f"{self.name} could not be assigned: {error}"
        self._seen = number
        _written[self._key] = (number, weakref.ref(self))
        return None

    def changed(self) -> float | None:
        """Return the positive number that a cell has assigned since the last call, or `None`."""
        value = self._value()
        if value is self._seen:
            return None
        self._seen = value
        written, writer = _written.get(self._key, (None, lambda: None))
        by_another = value is written and writer() not in (None, self)
        return None if by_another else positive(value)

    @property
    def _key(self) -> tuple[int, str]:
        return id(self._namespace), str(self.name)

    def _value(self) -> Any:
        if self.name is None or self._namespace is None:
            return None
        return self._namespace.get(self.name)


def _check_name(name: object) -> None:
    problem = None
    if not isinstance(name, str) or not name.isidentifier():
        problem = "is not a Python name"
    elif keyword.iskeyword(name):
        problem = "is a Python keyword"
    elif hasattr(builtins, name) and name != "_":  # Python's prompt keeps its last result there
        problem = "is a Python builtin"
    elif name.startswith("__") or name == "_":
        problem = "is reserved"
    if problem:
        raise ValueError(
            f"variable must be a name for the learning rate; {name!r} {problem}. "
            'Use another name, such as "lr", or None to assign nothing.'
        )


def _notebook() -> Namespace | None:
    """Return the namespace of the notebook; `None` outside a notebook."""
    shell = notebook_shell()
    return None if shell is None else shell.user_ns


def notebook_shell() -> Any:
    """Return the running IPython shell; `None` outside a notebook.

    IPython is looked up rather than imported: if it is running, it has been imported.
    """
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()
