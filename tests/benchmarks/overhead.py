"""What an LR range test costs beside the bare training loop that it stands for: a table on stdout.

In each round, every way of taking the steps runs once, in an order drawn anew: from the same start,
on the same batches, with the same learning rates. Rounds are paired: a ratio is that of a way's
time and of the bare loop's in the same round, so a machine that is slow for a while is slow for
both. The garbage collector is on, and has nothing left to do when a run starts; what the libraries
made at their import is kept from it.

    python tests/benchmarks/overhead.py --rounds 40
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrfinder_widget import LRFinder, RangeTest, range_test, sweep
from lrfinder_widget.training.baseline import Baseline

# Nothing falls in this range, so each curve would have its baseline taken: a forward pass a step
# more, that the bare loop has not. The batches are kept for it all the same.
Baseline.is_needed = lambda self, *_: False  # type: ignore[method-assign]
# Nothing diverges in this range, so every way takes all the steps; the rule for it looks at each.
RANGE = {"start_lr": 1e-7, "end_lr": 1e-3}
WARM_UP_ROUNDS = 2
NOTES = """\
- No baseline is taken: where the losses alone show no clear fall, it costs a forward pass a step.
- **ratio**, **added**: from start to end as the caller sees it: snapshot, start of the thread,
  steps, drawing and restore. **per sweep**: the part that does not depend on the number of steps
  (a test of two steps less two bare ones).
- **between steps**: from the end of one step (forward, backward, update) to the beginning of the
  next, less the same of the bare loop; processor time of the thread that trains. A small
  difference of long times is lost in the noise of a busy machine, this is not. It leaves out what
  the package does *within* the textbook step, and that a step is slower after other code has run.
- All are medians over rounds, with the 95 % interval of a bootstrap over rounds.
- The background is compared with a bare loop in a thread of its own. Memory is allocated
  differently there: in the main thread, glibc gives large blocks back to the system at each step,
  which can make the same loop a sixth slower.
"""
DRAWN = "- `widget` draws what `LRFinder` draws, as often as it does. "
SENT = DRAWN + "A Jupyter kernel sends the messages; no page is there to receive them."
NOT_SENT = DRAWN + "No kernel is there to send the messages (`--kernel`)."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--steps", type=int, help="by default 1000 for the MLP, 50 for the LeNet, 10 for the ResNet"
    )
    parser.add_argument("--models", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is the steadiest")
    parser.add_argument("--kernel", action="store_true", help="measure inside a Jupyter kernel")
    chosen = parser.parse_args()
    if chosen.kernel:
        run_in_kernel([argument for argument in sys.argv[1:] if argument != "--kernel"])
        return
    torch.set_num_threads(chosen.threads)
    gc.freeze()
    print(machine())
    print("\n| model | way | bare step | ratio | added a step | between steps | per sweep |")
    print("|---|---|---|---|---|---|---|")
    for name in chosen.models:
        task = TASKS[name]()
        steps = chosen.steps or task.steps
        for way, *cells in rows(measure(task, steps, chosen.rounds), steps):
            print("|", " | ".join([f"{name}, {steps} steps", way, *cells]), "|", flush=True)
    print(f"\n{NOTES}{SENT if 'ipykernel' in sys.modules else NOT_SENT}\n{load()}")


# -- what is trained ------------------------------------------------------------------------------


def momentum(parameters: Iterator[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


@dataclass(frozen=True)
class Task:
    make: Callable[[], nn.Module]
    criterion: Callable[[Tensor, Tensor], Tensor]
    batches: Any
    steps: int
    optimizer: Callable[[Iterator[Tensor]], torch.optim.Optimizer] = momentum
    device: torch.device | None = None  # where the batches are moved, unless they are there

    def begin(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = self.make()
        return model, self.optimizer(model.parameters())

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches where the model is, as a plain loop moves them."""
        if (device := self.device) is None:
            return iter(self.batches)
        return (
            (x.to(device, non_blocking=True), y.to(device, non_blocking=True))
            for x, y in self.batches
        )


def tiny_mlp() -> Task:
    return Task(
        make=lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)),
        criterion=nn.MSELoss(),
        batches=[(torch.randn(32, 8), torch.randn(32, 1)) for _ in range(20)],
        steps=1000,
    )


