"""What each step of a test did besides its loss: its gradient and its update. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from .arrays import Array, to_plain

_NAMES = ("update_ratio_min_in", "update_ratio_max_in")


class StepDiagnosis(NamedTuple):
    """What one step did, see `Diagnosis`."""

    gradient_norm: float
    update_ratio: float
    update_ratio_min: float
    update_ratio_max: float
    critical_lr: float
    update_ratio_min_in: str
    update_ratio_max_in: str


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What the steps of a test did besides their losses.

    All arrays are float64, read-only and of shape ``(n,)``, one number per point; nan where it is
    unknown.

    Parameters
    ----------
    gradient_norm : array_like
        The 2-norm of the gradient of all the optimizer's parameters together, as the optimizer was
        given it: unscaled, and clipped if it is clipped.
    update_ratio, update_ratio_min, update_ratio_max : array_like
        The update relative to the weights before it, ``norm(after - before) / norm(before)``, for
        the weights of each module that train: the median, the smallest and the largest of them.
    critical_lr : array_like
        The learning rate from which on a step along the same update would raise the loss of the
        same batch (Kalra et al., arXiv:2601.16979). Known at about a dozen points.
    update_ratio_min_in, update_ratio_max_in : sequence of str
        The names of the modules with the smallest and the largest ratio.

    Raises
    ------
    ValueError
        If they are not of the same length.
    """

    gradient_norm: Array
    update_ratio: Array
    update_ratio_min: Array
    update_ratio_max: Array
    critical_lr: Array
    update_ratio_min_in: tuple[str, ...]
    update_ratio_max_in: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, value in self.columns().items():
            made: Any = tuple(map(str, value)) if name in _NAMES else _array(value)
            object.__setattr__(self, name, made)
        shapes = {name: np.shape(value) for name, value in self.columns().items()}
        if len(set(shapes.values())) > 1 or len(self.gradient_norm.shape) != 1:
            raise ValueError(
                "a diagnosis must have one value of each kind per point; their shapes are "
                f"{shapes}."
            )

    @classmethod
    def of(cls, steps: Iterable[StepDiagnosis]) -> Diagnosis:
        """Return those of single steps together."""
        columns = list(zip(*steps, strict=True)) or [()] * len(StepDiagnosis._fields)
        return cls(*columns)  # type: ignore[arg-type]

    @classmethod
    def median(cls, several: Sequence[Diagnosis]) -> Diagnosis:
        """Return that of repeats of one test, as long as the shortest of them.

        Numbers are medians of those that are known; of the ratios, the smallest is the smallest of
        all repeats, and the largest the largest.
        """
        n = min(map(len, several))
        low, low_in = _extreme([(s.update_ratio_min[:n], s.update_ratio_min_in) for s in several])
        high, high_in = _extreme(
            [(-s.update_ratio_max[:n], s.update_ratio_max_in) for s in several]
        )
        return cls(
            _median([s.gradient_norm[:n] for s in several]),
            _median([s.update_ratio[:n] for s in several]),
            low,
            -high,
            _median([s.critical_lr[:n] for s in several]),
            low_in,
            high_in,
        )

    def __len__(self) -> int:
        return len(self.gradient_norm)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Diagnosis):
            return NotImplemented
        ours, theirs = self.columns(), other.columns()
        return all(
            ours[name] == theirs[name]
            if name in _NAMES
            else np.array_equal(ours[name], theirs[name], equal_nan=True)
            for name in ours
        )

    __hash__ = None  # type: ignore[assignment]

    def columns(self) -> dict[str, Any]:
        """Return what it has, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to_plain(self) -> dict[str, list[Any]]:
        """Return it as JSON has it; nan and infinities become strings."""
        return {
            name: list(value) if name in _NAMES else to_plain(value)
            for name, value in self.columns().items()
        }


def _array(values: Any) -> Array:
    array = np.array(values, dtype=np.float64)  # of strings, too
    array.flags.writeable = False
    return array


def _median(rows: Sequence[Array]) -> Array:
    """Return the pointwise median of what is known; nan where nothing is."""
    columns = [[v for v in column if not np.isnan(v)] for column in zip(*rows, strict=True)]
    return np.array([np.median(known) if known else np.nan for known in columns])


def _extreme(rows: Sequence[tuple[Array, Sequence[str]]]) -> tuple[Array, tuple[str, ...]]:
    """Return the pointwise smallest of what is known, and the names that belong to it."""
    values = np.array([values for values, _ in rows])
    at = np.where(np.isnan(values), np.inf, values).argmin(axis=0)
    return values[at, np.arange(len(at))], tuple(rows[row][1][i] for i, row in enumerate(at))
