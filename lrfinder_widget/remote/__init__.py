"""Runs on the workers of a cluster that the user has, shown and steered from the notebook."""

from .wire import WorkerLost

__all__ = ["WorkerLost"]

WorkerLost.__module__ = __name__
