"""A tab that nobody sees: hidden behind another one, and frozen, as a browser does to save power.

Playwright tells each of its pages that it is seen and has the focus. So these tests have a Chromium
of their own, started without Playwright, which only looks on.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from finder import DOTS, SLOW, Finder
from host import Host, watched
from playwright.sync_api import Playwright, expect
from server import Server

WAIT_S = 60

# The page cannot be asked while it is frozen: the kernel says in a file when the run has ended.
RUN = """from pathlib import Path
lr = 1e-3
finder = slow_model(0.01, 300)
finder.start()

def tell():
    finder.wait()
    Path("ended").touch()

threading.Thread(target=tell).start()
finder"""

# How many points were drawn at each change.
NOTE = """() => {
  window.noted = {};
  const note = (name) => { window.noted[name] = DOTS(document.querySelector(".lrf-finder")); };
  for (const name of ["freeze", "resume"]) document.addEventListener(name, () => note(name));
  document.addEventListener("visibilitychange", () => note(document.visibilityState));
}""".replace("DOTS", DOTS)


@pytest.fixture
def alone(playwright: Playwright, lab_server: Server, tmp_path: Path) -> Iterator[Host]:
    with subprocess.Popen(
        [
            chromium.find() or playwright.chromium.executable_path,
            *("--headless=new", "--remote-debugging-port=0", f"--user-data-dir={tmp_path}"),
            *("--no-first-run", "--window-size=1280,900", *chromium.FLAGS),
            *(["--no-sandbox"] if chromium.is_root() else []),
            "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            written = tmp_path / "DevToolsActivePort"
            wait_for(lambda: written.exists() and written.read_text().count("\n"))
            port = written.read_text().split()[0]
            browser = playwright.chromium.connect_over_cdp(
                f"http://127.0.0.1:{port}", no_defaults=True
            )
            yield from watched(Host("lab", browser.contexts[0].new_page(), lab_server))
            browser.close()
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "frozen",
    [pytest.param(False, id="hidden"), pytest.param(True, id="frozen", marks=pytest.mark.slow)],
)
def test_a_tab_that_nobody_sees_catches_up(alone: Host, frozen: bool) -> None:
    ended = alone.server.root / "ended"
    ended.unlink(missing_ok=True)
    alone.open([SLOW, RUN]).run_all()
    finder = Finder(alone)
    finder.wait_for_dots(4)
    context = alone.page.context
    tools = context.new_cdp_session(alone.page)
    alone.page.evaluate(NOTE)
    context.new_page().bring_to_front()
    if frozen:  # Chromium cuts the connection to the kernel then, and JupyterLab makes a new one
        tools.send("Page.setWebLifecycleState", {"state": "frozen"})
    wait_for(ended.exists)
    if frozen:
        tools.send("Page.setWebLifecycleState", {"state": "active"})
    alone.page.bring_to_front()
    finder.wait_until_ended()
    count = "print(sum(abs(x) < float('inf') for x in finder.curve.losses))"
    measured = int(alone.append_and_run(count))
    finder.wait_for_dots(measured, measured)
    noted = alone.page.evaluate("window.noted")
    assert 0 < noted["hidden"] < measured
    if frozen:
        assert noted["freeze"] == noted["resume"] < measured
        assert all("WebSocket" in error for error in alone.console_errors)
        alone.console_errors.clear()
    finder.drag_to(finder.tick_x("1e-2") + 9)
    expect(finder.root.locator("code")).to_have_text(re.compile(r"lr = (9\.\d\de-03|1\.\d\de-02)"))
    alone.wait_until_kernel_says("print(f'lr = {lr:.2e}')", finder.label())


# JupyterLab does the same when it has lost its kernel for a while: a computer that was asleep.
CONNECT_ANEW = """() => {
  const root = document.querySelector(".lrf-finder");
  new MutationObserver(() => { window.lost ||= !(DOTS(root) > 0); })
    .observe(root, { subtree: true, childList: true, attributes: true });
  return window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.reconnect();
}""".replace("DOTS", DOTS)


def test_a_chart_is_drawn_again_when_the_kernel_is_connected_anew(lab: Host) -> None:
    lab.open([SLOW, "finder = slow_model(0, 60)\nfinder.start().wait()\nfinder"]).run_all()
    finder = Finder(lab)
    finder.wait_for_dots(60, 60)
    ticks = finder.root.locator(".lrf-figure g.axis").all_text_contents()
    lab.page.evaluate(CONNECT_ANEW)
    lab.page.wait_for_function("window.lost")  # ipywidgets sets all models to what the kernel has
    finder.wait_for_dots(60, 60)
    expect(finder.root.locator(".lrf-figure g.axis")).to_have_text(ticks)
    finder.drag_to(finder.tick_x("1e-2"))
    assert finder.gap("1e-2") <= 1.0


def wait_for(happened) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
