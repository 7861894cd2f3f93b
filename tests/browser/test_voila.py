"""The main path in Voila, where there are no cells: what a cell would say is said by a widget."""

from __future__ import annotations

import re

import nbformat
from finder import SLOW, Finder
from host import Host
from playwright.sync_api import expect

# Voila asks two networks for fonts and formulas, and loads extensions that it does not bear: one of
# Notebook's, and ipyparallel's where that is installed. All the same it works without.
KNOWN = re.compile(
    r"@fortawesome|mathjax|voila/labextensions/@jupyter-notebook|ipyparallel-labextension"
)

APP = """import ipywidgets
lr = 1e-3
finder = slow_model(0.005, 200)
said = ipywidgets.Text(description="said")
def say(button):
    said.value = f"{lr:.2e} {type(lr).__name__} {finder.lr == lr} {finder.state.name}"
ask = ipywidgets.Button(description="Ask")
ask.on_click(say)
ipywidgets.VBox([finder, ask, said])"""


def test_from_start_to_a_dragged_learning_rate(lab: Host) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (SLOW, APP)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, lab.server.root / "app.ipynb")
    page = lab.page
    # JupyterLab's server serves it too. The page comes while the notebook is executed.
    page.goto(f"{lab.server.url}/voila/render/app.ipynb?theme=dark", wait_until="commit")
    finder = Finder(lab)
    expect(finder.handle).to_be_visible(timeout=60_000)
    # Or the browser's own controls, such as boxes to tick, would be glaring white.
    assert finder.root.evaluate("(root) => getComputedStyle(root).colorScheme") == "dark"
    assert finder.label() == "1.00e-03"
    finder.start.click()
    finder.wait_for_dots(4)
    finder.wait_until_ended()
    for tick in ("1e-5", "1e-1"):  # the marker is where the axis has it
        finder.number.fill(tick)
        finder.number.press("Enter")
        expect(finder.root.locator("code")).to_contain_text(f"lr = {float(tick):.2e}")
        assert finder.gap(tick) <= 1.0
    finder.drag_to(finder.tick_x("1e-3") + 9)
    expect(finder.root.locator("code")).to_have_text(re.compile(r"lr = (9\.\d\de-04|1\.\d\de-03)"))
    picked = finder.label().removeprefix("lr = ")
    page.get_by_role("button", name="Ask").click()
    said = page.get_by_role("textbox", name="said")
    expect(said).to_have_value(re.compile(rf"{re.escape(picked)} float True (FINISHED|STOPPED)"))
    finder.handle.press("ArrowRight")
    expect(finder.root.locator("code")).not_to_contain_text(picked)
    others = [error for error in lab.console_errors if not KNOWN.search(error)]
    lab.console_errors[:] = others
