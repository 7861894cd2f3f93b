"""Every optimizer of some packages under an LR range test, fresh and in mid-training: a table.

    python tests/works_with/optimizers.py [--write] [package …]

Each is trained from the same start with and without a test in between, and what it does afterwards
is compared, to the bit. Without a package, all of them. With ``--write``, a short table goes into
``docs/works-with.md``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common import ROOT, WRITE, bits, chosen, ensure, head, packages_in, row, seed, write

PACKAGES = ["torch", *packages_in(Path(__file__).with_suffix(".txt"))]
STEPS, WARM, POINTS = 12, 5, 40


def main(arguments: list[str]) -> int:
    wanted = chosen(arguments, PACKAGES)
    ensure(wanted, __file__, arguments)
    print("\n".join(head("package", "optimizer", "fresh", "in mid-training", "what to know")))
    found: dict[str, dict[str, Row]] = {}
    for package in wanted:
        name = f"{package} {importlib.metadata.version(package)}"
        rows = found[name] = {}
        for optimizer, cls in optimizers_of(package):
            rows[optimizer] = of = examine(cls)
            print(row(name, optimizer, *of[:3]), flush=True)
    bad = sum(not of.right for rows in found.values() for of in rows.values())
    print(f"\n{bad} not right" if bad else "\nall right")
    if WRITE in arguments:
        write("optimizers", in_short(found))
    return bool(bad)


def in_short(found: dict[str, dict[str, Row]]) -> list[str]:
    """Return how many optimizers of each package are how, and all rows with something to know."""
    lines = head("package", "optimizers", "exact when fresh", "exact in mid-training", "refused")
    for package, rows in found.items():
        fresh, mid = ([of[i] for of in rows.values()] for i in (0, 1))
        refused = sum("refused" in of[:2] for of in rows.values())
        numbers = len(rows), fresh.count("exact"), mid.count("exact"), refused
        lines.append(row(package, *map(str, numbers)))
    lines += ["", *head("package", "optimizer", "fresh", "in mid-training", "what to know")]
    for package, rows in found.items():
        notable: dict[tuple[str, ...], list[str]] = {}  # those of which the same is to be known
        for optimizer, of in rows.items():
            if of.note or of[:2] != ("exact", "exact"):
                notable.setdefault(of[:3], []).append(optimizer)
        lines += [row(package, ", ".join(names), *cells) for cells, names in notable.items()]
    return lines


def optimizers_of(package: str) -> Iterator[tuple[str, Any]]:
    from torch.optim import Optimizer

    if package == "pytorch_optimizer":  # by name, as its documentation says
        import pytorch_optimizer

        for name in sorted(pytorch_optimizer.get_supported_optimizers()):
            try:
                yield name, pytorch_optimizer.load_optimizer(name)
            except ImportError:
                continue  # one of another package, which is not here
        return
    module = importlib.import_module("torch.optim" if package == "torch" else package)
    if package == "heavyball":  # compiling each takes minutes
        importlib.import_module("heavyball.utils").compile_mode = None
    for name, cls in sorted(vars(module).items()):
        is_class = inspect.isclass(cls) and issubclass(cls, Optimizer)
        if is_class and cls is not Optimizer and not name.startswith("_"):
            yield name, cls


# -- what is trained ------------------------------------------------------------------------------


class Task(NamedTuple):
    model: Any
    optimizer: Any
    step: Callable[[Any], Any]
    own: bool
    """Whether the test needs the step, too."""

    def things(self) -> list[Any]:
        groups = [
            {k: v for k, v in g.items() if k != "params"} for g in self.optimizer.param_groups
        ]
        return [list(self.model.parameters()), list(self.optimizer.state.values()), groups]


def data() -> list[Any]:
    import torch

    generator = torch.Generator().manual_seed(0)
    y = torch.randint(4, (64,), generator=generator)
    x = torch.rand(64, 8, generator=generator) + torch.nn.functional.one_hot(y, 8)
    return list(zip((x / 2).split(16), y.split(16), strict=True))


def models() -> dict[str, Callable[[], Any]]:
    import torch
    from torch import nn

    class Bag(nn.Module):
        """With sparse gradients."""

        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(8 * 17, 4, mode="sum", sparse=True)

        def forward(self, x: Any) -> Any:
            return self.bag((x * 16).long().clamp(0, 16) + 17 * torch.arange(8))

    return {
        "": lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)),
        "matrices only": lambda: nn.Sequential(
            nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False)
        ),
        "sparse": Bag,
    }


def ways() -> dict[str, Callable[[Any, Any], tuple[Callable[[Any], Any], bool]]]:
    from torch import nn

    criterion = nn.CrossEntropyLoss()

    def plainly(model: Any, optimizer: Any, **how: bool) -> tuple[Callable[[Any], Any], bool]:
        def step(batch: Any) -> Any:
            optimizer.zero_grad()
            loss = criterion(model(batch[0]), batch[1])
            loss.backward(**how)
            optimizer.step()
            return loss.detach()

        return step, bool(how)

    def by_closure(model: Any, optimizer: Any, **how: bool) -> tuple[Callable[[Any], Any], bool]:
        def step(batch: Any) -> Any:
            losses = []

            def closure() -> Any:
                optimizer.zero_grad()
                loss = criterion(model(batch[0]), batch[1])
                loss.backward(**how)
                losses.append(loss.detach())
                return loss

            optimizer.step(closure)
            return losses[0]

        return step, True

    return {
        "": plainly,
        "with a graph of the gradients": lambda *a: plainly(*a, create_graph=True),
        "with a closure": by_closure,
        "with a closure and a graph": lambda *a: by_closure(*a, create_graph=True),
    }


def builders(cls: Any) -> Iterator[Callable[[Any], Any]]:
    """Yield the ways to make one, most usual first."""
    from torch.optim import SGD

    for lr in ({"lr": 1e-2}, {}):
        yield lambda m, lr=lr: cls(m.parameters(), **lr)
        yield lambda m, lr=lr: cls([{"params": list(m.parameters()), "use_muon": True}], **lr)
        yield lambda m, lr=lr: cls(m, **lr)
        yield lambda m, lr=lr: cls(m.parameters(), num_iterations=100, **lr)
        yield lambda m, lr=lr: cls(m.parameters(), num_data=64, **lr)
    yield lambda m: cls(SGD(m.parameters(), lr=1e-2))


# -- what it does ---------------------------------------------------------------------------------


class Row(NamedTuple):
    fresh: str
    mid: str
    note: str
    right: bool


def examine(cls: Any) -> Row:
    errors: list[str] = []
    for (model_note, model), build, (way_note, way) in itertools.product(
        models().items(), builders(cls), ways().items()
    ):

        def make(model: Any = model, build: Any = build, way: Any = way) -> Task:
            seed()
            net = model()
            optimizer = build(net)
            if callable(getattr(optimizer, "train", None)):  # schedule-free ones
                optimizer.train()
            return Task(net, optimizer, *way(net, optimizer))

        try:
            quietly(lambda make=make: train(make(), 3))
        except Exception as error:  # noqa: BLE001 - another way may be what it wants
            errors.append(f"{type(error).__name__}: {error}".split("\n")[0][:60])
            continue
        outcomes = [quietly(lambda warm=warm, make=make: outcome(make, warm)) for warm in (0, WARM)]
        said = list(dict.fromkeys(note for _, note, _ in outcomes if note))
        notes = [note for note in (model_note, way_note, *said) if note]
        right = all(fine for *_, fine in outcomes)
        return Row(outcomes[0][0], outcomes[1][0], "; ".join(notes), right)
    return Row("–", "–", f"does not train here: {errors[0]}", True)


def quietly(act: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return act()


def train(task: Task, steps: int) -> list[float]:
    return [float(task.step(batch)) for batch in itertools.islice(itertools.cycle(data()), steps)]


def outcome(make: Callable[[], Task], warm: int) -> tuple[str, str, bool]:
    """Train with and without a test; return what to show, a note, and whether it is right."""
    from torch.nn import CrossEntropyLoss

    from lrfinder_widget import range_test

    def run(*, test: bool) -> tuple[Any, Any]:
        task = make()
        train(task, warm)
        curve = None
        if test:
            door = {"step": task.step} if task.own else {"criterion": CrossEntropyLoss()}
            curve = range_test(task.model, task.optimizer, data(), **door, num_iter=POINTS)
        return curve, bits([train(task, STEPS), task.things()])

    alone, again = run(test=False)[1], run(test=False)[1]
    try:
        curve, after = run(test=True)
    except (TypeError, ValueError) as error:
        ours = Path(inspect.trace()[-1].filename).is_relative_to(ROOT / "lrfinder_widget")
        return ("refused" if ours else "fails"), f"{error}".split("\n")[0][:120], ours
    except Exception as error:  # noqa: BLE001 - to be shown
        return "fails", f"{type(error).__name__}: {error}".split("\n")[0][:120], False
    note = "its lr has no effect" if curve.reason == "no-effect" else ""
    if alone != again:
        return "runs", f"{note} not deterministic by itself".strip(), True
    return ("exact" if after == alone else "differs"), note, after == alone


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
