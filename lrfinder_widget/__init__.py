"""A learning rate range test in the notebook: watch the loss, drag a marker, use the number."""

from .background.range_test import RangeTest
from .background.state import State
from .curve.comparison import Comparison
from .curve.loss_curve import LossCurve
from .curve.suggest import Suggestion
from .remote.follow import follow
from .remote.publish import publish
from .training.compare import compare
from .training.step import training_step
from .training.sweep import range_test, sweep
from .training.vary import vary
from .widget.finder import LRFinder
from .widget.marker import LRMarker

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "LRFinder",
    "LRMarker",
    "LossCurve",
    "RangeTest",
    "State",
    "Suggestion",
    "compare",
    "follow",
    "publish",
    "range_test",
    "sweep",
    "training_step",
    "vary",
]

for _name in __all__:  # where they are imported from, in tracebacks, help() and pickles
    globals()[_name].__module__ = __name__
del _name
