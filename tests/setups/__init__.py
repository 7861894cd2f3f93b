"""Training set-ups as people have them: small, fast on a CPU, and watched at every phase.

The tables have functions that make one `Setup` each; `make` calls one by its name, always with the
same outcome, and takes some steps of training.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from torch.optim import Optimizer

from . import data, loop, models, optimizers, schedulers
from .models import Net
from .optimizers import VARIANTS
from .parts import ITERATIONS, Probe, Setup, exact, pairs

__all__ = [
    "ITERATIONS",
    "SETUPS",
    "VARIANTS",
    "WARNINGS",
    "Net",
    "Probe",
    "Setup",
    "exact",
    "make",
    "pairs",
]

SETUPS: dict[str, Callable[[Probe], Setup]] = {
    **loop.SETUPS,
    **optimizers.SETUPS,
    **schedulers.SETUPS,
    **models.SETUPS,
    **data.SETUPS,
}

WARNINGS = (
    # TorchScript still has its users, and their models are tested as long as it is there.
    "ignore:`torch.jit:DeprecationWarning",
    # The compiler looks at every tensor of a function that it compiles.
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning",
    # There is no accelerator to pin for: the loader says so, and goes on.
    "ignore:'pin_memory' argument:UserWarning",
)


def make(name: str) -> Setup:
    """Build a set-up, the same one each time, and train it a little."""
    torch.manual_seed(0)
    np.random.seed(0)
    probe = Probe()
    setup = SETUPS[name](probe)
    if setup.optimizer_hooks:
        _watch(setup)
    setup.train(setup.warm)
    return setup


def _watch(setup: Setup) -> None:
    """Hang the probe on the optimizers, and on the parameter that is last to have its gradient."""
    probe = setup.probe
    for optimizer in (setup.optimizer, *(o for o in setup.others if isinstance(o, Optimizer))):
        optimizer.register_step_pre_hook(lambda *_: probe("step"))
        optimizer.register_step_post_hook(lambda *_: probe("stepped"))
    for parameter in setup.model.parameters():
        if parameter.requires_grad:
            with suppress(ValueError):  # not initialised yet: it takes no hook
                parameter.register_hook(lambda grad: probe("backward"))
            return
