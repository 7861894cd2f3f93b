"""Every loader of some packages under an LR range test, at three moments of a training: a table.

    python tests/works_with/loaders.py [--write] [package …]

Each training is lived without a test and with one, each time in a process of its own. Its batches,
losses and weights are compared, to the bit; where they differ it is lived once more without, to see
whether it is the same at all. So are the processes and threads before and after a test. With
``--write`` the table goes into ``docs/works-with.md``. All data is made here.
"""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby, islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from common import ROOT, WRITE, bits, chosen, ensure, head, packages_in, row, seed, write

HERE = ["timm", "accelerate", "lightning", "fastai"]  # these the tests need anyway
PACKAGES = ["torch", *packages_in(Path(__file__).with_suffix(".txt")), *HERE]
MOMENTS = ["before the first epoch", "between epochs", "in mid-epoch"]
UNDER_WAY, EPOCHS, POINTS, LIMIT_S = 2, 2, 20, 60


def main(arguments: list[str]) -> int:
    wanted = chosen(arguments, PACKAGES)
    ensure(wanted, __file__, arguments)
    os.environ.update(NO_ALBUMENTATIONS_UPDATE="1", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    from settings import settings_of

    top = head("package", "loader", "workers", "runs", "trains on", "next epochs", "what to know")
    print("\n".join(top), flush=True)
    rows, bad = [], 0
    for package in wanted:
        name = f"{package} {importlib.metadata.version(package)}"
        for setting in settings_of(package):
            for workers, options in setting.workers.items():
                result = examine(setting, options)
                bad += not result.right
                rows.append((name, setting.name, workers, *result.cells))
                print(row(*rows[-1]), flush=True)
    print(f"\n{bad} not right" if bad else "\nall right")
    if WRITE in arguments:
        write("loaders", [*top, *in_short(rows)])
    return bool(bad)


def in_short(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Put the workers with which a loader is the same into one row."""
    for (package, loader, *cells), group in groupby(rows, lambda of: (*of[:2], *of[3:])):
        yield row(package, loader, ", ".join(of[2] for of in group), *cells)


# -- one training ---------------------------------------------------------------------------------


class Life(NamedTuple):
    """What a training was like from the moment of the test on."""

    batches: list[Any]
    training: Any
    error: str = ""
    said: tuple[str, ...] = ()
    """Our sentences."""
    left: tuple[str, ...] = ()
    """Processes and threads."""


def live(setting: Any, options: dict[str, Any], moment: str, *, test: bool) -> Life:
    """Train for some epochs, with a test at one moment or without."""
    seed()
    task = setting.make(**options)
    seed()
    batches: list[Any] = []
    losses: list[float] = []
    tested: tuple[Any, ...] = ()

    def use(these: Iterator[Any], most: int | None = None) -> None:
        for batch in islice(these, most):
            batches.append(bits(task.content(batch)))
            losses.append(float(task.step(batch)))

    def epoch() -> Iterator[Any]:
        task.begin_epoch()
        return iter(task.loader)

    if moment == "between epochs":
        use(epoch())
    under_way = epoch() if moment == "in mid-epoch" else None
    if under_way is not None:
        use(under_way, UNDER_WAY)
    batches.clear()
    if test:
        tested = range_test_of(task)
    if under_way is not None:
        use(under_way)
        under_way = None
    for _ in range(EPOCHS):
        batches.append("next epoch")
        use(epoch())
    task.end()
    return Life(batches, bits([losses, task.things()]), *tested)


def range_test_of(task: Any) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return an error, our sentences, and what processes and threads are left."""
    from lrfinder_widget import range_test

    before = running()
    error = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            range_test(task.model, task.optimizer, task.loader, num_iter=POINTS, **task.door)
        except Exception as raised:  # noqa: BLE001 - to be shown
            error = f"{type(raised).__name__}: {raised}".split("\n")[0][:160]
    ours = [str(w.message) for w in caught if Path(w.filename) == Path(__file__)]
    said = tuple(text.removeprefix("Not everything has been restored. ") for text in ours)
    until = time.monotonic() + 5
    while (left := running() - before) and time.monotonic() < until:
        time.sleep(0.01)  # a thread of a library may need a moment to see that it should end
    return error, said, tuple(sorted(name for _, name in left))


def running() -> set[tuple[int, str]]:
    """Return the worker processes and threads that there are now.

    Those that Python and tqdm start at the first use, for life, are none.
    """
    import psutil

    found = {(thread.ident or 0, f"thread {thread.name}") for thread in threading.enumerate()}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())  # empty if it has ended
            if command and "resource_tracker" not in command:
                found.add((process.pid, f"process {process.name()}"))
    return {(number, name) for number, name in found if name != "thread tqdm_monitor"}


def apart(setting: Any, options: dict[str, Any], moment: str, *, test: bool) -> Life:
    """Live in a process of its own, which is ended if it does not come to an end."""
    import psutil

    context = multiprocessing.get_context("fork")
    ours, its = context.Pipe()

    def work() -> None:
        warnings.simplefilter("ignore")
        try:
            life = live(setting, options, moment, test=test)
        except Exception as error:  # noqa: BLE001 - to be shown
            life = Life([], None, f"{type(error).__name__}: {error}".split("\n")[0][:160])
            traceback.print_exc()
        its.send(life)
        os._exit(0)  # some packages leave threads that would not end

    process = context.Process(target=work)
    process.start()
    its.close()
    try:
        answered = ours.poll(LIMIT_S)
        return ours.recv() if answered else Life([], None, f"takes more than {LIMIT_S} s")
    except EOFError:
        return Life([], None, "its process ends")
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.join()


# -- some of them compared ------------------------------------------------------------------------


class Result(NamedTuple):
    cells: tuple[str, ...]
    right: bool


def examine(setting: Any, options: dict[str, Any]) -> Result:
    runs, trains, epochs = {}, {}, {}
    notes: dict[str, list[str]] = {}
    right = True
    for moment in MOMENTS:
        alone, with_test = (apart(setting, options, moment, test=test) for test in (False, True))
        if alone.error:
            return Result(("–", "–", "–", f"does not train here: {alone.error}"), right=False)
        runs[moment] = not with_test.error
        same = with_test[:2] == alone[:2]
        again = alone if same else apart(setting, options, moment, test=False)
        same_by_itself = alone[:2] == again[:2]
        trains[moment] = with_test.training == alone.training if same_by_itself else None
        epochs[moment] = with_test.batches == alone.batches if same_by_itself else None
        right &= runs[moment] and not with_test.left
        right &= same or not same_by_itself or bool(with_test.said)
        found = [with_test.error, *with_test.said, *with_test.left]
        found += [] if same_by_itself else ["not the same by itself"]
        if same_by_itself and not same and not with_test.said:
            found += [f"differs from the {first_difference(alone, with_test)} on"]
        for note in filter(None, found):
            notes.setdefault(note, []).append(moment)
    said = "; ".join(
        note if len(at) == len(MOMENTS) else f"{' and '.join(at)}: {note}"
        for note, at in notes.items()
    )
    return Result((in_words(runs), in_words(trains), in_words(epochs), said), right)


def first_difference(a: Life, b: Life) -> str:
    for i, (one, other) in enumerate(zip_longest(a.batches, b.batches)):
        if one != other:
            return f"batch {i} of {len(a.batches)}, {len(b.batches)}"
    return "training"


def in_words(answers: dict[str, bool | None]) -> str:
    """Say yes, no or when not; a dash where the training is not the same without a test either."""
    if None in answers.values():
        return "–"
    if len(set(answers.values())) == 1:
        return "yes" if all(answers.values()) else "no"
    return "not " + " or ".join(moment for moment, yes in answers.items() if not yes)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
