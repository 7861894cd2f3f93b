"""A learning-rate range test in the notebook: watch the loss, drag a marker, use the number."""

from .compare import compare
from .comparison import Comparison
from .curve import LossCurve
from .marker import LRMarker
from .run import RangeTest
from .state import State
from .step import training_step
from .suggest import Suggestion
from .sweep import range_test, sweep
from .widget import LRFinder

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
    "range_test",
    "sweep",
    "training_step",
]
