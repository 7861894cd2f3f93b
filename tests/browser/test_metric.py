"""A metric beside the loss: a thin line on an axis to the right, whoever draws the chart."""

from __future__ import annotations

import re

import pytest
from finder import Finder
from host import LIGHT_AND_DARK, Host
from playwright.sync_api import Locator, expect
from test_access import AXE, TALL, check
from test_own_chart import OWN, PLACES, block_bqplot

MEASURED = [
    """import torch
from torch import nn
from lrfinder_widget import LRFinder

def right(output, target):
    return (output.argmax(1) == target).float().mean()

def finder_of(metric, **options):
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    data = list(zip(x.split(32), x[:, :3].argmax(1).split(32)))
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    options = {"start_lr": 1e-5, "num_iter": 60, **options}
    return LRFinder(model, optimizer, data, nn.CrossEntropyLoss(), metric=metric, **options)""",
]
FITS = """() => {
  const { scrollWidth, clientWidth } = document.querySelector(".lrf-finder");
  return scrollWidth <= clientWidth;
}"""
STILL = """() =>
  document.querySelector(".lrf-finder").getAnimations({ subtree: true }).length === 0"""
LINE = '.lrf-figure path.line[style*="--metric"]'


def opened(host: Host, metric: str = "'accuracy'") -> Finder:
    host.open([*MEASURED, f"lr = 1e-3\nfinder = finder_of({metric})\nfinder"]).run_all()
    return Finder(host)


def line(finder: Finder) -> list[list[float]]:
    path = finder.root.locator(LINE)
    expect(path).to_have_count(1)
    expect(path).to_have_attribute("d", re.compile("M"))
    return path.evaluate(PLACES)


def axis_names(finder: Finder) -> Locator:
    return finder.root.locator(".lrf-figure text")


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_it_is_seen_named_and_told(lab: Host, dark: bool) -> None:
    finder = opened(lab)
    lab.theme(dark=dark)
    lab.page.set_viewport_size(TALL)
    lab.page.add_script_tag(path=AXE)
    expect(finder.root.get_by_text("on the axis to the right")).to_be_hidden()
    finder.start.click()
    finder.wait_until_ended()
    assert len(line(finder)) > 20
    expect(axis_names(finder).get_by_text("accuracy", exact=True)).to_be_visible()
    expect(finder.root.get_by_text("accuracy, on the axis to the right")).to_be_visible()
    finder.number.fill("1e-3")  # not dragged there: the axis may still be making room for labels
    finder.number.press("Enter")
    said = re.compile(r"picked, loss \d\S*, accuracy 0\.\d+")
    expect(finder.handle).to_have_attribute("aria-valuetext", said)
    assert finder.gap("1e-3") <= 1.0
    lab.page.wait_for_function(STILL)  # or colours are judged on their way
    check(lab)
    lab.screenshot(f"metric-{'dark' if dark else 'light'}", finder.root)
    lab.page.get_by_role("tab", name="File Browser").click()  # room for the notebook
    lab.set_width(360)
    lab.page.wait_for_function(FITS)
    finder.number.fill("0.1")
    finder.number.press("Enter")
    assert finder.gap("1e-1") <= 1.0
    lab.screenshot(f"metric-narrow-{'dark' if dark else 'light'}", finder.root)
    lab.theme(dark=False)


def test_its_line_is_where_bqplot_draws_it(lab: Host) -> None:
    finder = opened(lab, "right")
    finder.start.click()
    finder.wait_until_ended()
    expect(finder.root.locator(OWN)).to_have_count(0)
    finder.number.fill("0.01")
    finder.number.press("Enter")
    assert finder.gap("1e-2") <= 1.0  # the axis has made room for its labels
    before, tick = line(finder), finder.tick_x("1e-2")
    block_bqplot(lab)
    lab.reload()
    finder = Finder(lab)
    expect(finder.root.locator(OWN)).to_be_visible()
    expect(axis_names(finder).get_by_text("right", exact=True)).to_be_visible()
    now = line(finder)
    assert len(now) == len(before) > 20
    for (x, y), (was_x, was_y) in zip(now, before, strict=True):
        assert abs(x - was_x) <= 2
        assert abs(y - was_y) <= 2
    assert abs(finder.tick_x("1e-2") - tick) <= 1
    finder.handle.press("End")
    assert finder.gap("1e+1") <= 1.0
    lab.screenshot("metric-own-chart", finder.root)


LONG = """def near(low, step):
    def some_metric(output, target, calls=[]):
        calls.append(1)
        return low + step * len(calls)
    return finder_of(some_metric).start()
"""
# The gap between the widest label of the axis to the right and its name, and from there to the end.
GAPS = """(root) => {
  const box = (element) => element.getBoundingClientRect();
  const texts = [...root.querySelectorAll(".lrf-figure text")];
  const name = box(texts.find((text) => text.textContent === "some_metric"));
  const right = Math.max(...texts.filter((text) => text.closest(".tick")).map((t) => box(t).right));
  return [name.left - right, box(root.querySelector(".lrf-figure")).right - name.right];
}"""

