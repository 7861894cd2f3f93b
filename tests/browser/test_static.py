"""A finder on a page without a kernel: the last state, and the run played again.

An executed notebook with its widgets' state, as nbconvert makes a page of it; and the same state in
the model that MyST's ``anywidget`` directive hands over.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import html_manager
import nbclient
import nbformat
import pytest
from finder import DOTS, SLOW, Finder
from host import SCREENSHOTS, as_plain
from nbconvert import HTMLExporter
from playwright.sync_api import ConsoleMessage, Page, expect

import lrfinder_widget

SHARE = Path(sys.prefix, "share", "jupyter")
STATIC = Path(lrfinder_widget.__file__).with_name("static")
STATE = "application/vnd.jupyter.widget-state+json"
POINTS = 100
RUN_BYTES = 200_000

RUN = f"finder = slow_model(0.0, {POINTS})\nfinder.start().wait()\nfinder.pick(1e-2)\nfinder"

# The address of a package's JavaScript on a CDN, as widgets' pages compose it.
ON_A_CDN = re.compile(r"^/cdn/(?P<package>[^@/]+)@[^/]+/dist/(?P<file>[^/]+)$")

# MyST's model, whose other methods raise errors (myst-theme, packages/anywidget/src/models.ts).
MYST = """<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<div id="widget"></div>
<script type="module">
  import widget from "/static/finder.js";

  const state = await (await fetch("/state.json")).json();
  const changes = new EventTarget();
  const no = (name) => () => { throw new Error(`${name} not implemented yet.`); };
  const model = {
    get: (name) => state[name],
    set(name, value) {
      state[name] = value;
      changes.dispatchEvent(new CustomEvent(`change:${name}`, { detail: value }));
      changes.dispatchEvent(new CustomEvent("change", { detail: value }));
    },
    on: (name, callback) => changes.addEventListener(name, callback),
    off: no("off"),
    save_changes: no("save_changes"),
    send: no("send"),
    get widget_manager() { throw new Error("widget_manager does not exist."); },
  };
  const root = document.getElementById("widget").attachShadow({ mode: "open" });
  const el = document.createElement("div");
  root.append(el);
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = "/static/finder.css";
  el.append(link);
  await widget.initialize?.({ model });
  await widget.render({ model, el });
