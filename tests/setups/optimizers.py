"""Optimizers: torch's own in all variants, several at once, and wrapped ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from support import CLASSES, DEVICE, FEATURES, batchnorm_dropout
from torch import Tensor, nn
from torch.optim import Optimizer

from .parts import Criterion, Probe, Setup, Stream, mlp, own_step, pairs, sgd, usual


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
    maker, judge = maker.to(DEVICE), judge.to(DEVICE)
    making = torch.optim.Adam(maker.parameters(), lr=2e-3, betas=(0.5, 0.9))
    judging = torch.optim.Adam(judge.parameters(), lr=1e-3)
    criterion = Criterion(probe)

    def step(batch: Any) -> Tensor:
        real, n = batch[0], len(batch[0])
        made = maker(torch.randn(n, 2, device=DEVICE))
        judging.zero_grad()
        both = torch.cat([judge(real), judge(made.detach())])
        criterion(both, torch.tensor([1] * n + [0] * n, device=DEVICE)).backward()
        judging.step()
        making.zero_grad()
        loss = criterion(judge(made), torch.ones(n, dtype=torch.long, device=DEVICE))
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
    model = nn.Sequential(nn.EmbeddingBag(20, CLASSES, mode="sum", sparse=True)).to(DEVICE)
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


SETUPS: dict[str, Callable[[Probe], Setup]] = {
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
}
