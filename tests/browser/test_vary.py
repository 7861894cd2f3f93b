"""Another setting varied, as a person does it: a table, a heat map, Stop, and what is refused."""

from __future__ import annotations

import re

from finder import SLOW, Finder
from host import Host
from playwright.sync_api import Locator, expect
from test_access import AXE, CHECK, TALL

DIGITS = """import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from lrfinder_widget import LRFinder

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
loader = DataLoader(data, batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
finder = LRFinder(model, optimizer, loader, nn.CrossEntropyLoss(), num_iter=60)
finder"""


# How many lines a text takes.
LINES = """(e) => {
  const range = document.createRange();
  range.selectNodeContents(e);
  return new Set([...range.getClientRects()].map(({ y }) => y)).size;
}"""


def set_up(finder: Finder) -> Locator:
    """Unfold what can be set up, and return the row of what can be varied."""
    finder.root.get_by_role("button", name="Set up").click()
    return finder.root.get_by_role("group", name="One more setting")


def test_two_settings_are_varied_into_a_table_and_a_heat_map(lab: Host) -> None:
    lab.open([DIGITS]).run_all()
    lab.page.set_viewport_size(TALL)
    finder = Finder(lab)
    row = set_up(finder)
    row.get_by_label("vary").select_option("momentum")
    values = row.get_by_label("values").first
    expect(values).to_have_value("0, 0.9, 0.99")  # offered
    row.get_by_label("and").select_option("batch size")
    expect(row.get_by_label("values").last).to_have_value("16, 32, 64, 128")
    values.fill("0, 0.9")
    values.press("Enter")
    expect(row).to_contain_text("at most 480 steps")
    lab.screenshot("vary-set-up", finder.root)
    row.get_by_role("button", name="Vary").press("Enter")
    expect(finder.root).to_contain_text("The lowest loss", timeout=60_000)
    expect(finder.root).to_contain_text("Everything has been restored.")

    table = finder.root.get_by_role("table", name="What each test shows")
    expect(table.get_by_role("columnheader")).to_have_text(
        ["momentum", "batch size", "candidate", "turns up after", "lowest loss"]
    )
    expect(table.get_by_role("row")).to_have_count(9)
    heat = finder.root.get_by_role("table", name="Candidate by momentum")
    expect(heat.get_by_role("columnheader")).to_have_text(["16", "32", "64", "128"])
    expect(heat.get_by_role("rowheader")).to_have_text(["0", "0.9"])
    expect(finder.handle).to_be_hidden()  # no empty chart above
    expect(finder.root.locator(".lrf-figure")).to_be_hidden()
    candidates = [text for text in heat.get_by_role("cell").all_text_contents() if text]
    assert len(candidates) == 8
    assert any(re.match(r"\d\.\d\de-\d\d", text) for text in candidates)
    for dark in (False, True):
        lab.theme(dark=dark)
        lab.screenshot(f"vary-{'dark' if dark else 'light'}", finder.root)
    lab.page.add_script_tag(path=AXE)
    found = lab.page.evaluate(CHECK)
    finder.root.evaluate("(root) => { root.style.maxWidth = '360px'; }")
    for number in table.get_by_role("cell").filter(has_text="e-").all():
        assert number.evaluate(LINES) == 1
    lab.screenshot("vary-narrow", table)
    assert found["bad"] == []
    read = [finding["html"] for finding in found["good"] if finding["rule"] == "color-contrast"]
    assert any(html.startswith("<td style=") for html in read), read  # a cell of the heat map
    lab.theme(dark=False)


def test_stop_keeps_what_is_complete_and_a_list_has_no_other_batch_size(lab: Host) -> None:
    lab.open([SLOW, "finder = slow_model(0.02, 50)\nfinder"]).run_all()
    finder = Finder(lab)
    row = set_up(finder)
    row.get_by_label("vary").select_option("batch size")
    vary = row.get_by_role("button", name="Vary")
    vary.press("Enter")
    expect(finder.status).to_contain_text(
        "The batch size cannot be varied: only a plain DataLoader"
    )
    row.get_by_label("vary").select_option("weight decay")
    vary.click()
    table = finder.root.get_by_role("table", name="What each test shows")
    expect(table.get_by_role("row")).to_have_count(3)  # the head, a test, and one that goes on
    expect(table).to_contain_text("running")
    row.get_by_role("button", name="Stop").click()
    expect(finder.root).to_contain_text(re.compile(r"Stopped: \d of 4 tests are complete\."))
    expect(table).not_to_contain_text("running")
    asked = "print(finder._session.varied_test.state.name, len(finder.variation.curves) in (1, 2))"
    assert lab.append_and_run(asked) == "STOPPED True"
