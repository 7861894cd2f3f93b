"""A run as lines of JSON in a folder: what `publish` writes and `follow` reads.

The first line says what is run. A point is ``[lr, loss]``, maybe with its diagnosis (or null) and
``[metric, name]`` behind them; a loss of the baseline is a number, the reason of a repeat's end a
string; an object says that the run is alive, or how it ended. Whoever may write to the folder can
write anything, so nothing that is read is trusted.
"""

from __future__ import annotations

import errno
import json
import math
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from lrfinder_widget.curve.points import Item

from .checked import is_reason, point, point_to_plain

FORMAT = 1
POINTS, ORDERS = "points.jsonl", "orders.json"

CHUNK_S = 0.04
"""How often new points are written, and looked for."""
BEAT_S = 5.0
"""How often a line says that the run is alive, while there are no new points."""
SILENT_S = 60.0
"""After so long without a new line, the process is taken for dead."""
LONGEST = 1 << 18
"""Bytes of a line, at most."""

_NOT_FINITE = ("inf", "-inf", "nan")


def as_folder(folder: str | os.PathLike[str]) -> Path:
    """Return a path; the folder may not exist yet.

    Raises
    ------
    TypeError
        If it is no path.
    NotADirectoryError
        If it is that of a file.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"folder must be a path; got {type(folder).__name__}.")
    path = Path(folder).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"folder must be the path of a folder; {path} is a file.")
    return path


def opened(path: Path) -> IO[bytes]:
    """Open a file to read it.

    Raises
    ------
    FileNotFoundError
        Also if it is no file: to read a pipe may take for ever.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path.open("rb")


def put(path: Path, content: Any) -> None:
    """Write a file of one line, whole or not at all; not to where a link leads."""
    new = path.with_name(f".{uuid.uuid4().hex}")
    try:
        new.write_bytes(encoded(content))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def encoded(content: Any) -> bytes:
    """Return a line."""
    return json.dumps(content, allow_nan=False).encode() + b"\n"


def decoded(line: bytes) -> Any:
    """Return what a line contains.

    Raises
    ------
    ValueError
        If it is not JSON.
    """
    try:
        return json.loads(line)
    except RecursionError:  # of thousands of brackets
        raise ValueError("nested too deeply") from None


def from_item(item: Item) -> Any:
    """Return an item as what a line contains."""
    if isinstance(item, (str, float)):
        return item
    lr, loss, *more = point_to_plain(item)
    return [_as_json(lr), _as_json(loss), *(each and [_as_json(v) for v in each] for each in more)]


def to_item(content: Any) -> Item:
    """Return the item that a line contains.

    Raises
    ------
    ValueError
        If it contains none.
    """
    if is_reason(content):
        return content
    return point(content, _number) if isinstance(content, list) else _number(content)


def text(value: Any, longest: int = 200) -> str:
    """Return a text that can be shown in one line; empty if the value is none."""
    if not isinstance(value, str):
        return ""
    # Half of a surrogate pair is not printable either: no page could be sent it.
    return "".join(c if c.isprintable() else " " for c in value[:longest])


def _as_json(value: float | str) -> float | str:
    return value if isinstance(value, str) or math.isfinite(value) else str(value)


def _number(value: Any) -> float:
    if value in _NOT_FINITE or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        with suppress(OverflowError):
            return float(value)
    raise ValueError("no number")
