"""Training set-ups as people have them: small, fast on a CPU, and watched at every phase.

Each function makes one `Setup`; `make` builds it by its name, always the same one, some steps into
its training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import support
import torch
from support import CLASSES, FEATURES, Counting, Tied, batchnorm_dropout, classes
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.nn.utils import parametrizations, prune
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler

from lrfinder_widget import training_step

WARM = 3  # steps of training before the test
ITERATIONS = 8  # learning rates of a test


class Probe:
    """Called at each phase of training: counts the calls, and acts at the one it is told.

    The phases are "load" (a batch), "forward", "backward" (at its start, and before the gradient of
    the first parameter is stored), "step" (of an optimizer, before it) and "stepped" (after it).
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.factor = 1.0  # every loss is multiplied by it
        self.offset = 0.0  # and stands higher by this, which doubles each time
        self._armed: tuple[str, int, Callable[[], object]] | None = None

    def arm(self, phase: str, at: int, act: Callable[[], object]) -> None:
        """Act at the `at`-th call of `phase` from now on."""
        self.calls.clear()
        self._armed = phase, at, act

    def __call__(self, phase: str) -> None:
        self.calls[phase] += 1
        if self._armed is not None and self._armed[:2] == (phase, self.calls[phase]):
            self._armed[2]()


@dataclass
class Setup:
    """What somebody has in their notebook when they think of a learning-rate range test."""

    model: nn.Module
    optimizer: Optimizer
    batches: Iterable[Any]
    step: Callable[[Any], Any]  # the body of their own training loop
    arguments: dict[str, Any]  # what `sweep` takes besides model, optimizer and batches
    probe: Probe
    others: Sequence[nn.Module | Optimizer] = ()
    watched: Sequence[Any] = ()  # what else has a state: schedulers, scalers, averages
    generators: Sequence[Any] = ()
    accumulate: int = 1
    warm: int = WARM
    optimizer_hooks: bool = True
    hooks: list[Any] = field(default_factory=list)

    @property
    def sweep(self) -> dict[str, Any]:
        """All arguments of a test, short and without a stop rule."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "batches": self.batches,
            "start_lr": 1e-4,
            "end_lr": 0.1,
            "num_iter": ITERATIONS,
            "stop": None,
            **self.arguments,
        }

    def train(self, steps: int) -> list[float]:
        """Go on with the training, from the beginning of an epoch; return the losses."""
        batches = self.endless()
        return [self.train_once(batches) for _ in range(steps)]

    def train_once(self, batches: Iterator[Any]) -> float:
        parts = [next(batches) for _ in range(self.accumulate)]
        return float(self.step(parts if self.accumulate > 1 else parts[0]))

    def endless(self) -> Iterator[Any]:
        while True:
            yield from self.batches

    def picture(self) -> dict[str, Any]:
        """Describe all state, to the bit, with the identities of the objects that carry it."""
        modules = [self.model, *(m for m in self.others if isinstance(m, nn.Module))]
        optimizers = [self.optimizer, *(o for o in self.others if isinstance(o, Optimizer))]
        shown: dict[str, Any] = {}
        for i in range(max(len(modules), len(optimizers))):
            described = support.picture(modules[i % len(modules)], optimizers[i % len(optimizers)])
            shown.update({f"{i}: {key}": value for key, value in described.items()})
        shown["all of the optimizers"] = [exact(vars(optimizer)) for optimizer in optimizers]
        shown["hooks of the parameters"] = [
            [list(getattr(p, name) or ()) for name in ("_backward_hooks", "_post_" + HOOK)]
            for module in modules
            for p in module.parameters()
        ]
        shown["watched"] = [exact(vars(thing)) for thing in self.watched]
        shown["what they say"] = [
            exact(thing.state_dict(), identities=False) for thing in self.watched
        ]
        shown["own generators"] = [_state(generator) for generator in self.generators]
        return shown

    def values(self) -> list[Any]:
        """Describe the values alone: they can be compared with those of another, equal set-up."""
        modules = [self.model, *self.others]
        states = [exact(m.state_dict(), identities=False) for m in modules]
        watched = [exact(w.state_dict(), identities=False) for w in self.watched]
        optimizer = exact(self.optimizer.state_dict(), identities=False)
        return [states, optimizer, watched, support.bits(torch.get_rng_state())]


HOOK = "accumulate_grad_hooks"


def exact(value: Any, *, identities: bool = True) -> Any:
    """Describe a value and what it holds, through containers, to the bit."""
    deeper = lambda item: exact(item, identities=identities)  # noqa: E731
    who = id(value) if identities else None
    if isinstance(value, (nn.Module, Optimizer, LRScheduler)):
        return who
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return who, "uninitialised"
    if isinstance(value, Tensor):
        grad = value.grad if value.is_leaf else None
        return who, _tensor(value), None if grad is None else (id(grad) * identities, _tensor(grad))
    if isinstance(value, dict):
        return who, [(id(k) if isinstance(k, Tensor) else k, deeper(v)) for k, v in value.items()]
    if isinstance(value, (list, tuple, set)):
        return who, [deeper(item) for item in value]
    if isinstance(value, np.ndarray):
        return who, value.tobytes()
    return repr(value) if identities or " at 0x" not in repr(value) else type(value)


def _tensor(tensor: Tensor) -> Any:
    tensor = tensor.detach()
    if tensor.is_sparse:
        tensor = tensor.coalesce()
        return _tensor(tensor.indices()), _tensor(tensor.values())
    return support.bits(tensor)


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return support.bits(generator.get_state())
    return repr(generator.bit_generator.state)


# -- the parts ------------------------------------------------------------------------------------


class Criterion:
    """Cross-entropy, with the probe at its side."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.probe("forward")
        if output.requires_grad:
            output.register_hook(self._backward)
        self.probe.offset *= 2
        return F.cross_entropy(output, target) * self.probe.factor + self.probe.offset

    def _backward(self, grad: Tensor) -> None:
        self.probe("backward")


