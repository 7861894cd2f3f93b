"""The finder on a page, as a person uses it."""

from __future__ import annotations

import math
import re

from host import Host
from playwright.sync_api import Locator, expect

# A run long enough to act in, of steps that take their time without using it.
SLOW = """import threading, torch
from torch import nn
from lrfinder_widget import LRFinder

def slow_model(seconds=0.02, num_iter=400, **options):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    x = torch.randn(32, 4)
    data = [(x, x.sum(1, keepdim=True))]
    tick = threading.Event()
    def criterion(output, target):
        tick.wait(seconds)
        return ((output - target) ** 2).mean()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return LRFinder(model, optimizer, data, criterion, num_iter=num_iter, stop=None, **options)

def endless_model():  # two minutes at least: no test takes as long, however slow the machine
    return slow_model(num_iter=6000)
"""

# How many points are drawn: a dot is a stroke that is closed where it began.
DOTS = """((root) => Math.max(...[...root.querySelectorAll(".lrf-figure .line")].map(
  (line) => (line.getAttribute("d") ?? "").split("Z").length - 1)))"""


class Finder:
    """The finder that a page shows, or the n-th of several."""

    def __init__(self, host: Host, n: int = 0) -> None:
        self.host = host
        self.page = host.page
        self.root = host.page.locator(".lrf-finder").nth(n)
        self.start = self.root.get_by_role("button", name="Start")
        self.stop = self.root.get_by_role("button", name="Stop")
        self.pause = self.root.get_by_role("button", name="Pause")
        self.resume = self.root.get_by_role("button", name="Resume")
        self.use = self.root.get_by_role("button", name=re.compile(r"\bUse$"))
        self.number = self.root.get_by_role("textbox", name="learning rate", exact=True)
        self.handle = self.root.get_by_role("slider", name="learning rate")
        self.status = self.root.get_by_role("status")
        self.picked = self.root.locator("code")

    def wait_until_ended(self) -> None:
        # Not the Start button: it is still there in the first moment after the click.
        expect(self.status).to_contain_text("verything has been restored", timeout=60_000)
        expect(self.start).to_be_visible()

    def dots(self) -> int:
        return self.root.evaluate(DOTS)

    def wait_for_dots(self, at_least: int, at_most: float = math.inf) -> None:
        self.page.wait_for_function(
            f"([root, least, most]) => {DOTS}(root) >= least && {DOTS}(root) <= most",
            arg=[self.root.element_handle(), at_least, at_most],
        )

    def label(self) -> str:
        """The marker's label, as a person reads it."""
        return " ".join(self.root.locator(".lrf-label").inner_text().split())

    def x(self) -> float:
        """Where the marker's line is, in pixels from the left of the page."""
        return middle(self.root.locator(".lrf-line"))

    def tick_x(self, tick: str) -> float:
        """Where the learning-rate axis has this tick, once it stands still."""
        seen = [self._tick_x(tick)]
        for _ in range(50):
            self.page.wait_for_timeout(50)
            seen.append(self._tick_x(tick))
            if seen[-3:] == [seen[-1]] * 3:  # twice: a busy page leaves out a frame
                break
        return seen[-1]

    def _tick_x(self, tick: str) -> float:
        axis = self.root.locator(".lrf-figure g.axis").first
        one = axis.locator("g.tick").filter(has_text=re.compile(f"^{re.escape(tick)}$"))
        return middle(one.locator("line"))

    def gap(self, tick: str) -> float:
        """How far the marker is from this tick, once the figure has taken up a new width."""
        for _ in range(100):
            if abs(self.x() - self._tick_x(tick)) <= 1.0:
                break
            self.page.wait_for_timeout(50)
        return abs(self.x() - self._tick_x(tick))

    def drag_to(self, x: float, steps: int = 10, *, release: bool = True) -> None:
        self.handle.scroll_into_view_if_needed()
        box = self.handle.bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(self.x(), y)
        self.page.mouse.down()
        self.page.mouse.move(x, y, steps=steps)
        if release:
            self.page.mouse.up()


def middle(locator: Locator) -> float:
    box = locator.evaluate("(e) => { const r = e.getBoundingClientRect(); return [r.x, r.width]; }")
    return box[0] + box[1] / 2
