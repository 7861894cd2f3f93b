"""A point of a test that has more than its loss. NumPy only."""

from __future__ import annotations

from typing import Any

from .diagnosis import StepDiagnosis


class MeasuredPoint(tuple[float, float]):
    """A point ``(lr, loss)`` whose attributes say what else was measured; None what was not.

    Attributes
    ----------
    diagnosis : StepDiagnosis or None
        What its step did.
    metric : float or None
        The metric of the batch whose loss it has; nan where it is unknown.
    metric_name : str or None
        What the metric is called.
    """

    diagnosis: StepDiagnosis | None
    metric: float | None
    metric_name: str | None

    def __new__(
        cls,
        lr: float,
        loss: float,
        diagnosis: StepDiagnosis | None = None,
        metric: float | None = None,
        metric_name: str | None = None,
    ) -> MeasuredPoint:
        """Make a pair that has more."""
        point = super().__new__(cls, (lr, loss))
        point.diagnosis, point.metric, point.metric_name = diagnosis, metric, metric_name
        return point

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (*self, self.diagnosis, self.metric, self.metric_name)