class Stream:
    """Batches in a new order in each epoch."""

    def __init__(self, batches: Sequence[Any], probe: Probe) -> None:
        self.batches, self.probe = batches, probe

    def __iter__(self) -> Iterator[Any]:
        for i in torch.randperm(len(self.batches)).tolist():
            self.probe("load")
            yield self.batches[i]


class Collate:
    """Joins samples in a worker process or here, with the probe at its side."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def __call__(self, samples: Sequence[Any]) -> Any:
        self.probe("load")
        return torch.utils.data.default_collate(samples)


def pairs(n: int = 64) -> list[tuple[Tensor, Tensor]]:
    x, y = classes(n).tensors
    return list(zip(x.split(8), y.split(8), strict=True))


def mlp(**options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(FEATURES, 8, **options), nn.ReLU(), nn.Linear(8, CLASSES, **options)
    )


def sgd(parameters: Any, **options: Any) -> Optimizer:
    return torch.optim.SGD(parameters, **{"lr": 0.05, "momentum": 0.9, **options})


def usual(probe: Probe, model: nn.Module, optimizer: Optimizer, **changes: Any) -> Setup:
    """Train on pairs with a criterion: what most people do."""
    criterion = Criterion(probe)
    given = {
        "batches": Stream(pairs(), probe),
        "step": loop_body(model, optimizer, criterion),
        "arguments": {"criterion": criterion},
        **changes,
    }
    return Setup(model=model, optimizer=optimizer, probe=probe, **given)


def own_step(setup: Setup, *preserve: Any) -> Setup:
    """Hand in the body of the loop instead of a criterion."""
    setup.arguments = {"step": setup.step, "preserve": list(preserve)}
    return setup


def loop_body(model: nn.Module, optimizer: Optimizer, criterion: Any) -> Callable[[Any], Tensor]:
    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = criterion(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


# -- the loop -------------------------------------------------------------------------------------


def plain(probe: Probe) -> Setup:
    model = batchnorm_dropout()
    return usual(probe, model, sgd(model.parameters()))


def untrained(probe: Probe) -> Setup:
    model = batchnorm_dropout()
    return usual(probe, model, torch.optim.AdamW(model.parameters()), warm=0)


def own_loop(probe: Probe) -> Setup:
    return own_step(plain(probe))


def accumulation(probe: Probe) -> Setup:
    model, criterion = batchnorm_dropout(), Criterion(probe)
    optimizer = torch.optim.AdamW(model.parameters())

    def step(parts: Any) -> Tensor:
        optimizer.zero_grad()
        losses = []
        for x, y in parts:
            loss = criterion(model(x), y) / 3
            loss.backward()
            losses.append(loss.detach())
        optimizer.step()
        return torch.stack(losses).sum()

    arguments = {"criterion": criterion, "accumulate": 3}
    return usual(probe, model, optimizer, step=step, arguments=arguments, accumulate=3)


def gradients_pending(probe: Probe) -> Setup:
    """Half an accumulation is done: the gradients that are there count."""
    setup = plain(probe)
    setup.model(pairs()[0][0]).sum().backward()
    step = setup.step

    def accumulating(batch: Any) -> Any:
        Criterion(probe)(setup.model(batch[0]), batch[1]).backward()
        setup.optimizer.step()
        return step(batch)

    setup.step, setup.warm = accumulating, 0
    return setup


def validation(probe: Probe) -> Setup:
    setup = plain(probe)
    setup.arguments["val_batches"] = pairs(24)
    return setup


def eval_mode(probe: Probe) -> Setup:
    setup = plain(probe)
    setup.model.eval()
    return setup


def mappings(probe: Probe) -> Setup:
    """Batches are dictionaries, and the model returns its loss."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.criterion = mlp(), Criterion(probe)

        def forward(self, x: Tensor, labels: Tensor) -> Any:
            return SimpleNamespace(loss=self.criterion(self.inner(x), labels))

    model = Named()
    optimizer = torch.optim.AdamW(model.parameters())

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        return loss.detach()

    batches = Stream([{"x": x, "labels": y} for x, y in pairs()], probe)
    return usual(probe, model, optimizer, batches=batches, step=step, arguments={})