def lenet() -> Task:
    return Task(
        make=lambda: nn.Sequential(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1), nn.Flatten()),
            *(nn.Linear(1600, 128), nn.Dropout(0.1), nn.Linear(128, 10)),
        ),
        criterion=nn.CrossEntropyLoss(),
        batches=[(torch.randn(32, 1, 28, 28), torch.randint(10, (32,))) for _ in range(20)],
        steps=50,
    )


class Block(nn.Module):
    """Two convolutions with a way around them (He et al., arXiv:1512.03385)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()),
            *(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)),
        )
        self.around: nn.Module = nn.Identity()
        if stride > 1:
            around = nn.Conv2d(before, after, 1, stride, bias=False)
            self.around = nn.Sequential(around, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.around(x))


def resnet18() -> Task:
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    return Task(
        make=lambda: nn.Sequential(
            *(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(Block(a, b, 1 + (b > a)) for a, b in pairwise(widths)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)),
        ),
        criterion=nn.CrossEntropyLoss(),
        batches=[(torch.randn(8, 3, 32, 32), torch.randint(10, (8,))) for _ in range(5)],
        steps=10,
    )


TASKS: dict[str, Callable[[], Task]] = {"mlp": tiny_mlp, "lenet": lenet, "resnet": resnet18}


class Stamps:
    """The time at which each step begins and ends."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def step(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, criterion: Callable[..., Tensor]
    ) -> Callable[[Any], Tensor]:
        # The thread's own clock stands still while another has the processor. Windows' is coarse.
        fine = time.get_clock_info("thread_time").resolution < 1e-6
        clock, note = time.thread_time if fine else time.perf_counter, self.times.append

        def step(batch: Any) -> Tensor:
            note(clock())
            inputs, target = batch
            optimizer.zero_grad()
            loss = criterion(model(inputs), target)
            loss.backward()
            optimizer.step()
            note(clock())
            return loss

        return step

    def between(self) -> float:
        begun, ended = np.array(self.times).reshape(-1, 2).T
        return float((begun[1:] - ended[:-1]).mean())


# -- the ways to take the steps: each prepares a run, which returns its seconds --------------------

Run = Callable[[], float]
Way = Callable[[Task, int, Stamps | None], Run]


