"""What a person does with a curve beyond the first pick, in a real JupyterLab, light and dark."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from finder import Finder, middle
from host import LIGHT_AND_DARK, Host
from playwright.sync_api import expect

# A task of a few seconds: a fall that can be read, and data that cost nothing.
TASK = """import torch
from torch import nn
from lrfinder_widget import LRFinder

def small_finder(**options):
    torch.manual_seed(0)
    x = torch.randn(512, 8)
    y = (x[:, :1] * x[:, 1:2] > 0).long().squeeze(1)
    data = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return LRFinder(model, optimizer, loader, nn.CrossEntropyLoss(), **options)
"""
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
# Not `wait_for_function`, which does not wait for promises.
COPIED = """async () => {
  let text;
  while (!(text = await navigator.clipboard.readText())) await new Promise(requestAnimationFrame);
  return text;
}"""
SHOWN = [TASK, "lr = 1e-3\nfinder = small_finder()\nfinder"]


def ended(finder: Finder, steps: str) -> None:
    expect(finder.root).to_contain_text(re.compile(steps))
    finder.wait_until_ended()


def test_the_set_up_of_the_next_run_is_edited_in_place(lab: Host) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    finder.root.get_by_role("button", name="Set up").click()
    finder.root.get_by_role("textbox", name="from").fill("1e-4")
    finder.root.get_by_role("textbox", name="points").fill("60")
    finder.root.get_by_role("textbox", name="repeats").fill("2")
    finder.root.get_by_role("textbox", name="repeats").press("Enter")
    lab.screenshot("set-up", finder.root)
    finder.start.click()
    ended(finder, r"\d+ / 120")
    said = "print(finder.curve.lrs[0], len(finder.curve.repeats))"
    assert lab.append_and_run(said) == "0.0001 2"
    assert finder.tick_x("1e-4") < finder.tick_x("1e-3")  # the axis begins where it was set to
    expect(finder.root.locator(".lrf-figure g.axis").first).not_to_contain_text("1e-5")
    finder.root.get_by_role("textbox", name="to").fill("1e-9")
    finder.root.get_by_role("textbox", name="to").press("Enter")
    finder.start.click()
    expect(finder.status).to_contain_text("'from' must be below 'to'")
    lab.screenshot("set-up-refused", finder.root)


def test_the_length_of_the_training_is_entered_and_the_marker_follows(lab: Host) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    expect(finder.status).to_contain_text("for about")
    at = finder.x()
    finder.root.get_by_role("button", name="Set up").click()
    steps = finder.root.get_by_role("combobox", name="training steps")
    assert steps.evaluate("(e) => [...e.list.options].map((o) => o.value)")[0] == "8 (1 epoch)"
    steps.fill("50000")
    steps.press("Enter")
    expect(finder.status).to_contain_text("for 50,000 steps at a constant learning rate")
    assert finder.x() < at - 5
    finder.root.get_by_role("combobox", name="schedule").select_option("decays")
    expect(finder.status).to_contain_text("for 50,000 steps with a decaying learning rate")
    lab.screenshot("training-steps", finder.root)
    steps.fill("long")
    steps.press("Enter")
    expect(finder.status).to_contain_text("'training steps' must be a whole number; got 'long'")
    said = "print(finder.suggestion == finder.curve.suggest(train_steps=50_000, schedule='decay'))"
    assert lab.append_and_run(said) == "True"


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_trial_runs_rank_and_one_click_takes_the_winner(lab: Host, dark: bool) -> None:
    lab.open(SHOWN).run_all()
    lab.theme(dark=dark)
    finder = Finder(lab)
    finder.root.get_by_role("button", name="Try").click()
    finder.root.get_by_role("textbox", name="learning rates").fill("1e-4, 1e-2, 0.1")
    finder.root.get_by_role("textbox", name="steps").fill("150")
    finder.root.get_by_role("textbox", name="steps").press("Enter")
    finder.root.get_by_role("button", name="Run").click()
    expect(finder.root).to_contain_text("has the lowest loss", timeout=60_000)
    expect(finder.root).to_contain_text("starting weights")  # in the legend, with a dotted line
    take = finder.root.get_by_role("button", name=re.compile("Use .*e-"))
    lab.screenshot(f"trial-runs-{'dark' if dark else 'light'}", finder.root)
    take.click()
    expect(finder.root.locator("code")).to_contain_text("# LR range test, SGD, batch 64")
    assert lab.append_and_run("print(lr == finder.comparison.winner)") == "True"
    lab.theme(dark=False)


def test_runs_side_by_side_are_named_hidden_and_removed(lab: Host) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    for n in (1, 2, 3):
        finder.start.click()
        said = "print(len(finder.curves), finder.state.name)"  # Stop may be there for too short
        lab.wait_until_kernel_says(said, f"{n} FINISHED")
    expect(finder.start).to_be_visible()
    lab.append_and_run("finder.add(finder.curves[0], name='<i>of another</i>')")
    names = finder.root.get_by_placeholder("name of this run")
    expect(names).to_have_count(4)
    expect(names.nth(2)).to_have_value("SGD, batch 64 #3")
    expect(names.last).to_have_value("<i>of another</i>")
    lines = finder.root.locator(".lrf-figure path.line")
    before = lines.count()
    lab.screenshot("side-by-side", finder.root)
    finder.root.get_by_role("checkbox", name="show").first.uncheck()
    expect(lines).to_have_count(before - 1)
    finder.root.get_by_title(re.compile("Remove .* from the chart")).last.click()
    expect(names).to_have_count(3)
    expect(lines).to_have_count(before - 2)


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_another_run_is_chosen_zoomed_to_and_smoothed(lab: Host, dark: bool) -> None:
    lab.open(SHOWN).run_all()
    lab.theme(dark=dark)
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    lab.append_and_run(
        "from lrfinder_widget import LossCurve, range_test\n"
        "finder.add(LossCurve([1e-9, 1e-8, 1e-7], [0.9, 0.8, 0.7]), '<i>other</i>')"
    )
    axis = finder.root.locator(".lrf-figure g.axis").first
    expect(axis).to_contain_text("1e-9")  # holds both
    expect(axis).to_contain_text("1e+1")
    own = finder.status.text_content()
    finder.root.get_by_role("button", name="Set up").click()
    finder.root.get_by_label("zoom to the run").check()
    expect(axis).not_to_contain_text("1e-9")
    finder.root.get_by_title("Make <i>other</i> the current run").click()
    expect(finder.status).to_contain_text("<i>other</i>: ")
    expect(axis).to_contain_text("1e-9")
    expect(axis).not_to_contain_text("1e-6")
    finder.wait_for_dots(3, 3)
    finder.root.get_by_title("Make SGD, batch 64 the current run").click()
    expect(finder.status).to_have_text(own)

    line = finder.root.locator(".lrf-figure path.line").last
    before = line.get_attribute("d")
    box = finder.root.get_by_label("smoothing %")
    box.fill("40")
    box.press("Enter")
    expect(line).not_to_have_attribute("d", before or "")
    lab.screenshot(f"chosen-{'dark' if dark else 'light'}", finder.root)
    lab.theme(dark=False)


def test_a_tick_on_the_axis_is_clicked(lab: Host) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    finder.handle.press("Home")  # out of the way
    ticks = finder.root.locator(".lrf-tick").all()
    for tick in ticks:
        rule = tick.text_content()
        number = finder.root.get_by_role("button", name=re.compile(f"^{rule}")).inner_text()
        if tick is ticks[0]:
            tick.locator("span").click()
        else:  # one that is close may lie over it; then there are the buttons
            tick.dispatch_event("click")
        said = re.compile(f"^{re.escape(number.split()[-1])}, candidate")
        expect(finder.handle).to_have_attribute("aria-valuetext", said)
        assert abs(middle(tick) - 8 - finder.x()) < 1.5  # its left edge
        finder.handle.press("Home")
    expect(finder.root.locator(".lrf-tick")).not_to_have_count(0)


def test_chart_and_runs_are_saved_as_files_and_the_pick_is_copied(
    lab: Host, tmp_path: Path
) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    finder.handle.press("Enter")
    expect(finder.root.locator("code")).to_contain_text("# LR range test")
    finder.root.get_by_role("button", name="Save").click()
    saved = {}
    for ending in ("svg", "png", "csv", "json"):
        with lab.page.expect_download() as download:
            finder.root.get_by_role("button", name=ending.upper()).click()
        assert download.value.suggested_filename == f"lr-range-test.{ending}"
        download.value.save_as(tmp_path / ending)
        saved[ending] = (tmp_path / ending).read_bytes()
    lab.screenshot("saved", finder.root)
    assert saved["png"].startswith(b"\x89PNG")
    width, height = struct.unpack(">II", saved["png"][16:24])
    assert (width, height) == (1440, 720)
    lr = lab.append_and_run("print(f'lr = {lr:.2e}')")
    assert lr in saved["svg"].decode()
    (run,) = json.loads(saved["json"])["runs"]
    rows = saved["csv"].decode().splitlines()
    assert len(rows) == len(run["lrs"]) + 1
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    finder.root.get_by_title("Copy this line of code").click()
    copied = lab.page.evaluate(COPIED)
    assert copied.startswith(f"{lr}  # LR range test, SGD, batch 64, ")


def test_when_the_kernel_is_gone_everything_is_greyed(host: Host) -> None:
    host.open(SHOWN).run_all()
    finder = Finder(host)
    finder.start.click()
    finder.wait_until_ended()
    host.page.evaluate(RESTART)
    note = finder.root.locator(".lrf-gone-note")
    expect(note).to_have_text("The kernel is gone; this is the last state. Run the cell again.")
    assert finder.dots() > 10  # what was measured is still there
    expect(finder.root).to_have_class(re.compile("lrf-gone"))
    expect(finder.root.locator(":scope > :not([inert])")).to_have_count(1)
    host.screenshot("gone", finder.root)
    host.wait_until_ready()
    host.run_all()
    expect(finder.root).not_to_have_class(re.compile("lrf-gone"))
    finder.start.click()
    finder.wait_until_ended()


def test_a_candidate_is_a_click_away_and_apply_is_undone_by_another(lab: Host) -> None:
    lab.open(SHOWN).run_all()
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    button = finder.root.get_by_role("button", name=re.compile("^steepest"))
    number = button.inner_text().split()[-1]
    button.click()
    expect(finder.handle).to_have_attribute(
        "aria-valuetext", re.compile(f"^{re.escape(number)}, candidate")
    )
    finder.use.click()
    expect(finder.root.locator("code")).to_contain_text(f"lr = {number}")
    ask = "print(f\"{finder._session.source.task.optimizer.param_groups[0]['lr']:.2e}\")"
    assert lab.append_and_run(ask) == "1.00e-01"
    finder.root.get_by_role("button", name="Apply").click()
    lab.wait_until_kernel_says(ask, number)
    finder.root.get_by_role("button", name="Undo").click()
    lab.wait_until_kernel_says(ask, "1.00e-01")


def test_a_picture_stays_in_the_notebook(lab: Host) -> None:
    lab.open([*SHOWN, "finder.start().wait().pick(0.01)\nfinder.snapshot()"]).run_all()
    picture = lab.page.get_by_role("img", name="LR range test: lr = 1.00e-02")
    expect(picture.last).to_be_visible()
    lab.screenshot("snapshot", picture.last)