def bf16(probe: Probe) -> Setup:
    return _textbook(probe, autocast=torch.bfloat16)


def fp16(probe: Probe) -> Setup:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20, growth_interval=4)
    return _textbook(probe, autocast=torch.float16, scaler=scaler, clip_grad_norm=0.5)


def fp16_untrained(probe: Probe) -> Setup:
    setup = fp16(probe)
    setup.warm = 0
    return setup


def clipping(probe: Probe) -> Setup:
    return _textbook(probe, clip_grad_norm=0.1)


def _textbook(probe: Probe, **options: Any) -> Setup:
    model = batchnorm_dropout()
    optimizer = torch.optim.AdamW(model.parameters())
    step = training_step(model, optimizer, Criterion(probe), **options)
    watched = [options["scaler"]] if "scaler" in options else []
    setup = usual(probe, model, optimizer, step=step, watched=watched)
    return own_step(setup)


def fp16_own_loop(probe: Probe) -> Setup:
    return _scaled(probe, batchnorm_dropout(), fused=False)


def fp16_fused(probe: Probe) -> Setup:
    """The scaler hands its scale to the optimizer, as attributes for the time of its step."""
    return _scaled(probe, batchnorm_dropout(), fused=True)


def _scaled(probe: Probe, model: nn.Module, *, fused: bool) -> Setup:
    criterion, scaler = Criterion(probe), torch.amp.GradScaler("cpu", growth_interval=4)
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused)

    def step(batch: Any) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = criterion(model(batch[0]), batch[1])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return own_step(usual(probe, model, optimizer, step=step, watched=[scaler]), scaler)


# -- optimizers -----------------------------------------------------------------------------------


def lbfgs(probe: Probe) -> Setup:
    model, criterion = mlp(), Criterion(probe)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)

    def step(batch: Any) -> Any:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = criterion(model(batch[0]), batch[1])
            loss.backward()
            return loss

        return optimizer.step(closure).detach()

    return usual(probe, model, optimizer, step=step)


def lbfgs_own_loop(probe: Probe) -> Setup:
    setup = lbfgs(probe)
    setup.optimizer.param_groups[0]["line_search_fn"] = "strong_wolfe"
    return own_step(setup)


def gan(probe: Probe) -> Setup:
    maker = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, FEATURES))
    judge = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 2))
    making = torch.optim.Adam(maker.parameters(), lr=2e-3, betas=(0.5, 0.9))
    judging = torch.optim.Adam(judge.parameters(), lr=1e-3)
    criterion = Criterion(probe)

    def step(batch: Any) -> Tensor:
        real, n = batch[0], len(batch[0])
        made = maker(torch.randn(n, 2))
        judging.zero_grad()
        both = torch.cat([judge(real), judge(made.detach())])
        criterion(both, torch.tensor([1] * n + [0] * n)).backward()
        judging.step()
        making.zero_grad()
        loss = criterion(judge(made), torch.ones(n, dtype=torch.long))
        loss.backward()
        making.step()
        return loss.detach()

    setup = usual(probe, maker, making, step=step, others=[judge, judging])
    return own_step(setup, judge, judging)


