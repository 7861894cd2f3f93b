"""Servers of the tests' own: free port, no token, no file of the user's touched.

What they are can be chosen by environment variables, as `tests/hosts.py` does: ``HOST_PYTHON``, the
Python of another environment, whose server and kernels are used; ``HOST_BASE_URL``, a prefix of all
addresses, as behind JupyterHub; ``HOST_SUBSHELLS``, JupyterLab's setting ``commsOverSubshells``;
``HOST_CLASSIC``, for a notebook server before version 7.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import chromium

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
START_S = 60
# A question about news that pops up over the notebook.
NOT_WANTED = ["@jupyterlab/apputils-extension:announcements"]


@dataclass(frozen=True)
class Server:
    url: str
    root: Path
    """What the server shows; ``notebooks/`` in it is a copy."""
    settings: Path
    """Where it keeps what the page changes, the theme for one."""

    def stop_kernels(self) -> None:
        for session in json.load(self._request("GET", "/api/sessions")):
            self._request("DELETE", f"/api/sessions/{session['id']}").close()

    def _request(self, method: str, path: str):
        return urlopen(Request(self.url + path, method=method), timeout=START_S)


@contextlib.contextmanager
def serve(
    application: str, home: Path, variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run ``python -m application`` with all that it keeps in ``home``.

    The variables are set for it and its kernels.
    """
    root, settings = home / "root", home / "settings"
    root.mkdir()
    if NOTEBOOKS.exists():
        shutil.copytree(NOTEBOOKS, root / "notebooks")
    page_config = home / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    page_config.write_text(json.dumps({"disabledExtensions": dict.fromkeys(NOT_WANTED, True)}))
    if subshells := os.environ.get("HOST_SUBSHELLS"):
        settled = {
            "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": subshells}
        }
        page_config.with_name("default_setting_overrides.json").write_text(json.dumps(settled))
    base_url = os.environ.get("HOST_BASE_URL", "/")
    port = free_port()
    command = [*(host_python(), "-m", application, "--no-browser")]
    if chromium.is_root():
        command.append("--allow-root")
    if os.environ.get("HOST_CLASSIC"):
        command += [
            "--NotebookApp.token=",
            "--NotebookApp.disable_check_xsrf=True",
            "--NotebookApp.ip=127.0.0.1",
            f"--NotebookApp.port={port}",
            "--NotebookApp.port_retries=0",
            f"--NotebookApp.notebook_dir={root}",
        ]
    else:
        command += [
            "--expose-app-in-browser",
            "--IdentityProvider.token=",
            f"--LabApp.user_settings_dir={settings}",
            f"--LabApp.workspaces_dir={home / 'workspaces'}",
            f"--JupyterNotebookApp.user_settings_dir={settings}",
            f"--JupyterNotebookApp.workspaces_dir={home / 'workspaces'}",
            f"--ServerApp.base_url={base_url}",
            "--ServerApp.disable_check_xsrf=True",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={root}",
        ]
    environment = {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        **(variables or {}),
    }
    server = Server(f"http://127.0.0.1:{port}{base_url.rstrip('/')}", root, settings)
    with running(command, f"{server.url}/api", home, environment):
        yield server


def host_python() -> str:
    return os.environ.get("HOST_PYTHON", sys.executable)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def running(
    command: Sequence[str], answers: str, home: Path, variables: Mapping[str, str]
) -> Iterator[None]:
    """Run a server in ``home`` until the block is left; it is up once the address answers."""
    log = home / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            wait_until_up(answers, process, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_up(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urlopen(address, timeout=START_S).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text()[-4000:]}")
