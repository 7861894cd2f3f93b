"""Make the pictures in `notebooks/` anew, each from a real run.

Without arguments all of them, else those named: ``pictures.py finder mnist_lenet``. The data is
taken from where the notebooks take it (``LRFINDER_DATA``).
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS), str(TESTS / "browser")]

import chromium  # noqa: E402
import kernels  # noqa: E402
from finder import Finder  # noqa: E402
from host import Host  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import Locator, Page, expect, sync_playwright  # noqa: E402
from server import NOTEBOOKS, serve  # noqa: E402

MINUTES = 60_000
COLOURS = 64  # a chart has few, and a palette of them makes the file a third as large


def quickstart(host: Host) -> Locator:
    """The picture of the README: a test that has ended, and a learning rate that was dragged to."""
    run(host, "quickstart", until="cell-3")
    finder = Finder(host)
    finder.start.click()
    finder.wait_until_ended()
    finder.drag_to(finder.tick_x("1e-2") - 20)
    expect(finder.root.locator("code")).to_contain_text("lr = ")
    return finder.root


def mnist_lenet(host: Host) -> Locator:
    run(host, "mnist_lenet", until="read")
    return picked(host, "1.00e-03")


def cifar10_resnet18(host: Host) -> Locator:
    run(host, "cifar10_resnet18", until="read")
    return picked(host, "5.00e-02")


def workshop(host: Host) -> Locator:
    run(host, "workshop", until="check-6")
    return Finder(host, -1).root.get_by_role("group", name="Tests compared")


def fine_tuning(host: Host) -> Locator:
    run(host, "fine_tuning", until="read-head-ladder")
    return Finder(host, -1).root.locator(".lrf-trials")


def your_own_loop(host: Host) -> Locator:
    run(host, "your_own_loop", until="lightning-own")
    return Finder(host, -1).root


def picked(host: Host, lr: str) -> Locator:
    finder = Finder(host)
    finder.wait_until_ended()
    finder.number.fill(lr)
    finder.number.press("Enter")
    expect(finder.root.locator("code")).to_contain_text(f"lr = {lr}")
    return finder.root


PICTURES: dict[str, Callable[[Host], Locator]] = {
    "finder": quickstart,
    "mnist_lenet": mnist_lenet,
    "cifar10_resnet18": cifar10_resnet18,
    "workshop": workshop,
    "fine_tuning": fine_tuning,
    "your_own_loop": your_own_loop,
}


def run(host: Host, name: str, *, until: str) -> None:
    """Open a notebook and run its cells as far as the one with this id."""
    host.open(f"notebooks/{name}.ipynb")
    host.run_until(until, timeout_ms=20 * MINUTES)


def save(page: Page, of: Locator, path: Path) -> None:
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)
    of.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # until what the mouse had lit has faded
    picture = Image.open(io.BytesIO(of.screenshot())).convert("RGB").quantize(COLOURS)
    picture.save(path, optimize=True)
    print(f"{path.name}: {picture.width} × {picture.height}, {path.stat().st_size / 1000:.0f} kB")


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        whole = {"LRFINDER_QUICK": os.environ.get("LRFINDER_QUICK", "0")}
        environment = kernels.environment(Path(home) / "ipython") | whole
        browser = playwright.chromium.launch(
            args=chromium.FLAGS,
            chromium_sandbox=not chromium.is_root(),
            executable_path=chromium.find(),
        )
        with serve("jupyterlab", Path(home), environment) as server:
            for name in names:
                page = browser.new_page(
                    viewport={"width": 1280, "height": 1000}, device_scale_factor=2
                )
                page.set_default_timeout(60_000)
                host = Host("lab", page, server)
                save(page, PICTURES[name](host), NOTEBOOKS / f"{name}.png")
                page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:] or list(PICTURES))