def many_groups(probe: Probe) -> Setup:
    model = batchnorm_dropout()
    lrs = [0.1, 0.0, 0.03, 0.01, 0.1, 1e-5]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(model.parameters(), lrs, strict=True)]
    return usual(probe, model, sgd(groups))


def tensor_lr(probe: Probe) -> Setup:
    """One learning rate, a tensor, shared by two groups and the defaults."""
    model = mlp()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters()}]
    return usual(probe, model, sgd(groups, lr=torch.tensor(0.05, dtype=torch.float64)))


def tensor_lrs(probe: Probe) -> Setup:
    model = mlp()
    groups = [
        {"params": model[0].parameters(), "lr": torch.tensor(0.01)},
        {"params": model[2].parameters(), "lr": torch.tensor(0.05)},
    ]
    return usual(probe, model, torch.optim.Adam(groups, fused=True))


def sparse(probe: Probe) -> Setup:
    return _embedding(probe, lambda p: torch.optim.SGD(p, lr=0.1))


def sparse_adam(probe: Probe) -> Setup:
    return _embedding(probe, lambda p: torch.optim.SparseAdam(p, lr=0.01))


def _embedding(probe: Probe, make: Callable[[Any], Optimizer]) -> Setup:
    model = nn.Sequential(nn.EmbeddingBag(20, CLASSES, mode="sum", sparse=True))
    optimizer, criterion = make(model.parameters()), Criterion(probe)

    def step(batch: Any) -> Tensor:
        loss = criterion(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    words = [(torch.randint(0, 20, (8, 5)), y) for _, y in pairs()]
    return usual(probe, model, optimizer, batches=Stream(words, probe), step=step)


def wrapped_optimizer(probe: Probe) -> Setup:
    """Sharpness-aware minimization, as its usual code has it: an optimizer in an optimizer."""

    class SAM(Optimizer):
        def __init__(self, params: Any, base: Any, rho: float = 0.05, **options: Any) -> None:
            super().__init__(params, {"rho": rho, **options})
            self.base_optimizer = base(self.param_groups, **options)
            self.param_groups = self.base_optimizer.param_groups

        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            held = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
            norm = torch.stack([p.grad.norm() for p in held]).norm() + 1e-12
            for p in held:
                self.state[p]["old_p"] = p.clone()
                p.add_(p.grad * (self.param_groups[0]["rho"] / norm))
            with torch.enable_grad():
                loss = closure()
            for p in held:
                p.copy_(self.state[p]["old_p"])
            self.base_optimizer.step()
            return loss

    model, criterion = batchnorm_dropout(), Criterion(probe)
    optimizer = SAM(model.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9)

    def step(batch: Any) -> Tensor:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = criterion(model(batch[0]), batch[1])
            loss.backward()
            return loss.detach()

        loss = closure()
        optimizer.step(closure)
        return loss

    inner = [optimizer.base_optimizer]
    return own_step(usual(probe, model, optimizer, step=step, others=inner))


def optimizer_in_backward(probe: Probe) -> Setup:
    """Each parameter has an optimizer, which steps as soon as its gradient is there."""
    model, criterion = mlp(), Criterion(probe)
    each = {p: sgd([p]) for p in model.parameters()}

    def update(parameter: Tensor) -> None:
        each[parameter].step()
        each[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)

    def step(batch: Any) -> Tensor:
        loss = criterion(model(batch[0]), batch[1])
        loss.backward()
        return loss.detach()

    first, *others = each.values()
    return own_step(usual(probe, model, first, step=step, others=others), *others)


VARIANTS = [
    ("ASGD", ("", "foreach")),
    ("Adadelta", ("", "foreach")),
    ("Adafactor", ("", "foreach")),
    ("Adagrad", ("", "foreach", "fused")),
    ("Adam", ("", "foreach", "fused", "amsgrad")),
    ("AdamW", ("", "foreach", "fused", "amsgrad")),
    ("Adamax", ("", "foreach")),
    ("Muon", ("",)),
    ("NAdam", ("", "foreach")),
    ("RAdam", ("", "foreach")),
    ("RMSprop", ("", "foreach", "centered")),
    ("Rprop", ("", "foreach")),
    ("SGD", ("", "foreach", "fused", "nesterov")),
]


def _of_torch(name: str, variant: str) -> Callable[[Probe], Setup]:
    def setup(probe: Probe) -> Setup:
        model = mlp(bias=name != "Muon")  # which takes matrices only
        options = {variant: True} if variant else {}
        if name == "SGD":
            options["momentum"] = 0.9
        return usual(probe, model, getattr(torch.optim, name)(model.parameters(), **options))

    return setup


# -- schedulers and averages ----------------------------------------------------------------------


def scheduler_attached(probe: Probe) -> Setup:
    """A scheduler of the user's own, which the test does not know of."""
    return _scheduled(probe, lambda o: OneCycleLR(o, max_lr=0.1, total_steps=100))


def warm_up(probe: Probe) -> Setup:
    """The learning rate is zero when the test begins."""
    setup = _scheduled(probe, lambda o: LambdaLR(o, lambda n: n / 100))
    setup.warm = 0
    return setup


def _scheduled(probe: Probe, make: Callable[[Optimizer], LRScheduler]) -> Setup:
    setup = plain(probe)
    scheduler, step = make(setup.optimizer), setup.step

    def scheduled(batch: Any) -> Any:
        loss = step(batch)
        scheduler.step()
        return loss

    setup.step, setup.watched = scheduled, [scheduler]
    return setup


def scheduler_stepped(probe: Probe) -> Setup:
    """The user's own step moves the scheduler too."""
    setup = scheduler_attached(probe)
    return own_step(setup, *setup.watched)


def schedulers_in_sequence(probe: Probe) -> Setup:
    """Schedulers within a scheduler, moved by the user's own step, across the change of guard."""
    setup = _scheduled(
        probe,
        lambda o: SequentialLR(o, [LinearLR(o, 0.1), CosineAnnealingLR(o, 50)], milestones=[5]),
    )
    return own_step(setup, *setup.watched)


def averaged(probe: Probe) -> Setup:
    setup = plain(probe)
    average = AveragedModel(setup.model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    step = setup.step

    def averaging(batch: Any) -> Any:
        loss = step(batch)
        average.update_parameters(setup.model)
        return loss

    setup.step, setup.others = averaging, [average]
    return own_step(setup, average)


class Average:
    """An exponential average as people write it themselves."""

    def __init__(self, model: nn.Module) -> None:
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.updates = 0

    def update(self, model: nn.Module) -> None:
        self.updates += 1
        for name, p in model.named_parameters():
            self.shadow[name] = 0.9 * self.shadow[name] + 0.1 * p.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"shadow": self.shadow, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.shadow, self.updates = dict(state["shadow"]), state["updates"]


def averaged_by_hand(probe: Probe) -> Setup:
    setup = plain(probe)
    average, step = Average(setup.model), setup.step

    def averaging(batch: Any) -> Any:
        loss = step(batch)
        average.update(setup.model)
        return loss

    setup.step, setup.watched = averaging, [average]
    return own_step(setup, average)


# -- models ---------------------------------------------------------------------------------------


def _of(make: Callable[[], nn.Module], **changes: Any) -> Callable[[Probe], Setup]:
    def setup(probe: Probe) -> Setup:
        model = make()
        return usual(probe, model, torch.optim.AdamW(model.parameters()), **changes)

    return setup


def _frozen() -> nn.Module:
    model = nn.Sequential(mlp(), nn.BatchNorm1d(CLASSES), nn.Linear(CLASSES, CLASSES))
    model[0].requires_grad_(False)
    model[1].eval()
    return model


def _no_bias() -> nn.Module:
    return mlp(bias=False)


def loss_with_parameters(probe: Probe) -> Setup:
    class Tempered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.temperature = nn.Parameter(torch.ones(()))
            self.register_buffer("seen", torch.zeros(()))
            self.inner = Criterion(probe)

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            self.seen += len(target)
            return self.inner(output / self.temperature, target)

    model, criterion = mlp(), Tempered()
    optimizer = sgd([*model.parameters(), *criterion.parameters()])
    return usual(
        probe,
        model,
        optimizer,
        step=loop_body(model, optimizer, criterion),
        arguments={"criterion": criterion},
        others=[criterion],
    )


def _complex() -> nn.Module:
    class Spectrum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filter = nn.Parameter(torch.randn(FEATURES // 2 + 1, dtype=torch.complex64))
            self.register_buffer("phase", torch.ones((), dtype=torch.complex64))
            self.last = nn.Linear(FEATURES, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            self.phase *= 1j
            return self.last(torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=FEATURES))

    return Spectrum()


def _parametrized() -> nn.Module:
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(FEATURES, 8)),
        parametrizations.spectral_norm(nn.Linear(8, 8)),
        parametrizations.orthogonal(nn.Linear(8, 8)),
        nn.Linear(8, CLASSES),
    )


def _old_spectral_norm() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(FEATURES, 8)), nn.Linear(8, CLASSES))


