"""Trial runs on workers: what they show, as their chunks come in."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, isfinite

from lrfinder_widget.runs.trial_runs import TrialJob, TrialRuns

from .wire import Built, Chunk

_SAME_START = 1e-3  # relative: another make of device computes a little differently


class RemoteTrials(TrialRuns):
    """Trial runs that may be side by side on several workers; the results are in the usual order.

    The rungs of a ladder after its first few depend on each other, so they are one after another.
    """

    _has_first_losses = False  # that were measured before any update
    _first_loss: float | None = None

    def learn(self, built: Built) -> None:
        """Take what is known only once a worker has set up the model.

        Raises
        ------
        RuntimeError
            If there is to be a ladder, and none is known.
        """
        self._has_baseline = self._has_first_losses = built.batch_losses
        if self._climbs:
            if built.ladder is None:
                raise RuntimeError("there is no ladder for this model: pass lrs=[…] to compare.")
            self.climb(built.ladder)

    def take(self, job: TrialJob, chunk: Chunk) -> Iterator[tuple[float, float] | float]:
        """Record a chunk of a job, and yield what it shows.

        Raises
        ------
        RuntimeError
            If the trials do not begin with the same loss.
        """
        losses, found = self._running[job]
        found |= chunk.held_out
        for item in chunk.items:
            assert not isinstance(item, str)  # between repeats, of which there are none
            lr, loss = item if isinstance(item, tuple) else (job.lrs[0], item)
            if job.kind == "trial" and not losses:
                self._check_start(loss)
            losses.append(loss)
            if job.kind != "start":
                yield (lr, loss) if job.kind == "trial" else loss

    def _check_start(self, loss: float) -> None:
        first = self._first_loss = loss if self._first_loss is None else self._first_loss
        if not self._has_first_losses or not (isfinite(first) and isfinite(loss)):
            return
        if not isclose(first, loss, rel_tol=_SAME_START):
            raise RuntimeError(
                "setup() gives another start on each worker: before the first update, one trial "
                f"has a loss of {first:.6g} and another of {loss:.6g}. Let it make the same model "
                "and the same batches wherever it is called."
            )
