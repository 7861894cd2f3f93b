"""A finder in marimo: shown, run, dragged, reactive; in a real server, to edit and as an app."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from finder import SLOW, Finder
from host import LIGHT_AND_DARK
from marimo_host import MarimoHost, serve_marimo
from playwright.sync_api import Browser, Page, expect

IMPORTS = "import marimo as mo"
# A pick re-runs what reads it: marimo's own way, for one trait of a widget.
STATE = "get_lr, set_lr = mo.state(None)"
MAKE = """finder = slow_model(0.02, 200)
finder.observe(lambda change: set_lr(change.new), "lr")
finder"""
ASK = "print(f'{get_lr()} {finder.lr} {finder.state.name}')"
CELLS = {"imports": IMPORTS, "model": SLOW, "state": STATE, "make": MAKE, "ask": ASK}

Open = Callable[..., MarimoHost]


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Iterator[Open]:
    """Open a notebook of these cells; at the end, the browser must have complained of nothing."""
    hosts = []
    with ExitStack() as servers:

        def open_notebook(cells: dict[str, str], mode: str = "edit", **options) -> MarimoHost:
            home = tmp_path / str(len(hosts))
            home.mkdir()
            url = servers.enter_context(serve_marimo(home, cells, mode, **options))
            hosts.append(MarimoHost(page, url).open())
            return hosts[-1]

        yield open_notebook
        for host in hosts:
            assert not host.console_errors, "\n".join(host.console_errors)


def says(host: MarimoHost, cell: str, text: str | re.Pattern[str]) -> None:
    expect(host.cell(cell).get_by_test_id("console-output-area")).to_contain_text(text)


def number(finder: Finder) -> float:
    """The number on the marker's label."""
    return float(finder.label().split()[-1])


def test_from_start_to_a_dragged_learning_rate_that_runs_what_reads_it(opened: Open) -> None:
    host = opened(CELLS)
    host.run_all()
    finder = Finder(host)
    expect(finder.handle).to_be_visible()
    expect(host.page.locator(".bqplot")).to_have_count(0)
    says(host, "ask", "None None READY")
    finder.start.click()
    finder.wait_for_dots(4)
    drawn = finder.dots()
    finder.wait_for_dots(drawn + 10)  # it goes on
    finder.wait_until_ended()
    expect(finder.status).to_contain_text("this suggests")
    says(host, "ask", "None None READY")  # a candidate alone is no pick
    for tick in ("1e-5", "1e-1"):  # the marker is where the axis has it
        finder.number.fill(tick)
        finder.number.press("Enter")
        expect(finder.picked).to_contain_text(f"{float(tick):.2e}")
        assert finder.gap(tick) <= 1.0
        says(host, "ask", f"{float(tick)} {float(tick)}")
    finder.drag_to(finder.tick_x("1e-3") + 9)
    expect(finder.picked).to_contain_text(re.compile(r"^(9\.\d\de-04|1\.\d\de-03)"))
    picked = number(finder)
    says(host, "ask", f"{picked} {picked}")
    finder.handle.press("ArrowRight")
    expect(finder.picked).not_to_contain_text(f"{picked:.2e}")
    host.screenshot("picked", finder.root)


def test_a_wrapped_finder_runs_what_reads_its_value_once_per_pick(opened: Open) -> None:
    host = opened(
        CELLS
        | {
            "made": "runs = []",
            "make": "finder = mo.ui.anywidget(slow_model())\nfinder",
            "ask": "runs.append(finder.value['lr'])\nprint(runs)",
        }
    )
    host.run_all()
    finder = Finder(host)
    says(host, "ask", "[None]")
    picks = [None]
    for tick in ("1e-3", "1e-5"):
        finder.drag_to(finder.tick_x(tick) + 9, steps=20)
        expect(finder.picked).to_contain_text(f"{float(tick):.2e}"[-4:])
        picks.append(number(finder))
        says(host, "ask", str(picks))
    finder.number.fill("0.00321")
    finder.number.press("Enter")
    says(host, "ask", str([*picks, 3.21e-3]))