def _pruned() -> nn.Module:
    model = mlp()
    prune.l1_unstructured(model[0], "weight", amount=0.3)
    return model


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, 5, num_layers=2, dropout=0.2, batch_first=True)
        self.last = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.rnn(x.view(-1, 3, 2))[0][:, -1])


class Checkpointed(nn.Module):
    """Recomputes its first part in the backward pass, random numbers and all."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(0.3), nn.ReLU())
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(checkpoint(self.first, x, use_reentrant=False))


def _lazy() -> nn.Module:
    return nn.Sequential(
        nn.LazyLinear(8), nn.Dropout(0.2), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(CLASSES)
    )


def own_generators(probe: Probe) -> Setup:
    """Noise from generators that the model owns."""

    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()
            self.noise = torch.Generator().manual_seed(5)
            self.drops = np.random.default_rng(6)

        def forward(self, x: Tensor) -> Tensor:
            x = x * float(self.drops.uniform(0.9, 1.1))
            return self.inner(x + 0.1 * torch.randn(x.shape, generator=self.noise))

    model = Noisy()
    optimizer = sgd(model.parameters())
    return usual(probe, model, optimizer, generators=[model.noise, model.drops])


def traced(probe: Probe) -> Setup:
    model = torch.jit.trace(mlp(), torch.zeros(8, FEATURES))
    return usual(probe, model, sgd(model.parameters()))


def scripted(probe: Probe) -> Setup:
    model = torch.jit.script(batchnorm_dropout())
    return usual(probe, model, sgd(p for p in model.parameters() if p.requires_grad))


class Net(nn.Module):
    """A class of the user's own: torch compiles no `Sequential` in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = batchnorm_dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def compiled(probe: Probe) -> Setup:
    model = torch.compile(Net(), backend="eager")
    return usual(probe, model, sgd(model.parameters()))


