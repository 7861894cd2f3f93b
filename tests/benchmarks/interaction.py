"""What a person feels in a real browser: tables on stdout.

A JupyterLab of its own is opened in Chromium. Times in the page and in the kernel are read off the
same clock of the same machine.

    python tests/benchmarks/interaction.py
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "browser")]

import chromium  # noqa: E402
import host as host_module  # noqa: E402
from finder import Finder  # noqa: E402
from host import Host  # noqa: E402
from overhead import load, machine  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from server import serve  # noqa: E402

host_module.RUN_MS = 300_000

# Steps of a given length that use no processor, the time of each loss and of each pick.
SET_UP = """import asyncio, json, threading, time
import torch
from torch import nn
from lrfinder_widget import LossCurve, LRFinder
torch.set_num_threads(1)

class Noted(dict):
    picks = []
    def __setitem__(self, name, value):
        self.picks.append((time.time(), value))
        super().__setitem__(name, value)

told = []
def waiting(seconds, steps, **options):
    model, tick = nn.Linear(4, 1), threading.Event()
    def step(batch):
        if seconds:
            tick.wait(seconds)
        told.append(time.time())
        x = len(told) / steps
        return 2.3 - x + (told[-1] * 1e6 % 97) / 970
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return LRFinder(model, optimizer, [0], step=step, stop=None, num_iter=steps,
                    namespace=Noted(lr=1e-3), **options)

def small_model():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    data = [(torch.randn(32, 8), torch.randn(32, 1)) for _ in range(20)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return LRFinder(model, optimizer, data, nn.MSELoss(), end_lr=1e-3, stop=None, num_iter=20_000,
                    namespace=Noted(lr=1e-3))

def on_dask(seconds, steps):
    from distributed import Client
    def setup():
        import time
        model = nn.Linear(4, 1)
        def step(batch):
            time.sleep(seconds)
            return 1.0
        return {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
                "batches": [0], "step": step, "stop": None}
    client = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
    return LRFinder.remote(setup, on=client, num_iter=steps, namespace=Noted(lr=1e-3))
"""

# Watches the page from now on: long tasks, frames, when the drawn points changed, and from a
# movement of the pointer to the frame that shows it.
WATCH = """() => {
  const seen = window.seen = { tasks: [], frames: [], draws: [], pixels: [], ups: [], on: true };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.tasks.push(entry.duration);
  }).observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => {
    seen.frames.push(now - last);
    last = now;
    if (seen.on) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const root = document.querySelector(".lrf-finder");
  // The latest drawn point, by how far to the right its dot is: a dot is closed where it began.
  new MutationObserver(() => {
    const lines = [...root.querySelectorAll(".lrf-figure .line")];
    const drawn = lines.map((line) => line.getAttribute("d") ?? "").find((d) => d.endsWith("Z"));
    const x = drawn && Number.parseFloat(drawn.slice(drawn.lastIndexOf("M") + 1));
    if (x === undefined || x === seen.x) return;
    seen.x = x;
    const width = root.querySelector(".lrf-plot").getBoundingClientRect().width;
    seen.draws.push([performance.timeOrigin + performance.now(), x / width]);
  }).observe(root.querySelector(".lrf-figure"), { subtree: true, attributes: true });
  const plot = root.querySelector(".lrf-plot");
  window.addEventListener("pointermove", (event) => {
    requestAnimationFrame(() => {
      if (plot.style.getPropertyValue("--fraction") !== seen.last) {
        seen.last = plot.style.getPropertyValue("--fraction");
        seen.pixels.push(performance.now() - event.timeStamp);
      }
    });
  }, { capture: true });
  window.addEventListener("pointerup", (event) => {
    const at = performance.timeOrigin + event.timeStamp;
    const number = root.querySelector(".lrf-number");
    setTimeout(() => seen.ups.push([at, Number(number.textContent)]), 0);
  }, { capture: true });
}"""
# The same in a page that has nothing but a box that follows the pointer: no page can be faster.
BARE = """<div style="position: absolute; width: 9px; height: 9px; background: black"></div><script>
  const box = document.querySelector("div"), seen = (window.seen = { pixels: [] });
  addEventListener("pointermove", (event) => {
    box.style.left = `${event.clientX}px`;
    requestAnimationFrame(() => {
      if (box.style.left !== seen.last) {
        seen.last = box.style.left;
        seen.pixels.push(performance.now() - event.timeStamp);
      }
    });
  });
