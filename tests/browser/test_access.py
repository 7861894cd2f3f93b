"""For everybody: what axe-core finds, how large a target is, where the focus is, what moves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from finder import SLOW, Finder
from host import LIGHT_AND_DARK, Host
from playwright.sync_api import expect

QUICKSTART = "notebooks/quickstart.ipynb"
AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
TARGET_PX = 24
TALL = {"width": 1280, "height": 1800}
BROKEN = """def broken(batch):
    raise ValueError("no")

model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
finder = LRFinder(model, optimizer, [torch.ones(2, 4)], step=broken)
finder"""

# JupyterLab's body has no height and hides what overflows it. To axe-core everything on the page
# is hidden then, and it checks no contrast: the body gets the height that it is drawn with.
CHECK = """async () => {
  document.body.style.height = "100vh";
  const found = await axe.run(".lrf-finder", {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    rules: { "target-size": { enabled: true } },
  });
  const told = (rules) => rules.flatMap((rule) => rule.nodes.map((node) =>
    ({ rule: rule.id, impact: rule.impact, html: node.html, why: node.failureSummary })));
  return { bad: told(found.violations), good: told(found.passes) };
}"""

# What can be clicked and is shown: its name and its size. A label is part of its box.
TARGETS = """(root) => [...root.querySelectorAll("button, input, select, summary, a, [tabindex]")]
  .map((e) => [e.outerHTML.slice(0, 200), e.getBoundingClientRect()])
  .filter(([, box]) => box.width && box.height)
  .map(([html, box]) => [html, box.width, box.height])"""

# The ring of the handle is drawn around its knob.
FOCUSED = """(root) => {
  const e = document.activeElement;
  if (!root.contains(e)) return null;
  const ring = getComputedStyle(e.querySelector(".lrf-knob") ?? e);
  return [e.textContent || e.tagName, ring.outlineStyle, parseFloat(ring.outlineWidth)];
}"""

MOVING = """(root) => [...root.querySelectorAll("*")]
  .flatMap((e) => [e, "::before", "::after"].map((part) =>
    [e.outerHTML.slice(0, 200), getComputedStyle(e, part === e ? null : part)]))
  .filter(([, style]) => [style.transitionDuration, style.animationDuration]
    .some((durations) => durations.split(",").some((s) => parseFloat(s) > 0)))
  .map(([html]) => html)"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(lab: Host, dark: bool) -> None:
    lab.open(QUICKSTART).run_all()
    lab.theme(dark=dark)
    lab.page.set_viewport_size(TALL)  # it looks only at what is not scrolled away
    lab.page.add_script_tag(path=AXE)
    finder = Finder(lab)
    expect(finder.handle).to_be_visible()
    check(lab)

    finder.root.get_by_role("button", name="Set up").click()
    finder.start.click()
    finder.wait_until_ended()
    check(lab)  # a candidate, and the set-up unfolded

    finder.handle.press("ArrowRight")
    expect(finder.handle).to_have_attribute(
        "aria-valuetext", re.compile(r"^\d\.\d\de-\d\d, picked, loss \d\.\d\d$")
    )
    expect(finder.root.locator(".lrf-loss")).to_be_visible()
    lab.screenshot(f"access-{'dark' if dark else 'light'}", finder.root)
    check(lab)  # a pick, with its loss


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_axe_finds_nothing_in_the_other_states(lab: Host, dark: bool) -> None:
    lab.open([SLOW, "lr = 1e-3\nfinder = slow_model(0.05)\nfinder"]).run_all()
    lab.theme(dark=dark)
    lab.page.set_viewport_size(TALL)
    lab.page.add_script_tag(path=AXE)
    finder = Finder(lab)
    finder.start.click()
    finder.wait_for_dots(4)
    check(lab)  # running, with Start blocked where it is
    finder.pause.click()
    expect(finder.status).to_contain_text("Paused after")
    check(lab)
    finder.stop.click()
    finder.wait_until_ended()
    finder.start.click()  # a second run: a list of both
    expect(finder.status).to_contain_text("Running")
    finder.wait_for_dots(4)
    finder.stop.click()
    finder.wait_until_ended()
    finder.root.get_by_role("button", name="Save").click()
    finder.root.get_by_role("button", name="Try").click()
    finder.root.get_by_role("textbox", name="learning rates").fill("1e-4, 1e-2")
    finder.root.get_by_role("textbox", name="steps").fill("10")
    finder.root.get_by_role("textbox", name="steps").press("Enter")
    finder.root.get_by_role("button", name="Run").click()
    expect(finder.root).to_contain_text("has the lowest loss", timeout=60_000)
    finder.number.fill("fast")
    finder.number.press("Enter")
    check(lab)
    lab.screenshot(f"access-trials-{'dark' if dark else 'light'}", finder.root)
    lab.theme(dark=False)


def check(lab: Host) -> None:
    Finder(lab).root.scroll_into_view_if_needed()
    found = lab.page.evaluate(CHECK)
    assert found["bad"] == []
    # That nothing was found counts only if something was looked at.
    read = [finding["html"] for finding in found["good"] if finding["rule"] == "color-contrast"]
    for part in ('class="lrf-number"', "<p>"):  # the marker's label, and the sentence
        assert any(part in html for html in read), (part, read)


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_the_focus_is_seen_wherever_it_goes_and_what_is_touched_is_large_enough(
    lab: Host, dark: bool
) -> None:
    lab.open([SLOW, BROKEN]).run_all()
    lab.theme(dark=dark)
    finder = Finder(lab)
    finder.root.get_by_role("button", name="Set up").click()
    finder.start.click()
    expect(finder.status.locator("summary")).to_be_visible()
    targets = finder.root.evaluate(TARGETS)
    assert len(targets) >= 11
    assert not [target for target in targets if min(target[1:]) < TARGET_PX]
    finder.start.focus()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Shift+Tab")  # only who uses the keyboard is shown the focus
    seen = []
    while (focused := finder.root.evaluate(FOCUSED)) is not None and len(seen) < 30:
        seen.append(focused)
        if len(seen) in (1, 3, 8):
            lab.screenshot(f"focus-{len(seen)}-{'dark' if dark else 'light'}", finder.root)
        lab.page.keyboard.press("Tab")
    assert [what for what, style, width in seen if style != "solid" or width < 2] == []
    assert [what for what, *_ in seen][-1] == "Traceback"
    assert len(seen) >= 10


@pytest.mark.slow
def test_nothing_moves_for_those_who_want_it_still(lab: Host) -> None:
    lab.page.emulate_media(reduced_motion="reduce")
    lab.open([SLOW, "lr = 1e-3\nslow_model(0, 50)"]).run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    expect(finder.handle).to_be_visible()
    assert finder.root.evaluate(MOVING) == []