def compiled_untrained(probe: Probe) -> Setup:
    """Compiled in the middle of the test, and from then on."""
    setup = compiled(probe)
    setup.warm = 0
    return setup


def compiled_whole(probe: Probe) -> Setup:
    model = torch.compile(Net(), backend="eager", fullgraph=True)
    return usual(probe, model, sgd(model.parameters()))


def compiled_in_place(probe: Probe) -> Setup:
    model = Net()
    model.compile(backend="eager")
    return usual(probe, model, sgd(model.parameters()))


def compiled_step(probe: Probe) -> Setup:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.05), momentum=0.9)
    step = torch.compile(loop_body(model, optimizer, nn.CrossEntropyLoss()), backend="eager")
    return own_step(usual(probe, model, optimizer, step=step, optimizer_hooks=False))


# -- data -----------------------------------------------------------------------------------------


def _with_loader(make: Callable[[Probe], tuple[Any, list[Any]]]) -> Callable[[Probe], Setup]:
    def setup(probe: Probe) -> Setup:
        batches, generators = make(probe)
        model = mlp()
        optimizer = sgd(model.parameters())
        return usual(probe, model, optimizer, batches=batches, generators=generators)

    return setup


def _loader(probe: Probe) -> tuple[Any, list[Any]]:
    return DataLoader(classes(40), batch_size=8, shuffle=True, collate_fn=Collate(probe)), []


def _sampler(probe: Probe) -> tuple[Any, list[Any]]:
    data, order, seeds = classes(40), torch.Generator(), torch.Generator()
    sampler = RandomSampler(data, replacement=True, num_samples=30, generator=order)
    batches = DataLoader(
        data, batch_size=8, sampler=sampler, generator=seeds, collate_fn=Collate(probe)
    )
    return batches, [order, seeds]


class Bucketed(BatchSampler):
    """Shuffles its batches with a generator of NumPy's."""

    def __init__(self, data: Any) -> None:
        super().__init__(RandomSampler(data, generator=torch.Generator()), 6, drop_last=True)
        self.rng = np.random.default_rng(3)

    def __iter__(self) -> Iterator[list[int]]:
        batches = list(super().__iter__())
        yield from (batches[i] for i in self.rng.permutation(len(batches)))


