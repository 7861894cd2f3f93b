"""The fine-tunings of `finetune.py`: models trained on some data, then on other data, or on more.

Constants of the ladder may be chosen on the DEVELOPMENT half, never on the other. What a model was
trained on before is never what it is fine-tuned on, unless its name begins with ``same``.
"""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from excess_data import Split, cifar, codes, mnist, segments, small, split, teacher
from excess_models import Recurrent, matrices, strided
from excess_tasks import CLASSES, OPTIMIZERS, SQUARES
from finetune_models import Transformer, adapted
from regret_models import conv, mlp, reader
from regret_tasks import Batches
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from lrfinder_widget.runs.ladder import warm_up_and_decay

HELD_OUT, HELD_OUT_SIZE, TEST = 8, 64, 1000  # the batches that judge a ladder, and what tests it


@dataclass(frozen=True)
class FineTuning:
    """A trained model, what is changed about it, and how it is trained on."""

    before: Callable[[], Split]
    after: Callable[[], Split]
    make: Callable[[], nn.Module]
    optimizer: str
    own_lr: float | tuple[float, float]  # with two, the last layer is new and has the second
    criterion: nn.Module = CLASSES
    change: Callable[[nn.Module], nn.Module] = lambda model: model
    batch_size: int = 8
    steps: int = 200
    examples: int = 2000
    trained_steps: int = 2000
    trained_lr: float = 3e-3
    lowest: float = -4.5  # the first exponent of the grid

    def begin(self, seed: int, order: int) -> tuple[nn.Module, Optimizer, Batches]:
        """The trained model with a new optimizer, and batches in some order."""
        state = trained(self)
        torch.manual_seed(seed)
        model = self.make()
        if isinstance(self.own_lr, tuple):
            last = model[-1]  # type: ignore[index]
            model.load_state_dict(state)
            last.reset_parameters()
        else:
            model.load_state_dict(state)
            model = self.change(model)
        data = self.after()
        some = torch.randperm(len(data.inputs), generator=torch.Generator().manual_seed(seed))
        some = some[: self.examples]
        generator = torch.Generator().manual_seed(order)
        batches = Batches(data.inputs[some], data.targets[some], self.batch_size, generator)
        return model, self._optimizer(model), batches

    def _optimizer(self, model: nn.Module) -> Optimizer:
        make, parameters = OPTIMIZERS[self.optimizer], [*model.parameters()]
        if not isinstance(self.own_lr, tuple):
            return make([p for p in parameters if p.requires_grad], lr=self.own_lr)
        body, head = self.own_lr
        groups = [{"params": parameters[:-2], "lr": body}, {"params": parameters[-2:], "lr": head}]
        return make(groups, lr=head)

    @property
    def held_out(self) -> list[tuple[Tensor, Tensor]]:
        """The batches that a ladder is judged by."""
        data = self.after()
        n = HELD_OUT * HELD_OUT_SIZE
        inputs, targets = data.held_inputs[:n], data.held_targets[:n]
        return list(zip(inputs.split(HELD_OUT_SIZE), targets.split(HELD_OUT_SIZE), strict=True))

    def test_loss(self, model: nn.Module) -> float:
        """The loss on the rest of what is held out."""
        data, n = self.after(), HELD_OUT * HELD_OUT_SIZE
        some = slice(n, n + TEST)
        model.eval()
        with torch.no_grad():
            loss = float(self.criterion(model(data.held_inputs[some]), data.held_targets[some]))
        model.train()
        return loss


@cache
def trained(task: FineTuning) -> dict[str, Tensor]:
    """The weights of a model that was trained on the former data; kept in the temporary folder."""
    name = next(name for name, other in TASKS.items() if other is task)
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"finetune-{name}-{version}.pt"
    if not path.exists():
        torch.save(_train(task), path)
    state: dict[str, Tensor] = torch.load(path)
    return state


def _train(task: FineTuning) -> dict[str, Tensor]:
    torch.manual_seed(10_000)
    model, data = task.make(), task.before()
    optimizer = AdamW(model.parameters(), lr=task.trained_lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_and_decay(task.trained_steps))
    batches = Batches(data.inputs, data.targets, 32, torch.Generator().manual_seed(10_000))
    done = 0
    while True:
        for inputs, targets in batches:
            optimizer.zero_grad()
            task.criterion(model(inputs), targets).backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done == task.trained_steps:
                return model.state_dict()


# -- data -----------------------------------------------------------------------------------------


@cache
def text(name: str, length: int) -> Split:
    """Pieces of a text, and what follows each of their characters; ``prose`` is Python's manual."""
    if name == "prose":
        topics = "".join(importlib.import_module("pydoc_data.topics").topics.values())
        all_codes = torch.tensor(list(topics.encode("ascii", "replace"))).clamp(9, 126) - 9
    else:
        all_codes = codes(name)
    pieces = all_codes.unfold(0, length + 1, length)
    return split(pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous())


@cache
def followed(name: str) -> Split:
    """Eight characters of a text, and the next."""
    pieces = text(name, 8)
    return Split(*(x if i % 2 == 0 else x[:, -1] for i, x in enumerate(vars(pieces).values())))


