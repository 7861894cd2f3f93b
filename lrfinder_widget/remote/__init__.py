"""Runs that go on elsewhere, shown and steered from the notebook; no engine is imported."""

from .wire import WorkerLost

__all__ = ["WorkerLost"]

WorkerLost.__module__ = __name__