def bare(task: Task, steps: int, stamps: Stamps | None) -> Run:
    model, optimizer = task.begin()
    lrs = np.geomspace(*RANGE.values(), steps).tolist()
    if stamps is None:
        return lambda: seconds(lambda: train(model, optimizer, task, lrs))
    step = stamps.step(model, optimizer, task.criterion)
    return lambda: seconds(lambda: train_with(step, optimizer, task, lrs))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, task: Task, lrs: list[float]) -> None:
    """The loop that everybody has written."""
    criterion = task.criterion
    losses: list[float] = []
    while True:
        for inputs, target in task.epoch():
            for group in optimizer.param_groups:
                group["lr"] = lrs[len(losses)]
            optimizer.zero_grad()
            loss = criterion(model(inputs), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == len(lrs):
                return


def train_with(
    step: Callable[[Any], Tensor], optimizer: torch.optim.Optimizer, task: Task, lrs: list[float]
) -> None:
    """The same around a step that takes stamps."""
    losses: list[float] = []
    while True:
        for batch in task.epoch():
            for group in optimizer.param_groups:
                group["lr"] = lrs[len(losses)]
            losses.append(step(batch).item())
            if len(losses) == len(lrs):
                return


def bare_in_a_thread(task: Task, steps: int, stamps: Stamps | None) -> Run:
    run = bare(task, steps, stamps)

    def run_in_a_thread() -> float:
        taken: list[float] = []  # by a clock in the thread: starting it is no part of training

        def work() -> None:
            torch.get_num_threads()  # takes what was set, as `LRFinder` does
            taken.append(run())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return taken[0]

    return run_in_a_thread


def blocking(task: Task, steps: int, stamps: Stamps | None) -> Run:
    run = with_arguments(partial(partial, range_test), task, steps, stamps)
    return lambda: seconds(lambda: check(len(run()), steps))


def background(task: Task, steps: int, stamps: Stamps | None) -> Run:
    test = RangeTest(with_arguments(sweep, task, steps, stamps))
    return lambda: seconds(lambda: check(len(test.start().wait()), steps))


def widget(task: Task, steps: int, stamps: Stamps | None) -> Run:
    finder = with_arguments(LRFinder, task, steps, stamps)
    if IN_PAGE:
        show(finder)

    def run() -> float:
        taken = seconds(lambda: finder.start().wait())
        check(len(finder.curve), steps)
        finder.close()
        return taken

    return run


def show(finder: LRFinder) -> None:
    """Put it in the page, in the place of the one before."""
    from IPython import display

    display.clear_output(wait=True)
    display.display(finder)
    time.sleep(1)  # to be drawn in; the page cannot tell the kernel while a cell runs


IN_PAGE = False  # `overhead_peers.py --browser` changes it

# Each beside the bare loop that it is compared with.
PAIRS: dict[Way, Way] = {
    blocking: bare,
    background: bare_in_a_thread,
    widget: bare_in_a_thread,
}


def with_arguments(call: Callable[..., Any], task: Task, steps: int, stamps: Stamps | None) -> Any:
    model, optimizer = task.begin()
    options: dict[str, Any] = {"num_iter": steps, **RANGE}
    if stamps is None:
        return call(model, optimizer, task.batches, task.criterion, **options)
    step = stamps.step(model, optimizer, task.criterion)
    return call(model, optimizer, task.batches, step=step, device=task.device, **options)


clock = time.perf_counter  # `overhead_peers.py` puts another here


def seconds(act: Callable[[], object]) -> float:
    begun = clock()
    act()
    if torch.accelerator.is_available():  # or what is still queued would count for the next
        torch.accelerator.synchronize()
    return clock() - begun


def check(done: int, steps: int) -> None:
    if done != steps:
        raise AssertionError(f"took {done} steps of {steps}: the comparison would be unfair")


# -- measuring ------------------------------------------------------------------------------------

Times = dict[tuple[Way, str], NDArray[np.float64]]


def measure(task: Task, steps: int, rounds: int) -> Times:
    """The times of each way in each round: of all steps, of two, and between steps."""
    ways = [*PAIRS, *dict.fromkeys(PAIRS.values())]
    runs = [(way, what) for way in ways for what in ("all", "two", "between")]
    times: dict[Any, list[float]] = {run: [] for run in runs}
    order = random.Random(0)
    for done in range(-min(WARM_UP_ROUNDS, rounds), rounds):
        order.shuffle(runs)
        for way, what in runs:
            stamps = Stamps() if what == "between" else None
            run = way(task, 2 if what == "two" else steps, stamps)
            gc.collect()
            taken = run()
            if done >= 0:
                times[way, what].append(taken if stamps is None else stamps.between())
    return {run: np.array(values) for run, values in times.items()}


def rows(times: Times, steps: int) -> Iterator[list[str]]:
    for way, plain in PAIRS.items():

        def less_bare(what: str, way: Way = way, plain: Way = plain) -> NDArray[np.float64]:
            return times[way, what] - times[plain, what]

        yield [
            way.__name__,
            f"{np.median(times[plain, 'all']) / steps * 1e6:,.0f} µs",
            interval(times[way, "all"] / times[plain, "all"], "{:.3f}"),
            interval(less_bare("all") / steps * 1e6, "{:,.1f}", " µs"),
            interval(less_bare("between") * 1e6, "{:,.1f}", " µs"),
            interval(less_bare("two") * 1e3, "{:.2f}", " ms"),
        ]


def interval(values: NDArray[np.float64], style: str, unit: str = "") -> str:
    """The median, and the 95 % interval of a bootstrap."""
    drawn = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    middle, low, high = (style.format(value) for value in (np.median(values), low, high))
    return f"{middle}{unit} [{low}, {high}]"


def machine() -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0].partition(":")[2].strip() if models else name
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, "
        f"torch {torch.__version__} with {torch.get_num_threads()} thread(s). {load()}"
    )


def load() -> str:
    if not hasattr(os, "getloadavg"):
        return "Load unknown."
    return f"Load {os.getloadavg()[0]:.1f} at {time.strftime('%H:%M')}."


def run_in_kernel(arguments: list[str]) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel()
    source = (
        f"import runpy, sys\nsys.argv = {[__file__, *arguments]!r}\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )

    def show(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            print(content["text"], end="", flush=True)
        elif message["msg_type"] == "error":
            sys.exit("\n".join(content["traceback"]))

    try:
        client.execute_interactive(source, output_hook=show)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
