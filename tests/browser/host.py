"""A notebook open in a browser: what a person does in JupyterLab or Notebook, as methods."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar

import nbformat
import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from server import Server

SCREENSHOTS = Path(__file__).with_name("screenshots")
RUN_MS = 60_000
PROMPT_MS = 5_000
ANSWER_S = 10
NUMBERS = count(1)

# Thrown by Notebook 7.6 and 7.2 at every start: https://github.com/jupyter/notebook/issues/7862
KNOWN = re.compile(
    r"reading 'schema'\)\s+at \S+/static/notebook/notebook_core\."
    r"|reading 'last_modified'\)\s+at .*/static/notebook/"
)

# Cells are read from the page's own model: those that are scrolled away are not in the document.
READY = """() => {
  const panel = window.jupyterapp?.shell?.currentWidget;
  const kernel = panel?.sessionContext?.session?.kernel;
  return panel?.context?.isReady && kernel?.connectionStatus === "connected"
    && kernel.status === "idle";
}"""
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .map((cell, index) => ({ cell, index }))
  .filter(({ cell }) => cell.model.type === "code")
  .map(({ cell, index }) => ({
    index,
    id: cell.model.id,
    prompt: cell.model.executionCount,
    busy: "executionState" in cell.model
      ? cell.model.executionState === "running"
      : cell.prompt === "*", // before JupyterLab 4.4
    outputs: cell.model.sharedModel.getOutputs(),
  }))"""
SELECT = """(index) => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.deselectAll();
  notebook.activeCellIndex = index;
}"""
APPEND = """(source) => {
  const { model } = window.jupyterapp.shell.currentWidget.content;
  model.sharedModel.insertCell(model.cells.length, { cell_type: "code", source });
  return model.cells.length - 1;
}"""
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
# Not awaited: the promise is kept until the cells have run, and a test may want to act before.
COMMAND = "([name, options]) => void window.jupyterapp.commands.execute(name, options)"

NAMES = ["classic"] if os.environ.get("HOST_CLASSIC") else ["lab", "notebook7"]
# Dark is one of the slow tests where light has said nearly all.
LIGHT_AND_DARK = [
    pytest.param(False, id="light"),
    pytest.param(True, id="dark", marks=pytest.mark.slow),
]
in_each_host = pytest.mark.parametrize("host", NAMES, indirect=True)


