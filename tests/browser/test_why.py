"""Why a curve turns: a box turns it on, and a panel below the chart shows it, on the same axis."""

from __future__ import annotations

import re

import pytest
from finder import Finder, middle
from host import LIGHT_AND_DARK, Host
from playwright.sync_api import Locator, expect
from test_access import AXE, TALL, check
from test_instrument import SHOWN


def gap(finder: Finder, chart: Locator, tick: str) -> float:
    """How far apart this tick is on both axes, once the figure has taken up a new width."""
    axis = chart.locator("g.axis").first
    one = axis.locator("g.tick").filter(has_text=re.compile(f"^{re.escape(tick)}$"))
    for _ in range(100):
        if abs(middle(one.locator("line")) - finder.tick_x(tick)) <= 1:
            break
    return abs(middle(one.locator("line")) - finder.tick_x(tick))


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_a_panel_shows_it_to_eyes_keyboards_and_screen_readers(lab: Host, dark: bool) -> None:
    lab.open(SHOWN).run_all()
    lab.theme(dark=dark)
    lab.page.set_viewport_size(TALL)
    lab.page.add_script_tag(path=AXE)
    finder = Finder(lab)
    panel = finder.root.locator(".lrf-why")
    expect(finder.handle).to_be_visible()
    expect(panel).to_be_hidden()
    finder.root.get_by_role("button", name="Set up").click()
    box = finder.root.get_by_role("checkbox", name="why it turns")
    box.press("Space")
    expect(box).to_be_checked()
    finder.start.press("Enter")
    finder.wait_until_ended()
    expect(panel).to_contain_text(re.compile(r"norm of the gradient is .* a limit for one step"))
    gradient, update = (panel.get_by_role("img", name=f"The {n}") for n in ("gradient", "update"))
    expect(gradient.locator("path.line[d]")).to_have_count(1)
    assert update.locator("path.line[d]").count() > 4  # the level, three lines, and marks
    for tick in ("1e-4", "1e-2", "1e+0"):
        assert gap(finder, gradient, tick) <= 1
        assert gap(finder, update, tick) <= 1
    check(lab)
    lab.screenshot(f"why-{'dark' if dark else 'light'}", finder.root)
    summary = panel.locator("summary")
    summary.press("Enter")
    expect(update).to_be_hidden()
    summary.press("Enter")
    expect(update).to_be_visible()
    said = "print(len(finder.curve), finder.curve.diagnosis.gradient_norm.min() > 0)"
    assert re.fullmatch(r"\d+ True", lab.append_and_run(said))
    lab.page.get_by_role("tab", name="File Browser").click()  # room for the notebook
    lab.set_width(480)
    assert gap(finder, update, "1e-5") <= 1
    assert panel.evaluate("(e) => e.scrollWidth - e.clientWidth") <= 0
    lab.screenshot(f"why-narrow-{'dark' if dark else 'light'}", finder.root)
    lab.set_width(1280)
    lab.theme(dark=False)
