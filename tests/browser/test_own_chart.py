"""Without a bqplot view the page draws the chart itself: live, and where bqplot would draw it."""

from __future__ import annotations

import re

import pytest
from finder import SLOW, Finder
from host import LIGHT_AND_DARK, Host
from playwright.sync_api import Locator, expect
from test_instrument import SHOWN

OWN = ".lrf-own"
# What JupyterLab says of a module that is not there; nothing of it is ours.
OF_BQPLOT = re.compile(r"bqplot|/static/lab/")
# Where the points of a path are on the page, in pixels.
PLACES = """(path) => {
  const to = path.getScreenCTM();
  const frame = path.closest(".lrf-finder").getBoundingClientRect();
  return [...path.getAttribute("d").matchAll(/(-?[\\d.e-]+)[ ,](-?[\\d.e-]+)/g)].map(([, x, y]) => [
    to.a * Number(x) + to.c * Number(y) + to.e - frame.x,
    to.b * Number(x) + to.d * Number(y) + to.f - frame.y,
  ]);
}"""


def block_bqplot(host: Host) -> None:
    """Keep bqplot's JavaScript from the page; the browser complains of nothing else."""
    host.page.route(re.compile(r"/extensions/bqplot/"), lambda route: route.abort())
    host.tolerated = OF_BQPLOT


def drawn(finder: Finder) -> dict[str, list[list[float]]]:
    """Dots and smoothed line of the current run, in pixels from the finder's corner."""
    paths = finder.root.locator(".lrf-figure path.line")
    dots = next(p for p in paths.all() if (p.get_attribute("d") or "").rstrip().endswith("Z"))
    return {"dots": dots.evaluate(PLACES), "line": paths.last.evaluate(PLACES)}


def top(locator: Locator) -> float:
    return locator.evaluate("(e) => e.getBoundingClientRect().top")


def bottom(locator: Locator) -> float:
    return locator.evaluate("(e) => e.getBoundingClientRect().bottom")


def test_points_and_line_are_where_bqplot_draws_them(lab: Host) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    expect(finder.root.locator(OWN)).to_have_count(0)
    line = bottom(finder.root.locator(".lrf-figure .domain").first)
    assert top(finder.root.locator(".lrf-figure .tick text").first) >= line  # not struck through
    before = drawn(finder)
    ticks = {tick: finder.tick_x(tick) for tick in ("1e-6", "1e-2", "1e+0")}
    block_bqplot(lab)
    lab.reload()
    finder = Finder(lab)
    expect(finder.root.locator(OWN)).to_be_visible()
    now = drawn(finder)
    for name in ("dots", "line"):
        assert len(now[name]) == len(before[name]) > 20
        for (x, y), (was_x, was_y) in zip(now[name], before[name], strict=True):
            assert abs(x - was_x) <= 2
            assert abs(y - was_y) <= 2
    for tick, x in ticks.items():
        assert abs(finder.tick_x(tick) - x) <= 1


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_the_chart_grows_and_the_marker_is_on_its_axis(lab: Host, dark: bool) -> None:
    block_bqplot(lab)
    lab.open([SLOW, "lr = 1e-3\nfinder = slow_model(0.2)\nfinder"]).run_all()
    lab.theme(dark=dark)
    finder = Finder(lab)
    expect(finder.root.locator(OWN)).to_be_visible()
    finder.start.click()
    finder.wait_for_dots(4)
    drawn = finder.dots()
    finder.wait_for_dots(drawn + 6)
    assert finder.gap("1e-3") <= 1.0
    finder.drag_to(finder.tick_x("1e-2"))
    expect(finder.root.locator("code")).to_have_text(re.compile(r"lr = (9\.\d\de-03|1\.0\de-02)"))
    finder.stop.click()
    finder.wait_until_ended()
    expect(lab.page.get_by_text("(pip install ipywidgets bqplot anywidget)")).to_be_hidden()
    lab.screenshot(f"own-chart-{'dark' if dark else 'light'}", finder.root)
    lab.theme(dark=False)


def test_a_finder_inside_another_box_draws_its_own_chart(lab: Host) -> None:
    lab.open([*SHOWN, "import ipywidgets\nipywidgets.VBox([finder])"]).run_all()
    inner = Finder(lab, 1)
    expect(inner.root.locator(OWN)).to_be_visible()
    inner.start.click()
    inner.wait_until_ended()
    assert inner.dots() == Finder(lab).dots() > 20  # the same finder, above, with bqplot
    inner.handle.press("Home")
    assert inner.gap("1e-7") <= 1.0