class Host:
    """JupyterLab (``name="lab"``) or Notebook 7 (``name="notebook7"``), with one notebook open."""

    READY, CELLS, SELECT, APPEND, SAVE = READY, CELLS, SELECT, APPEND, SAVE
    COMMAND = COMMAND
    RUN_ALL, RUN_CELL = "notebook:run-all-cells", "notebook:run-cell"
    KNOWN = KNOWN
    PATHS: ClassVar = {"lab": "lab/tree", "notebook7": "notebooks"}

    def __init__(self, name: str, page: Page, server: Server) -> None:
        self.name = name
        self.page = page
        self.server = server
        self.console_errors: list[str] = []
        """What the browser complained of. A test that means to provoke it clears the list."""
        self.tolerated: re.Pattern[str] | None = None
        """What a test expects the browser to complain of, at times of its own."""
        page.on("console", self._note_message)
        page.on("pageerror", self._note_exception)
        page.on("dialog", lambda dialog: dialog.accept())  # "leave without saving?"

    def open(self, notebook: str | Sequence[str]) -> "Host":
        """Open a notebook by its path in the repository, or one made of these cells."""
        path = notebook if isinstance(notebook, str) else self._write(notebook)
        shutil.rmtree(self.server.settings, ignore_errors=True)  # the theme of an earlier test
        self.server.stop_kernels()
        self.page.goto(f"{self.server.url}/{self.PATHS[self.name]}/{path}?reset")
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until the page itself, not only the server, sees its kernel connected and idle."""
        self.page.wait_for_function(self.READY, timeout=RUN_MS)

    def run_all(self, *, wait: bool = True) -> None:
        """Run all cells; an error in one of them is an error here."""
        self._run(self.RUN_ALL, min(cell["index"] for cell in self._cells()))
        if wait:
            self.wait_until_run()
            for cell in self._cells():
                self._check_no_error(cell)

    def run_cell(self, index: int, *, wait: bool = True, timeout_ms: float = RUN_MS) -> str:
        """Run the cell at ``index`` (text cells count too), return what it shows."""
        self._run(self.RUN_CELL, index)
        if wait:
            self.wait_until_run(timeout_ms)
        return self.output_text(index)

    def append_and_run(self, source: str) -> str:
        """Ask the kernel: run ``source`` in a new last cell, return what it shows."""
        return self.run_cell(self.append(source))

    def append(self, source: str) -> int:
        """Add a last cell, return its index."""
        return self.page.evaluate(self.APPEND, source)

    def wait_until_kernel_says(self, source: str, expected: str) -> None:
        """Ask again until the answer is right: a widget's message may be handled after the cell."""
        answer = self.append_and_run(source)
        index = max(cell["index"] for cell in self._cells())
        deadline = time.monotonic() + ANSWER_S
        while answer != expected:
            assert time.monotonic() < deadline, f"{source!r} is {answer!r}, not {expected!r}"
            answer = self.run_cell(index)

    def wait_until_run(self, timeout_ms: float = RUN_MS) -> None:
        """Wait until no cell runs or waits for its turn."""
        idle = f"() => ({self.CELLS})().every((cell) => !cell.busy)"
        self.page.wait_for_function(idle, timeout=timeout_ms)

    def run_until(self, cell_id: str, *, timeout_ms: float = RUN_MS) -> None:
        """Run the cells one by one, as far as the one with this id."""
        for cell in self._cells():
            self.run_cell(cell["index"], timeout_ms=timeout_ms)
            self._check_no_error(self._cell(cell["index"]))
            if cell["id"] == cell_id:
                return
        raise AssertionError(f"there is no cell {cell_id}")

    def output_text(self, index: int) -> str:
        """What the cell at ``index`` shows, as text, an error with its traceback."""
        return as_text(self._cell(index)["outputs"])

    def reload(self) -> None:
        """Save, load the page anew and wait for the kernel, which has run on."""
        self.page.evaluate(self.SAVE)
        self.page.reload()
        self.wait_until_ready()

    def command(self, name: str, options: dict[str, str] | None = None) -> None:
        """Do what a menu entry does, ``application:toggle-left-area`` for one."""
        self.page.evaluate(self.COMMAND, [name, options or {}])

    def theme(self, *, dark: bool) -> None:
        theme = f"JupyterLab {'Dark' if dark else 'Light'}"
        self.command("apputils:change-theme", {"theme": theme})
        self.page.wait_for_function(
            """(light) => document.body.dataset.jpThemeLight === light
              && !document.getElementById("jupyterlab-splash")""",
            arg=str(not dark).lower(),
        )

    def set_width(self, px: int) -> None:
        """Make the browser window this wide."""
        assert self.page.viewport_size is not None
        self.page.set_viewport_size({"width": px, "height": self.page.viewport_size["height"]})

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """Keep a picture of the page, or of a part of it, for a person to look at."""
        path = SCREENSHOTS / f"{name}-{self.name}.png"
        (of or self.page).screenshot(path=path)
        return path

    def _run(self, command: str, first: int) -> None:
        # Run at once after opening, now and then nothing happens. A click that did nothing is
        # clicked again; this is set-up, what a test claims is claimed only after it.
        before = self._cell(first)["prompt"]
        started = f"""([index, before]) => ({self.CELLS})().some((cell) =>
          cell.index === index && (cell.busy || cell.prompt !== before))"""
        for _ in range(3):
            self.page.evaluate(self.SELECT, first)
            self.command(command)
            try:
                self.page.wait_for_function(started, arg=[first, before], timeout=PROMPT_MS)
            except PlaywrightTimeoutError:
                continue
            return
        raise AssertionError(f"{self.name}: {command} three times, and cell {first} never ran")

    def _check_no_error(self, cell: dict) -> None:
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        assert not failed, as_text(cell["outputs"])

    def _cell(self, index: int) -> dict:
        return next(cell for cell in self._cells() if cell["index"] == index)

    def _cells(self) -> list[dict]:
        return self.page.evaluate(self.CELLS)

    def _write(self, cells: Sequence[str]) -> str:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        name = f"cells-{next(NUMBERS)}.ipynb"
        nbformat.write(notebook, self.server.root / name)
        return name

    def _note_message(self, message) -> None:
        if message.type == "error":
            self._note(as_plain(message))

    def _note_exception(self, error) -> None:
        self._note(error.stack)

    def _note(self, complaint: str) -> None:
        expected = [self.KNOWN, *([] if self.tolerated is None else [self.tolerated])]
        if not any(one.search(complaint) for one in expected):
            self.console_errors.append(complaint)


def as_plain(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location['url']})"


def as_text(outputs: list[dict]) -> str:
    texts = []
    for output in outputs:
        if output["output_type"] == "error":
            text = output["traceback"]
        elif output["output_type"] == "stream":
            text = output["text"]
        else:
            text = output["data"].get("text/plain", "")
        texts.append(text if isinstance(text, str) else "\n".join(text))
    return re.sub(r"\x1b\[[0-9;]*m", "", "".join(texts)).strip()


def watched(host: Host) -> Iterator[Host]:
    host.page.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    yield host
    assert not host.console_errors, "\n".join(host.console_errors)
