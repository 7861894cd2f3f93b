"""A marimo notebook open in a browser; for `Finder` it is a host like the others."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from host import SCREENSHOTS, as_plain
from playwright.sync_api import Locator, Page, expect
from server import free_port, host_python, running

RUN_MS = 60_000
IDLE = """() => {
  const states = [...document.querySelectorAll("[data-testid=cell-status]")];
  return states.length > 0
    && states.every(({ dataset }) => !/running|queued/.test(dataset.status));
}"""


class MarimoHost:
    """The notebook at `url`, which `serve_marimo` serves."""

    name = "marimo"

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.console_errors: list[str] = []
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.console_errors.append(error.stack))
        page.set_default_timeout(15_000)
        expect.set_options(timeout=15_000)

    def open(self) -> MarimoHost:
        self.page.goto(self.url)
        return self

    def run_all(self) -> None:
        """Run all cells, which a notebook does not do by itself when it is opened to be edited."""
        button = self.page.get_by_test_id("run-button").last
        expect(button).to_be_enabled(timeout=RUN_MS)
        before = self.page.locator(".needs-run")
        expect(before.first).to_be_attached()
        button.click()
        expect(before).to_have_count(0)
        self.wait_until_run()

    def run(self, cell: str, *, wait: bool = True) -> None:
        """Run a cell again, by its name; cells that depend on it run again, too."""
        # The button is there only under the mouse.
        self.cell(cell).get_by_test_id("run-button").first.dispatch_event("click")
        if wait:
            self.wait_until_run()

    def delete(self, cell: str) -> None:
        self.cell(cell).get_by_test_id("delete-button").dispatch_event("click")
        expect(self.cell(cell)).to_have_count(0)

    def wait_until_run(self) -> None:
        self.page.wait_for_function(IDLE, timeout=RUN_MS)

    def cell(self, name: str) -> Locator:
        return self.page.locator(f'[data-cell-name="{name}"]')

    def output(self, cell: str) -> Locator:
        return self.cell(cell).locator(".output-area")

    def set_width(self, px: int) -> None:
        """Make the browser window this wide."""
        assert self.page.viewport_size is not None
        self.page.set_viewport_size({"width": px, "height": self.page.viewport_size["height"]})

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """Keep a picture of the page, or of a part of it, for a person to look at."""
        path = SCREENSHOTS / f"{name}-{self.name}.png"
        (of or self.page).screenshot(path=path)
        return path

    def _note_message(self, message) -> None:
        if message.type == "error":
            self.console_errors.append(as_plain(message))


@contextlib.contextmanager
def serve_marimo(
    home: Path,
    cells: Mapping[str, str],
    mode: Literal["edit", "run"] = "edit",
    *,
    dark: bool = False,
) -> Iterator[str]:
    """Serve a notebook of these cells, by their names; yield its address."""
    notebook = home / "notebook.py"
    functions = [
        f"@app.cell\ndef {name}():\n{textwrap.indent(source.strip(), '    ')}\n    return\n"
        for name, source in cells.items()
    ]
    notebook.write_text("\n\n".join(["import marimo\n\napp = marimo.App()", *functions]))
    settings = home / "config" / "marimo" / "marimo.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[display]\ntheme = "{"dark" if dark else "light"}"\n')
    port = free_port()
    command = [
        *(host_python(), "-m", "marimo", "--yes", mode, str(notebook)),
        *("--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)),
        *(["--skip-update-check"] if mode == "edit" else []),
    ]
    variables = {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_STATE_HOME": str(home / "state"),
    }
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health", home, variables):
        yield url
