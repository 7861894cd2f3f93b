"""A notebook with the widget state that JupyterLab saves, where its kernel is gone or never was."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from finder import Finder
from host import SCREENSHOTS, Host
from playwright.sync_api import expect
from test_instrument import SHOWN
from test_static import Shown, as_page, served

pytestmark = pytest.mark.slow

MOST_BYTES = 200_000
WIDGETS = "application/vnd.jupyter.widget-state+json"
CONTENT = """async () => {
  const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
  const { path } = window.jupyterapp.shell.currentWidget.context;
  const saved = await fetch(`${base}api/contents/${path}`);
  return (await saved.json()).content;
}"""
END_KERNELS = """async () => {
  const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
  const sessions = await (await fetch(`${base}api/sessions`)).json();
  for (const { id } of sessions) await fetch(`${base}api/sessions/${id}`, { method: "DELETE" });
}"""


def test_the_last_state_is_shown_from_what_jupyterlab_saves(lab: Host, tmp_path: Path) -> None:
    lab.open(SHOWN)
    chosen = lab.server.settings / "@jupyter-widgets" / "jupyterlab-manager"
    chosen.mkdir(parents=True)
    (chosen / "plugin.jupyterlab-settings").write_text(json.dumps({"saveState": True}))
    lab.reload()
    lab.run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    said, dots = finder.status.inner_text(), finder.dots()
    with lab.page.expect_response(
        lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url
    ):
        lab.command("docmanager:save")
    saved = nbformat.from_dict(lab.page.evaluate(CONTENT))
    size = len(json.dumps(saved.metadata["widgets"][WIDGETS]))
    print(f"{size} bytes of state, {dots} dots")
    assert size < MOST_BYTES
    lab.page.evaluate(END_KERNELS)
    lab.reload()
    finder = Finder(lab)
    expect(finder.root.locator(".lrf-gone-note")).to_contain_text("A saved page")
    expect(finder.root.get_by_role("status").last).to_contain_text(said)
    assert finder.dots() == dots
    expect(finder.root.get_by_role("button", name="Play")).to_be_visible()
    expect(finder.start).to_be_hidden()
    lab.screenshot("saved-state", finder.root)

    (tmp_path / "page.html").write_text(as_page(saved))
    page = lab.page.context.new_page()
    with served(tmp_path) as url:
        page.goto(f"{url}/page.html")
        shown = Shown(page)
        finder = Finder(shown)
        finder.wait_for_dots(dots, dots)
        expect(finder.root).to_contain_text(said)
        finder.root.get_by_role("slider", name="points drawn").fill("10")
        finder.wait_for_dots(10, 10)
        finder.root.get_by_role("button", name="Play").click()
        finder.wait_for_dots(dots, dots)
        finder.root.screenshot(path=SCREENSHOTS / "saved-state-without-jupyter.png")
    assert not shown.console_errors
