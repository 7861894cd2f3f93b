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
    import torch

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    torchvision._declared = library  # forgotten as soon as nobody holds it
    del library, name, torch

del sys, torchvision
