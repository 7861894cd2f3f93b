"""Where a run can be, and what can follow: one enum, one table."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a run is. A state after ``RUNNING`` is published only when everything is restored."""

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def active(self) -> bool:
        """Whether it holds the model."""
        return self in (State.RUNNING, State.PAUSED)

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return not TRANSITIONS[self]


# A paused run may still be in the middle of a step, and that step may be its last, or fail.
_ENDS = frozenset({State.FINISHED, State.STOPPED, State.FAILED})
TRANSITIONS: dict[State, frozenset[State]] = {
    State.READY: frozenset({State.RUNNING}),
    State.RUNNING: _ENDS | {State.PAUSED},
    State.PAUSED: _ENDS | {State.RUNNING},
    State.FINISHED: frozenset(),
    State.STOPPED: frozenset(),
    State.FAILED: frozenset(),
}