</script>"""
SEEN = "() => { window.seen.on = false; return window.seen; }"

Row = list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picks", type=int, default=30, help="drags of each kind")
    parser.add_argument("--first", type=int, default=0, help="leave out so many of the first")
    parser.add_argument("--steps", type=int, default=100_000, help="of the long run")
    chosen = parser.parse_args()
    with opened() as host:
        print(f"{machine()}; Chromium {host.page.context.browser.version}\n")
        print("| what | median | 95 % | 99 % or worst |\n|---|---|---|---|")
        measures: tuple[Callable[[Host], list[Row]], ...] = (
            first_point,
            partial(bare_page, count=chosen.picks),
            partial(picks, count=chosen.picks, when="kernel idle", finder="waiting(0.02, 50)"),
            partial(picks, count=chosen.picks, when="sweep running", finder=ENDLESS),
            partial(picks, count=chosen.picks, when="busy cell", finder=ENDLESS, cell=BUSY),
            partial(picks, count=chosen.picks, when="sweep on a Dask worker", finder=ON_DASK),
            streaming,
            partial(long_run, steps=chosen.steps),
            event_loop,
        )
        for measure in measures[chosen.first :]:
            for cells in measure(host):
                print("|", " | ".join(cells), "|", flush=True)
        assert not host.console_errors, host.console_errors
    print(f"\n{load()}")


@contextmanager
def opened() -> Iterator[Host]:
    """A JupyterLab in a browser."""
    with (
        tempfile.TemporaryDirectory() as home,
        sync_playwright() as playwright,
        serve("jupyterlab", Path(home)) as server,
    ):
        browser = playwright.chromium.launch(
            args=chromium.FLAGS,
            chromium_sandbox=not chromium.is_root(),
            executable_path=chromium.find(),
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        yield Host("lab", page, server)


def shown(host: Host, code: str) -> Finder:
    """A new notebook with this finder, drawn."""
    host.open([SET_UP, f"finder = {code}\nfinder"]).run_all()
    finder = Finder(host)
    finder.handle.wait_for()
    return finder


def watch(host: Host) -> None:
    host.page.wait_for_timeout(1000)  # for what JupyterLab does after a cell has run
    host.page.evaluate(WATCH)


def ask(host: Host, expression: str) -> Any:
    return json.loads(host.append_and_run(f"print(json.dumps({expression}))"))


def first_point(host: Host) -> list[Row]:
    """From `finder.start()` to the first point in the page, beyond what the step takes."""
    late = []
    for _ in range(5):
        shown(host, "waiting(0.01, 1000)")
        watch(host)
        host.append_and_run("begun = time.time(); _ = finder.start()")
        host.page.wait_for_function("() => window.seen.draws.length > 0")
        draws = host.page.evaluate(SEEN)["draws"]
        begun, first = ask(host, "[begun, told[0]]")
        drawn = draws[0][0] / 1000
        late.append(1000 * (drawn - begun) - 10)
        assert first >= begun
    return [row("start to first point, less the step", late)]


def bare_page(host: Host, *, count: int) -> list[Row]:
    """From the pointer to the pixel in an empty page."""
    page = host.page.context.browser.new_page()
    page.set_content(BARE)
    for i in range(count):
        page.mouse.move(100 + 800 * ((i * 0.37) % 1), 200, steps=20)
        page.wait_for_timeout(150)
    seen = page.evaluate("() => window.seen")
    page.close()
    return [row("pointer to pixel, empty page", seen["pixels"])]


ENDLESS = "waiting(0.005, 100_000)"
ON_DASK = "on_dask(0.005, 100_000)"
BUSY = """for _ in range(150):
    begun = time.time()
    while time.time() - begun < 0.1:
        sum(range(1000))
