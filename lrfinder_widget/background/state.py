"""The states of a run and the transitions between them: one enum, one table."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """The state of a `RangeTest`, and so of an `LRFinder`.

    ``FINISHED``, ``STOPPED`` and ``FAILED`` are published only once everything is restored.
    """

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def active(self) -> bool:
        """Whether the run is using the model: it is running or paused."""
        return self in (State.RUNNING, State.PAUSED)

    @property
    def ended(self) -> bool:
        """Whether this state is final."""
        return not TRANSITIONS[self]


# A paused run may still be in the middle of a step, and that step may be its last or may fail.
_ENDS = frozenset({State.FINISHED, State.STOPPED, State.FAILED})
TRANSITIONS: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.RUNNING}),
    State.RUNNING: _ENDS | {State.PAUSED},
    State.PAUSED: _ENDS | {State.RUNNING},
    State.FINISHED: frozenset(),
    State.STOPPED: frozenset(),
    State.FAILED: frozenset(),
}
