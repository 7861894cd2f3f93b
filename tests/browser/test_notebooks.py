"""Every example notebook in a real JupyterLab: it runs, Start is pressed, nobody complains."""

from __future__ import annotations

from collections.abc import Iterator

import kernels
import pytest
from finder import Finder
from host import Host, watched
from playwright.sync_api import Page, expect
from server import NOTEBOOKS, Server, serve

MINUTE = 60_000
# As far as a first test; `tests/test_notebooks.py` runs all of each.
UNTIL = {
    "quickstart": "cell-3",
    "mnist_lenet": "plot",
    "cifar10_resnet18": "test",
    "workshop": "read",
    "fine_tuning": "read",
    "your_own_loop": "accumulation",
}
# Without a browser, `make test` runs them.
SLOW = ("mnist_lenet", "workshop", "fine_tuning", "your_own_loop")

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
    elsewhere = {"cluster"}  # `test_cluster.py` does the same with a cluster of its own
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(UNTIL) | elsewhere


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in UNTIL]
)
def test_a_notebook_runs_and_its_finder_starts_again_at_a_click(lab: Host, name: str) -> None:
    lab.open(f"notebooks/{name}.ipynb").run_until(UNTIL[name], timeout_ms=3 * MINUTE)
    finder = Finder(lab)
    expect(finder.start.or_(finder.stop)).to_be_visible()
    lab.append_and_run("finder.stop()")
    runs = int(lab.append_and_run("print(len(finder.curves))"))
    assert runs == (0 if name == "quickstart" else 1)
    finder.start.click()
    lab.wait_until_kernel_says("print(len(finder.curves))", str(runs + 1))
    finder.wait_for_dots(4)
    lab.append_and_run("finder.stop()")
    finder.wait_until_ended()
    finder.start.scroll_into_view_if_needed()
    expect(finder.start).to_be_in_viewport()
    lab.screenshot(f"notebook-{name}")
