"""How other packages are asked for an LR range test, each as its documentation says.

They are an extra of their own: `pip install '.[peers]'`. What they write goes to the working
folder, or to the system's temporary one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

sys.path.append(str(Path(__file__).parents[1]))
import torchvision_on_cpu  # noqa: F401 - fastai and Lightning import torchvision

RANGE = (1e-7, 1e-3)  # nothing diverges in it, so all of them take all their steps


@dataclass
class Training:
    model: nn.Module
    optimizer: Optimizer
    criterion: Callable[[Tensor, Tensor], Tensor]
    loader: Iterable[Any]
    scheduler: Any = None
    scaler: Any = None


Run = Callable[[], object]


def torch_lr_finder(training: Training, steps: int) -> Run:
    import matplotlib as mpl

    mpl.use("Agg")
    from torch_lr_finder import LRFinder

    mixed: dict[str, Any] = {}
    if training.scaler is not None:
        autocast = {"device_type": "cpu", "dtype": torch.bfloat16}
        mixed = {"amp_backend": "torch", "amp_config": autocast, "grad_scaler": training.scaler}

    def run() -> None:
        finder = LRFinder(training.model, training.optimizer, training.criterion, **mixed)
        finder.range_test(training.loader, start_lr=RANGE[0], end_lr=RANGE[1], num_iter=steps)
        finder.reset()

    return run


def fastai(training: Training, steps: int) -> Run:
    from fastai.callback import schedule  # noqa: F401 - gives the learner its `lr_find`
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper

    learner = Learner(
        DataLoaders(training.loader, training.loader),
        training.model,
        loss_func=training.criterion,
        opt_func=lambda parameters, **options: OptimWrapper(opt=training.optimizer),
        lr=[group["lr"] for group in training.optimizer.param_groups],  # or it would set its own
    )

    def run() -> None:
        with learner.no_bar():
            learner.lr_find(*RANGE, num_it=steps, show_plot=False, suggest_funcs=None)

    return run


def lightning(training: Training, steps: int) -> Run:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.plugins import MixedPrecision
    from lightning.pytorch.tuner import Tuner

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = training.model

        def training_step(self, batch: list[Tensor]) -> Tensor:
            return training.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            if training.scheduler is None:
                return training.optimizer
            return [training.optimizer], [training.scheduler]

    plugins = []
    if training.scaler is not None:
        plugins = [MixedPrecision("16-mixed", "cpu", training.scaler)]
    trainer = Trainer(
        accelerator="cpu",
        plugins=plugins,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Module()

    def run() -> None:
        options = {"min_lr": RANGE[0], "max_lr": RANGE[1], "num_training": steps}
        Tuner(trainer).lr_find(module, training.loader, update_attr=False, **options)

    return run


def ignite(training: Training, steps: int) -> Run:
    from ignite.engine import create_supervised_trainer
    from ignite.handlers import FastaiLRFinder

    mixed: dict[str, Any] = {}
    if training.scaler is not None:
        mixed = {"amp_mode": "amp", "scaler": training.scaler}
    trainer = create_supervised_trainer(
        training.model, training.optimizer, training.criterion, device="cpu", **mixed
    )
    named = {"model": training.model, "optimizer": training.optimizer}
    named |= {"scheduler": training.scheduler, "scaler": training.scaler}
    to_save = {name: thing for name, thing in named.items() if thing is not None}

    def run() -> None:
        options = {"num_iter": steps, "start_lr": RANGE[0], "end_lr": RANGE[1]}
        with FastaiLRFinder().attach(trainer, to_save=to_save, **options) as with_finder:
            with_finder.run(training.loader)

    return run


# The name of each, and what has to be installed for it.
PEERS: dict[str, tuple[str, Callable[[Training, int], Run]]] = {
    "torch-lr-finder": ("torch_lr_finder", torch_lr_finder),
    "fastai": ("fastai", fastai),
    "Lightning": ("lightning", lightning),
    "ignite": ("ignite", ignite),
}


def installed() -> dict[str, Callable[[Training, int], Run]]:
    there = importlib.util.find_spec
    return {name: prepare for name, (module, prepare) in PEERS.items() if there(module)}


def not_installed() -> str:
    """A line about the packages that are not there; nothing where all are."""
    missing = [name for name in PEERS if name not in installed()]
    return f"Not installed: {', '.join(missing)} (`pip install '.[peers]'`).\n" if missing else ""


@contextlib.contextmanager
def silence() -> Iterator[None]:
    logging.disable(logging.WARNING)
    nowhere = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