def _batch_sampler(probe: Probe) -> tuple[Any, list[Any]]:
    data = classes(40)
    sampler = Bucketed(data)
    batches = DataLoader(data, batch_sampler=sampler, collate_fn=Collate(probe))
    return batches, [sampler.rng, sampler.sampler.generator]


class Endless(IterableDataset[Any]):
    """Samples drawn as they are asked for, from a generator of its own."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(4)

    def __iter__(self) -> Iterator[Any]:
        x, y = classes(40).tensors
        for i in self.rng.permutation(40):
            yield x[i] + torch.rand(()), y[i]


def _iterable(probe: Probe) -> tuple[Any, list[Any]]:
    data = Endless()
    return DataLoader(data, batch_size=8, collate_fn=Collate(probe)), [data.rng]


class Augmented(torch.utils.data.Dataset[Any]):
    """Adds noise, in the worker process, from the generator that the worker was given."""

    def __init__(self) -> None:
        self.x, self.y = classes(40).tensors

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> Any:
        return self.x[i] + 0.1 * torch.randn(FEATURES), self.y[i]


def _workers(probe: Probe) -> tuple[Any, list[Any]]:
    return DataLoader(Augmented(), batch_size=8, shuffle=True, num_workers=2), []


def _persistent(probe: Probe) -> tuple[Any, list[Any]]:
    data = Augmented()
    return DataLoader(data, batch_size=8, shuffle=True, num_workers=2, persistent_workers=True), []


def _pinned(probe: Probe) -> tuple[Any, list[Any]]:
    return DataLoader(classes(40), batch_size=8, shuffle=True, pin_memory=True), []


# -- the table ------------------------------------------------------------------------------------

SETUPS: dict[str, Callable[[Probe], Setup]] = {
    "plain": plain,
    "untrained": untrained,
    "own-loop": own_loop,
    "accumulation": accumulation,
    "gradients-pending": gradients_pending,
    "validation": validation,
    "eval-mode": eval_mode,
    "mappings": mappings,
    "bf16": bf16,
    "fp16": fp16,
    "fp16-untrained": fp16_untrained,
    "fp16-own-loop": fp16_own_loop,
    "fp16-fused": fp16_fused,
    "clipping": clipping,
    "lbfgs": lbfgs,
    "lbfgs-own-loop": lbfgs_own_loop,
    "gan": gan,
    "many-groups": many_groups,
    "tensor-lr": tensor_lr,
    "tensor-lrs": tensor_lrs,
    "sparse": sparse,
    "sparse-adam": sparse_adam,
    "wrapped-optimizer": wrapped_optimizer,
    "optimizer-in-backward": optimizer_in_backward,
    **{
        f"{name}{variant and '-'}{variant}": _of_torch(name, variant)
        for name, variants in VARIANTS
        for variant in variants
        if hasattr(torch.optim, name)
    },
    "scheduler-attached": scheduler_attached,
    "scheduler-stepped": scheduler_stepped,
    "scheduler-sequence": schedulers_in_sequence,
    "warm-up": warm_up,
    "averaged": averaged,
    "averaged-by-hand": averaged_by_hand,
    "tied": _of(Tied),
    "frozen": _of(_frozen),
    "no-buffers": _of(_no_bias),
    "hidden-state": _of(Counting),
    "loss-with-parameters": loss_with_parameters,
    "complex": _of(_complex),
    "parametrized": _of(_parametrized),
    "old-spectral-norm": _of(_old_spectral_norm),
    "pruned": _of(_pruned),
    "rnn": _of(Recurrent),
    "checkpointed": _of(Checkpointed),
    "lazy": _of(_lazy, warm=0),
    "own-generators": own_generators,
    "traced": traced,
    "scripted": scripted,
    "compiled": compiled,
    "compiled-untrained": compiled_untrained,
    "compiled-whole": compiled_whole,
    "compiled-in-place": compiled_in_place,
    "compiled-step": compiled_step,
    "loader": _with_loader(_loader),
    "loader-sampler": _with_loader(_sampler),
    "loader-batch-sampler": _with_loader(_batch_sampler),
    "loader-iterable": _with_loader(_iterable),
    "loader-workers": _with_loader(_workers),
    "loader-persistent": _with_loader(_persistent),
    "loader-pinned": _with_loader(_pinned),
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
