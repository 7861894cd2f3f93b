"""Every example notebook in a real JupyterLab: its cells run, Start is pressed, nobody complains."""

from __future__ import annotations

import re
from collections.abc import Iterator

import kernels
import pytest
from conftest import watched
from finder import Finder
from host import Host
from playwright.sync_api import Page, expect
from server import NOTEBOOKS, Server, serve

MINUTE = 60_000
# As far as a cell that waits for the first test: the whole of each runs in `tests/test_notebooks.py`.
UNTIL = {
    "quickstart": "cell-3",
    "mnist_lenet": "plot",
    "cifar10_resnet18": "read",
    "workshop": "sizes",
    "your_own_loop": "accumulation",
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("notebooks")
    with serve("jupyterlab", home, kernels.environment(home / "ipython")) as server:
        yield server


@pytest.fixture
def lab(page: Page, server: Server) -> Iterator[Host]:
    yield from watched(Host("lab", page, server))


def test_no_notebook_is_forgotten() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(UNTIL)


@pytest.mark.parametrize("name", UNTIL)
def test_a_notebook_runs_and_its_finder_starts_again_at_a_click(lab: Host, name: str) -> None:
    lab.open(f"notebooks/{name}.ipynb").run_until(UNTIL[name], timeout_ms=3 * MINUTE)
    finder = Finder(lab)
    if name != "quickstart":  # where nobody has started it yet
        finder.wait_until_ended()
    finder.start.click()
    expect(finder.stop).to_be_visible()
    expect(finder.dots.nth(3)).to_be_attached(timeout=MINUTE)
    finder.root.scroll_into_view_if_needed()
    lab.screenshot(f"notebook-{name}")
    if finder.stop.is_visible():
        finder.stop.click(timeout=MINUTE)
    finder.wait_until_ended()
    expect(finder.status).to_contain_text(re.compile("Stopped after|diverged at|All .* steps done"))
