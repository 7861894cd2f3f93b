"""What is read off the numbers of a curve: its losses without noise, and its turn. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .arrays import Array
from .control_variate import subtract_shared_noise
from .fall import Part
from .smoothing import SMOOTHING, count_before_turn, smooth_around_turn

_LARGEST = 1e290  # so that no sum overflows


@dataclass(frozen=True, eq=False)
class Reading:
    """Reads the numbers of a curve; each result is computed once.

    Parameters
    ----------
    lrs, losses : ndarray of float64, shape (n,)
        The learning rates and the raw losses.
    baseline : ndarray of float64, shape (n,), or None
        The losses of the same batches at the starting weights.
    repeats : tuple of Reading
        Those of the single curves, if this one is their median.
    diverged : bool
        Whether the test ended because the loss did.
    """

    lrs: Array
    losses: Array
    baseline: Array | None
    repeats: tuple[Reading, ...]
    diverged: bool

    @cached_property
    def before_turn(self) -> Part:
        """The part of the curve that every rule reads."""
        smoothed, error, index = self.usual
        turned = self.diverged or index[-1:].tolist() != [len(self.lrs) - 1]
        y = np.clip(self.adjusted[index], -_LARGEST, _LARGEST)
        singles = self.repeats if self.repeats and self.baseline is not None else (self,)
        starts = [single.baseline[index] for single in singles if single.baseline is not None]
        start = np.clip(np.concatenate(starts), -_LARGEST, _LARGEST) if starts else None
        return Part(self.lrs[index], smoothed[index], error[index], turned, y, start)

    @cached_property
    def adjusted(self) -> Array:
        """The losses, less the noise that they share with the baseline."""
        if self.baseline is None:
            return self.losses
        if self.repeats:
            return np.median([r.adjusted[: len(self.lrs)] for r in self.repeats], axis=0)
        y, finite = np.clip(self.losses, -_LARGEST, _LARGEST), np.isfinite(self.losses)
        turn = count_before_turn(y[finite])
        y[finite] = subtract_shared_noise(y[finite], self.baseline[finite], turn)
        return y

    @cached_property
    def usual(self) -> tuple[Array, Array, NDArray[np.intp]]:
        """The same as `smoothed`, by the usual share."""
        return self.smoothed(SMOOTHING)

    def smoothed(self, share: float) -> tuple[Array, Array, NDArray[np.intp]]:
        """Return smoothed losses, their errors, and which points are finite and before the turn."""
        finite = np.isfinite(self.losses)
        y = np.clip((self.adjusted if share else self.losses)[finite], -_LARGEST, _LARGEST)
        both = np.full((2, len(self.lrs)), np.nan)
        both[:, finite], turn = smooth_around_turn(y, share)
        both.flags.writeable = False
        return both[0], both[1], np.flatnonzero(finite)[:turn]
