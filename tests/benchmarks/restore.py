"""What an LR range test leaves behind, with this package and others: a table on stdout.

Some steps into a training, a test of a few steps is run and made to end in each of the ways; then
every state is compared, to the bit, with what it was before. Each case has a process of its own.

    python tests/benchmarks/restore.py
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import torch
from overhead import machine
from peers import PEERS, RANGE, Training, installed, not_installed, silence
from restore_states import Fault, Writes, begin, picture

from lrfinder_widget import LRFinder, range_test, training_step

ENDS = {
    "end": "a normal end",
    "model": "an exception in the model",
    "data": "one in the data",
    "loss": "one in the loss",
    "interrupt": "SIGINT in a step",
    "thread": "a normal end, called from a thread in the background",
}
STEPS = 8
TIME_LIMIT_S = 100
# What a package has no place for, or refuses, is left out of its training.
WITHOUT = {
    "torch-lr-finder": ("scheduler", "it refuses an optimizer that has one"),
    "fastai": ("scaler", "it makes one of its own"),
}
NOTES = """\
- **changed** is followed by the ends after which the state was not what it had been.
- After an end by itself what the documentation of a package shows after a test is called too:
  `reset()` for torch-lr-finder. After an exception nothing is called, as the cell is over.
- **optimizer's groups** are all their keys and values but the parameters; **hooks** are those of
  the modules and the optimizer, and what else has been set on it; **loader's order** is that of
  the next epoch; **files** are those opened for writing and folders made, removed later or not.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    chosen = parser.parse_args()
    found, notes = {}, []
    for tool in chosen.tools:
        if tool in PEERS and tool not in installed():
            continue
        found[tool] = {end: in_a_process(tool, end) for end in ENDS}
        for end, outcome in list(found[tool].items()):
            if isinstance(outcome, str):
                notes.append(f"- Not possible: {tool}, {end}: {outcome}\n")
                del found[tool][end]
        if tool in WITHOUT:
            notes.append("- Not possible: {}, {}: {}.\n".format(tool, *WITHOUT[tool]))
    print(machine())
    print("\nEnds:", "; ".join(f"*{end}*, {words}" for end, words in ENDS.items()) + ".\n")
    print_table(found)
    print(f"\n{NOTES}{''.join(notes)}{not_installed()}")
    for tool, outcomes in found.items():
        counts = {end: (sum(states.values()), len(states)) for end, states in outcomes.items()}
        changed, entries = (sum(column) for column in zip(*counts.values(), strict=True))
        each = ", ".join(f"{end} {some} of {every}" for end, (some, every) in counts.items())
        print(f"{tool}: {changed} of {entries} entries changed ({each})")


Outcomes = dict[str, dict[str, bool]]  # end -> state -> whether it changed


def print_table(found: dict[str, Outcomes]) -> None:
    print("| state |", " | ".join(found), "|")
    print("|---|" + "---|" * len(found))
    for state in dict.fromkeys(s for o in found.values() for states in o.values() for s in states):
        print("|", " | ".join([state, *(cell(o, state) for o in found.values())]), "|")


def cell(outcomes: Outcomes, state: str) -> str:
    seen = {end: states[state] for end, states in outcomes.items() if state in states}
    if not seen:
        return "not possible"
    changed = [end for end in seen if seen[end]]
    if not changed:
        return "same"
    return "changed: " + ("all" if len(changed) == len(seen) else ", ".join(changed))


# -- one case -------------------------------------------------------------------------------------


def in_a_process(tool: str, end: str) -> dict[str, bool] | str:
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=send_case, args=(sender, tool, end))
    process.start()
    sender.close()  # the process has its own; where it fails, the pipe ends
    if not receiver.poll(TIME_LIMIT_S):
        process.kill()
        raise TimeoutError(f"{tool}, {end}: no answer within {TIME_LIMIT_S} s")
    found = receiver.recv()
    process.join()
    return found


def send_case(sender: Any, tool: str, end: str) -> None:
    sender.send(case(tool, end))


def case(tool: str, end: str) -> dict[str, bool] | str:
    """Say of each state whether it changed, or why this end is not possible."""
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started this process
    fault, writes = Fault(), Writes()
    training = begin(fault, WITHOUT.get(tool, ()))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), silence():
        tempfile.tempdir = folder
        run = TOOLS[tool](training, STEPS)
        before = picture(training)
        fault.arm(end)
        writes.watching = True
        raised = outcome(run, in_a_thread=end == "thread")
        writes.watching = False
        for thread in set(threading.enumerate()) - before["threads"]:
            thread.join(2)  # one that is just ending leaves nothing behind
        if end in ("end", "thread"):
            if raised is not None:
                return repr(raised)
        elif not fault.acted:
            raise AssertionError(f"{tool} never came to the step that ends by {end}")
        fault.where = ""
        after = picture(training)
        tempfile.tempdir = None
    return {state: before[state] != after[state] for state in before} | {"files": bool(writes.seen)}


def outcome(run: Callable[[], object], *, in_a_thread: bool) -> BaseException | None:
    raised: list[BaseException] = []

    def call() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - some leave the process at an interrupt
            raised.append(error)

    if in_a_thread:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    else:
        call()
    return raised[0] if raised else None


def blocking(training: Training, steps: int) -> Callable[[], object]:
    arguments, options = ours(training, steps)
    return lambda: range_test(*arguments, **options)


def widget(training: Training, steps: int) -> Callable[[], object]:
    arguments, options = ours(training, steps)
    finder = LRFinder(*arguments, **options)

    def run() -> None:
        try:
            finder.start().wait()
        finally:
            finder.close()  # an interrupt ends the waiting, not the test

    return run


def ours(training: Training, steps: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    model, optimizer = training.model, training.optimizer
    step = training_step(model, optimizer, training.criterion, scaler=training.scaler)
    options = {"start_lr": RANGE[0], "end_lr": RANGE[1], "num_iter": steps, "step": step}
    return (model, optimizer, training.loader), options


TOOLS: dict[str, Callable[[Training, int], Callable[[], object]]] = {
    "range_test": blocking,
    "LRFinder": widget,
} | {name: prepare for name, (_, prepare) in PEERS.items()}
# A fork of this process would inherit its threads' locks; a fork server has none.
FORKS = "forkserver" in multiprocessing.get_all_start_methods()
PROCESSES = multiprocessing.get_context("forkserver" if FORKS else "spawn")
if FORKS:
    # With what an optimizer imports at its first step, or each process would.
    PROCESSES.set_forkserver_preload(["torch", "torch._dynamo", "lrfinder_widget"])


if __name__ == "__main__":
    main()
