"""Kernels: what notebooks find where the tests run them, and what a front end does with one."""

from __future__ import annotations

import ast
import os
import queue
import shutil
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

WAIT_S = 60
TESTS = Path(__file__).parent
QUICK = os.environ.get("LRFINDER_QUICK", "1")
"""Small shares and few steps; ``LRFINDER_QUICK=0 make test`` runs all of it."""
SOURCES = ["given", "stand-in"] if "LRFINDER_DATA" in os.environ else ["stand-in"]
"""Where the data is from: the folder that the variable names, or none, and no network either."""


def environment(home: Path, source: str = SOURCES[0]) -> dict[str, str]:
    """Return what to set for a server or a kernel, whose IPython lives in `home`."""
    startup = home / "profile_default" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(TESTS / "torchvision_on_cpu.py", startup)
    # Nothing is ever downloaded: nobody listens at this port.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    # On a busy machine, two threads that wait for each other take five times as long as one.
    calm = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    data = os.environ["LRFINDER_DATA"] if source == "given" else str(home / "nothing")
    return {
        "IPYTHONDIR": str(home),
        "LRFINDER_DATA": data,
        "LRFINDER_QUICK": QUICK,
        **nowhere,
        **calm,
    }


class Kernel:
    """A kernel, and what a front end does with it."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self.manager, self.client = manager, client

    def begin(self, source: str, cell: str | None = None, *, asks: bool = False) -> str:
        """Send a cell, named as JupyterLab names it; `asks` if one could answer `input()`."""
        content = {"code": source, "silent": False, "store_history": True, "allow_stdin": asks}
        content["stop_on_error"] = False  # or what is sent right after an interrupt is not run
        metadata = {} if cell is None else {"cellId": cell}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def end(self, sent: str) -> dict[str, Any]:
        """Wait for the answer to a cell."""
        while True:
            answer = self.client.get_shell_msg(timeout=WAIT_S)
            if answer["parent_header"].get("msg_id") == sent:
                return dict(answer["content"])

    def run(self, source: str, cell: str | None = None) -> None:
        while self.client.iopub_channel.msg_ready():  # what nobody reads is dropped some time
            self.client.get_iopub_msg(timeout=WAIT_S)
        answer = self.end(self.begin(source, cell))
        assert answer["status"] == "ok", "\n".join(answer.get("traceback", []))

    def ask(self, expression: str) -> Any:
        sent = self.client.execute("", user_expressions={"it": expression}, stop_on_error=False)
        answer = self.end(sent)["user_expressions"]["it"]
        assert answer["status"] == "ok", answer
        return ast.literal_eval(answer["data"]["text/plain"])

    def wait_until_printed(self, text: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["msg_type"] == "stream" and text in message["content"]["text"]:
                return
        raise AssertionError(f"{text!r} was never printed")