"""


def picks(host: Host, *, count: int, when: str, finder: str, cell: str | None = None) -> list[Row]:
    """From the pointer to the pixel and to the namespace."""
    shown_finder = shown(host, finder)
    watch(host)
    shown_finder.handle.scroll_into_view_if_needed()
    goes_on = finder in (ENDLESS, ON_DASK)
    host.append_and_run("_ = finder.start()" + ("" if goes_on else ".wait()"))
    shown_finder.wait_for_dots(1)
    if cell:
        host.run_cell(host.page.evaluate(host_module.APPEND, cell), wait=False)
        host.page.wait_for_timeout(500)
    left, right = shown_finder.tick_x("1e-6"), shown_finder.tick_x("1e+0")
    for i in range(count):
        shown_finder.drag_to(left + (right - left) * ((i * 0.37) % 1), steps=20)
        host.page.wait_for_timeout(150)
    host.wait_until_run()
    host.append_and_run("finder.stop()")
    seen = host.page.evaluate(SEEN)
    written = ask(host, "finder._picker._variable._namespace.picks")
    released = {lr: at for at, lr in seen["ups"]}
    assert len(released) == count
    assert written[-1][1] == seen["ups"][-1][1]
    # While the kernel does not answer, ipywidgets keeps only the latest value: fewer may arrive.
    late = [1000 * at - released[lr] for at, lr in written]
    return [
        row(f"pointer to pixel, {when}", seen["pixels"]),
        row(f"pointer to namespace, {when} ({len(late)} of {count} arrived)", late),
    ]


def streaming(host: Host) -> list[Row]:
    """Ten runs of 1,000 points, the last of them streaming, while the marker is dragged."""
    finder = shown(host, "waiting(0, 1000)")
    host.append_and_run(
        "for _ in range(9):\n    told.clear(); finder.start().wait()\n"
        "step = waiting(0.008, 1000)._session.source.task.step\n"
        "finder._session.source.task.step = step; told.clear()"
    )
    host.append_and_run("_ = finder.start()")
    watch(host)
    left, right = finder.tick_x("1e-6"), finder.tick_x("1e+0")
    until = time.monotonic() + 6
    while time.monotonic() < until:
        finder.drag_to(left, steps=60)
        finder.drag_to(right, steps=60)
    seen = host.page.evaluate(SEEN)
    host.append_and_run("_ = finder.wait()")
    times = ask(host, "told")
    latest = [(at / 1000, times[round(x * (len(times) - 1))]) for at, x in seen["draws"]]
    late = [1000 * (drawn - told) for drawn, told in latest]
    gaps = 1000 * np.diff([drawn for drawn, _ in latest])
    return [
        row("frames while dragging, ten runs of 1,000 points", seen["frames"]),
        ["longest task in the page", "", "", f"{max(seen['tasks'], default=0):.0f} ms"],
        row("point to pixel", late),
        row("gap between redraws", gaps.tolist()),
    ]


def long_run(host: Host, *, steps: int) -> list[Row]:
    """Messages and bytes to the page, and its memory, while a long run streams."""
    frames: list[tuple[float, int]] = []

    def listen(socket: Any) -> None:
        socket.on("framereceived", lambda data: frames.append((time.monotonic(), len(data))))

    host.page.on("websocket", listen)
    shown(host, f"waiting(1e-5, {steps})")
    begun, before = time.monotonic(), heap(host)
    host.append_and_run("_ = finder.start().wait()")
    taken, after = time.monotonic() - begun, heap(host)
    during = [size for at, size in frames if at > begun]
    assert ask(host, "len(finder.curve)") == steps
    rate = f"{len(during) / taken:.1f} a second"
    return [
        [f"messages, {steps:,} steps in {taken:.0f} s", rate, "", ""],
        ["bytes", f"{sum(during) / taken / 1024:.0f} kB a second", "", ""],
        ["memory of the page, before and after", f"{before:.0f}, {after:.0f} MB", "", ""],
    ]


def heap(host: Host) -> float:
    session = host.page.context.new_cdp_session(host.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in found if one["name"] == "JSHeapUsedSize") / 2**20


def event_loop(host: Host) -> list[Row]:
    """How late the kernel's event loop is while a small model is swept."""
    shown(host, "small_model()")
    host.append_and_run(
        "late = []\n"
        "async def watch():\n"
        "    while not finder.state.ended:\n"
        "        begun = time.perf_counter()\n"
        "        await asyncio.sleep(0.005)\n"
        "        late.append(1000 * (time.perf_counter() - begun - 0.005))\n"
        "finder.start()\n"
        "task = asyncio.get_event_loop().create_task(watch())"
    )
    host.page.wait_for_timeout(8000)
    return [row("event loop's lateness, sweep running", ask(host, "late"))]


def row(what: str, milliseconds: list[float]) -> Row:
    of = np.array(milliseconds)
    last = np.percentile(of, 99) if len(of) >= 100 else of.max()
    return [what, *(f"{x:.1f} ms" for x in (np.median(of), np.percentile(of, 95), last))]


if __name__ == "__main__":
    main()
