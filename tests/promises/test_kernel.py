"""A real kernel: cells run again and again, are interrupted, and the kernel ends in mid-run."""

from __future__ import annotations

import ast
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from kernels import WAIT_S, Kernel

TIMES = 50
LARGE_MB = 8

SET_UP = """
import atexit, gc, threading, time, torch
from pathlib import Path
from lrfinder_widget import LRFinder, range_test
torch.manual_seed(0)
tick = threading.Event()

def task(seconds=0.005, **options):
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(8, 4)
    def criterion(output, target):
        tick.wait(seconds)
        return ((output - target) ** 2).mean()
    return dict(model=model, optimizer=optimizer, batches=[(x, x.sum(1, keepdim=True))],
                criterion=criterion, num_iter=100_000, stop=None)

def restored():
    return all(torch.equal(a, b) for a, b in zip(before, model.parameters()))

def begin():
    global model, before, finder
    arguments = task()
    model = arguments["model"]
    before = [p.detach().clone() for p in model.parameters()]
    finder = LRFinder(**arguments)
    finder.start()
    while len(finder.curve) < 5:
        tick.wait(0.01)
"""

# What the process says in its very last moment; registered first, so it is called last.
TESTIMONY = """
def testify():
    path.write_text(repr((finder.state.name, restored(), time.time())))
atexit.register(testify)
"""


@contextlib.contextmanager
def started(home: Path) -> Iterator[Kernel]:
    environment = os.environ | {"IPYTHONDIR": str(home / "ipython")}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(home), env=environment)
    kernel = Kernel(manager, client)
    kernel.run(SET_UP + f"\npath = Path({str(home / 'testimony')!r})")
    yield kernel
    client.stop_channels()
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One that is still there afterwards."""
    with started(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Kernel]:
    with started(tmp_path) as kernel:
        yield kernel


AGAIN = f"""
model = torch.nn.Linear({LARGE_MB << 18} // 4, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.randn(1, model.in_features)
def criterion(output, target):
    tick.wait(0.005)
    return output.square().mean()
finder = LRFinder(model, optimizer, [(x, x)], criterion, num_iter=5_000, stop=None)
finder.start()
"""
COUNT = """
import comm, ipywidgets
def count():
    gc.collect()
    live = [t for t in threading.enumerate() if t.name == "LR range test"]
    tensors = [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor)]
    stored = {o.data_ptr(): o.untyped_storage().nbytes() for o in tensors}
    finders = [o for o in gc.get_objects() if issubclass(type(o), LRFinder)]
    return dict(
        threads=len(live),
        running=sum(one.state.name == "RUNNING" for one in finders),
        widgets=len(ipywidgets.widgets.widget._instances),
        comms=len(comm.get_comm_manager().comms),
        kept=sum(issubclass(type(o), ipywidgets.Widget) for o in gc.get_objects()),
        models=sum(type(o) is torch.nn.Linear for o in gc.get_objects()),
        megabytes=round(sum(stored.values()) / 2**20),
    )
