"""What a kept exception keeps alive, and how it lets go of that.

Its traceback refers to the frames of all the calls that failed, and so to their local variables:
the activations of a whole training step. Those it was raised from do the same.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator


def every_error(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and all that it was raised from or while handling, or that it groups."""
    ahead, seen = [error], set()
    while ahead:
        one = ahead.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        ahead += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            ahead += one.exceptions


def let_go_of_locals(error: BaseException) -> None:
    """Clear the local variables of the calls in its tracebacks; the tracebacks look the same."""
    for one in every_error(error):
        traceback.clear_frames(one.__traceback__)