</script>
"""


class Shown:
    """A page with a finder; `Finder` needs no more of a host."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console_errors: list[str] = []
        """A test that means to provoke them clears the list."""
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.console_errors.append(error.stack))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(as_plain(message))


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    """A notebook that has been executed, with the state of its widgets."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (SLOW, RUN)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbclient.NotebookClient(made, store_widget_state=True).execute()
    return made


@pytest.fixture
def shown(
    page: Page, notebook: nbformat.NotebookNode, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Shown]:
    """The notebook as a page; the browser must complain of nothing, and leave the machine alone."""
    page.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    host = Shown(page)
    if getattr(request, "param", "html-manager") == "myst":
        (tmp_path / "page.html").write_text(MYST)
        (tmp_path / "state.json").write_text(json.dumps(plain_state(notebook)))
    else:
        (tmp_path / "page.html").write_text(as_page(notebook))
    with served(tmp_path) as url:
        page.goto(f"{url}/page.html")
        yield host
    assert not host.console_errors, "\n".join(host.console_errors)


def as_page(notebook: nbformat.NotebookNode) -> str:
    """The notebook as nbconvert makes a page of it, which loads nothing from elsewhere."""
    exporter = HTMLExporter(
        widget_renderer_url="/html-manager/embed-amd.js",
        require_js_url="/require.js",
        mathjax_url="data:text/javascript,",
        jquery_url="data:text/javascript,",
        mermaid_js_url="data:text/javascript,",
    )
    body, _ = exporter.from_notebook_node(notebook)
    settings = (
        '<link rel="icon" href="data:,">'
        '<script>window.__jupyter_widgets_assets_path__ = "/html-manager/"</script>'
        '<script src="/require.js" data-jupyter-widgets-cdn="/cdn/"'
        " data-jupyter-widgets-cdn-only>"
    )
    assert body.count('<script src="/require.js">') == 1
    return body.replace('<script src="/require.js">', settings)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = partial(Files, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Files(SimpleHTTPRequestHandler):
    """Serves a page, and what it loads from elsewhere: all of it lies in the environment."""

    def translate_path(self, path: str) -> str:
        path = path.split("?", maxsplit=1)[0]
        if found := ON_A_CDN.match(path):
            return str(SHARE / "nbextensions" / found["package"] / found["file"])
        if path == "/require.js":
            return str(SHARE / "voila" / "templates" / "base" / "static" / "require.min.js")
        for prefix, folder in (("/html-manager/", html_manager.find()), ("/static/", STATIC)):
            if path.startswith(prefix):
                return str(folder / path.removeprefix(prefix))
        return super().translate_path(path)

    def log_message(self, *arguments: object) -> None:
        pass


def finder_state(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    models = notebook.metadata["widgets"][STATE]["state"].values()
    (model,) = (m for m in models if "chart" in m["state"])
    return model


def plain_state(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """The state with numbers instead of bytes, as JSON takes it."""
    model = json.loads(json.dumps(finder_state(notebook)))
    for buffer in model["buffers"]:
        *way, last = buffer["path"]
        holder = model["state"]
        for key in way:
            holder = holder[key]
        data = base64.b64decode(buffer["data"])
        holder[last] = list(struct.unpack(f"<{len(data) // 8}d", data))
    return {k: v for k, v in model["state"].items() if not k.startswith("_")}


both = pytest.mark.parametrize("shown", ["html-manager", "myst"], indirect=True)


def test_the_state_of_a_run_is_small(notebook: nbformat.NotebookNode) -> None:
    state = notebook.metadata["widgets"][STATE]
    assert len(json.dumps(state)) <= RUN_BYTES


@both
def test_the_last_state_is_shown_and_nothing_can_be_run(
    shown: Shown, request: pytest.FixtureRequest
) -> None:
    finder = Finder(shown)
    expect(finder.root.get_by_text(f"All {POINTS} steps done.")).to_be_visible()
    expect(finder.root.get_by_text("A saved page: nothing can be run here.")).to_be_visible()
    finder.wait_for_dots(POINTS)
    assert finder.label().endswith("1.00e-02")
    assert finder.gap("1e-2") <= 1.0
    expect(finder.start).not_to_be_visible()
    before = finder.x()
    finder.drag_to(before + 80)
    assert abs(finder.x() - before) <= 1.0
    name = request.node.callspec.params["shown"]
    finder.root.screenshot(path=SCREENSHOTS / f"saved-{name}.png")


@both
def test_a_run_is_played_again(shown: Shown) -> None:
    finder = Finder(shown)
    finder.wait_for_dots(POINTS)
    steps = finder.root.get_by_role("slider", name="points drawn")
    steps.fill("30")
    finder.wait_for_dots(30, 30)
    finder.root.evaluate(
        """(root) => {
          window.drawn = [];
          new MutationObserver(() => {
            const n = DOTS(root);
            if (n !== window.drawn.at(-1)) window.drawn.push(n);
          }).observe(root, { attributes: true, childList: true, subtree: true });
        }""".replace("DOTS", DOTS)
    )
    finder.root.get_by_role("button", name="Play").click()
    finder.wait_for_dots(POINTS)
    expect(finder.root.get_by_role("button", name="Play")).to_be_visible()
    drawn = shown.page.evaluate("window.drawn")
    assert drawn == sorted(drawn)
    assert len(drawn) > 10


def test_without_bqplot_the_page_draws_the_chart(
    page: Page, request: pytest.FixtureRequest
) -> None:
    page.route(re.compile("/cdn/bqplot"), lambda route: route.fulfill(body="define({})"))
    shown = request.getfixturevalue("shown")
    finder = Finder(shown)
    finder.wait_for_dots(POINTS)
    expect(finder.root.locator(".lrf-own")).to_be_visible()
    assert finder.gap("1e-2") <= 1.0
    shown.console_errors.clear()  # the browser has reason to complain