"""


@pytest.mark.timeout(180)
def test_a_cell_that_is_run_fifty_times_leaves_one_run_and_no_more_widgets(kernel: Kernel) -> None:
    kernel.run(COUNT)
    counts = []
    for i in range(1, TIMES + 1):
        kernel.run(AGAIN, cell="the-same")
        if i % 10 == 0:
            counts.append(kernel.ask("count()"))
    print(counts)
    for one in counts:
        assert one["threads"] == one["running"] == 1
    for what in ("widgets", "comms", "models"):
        assert counts[-1][what] == counts[0][what]
    # IPython keeps what the cell has shown: a finder that is closed, and its layout.
    assert counts[-1]["kept"] - counts[0]["kept"] <= 2 * (TIMES - 10)
    # One model, its copy, a gradient or two, but not ten of them.
    assert max(one["megabytes"] for one in counts) < 8 * LARGE_MB
    kernel.run("finder.close(); finder.close()")
    closed = kernel.ask("count()")
    assert (closed["threads"], closed["widgets"], closed["comms"]) == (0, 0, 0)


@pytest.mark.timeout(90)
def test_an_interrupt_while_a_cell_waits_stops_the_waiting_and_not_the_run(kernel: Kernel) -> None:
    sent = kernel.begin("begin()\nprint('waiting', flush=True)\nfinder.wait()")
    kernel.wait_until_printed("waiting")
    asked = time.monotonic()
    kernel.manager.interrupt_kernel()
    assert kernel.end(sent)["ename"] == "KeyboardInterrupt"
    print(f"interrupt while waiting: {time.monotonic() - asked:.2f} s")
    assert kernel.ask("finder.state.name") == "RUNNING"
    n = kernel.ask("len(finder.curve)")
    kernel.run(f"while len(finder.curve) <= {n}: tick.wait(0.01)")  # it goes on
    kernel.run("finder.stop()")
    assert kernel.ask("finder.state.name, restored()") == ("STOPPED", True)


@pytest.mark.timeout(90)
def test_an_interrupt_of_a_blocking_test_restores_everything(kernel: Kernel) -> None:
    kernel.run(
        "arguments = task()\nmodel = arguments['model']\n"
        "before = [p.detach().clone() for p in model.parameters()]\n"
        "inner, steps = arguments['criterion'], []\n"
        "def criterion(*given):\n"
        "    steps.append(1)\n"
        "    if len(steps) == 5: print('under way', flush=True)\n"
        "    return inner(*given)\n"
        "arguments['criterion'] = criterion"
    )
    sent = kernel.begin("range_test(**arguments)")
    kernel.wait_until_printed("under way")
    asked = time.monotonic()
    kernel.manager.interrupt_kernel()
    assert kernel.end(sent)["ename"] == "KeyboardInterrupt"
    print(f"interrupt of a blocking test: {time.monotonic() - asked:.2f} s")
    assert kernel.ask("restored(), arguments['optimizer'].param_groups[0]['lr']") == (True, 0.1)
    kernel.run("arguments['num_iter'] = 10\ncurve = range_test(**arguments)")  # once more
    assert kernel.ask("len(curve)") == 10


@pytest.mark.timeout(90)
def test_a_kernel_that_is_shut_down_in_a_pause_restores_first(
    mortal: Kernel, tmp_path: Path
) -> None:
    mortal.run(TESTIMONY + "begin()\nfinder.pause()")
    asked = time.time()
    mortal.manager.shutdown_kernel()  # asked to, and killed after some seconds
    check(tmp_path, asked)


@pytest.mark.timeout(90)
def test_a_kernel_that_is_restarted_in_mid_run_restores_first_and_is_there_again(
    mortal: Kernel, tmp_path: Path
) -> None:
    mortal.run(TESTIMONY + "begin()")
    asked = time.time()
    mortal.manager.restart_kernel()
    check(tmp_path, asked)
    mortal.client.wait_for_ready(timeout=WAIT_S)
    mortal.run(SET_UP + "begin()\nfinder.stop()")
    assert mortal.ask("finder.state.name, restored()") == ("STOPPED", True)


@pytest.mark.timeout(120)
def test_a_notebook_that_is_executed_ends_although_a_test_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    last = "begin()\nprint(f'started at {time.time()}')\nfinder"
    sources = [f"{SET_UP}\npath = Path({str(tmp_path / 'testimony')!r})", TESTIMONY, last]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--inplace"]
    subprocess.run([*command, "notebook.ipynb"], cwd=tmp_path, check=True, capture_output=True)
    outputs = nbformat.read(tmp_path / "notebook.ipynb", as_version=4).cells[-1].outputs
    printed = next(output.text for output in outputs if output.output_type == "stream")
    check(tmp_path, float(printed.split()[-1]))
    assert any("svg" in kind for output in outputs for kind in output.get("data", {}))


PRINTS = """
import warnings
from IPython.display import display
arguments = task() | {"num_iter": 30}
del arguments["criterion"]
go_on, model, optimizer = threading.Event(), arguments["model"], arguments["optimizer"]
count = []
def step(batch):
    count.append(1)
    if len(count) > 5:
        go_on.wait(60)
    print(f"line {len(count)}")
    if len(count) % 10 == 0:
        warnings.warn(f"warning {len(count)}")
        display(f"display {len(count)}")
    x, y = batch
    optimizer.zero_grad()
    loss = (model(x) - y).square().mean()
    loss.backward()
    optimizer.step()
    return loss