def test_a_cell_that_starts_a_run_goes_on_while_others_run(opened: Open) -> None:
    host = opened(
        CELLS
        | {
            "make": "finder = slow_model(0.02, 400)\nfinder.start()",
            "ask": "import time\ntime.sleep(2)\nprint(finder.state.name)",
        }
    )
    host.run_all()
    finder = Finder(host)
    says(host, "ask", "RUNNING")
    drawn = finder.dots()
    assert drawn > 10  # the cell that slept did not hold it up
    host.run("ask", wait=False)
    expect(host.cell("ask").get_by_test_id("cell-status")).to_have_attribute(
        "data-status", "running"
    )
    finder.wait_for_dots(finder.dots() + 10)
    host.wait_until_run()
    finder.pause.click()
    expect(finder.status).to_contain_text("Paused after")
    finder.resume.click()
    expect(finder.pause).to_be_visible()
    finder.stop.click()
    finder.wait_until_ended()
    expect(finder.status).to_contain_text(re.compile(r"Stopped after \d+ of 400 steps"))


def test_a_cell_run_again_takes_over(opened: Open) -> None:
    host = opened(
        CELLS
        | {
            "kept": "finders = []",
            "number": "num_iter = 6000",
            "make": "finders.append(slow_model(num_iter=num_iter))\nfinders[-1].start()",
            "ask": "print([f.state.name for f in finders],"
            " sum(t.name == 'LR range test' for t in threading.enumerate()))",
        }
    )
    host.run_all()
    Finder(host).wait_for_dots(4)
    for rerun, states in (
        ("make", "['STOPPED', 'RUNNING'] 1"),
        ("number", "['STOPPED', 'STOPPED', 'RUNNING'] 1"),  # a cell that it depends on
    ):
        host.run(rerun)
        expect(host.page.locator(".lrf-finder")).to_have_count(1)
        Finder(host).wait_for_dots(4)
        host.run("ask")
        says(host, "ask", states)
    Finder(host).stop.click()
    Finder(host).wait_until_ended()


def test_a_deleted_cell_stops_its_run(opened: Open) -> None:
    host = opened(
        CELLS
        | {
            "kept": "finders, asked = [], []",
            "make": "finders.append(slow_model(0.02, 4000))\nfinders[-1].start()",
            "ask": "print(asked and finders[-1].wait(10).state.name)\nasked.append(True)",
        }
    )
    host.run_all()
    Finder(host).wait_for_dots(4)
    host.delete("make")
    host.run("ask")  # which raises an error if it is still running after ten seconds
    says(host, "ask", "STOPPED")


@pytest.mark.slow
def test_two_visitors_of_an_app_have_finders_of_their_own(opened: Open, browser: Browser) -> None:
    host = opened(
        CELLS | {"make": "finder = slow_model(0.02, 400)\nfinder.start()", "ask": ""}, "run"
    )
    finder = Finder(host)
    finder.wait_for_dots(4)
    with browser.new_context() as context:
        other = Finder(MarimoHost(context.new_page(), host.url).open())
        other.wait_for_dots(4)
        other.stop.click()
        other.wait_until_ended()
        drawn = finder.dots()
        finder.wait_for_dots(drawn + 4)
        expect(finder.stop).to_be_visible()
        other.start.click()
        other.wait_for_dots(4, 100)
    finder.stop.click()
    finder.wait_until_ended()


@pytest.mark.parametrize("dark", LIGHT_AND_DARK)
def test_it_looks_well(opened: Open, dark: bool) -> None:
    """Pictures for a person to look at; what a machine can see is that nothing is cut off."""
    host = opened(CELLS | {"make": "slow_model(0.002, 100)", "ask": ""}, "run", dark=dark)
    finder = Finder(host)
    finder.start.click()
    finder.wait_until_ended()
    colour = finder.status.evaluate(
        "(e) => getComputedStyle(e).color.match(/[\\d.]+/g).map(Number)"
    )
    assert all((part > 128) == dark for part in colour[:3])
    finder.number.fill("1e-3")
    finder.number.press("Enter")
    expect(finder.picked).to_contain_text("1.00e-03")
    for width in (360, 760, 1400):
        host.set_width(width)
        finder.root.scroll_into_view_if_needed()
        root = finder.root.bounding_box()
        for part in (finder.start, finder.number, finder.use, finder.root.locator(".lrf-label")):
            box = part.bounding_box()
            assert box["x"] >= root["x"] - 1
            assert box["x"] + box["width"] <= root["x"] + root["width"] + 1
        assert finder.gap("1e-3") <= 1.0
        host.screenshot(f"{'dark' if dark else 'light'}-{width}", finder.root)