LABELS = """(root) => [...[...root.querySelectorAll(".lrf-figure .axis")].at(-1)
  .querySelectorAll(".tick text")].map((text) => text.textContent)"""


def test_its_name_never_touches_the_labels_of_its_axis(lab: Host) -> None:
    ranges = ("0.5, 0.001", "0.09401, 1e-6", "-1.2e-7, 1e-9", "123456, 1e-5")
    # bqplot, where Lab 4.2 has not laid out a cell yet, as it is out of sight.
    lab.tolerated = re.compile("<rect> attribute (width|height): A negative value")
    lab.open([*MEASURED, LONG, *(f"near({each})" for each in ranges)]).run_all()
    for own in (False, True):
        for n in range(len(ranges)):
            finder = Finder(lab, n)
            finder.root.scroll_into_view_if_needed()
            finder.wait_until_ended()
            line(finder)
            lab.page.wait_for_function(
                f"(root) => Math.min(...({GAPS})(root)) >= 1", arg=finder.root.element_handle()
            )
            labels = finder.root.evaluate(LABELS)
            assert len(labels) == len(set(labels)) > 1
            finder.number.fill("0.01")
            finder.number.press("Enter")
            assert finder.gap("1e-2") <= 1.0  # the marker is on an axis of the new length
            lab.screenshot(f"metric-labels-{n}-{'own' if own else 'bqplot'}", finder.root)
        if not own:
            block_bqplot(lab)
            lab.reload()


# Where the tick and the marker's line are each time the page is painted.
WATCH = """(root) => {
  const clock = document.body.appendChild(document.createElement("div"));
  clock.style.cssText = "position: fixed; height: 1px";
  const tick = () => [...root.querySelectorAll(".lrf-figure g.tick")]
    .find((one) => one.textContent === "1e-2")?.querySelector("line");
  const middle = (element) => {
    const { x, width } = element.getBoundingClientRect();
    return x + width / 2;
  };
  window.seen = [];
  new ResizeObserver(() => {
    const there = tick();
    const stands = root.querySelector('[aria-valuetext^="1.00e-02"]');
    if (there && stands) window.seen.push([middle(there), middle(root.querySelector(".lrf-line"))]);
  }).observe(clock);
  const frame = () => {
    clock.style.width = clock.style.width === "1px" ? "2px" : "1px";
    requestAnimationFrame(frame);
  };
  frame();
}"""


def test_the_marker_stays_on_its_axis_while_that_makes_room(lab: Host) -> None:
    growing = """def growing(output, target, calls=[]):
    calls.append(1)
    threading.Event().wait(0.02)
    return 10 ** (len(calls) // 10) / 7
import threading
finder_of(growing)"""
    lab.open([*MEASURED, growing]).run_all()
    finder = Finder(lab)
    finder.number.fill("0.01")
    finder.number.press("Enter")
    assert finder.gap("1e-2") <= 1.0
    finder.root.evaluate(WATCH)
    finder.start.click()
    finder.wait_until_ended()
    seen = lab.page.evaluate("() => window.seen")
    assert len({round(tick) for tick, _ in seen}) > 2  # it has made room
    assert max(abs(tick - line) for tick, line in seen) <= 1.0


def test_a_name_is_no_markup_and_gaps_are_gaps(host: Host) -> None:
    odd = """
def odd(output, target, calls=[]):
    calls.append(1)
    return float("nan") if len(calls) % 20 < 5 else right(output, target)
odd.__name__ = "<b>x</b>"
lr = 1e-3
finder = finder_of(odd, diagnose=True)
finder"""
    host.open([*MEASURED, odd]).run_all()
    finder = Finder(host)
    finder.start.click()
    finder.wait_until_ended()
    line(finder)
    path = finder.root.locator(LINE).get_attribute("d") or ""
    assert path.count("M") > 1
    expect(axis_names(finder).get_by_text("<b>x</b>", exact=True)).to_be_visible()
    expect(finder.root.get_by_text("<b>x</b>, on the axis")).to_be_visible()
    assert finder.root.locator("b").count() == 0
    update = finder.root.get_by_role("img", name="The update")
    axis = update.locator("g.axis").first.locator("g.tick").filter(has_text=re.compile("^1e-2$"))
    box = axis.locator("line").bounding_box()
    assert box is not None
    assert abs(box["x"] - finder.tick_x("1e-2")) <= 1.5
    host.screenshot("metric-gaps-and-why", finder.root)