@cache
def classes(name: str, first: int, count: int) -> Split:
    """Some classes of a data set of pictures, numbered from zero."""
    data = {"mnist": mnist, "cifar": cifar}[name]()
    inputs = torch.cat([data.inputs, data.held_inputs])
    targets = torch.cat([data.targets, data.held_targets]) - first
    some = (targets >= 0) & (targets < count)
    return split(inputs[some], targets[some])


@cache
def thumbnails() -> Split:
    """MNIST in 8 × 8 pixels, as the digits of scikit-learn are."""
    data = mnist()

    def shrunk(pictures: Tensor) -> Tensor:
        return functional.interpolate(pictures, (8, 8), mode="area").flatten(1) * 2

    return Split(shrunk(data.inputs), data.targets, shrunk(data.held_inputs), data.held_targets)


@cache
def few() -> Split:
    """A part of MNIST, so that more of the same training overfits."""
    data = mnist(flat=True)
    return Split(data.inputs[:3000], data.targets[:3000], data.held_inputs, data.held_targets)


@cache
def turned() -> Split:
    """MNIST, each picture turned by a right angle."""
    data = mnist()
    sides = [torch.rot90(x, dims=(2, 3)).flatten(1) for x in (data.inputs, data.held_inputs)]
    return Split(sides[0], data.targets, sides[1], data.held_targets)


@cache
def other_teacher() -> Split:
    """What `teacher` says of inputs whose features are mixed a little, and bent."""
    data = teacher()
    mix = torch.eye(32) + 0.15 * torch.randn(32, 32, generator=torch.Generator().manual_seed(21))
    return Split(
        data.inputs @ mix,
        data.targets + 0.3 * data.targets.square(),
        data.held_inputs @ mix,
        data.held_targets + 0.3 * data.held_targets.square(),
    )


EACH = ("q", "k", "v", "o", "wide", "narrow")
DEVELOPMENT = {
    "prose-transformer-adamw": FineTuning(
        partial(text, "tools", 16),
        partial(text, "prose", 16),
        partial(Transformer, 32, 1, 16),
        "adamw",
        1e-3,
    ),
    "prose-lora-adamw": FineTuning(
        partial(text, "types", 16),
        partial(text, "prose", 16),
        partial(Transformer, 32, 1, 16),
        "adamw",
        1e-4,
        change=partial(adapted, rank=4, names=("q", "v")),
        lowest=-3.5,
    ),
    "thumbnails-conv-head-adamw": FineTuning(
        partial(small, "digits"),
        thumbnails,
        partial(conv, 8),
        "adamw",
        (1e-4, 1e-3),
        batch_size=16,
        lowest=-3.5,
    ),
    "numbers-gru-momentum": FineTuning(
        partial(text, "files", 16),
        partial(text, "numbers", 16),
        partial(Recurrent, 48),
        "momentum",
        1e-2,
        lowest=-2.5,
    ),
    "teacher-mlp-adam": FineTuning(
        teacher, other_teacher, partial(mlp, 32, 64, 1), "adam", 1e-3, SQUARES, steps=400
    ),
    "same-mnist-mlp-momentum": FineTuning(
        few,
        few,
        partial(mlp, 784, 64, 10),
        "momentum",
        1e-2,
        batch_size=16,
        examples=3000,
        lowest=-3.5,
    ),
}
JUDGING = {
    "types-transformer-adamw": FineTuning(
        partial(text, "prose", 16),
        partial(text, "types", 16),
        partial(Transformer, 32, 2, 16),
        "adamw",
        2e-5,
    ),
    "files-lora-adamw": FineTuning(
        partial(text, "prose", 16),
        partial(text, "files", 16),
        partial(Transformer, 32, 1, 16),
        "adamw",
        2e-4,
        change=partial(adapted, rank=8, names=EACH),
        lowest=-3.5,
    ),
    "mnist-conv-head-adamw": FineTuning(
        partial(classes, "mnist", 0, 5),
        partial(classes, "mnist", 5, 5),
        partial(strided, 1, 8, 16, norm=True, pixels=28, classes=5),
        "adamw",
        (1e-5, 1e-3),
        lowest=-3.5,
    ),
    "cifar-conv-head-momentum": FineTuning(
        partial(classes, "cifar", 0, 5),
        partial(classes, "cifar", 5, 5),
        partial(strided, 3, 12, 24, norm=True, pixels=32, classes=5),
        "momentum",
        (1e-3, 1e-2),
        lowest=-3.5,
    ),
    "turned-mlp-muon": FineTuning(
        partial(mnist, flat=True),
        turned,
        partial(matrices, 784, 64, 64, 10),
        "muon",
        2e-2,
        lowest=-3.5,
    ),
    "network-gru-adam": FineTuning(
        partial(text, "prose", 16),
        partial(text, "network", 16),
        partial(Recurrent, 48),
        "adam",
        1e-3,
        steps=400,
    ),
    "same-tools-reader-adamw": FineTuning(
        partial(followed, "tools"),
        partial(followed, "tools"),
        partial(reader, 64),
        "adamw",
        1e-3,
        batch_size=64,
        examples=40_000,
        trained_steps=8000,
    ),
    "same-segments-mlp-sgd": FineTuning(
        segments,
        segments,
        partial(mlp, 40, 64, 8),
        "sgd",
        1e-1,
        examples=20_000,
        trained_steps=4000,
        lowest=-3.5,
    ),
}
TASKS = {**DEVELOPMENT, **JUDGING}
