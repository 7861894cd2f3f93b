"""What other packages suggest for a task of `regret.py`: their own LR range test, their defaults.

Each gets a fresh model, a `DataLoader` of the same data, our range and our number of steps. What it
raises counts as a refusal, as a user is left without a number.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from peers import silence
from regret_tasks import DEFAULT_LR, OPTIMIZERS, Task
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

RANGE = (1e-7, 10.0)
FASTAI = ("valley", "slide", "minimum", "steep")


def torch_lr_finder(task: Task, seed: int, points: int) -> list[float | None]:
    import matplotlib as mpl
    from matplotlib import pyplot as plt
    from torch_lr_finder import LRFinder

    mpl.use("Agg")
    model, optimizer, loader = begin(task, seed)
    optimizer.param_groups[0]["lr"] = RANGE[0]
    finder = LRFinder(model, optimizer, task.criterion)
    finder.range_test(loader, end_lr=RANGE[1], num_iter=points)
    suggested = finder.plot()[1]
    plt.close("all")
    return [suggested]


def fastai(task: Task, seed: int, points: int) -> list[float | None]:
    from fastai.callback import schedule
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper

    model, _, loader = begin(task, seed)
    learner = Learner(
        DataLoaders(loader, loader),
        model,
        loss_func=task.criterion,
        opt_func=partial(OptimWrapper, opt=OPTIMIZERS[task.optimizer]),
    )
    rules = [getattr(schedule, rule) for rule in FASTAI]
    with learner.no_bar():
        found = learner.lr_find(*RANGE, num_it=points, show_plot=False, suggest_funcs=rules)
    return list(found)


def lightning(task: Task, seed: int, points: int) -> list[float | None]:
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.tuner import Tuner

    model, optimizer, loader = begin(task, seed)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.lr = model, DEFAULT_LR[task.optimizer]

        def training_step(self, batch: list[Tensor]) -> Tensor:
            return task.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Optimizer:
            return optimizer

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        finder = Tuner(trainer).lr_find(
            Module(), loader, None, None, None, "fit", *RANGE, points, update_attr=False
        )
    return [finder.suggestion()]


def ignite(task: Task, seed: int, points: int) -> list[float | None]:
    from ignite.engine import create_supervised_trainer
    from ignite.handlers import FastaiLRFinder

    model, optimizer, loader = begin(task, seed)
    trainer = create_supervised_trainer(model, optimizer, task.criterion)
    finder, kept = FastaiLRFinder(), {"model": model, "optimizer": optimizer}
    options = {"num_iter": points, "start_lr": RANGE[0], "end_lr": RANGE[1]}
    with finder.attach(trainer, to_save=kept, **options) as trainer_with_finder:
        trainer_with_finder.run(loader, max_epochs=1 + points // len(loader))
    return [finder.lr_suggestion()]


# The module, its suggestions, and how to get them.
PEERS: list[tuple[str, list[str], Callable[[Task, int, int], list[float | None]]]] = [
    ("torch_lr_finder", ["torch-lr-finder"], torch_lr_finder),
    ("fastai", [f"fastai, {rule}" for rule in FASTAI], fastai),
    ("lightning", ["Lightning"], lightning),
    ("ignite", ["ignite"], ignite),
]


def begin(task: Task, seed: int) -> tuple[nn.Module, Optimizer, DataLoader[Any]]:
    model, optimizer, batches = task.begin(seed)
    data = TensorDataset(batches.inputs, batches.targets)
    generator, size = batches.generator, batches.size
    return model, optimizer, DataLoader(data, size, True, drop_last=True, generator=generator)


def peers(task: Task, seed: int, points: int) -> dict[str, float | None]:
    """The suggestions of the installed packages, None where there is none."""
    found: dict[str, float | None] = {}
    for module, names, suggest in PEERS:
        if importlib.util.find_spec(module):
            try:
                with silence():
                    lrs = suggest(task, seed, points)
            except ImportError:
                raise  # it is not installed as it should be, which says nothing about its rules
            except Exception:  # noqa: BLE001
                lrs = [None] * len(names)
            for name, lr in zip(names, lrs, strict=True):
                found[name] = float(lr) if lr is not None and 0 < lr < float("inf") else None
    return found