finder = LRFinder(**arguments, step=step)
"""
THREE = (
    ("start", "finder.start()\nwhile len(count) < 6: tick.wait(0.01)"),
    ("the next", "print('mine'); go_on.set(); finder.wait()"),
    ("the last", "print('mine too'); print(finder.state.name)"),
)


def outputs(kernel: Kernel, sent: dict[str, str]) -> dict[str, str]:
    """Return all that has been shown under each cell, as a front end that keeps them all does."""
    shown = dict.fromkeys(sent, "")
    names = {message: name for name, message in sent.items()}
    idle = set()
    while len(idle) < len(sent):
        message = kernel.client.get_iopub_msg(timeout=WAIT_S)
        name, content = names.get(message["parent_header"].get("msg_id")), message["content"]
        if name is None:
            continue
        if message["msg_type"] == "stream":
            shown[name] += content["text"]
        elif message["msg_type"] == "display_data":
            shown[name] += f"{content['data']['text/plain']}\n"
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            idle.add(name)
    return shown


@pytest.mark.timeout(90)
@pytest.mark.parametrize("asks", [True, False], ids=["front end", "program"])
def test_what_a_step_prints_goes_under_the_cell_that_started_it(kernel: Kernel, asks: bool) -> None:
    """A program that executes a notebook drops what comes for a cell that is over."""
    kernel.run(PRINTS)
    sent = {}
    for name, source in THREE:
        sent[name] = kernel.begin(source, asks=asks)
        kernel.end(sent[name])
    shown = outputs(kernel, sent)
    lines = {name: shown[name].count("line ") for name in shown}
    others = {name: shown[name].count("warning ") + shown[name].count("display ") for name in shown}
    late = "start" if asks else "the next"
    assert sum(lines.values()) == 30
    assert lines[late] >= 24
    assert others[late] >= 6
    if asks:
        assert (lines["start"], shown["the next"], shown["the last"]) == (
            *(30, "mine\n", "mine too\nFINISHED\n"),
        )


@pytest.mark.timeout(90)
def test_a_seed_of_the_next_cell_is_still_set_after_the_run(kernel: Kernel) -> None:
    draw = "(torch.rand(()).item(), np.random.rand(), random.random())"
    seed = "torch.manual_seed(42); np.random.seed(42); random.seed(42)"
    kernel.run(f"import random, numpy as np\n{seed}\nexpected = {draw}")
    kernel.run("torch.manual_seed(1)\nbegin()")
    kernel.run(seed)
    kernel.run("finder.stop()")
    assert kernel.ask(f"expected == {draw}, restored()") == (True, True)


@pytest.mark.timeout(90)
def test_a_connection_of_a_cell_is_told_that_the_run_has_a_thread_of_its_own(
    kernel: Kernel,
) -> None:
    kernel.run(
        "import sqlite3\ndb = sqlite3.connect(':memory:')\narguments = task()\n"
        "arguments['criterion'] = lambda output, target: db.execute('select 1')\n"
        "finder = LRFinder(**arguments)"
    )
    answer = kernel.end(kernel.begin("finder.start().wait()"))
    assert answer["ename"] == "ProgrammingError"
    assert "range_test" in "".join(answer["traceback"])
    assert kernel.ask("'range_test' in finder.status['text']")


def check(tmp_path: Path, asked: float) -> None:
    """Read what the process said at its end."""
    state, restored, at = ast.literal_eval((tmp_path / "testimony").read_text())
    print(f"everything was put back {at - asked:.2f} s after the kernel was asked to end")
    assert (state, restored) == ("STOPPED", True)


def test_a_click_is_heard_after_the_subshell_that_spoke_before_is_gone(kernel: Kernel) -> None:
    kernel.run("begin()")
    page = kernel.ask("finder.comm.comm_id")
    client = kernel.client

    def on_control(kind: str, **content: str) -> dict[str, Any]:
        client.control_channel.send(client.session.msg(kind, content))
        answer = client.control_channel.get_msg(timeout=WAIT_S)["content"]
        assert answer["status"] == "ok", answer
        return dict(answer)

    def say(content: dict[str, Any], subshell: str | None) -> str:
        data = {"comm_id": page, "data": {"method": "custom", "content": content}}
        message = client.session.msg("comm_msg", data)
        message["header"]["subshell_id"] = subshell
        client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    subshell = on_control("create_subshell_request")["subshell_id"]
    hello = say({"hello": 1}, subshell)
    # The run goes on, and what it sends seems to answer the last message that the kernel handled.
    while True:
        told = client.get_iopub_msg(timeout=WAIT_S)
        if told["msg_type"] == "comm_msg" and told["parent_header"].get("msg_id") == hello:
            break
    on_control("delete_subshell_request", subshell_id=subshell)
    say({"click": "start"}, None)
    kernel.run("finder.wait(30)")
    assert kernel.ask("finder.state.name") == "STOPPED"
