"""What a finder weighs: models, messages, bytes and processor time; a table on stdout.

No kernel and no page: a stand-in for the channel to the page counts what is sent. Processor time
is that of the whole process, all threads, in an interpreter of its own; ratios are those of a round
(a bare loop of as many steps runs just before), and each number is the median of all rounds.

    python tests/benchmarks/footprint.py --rounds 30 [--before FOLDER]

``--before`` is another checkout, built: it is measured in the same run, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--before", type=Path, help="another checkout, measured too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measured(chosen.rounds)))
        return
    trees = {"before": chosen.before.resolve(), "now": ROOT} if chosen.before else {"now": ROOT}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for _ in range(3):  # in turn, as the machine may change its speed
        for name, tree in trees.items():
            found[name].append(run(tree, max(1, chosen.rounds // 3)))
    print("| what |", " | ".join(trees), "|\n|---|" + "---|" * len(trees))
    for what in found["now"][0]:
        cells = [sorted(one[what] for one in found[name])[1] for name in trees]
        print(f"| {what} |", " | ".join(f"{cell:,.4g}" for cell in cells), "|")
    sys.path.insert(0, str(Path(__file__).parent))
    from overhead import load, machine

    print(f"\n{machine()}\n{load()}")


def run(tree: Path, rounds: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", "--rounds", str(rounds)]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    found: dict[str, float] = json.loads(subprocess.check_output(command, env=environment))
    return found


# -- in an interpreter of its own -----------------------------------------------------------------


class Channel:
    """Stands in for a comm: counts what is sent through it."""

    sent: list[int] = []  # noqa: RUF012 - of all channels
    of_code = 0

    def __init__(self, **options: Any) -> None:
        self.comm_id = options.get("comm_id") or os.urandom(16).hex()
        self.send(options["data"], buffers=options.get("buffers"))

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        code = sum(len((data or {}).get("state", {}).get(key, "")) for key in ("_esm", "_css"))
        size = len(json.dumps(data)) + sum(memoryview(part).nbytes for part in buffers or ())
        Channel.of_code += code
        Channel.sent.append(size - code)

    def on_msg(self, callback: Any) -> None: ...

    def close(self, **options: Any) -> None: ...


def measured(rounds: int) -> dict[str, float]:
    import gc
    import statistics
    import time

    import comm
    import ipywidgets
    import torch
    from torch import nn

    sys.path.insert(0, str(Path(__file__).parent))
    from overhead import RANGE, tiny_mlp, train

    comm.create_comm = Channel
    from lrfinder_widget import LRFinder

    torch.set_num_threads(1)
    task = tiny_mlp()

    def finder(steps: int, model: Any = None, optimizer: Any = None) -> LRFinder:
        if model is None:
            model, optimizer = task.begin()
        return LRFinder(model, optimizer, task.batches, nn.MSELoss(), **RANGE, num_iter=steps)

    def cost(do: Any) -> tuple[float, Any]:
        gc.collect()
        begun = time.process_time()
        result = do()
        return (time.process_time() - begun) * 1e3, result

    def bare(steps: int) -> None:
        model, optimizer = task.begin()
        lrs = [1e-7] * steps
        train(model, optimizer, task, lrs)

    living = ipywidgets.widgets.widget._instances
    finder(20).start().wait()._repr_mimebundle_()  # what is imported late
    bare(20)
    times: dict[str, list[float]] = {}
    counts: dict[str, float] = {}
    for _ in range(rounds):
        before = set(living)
        Channel.sent.clear()
        trained = task.begin()
        made, one = cost(lambda: finder(100, *trained))  # noqa: B023
        counts["models of a finder"] = len(set(living) - before)
        shown, _ = cost(one._repr_mimebundle_)
        counts["models to display"] = len(set(living) - before)
        counts["messages to display"] = len(Channel.sent)
        counts["kB to display, without the code"] = sum(Channel.sent) / 1e3
        one.start().wait()
        one.start().wait()
        counts["models after two runs"] = len(set(living) - before)
        one.close()
        counts["models left after close()"] = len(set(living) - before)
        times.setdefault("`LRFinder(…)`, ms", []).append(made)
        times.setdefault("its display, ms", []).append(shown)
        for steps in (100, 1000):
            loop, _ = cost(lambda: bare(steps))  # noqa: B023
            whole, one = cost(lambda: finder(steps).start().wait())  # noqa: B023
            one.close()
            name = f"never displayed: construction and {steps:,} steps, to a bare loop"
            times.setdefault(name, []).append(whole / loop)
    return {**counts, **{name: statistics.median(values) for name, values in times.items()}}


if __name__ == "__main__":
    main()
