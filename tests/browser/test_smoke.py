"""The stage itself: a notebook runs, widgets appear, the kernel answers, nobody complains."""

import re

import pytest
from host import Host, in_each_host
from playwright.sync_api import expect

CELLS = [
    """import ipywidgets
slider = ipywidgets.IntSlider(value=3, description="steps")
slider""",
    """import bqplot
x, y = bqplot.LinearScale(min=0, max=1), bqplot.LinearScale(min=0, max=1)
line = bqplot.Lines(x=[0, 1], y=[0, 1], scales={"x": x, "y": y})
bqplot.Figure(marks=[line], axes=[bqplot.Axis(scale=x), bqplot.Axis(scale=y)])""",
]


@in_each_host
def test_widgets_appear_and_the_kernel_hears_them(host: Host) -> None:
    host.open(CELLS).run_all()
    expect(host.page.locator(".bqplot path.line").first).to_be_visible()
    slider = host.page.get_by_role("slider").first
    expect(slider).to_be_visible()
    slider.press("Home")
    host.wait_until_kernel_says("slider.value", "0")


@pytest.mark.slow
def test_theme_and_width_change_the_page(host: Host) -> None:
    host.open(CELLS).run_all()
    for dark, width in [(True, 700), (False, 1280)]:
        host.theme(dark=dark)
        host.set_width(width)
        expect(host.page.locator("body")).to_have_attribute(
            "data-jp-theme-light", re.compile(str(not dark), re.IGNORECASE)
        )
        assert host.screenshot(f"smoke-{'dark' if dark else 'light'}").stat().st_size > 10_000


def test_the_kernel_outlives_a_reload_of_the_page(host: Host) -> None:
    host.open(["answer = 42"]).run_all()
    host.reload()
    assert host.append_and_run("answer") == "42"


def test_an_error_in_a_cell_is_readable_and_a_complaint_in_the_console_is_noticed(
    host: Host,
) -> None:
    host.open(["1 / 0", "print('after')"])
    assert "ZeroDivisionError: division by zero" in host.run_cell(0)
    assert host.run_cell(1) == "after"
    host.page.evaluate("console.error('noticed')")
    host.page.evaluate("void setTimeout(() => { throw new Error('thrown') })")
    host.page.wait_for_timeout(100)  # for an event that a passing test never sees
    assert "noticed" in host.console_errors[0]
    assert "thrown" in host.console_errors[1]
    host.console_errors.clear()
