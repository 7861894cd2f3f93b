"""Let torchvision be imported beside a CPU build of torch; a startup file of IPython.

The wheel that pip finds on the package index is built for CUDA. Beside a torch without it, its
compiled operators cannot be loaded, and the import stops at the first that is missing. With the two
schemas declared, data sets, transforms and models work; the operators themselves do not.
"""

import sys

try:
    import torchvision
except ImportError:
    torchvision = None  # a notebook that needs it says so
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    from torch import library as operators

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    declared = operators.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    torchvision._declared = declared  # forgotten as soon as nobody holds it
    del declared, name, operators

del sys, torchvision
