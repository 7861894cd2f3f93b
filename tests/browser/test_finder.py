"""From an empty page to a dragged learning rate, in real JupyterLab and real Notebook 7."""

from __future__ import annotations

import re

import pytest
from finder import DOTS, SLOW, Finder
from host import Host, in_each_host
from playwright.sync_api import expect

QUICKSTART = "notebooks/quickstart.ipynb"

BROKEN = """class Broken(nn.Linear):
    def forward(self, x):
        raise ValueError("<img src=x onerror=alert(1)> & <b>bold</b>")

model = Broken(4, 1)
data = [(torch.ones(2, 4), torch.ones(2, 1))]
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
finder = LRFinder(model, optimizer, data, nn.MSELoss())
finder"""

# Where bqplot's JavaScript would be, as only a kernel with ipywidgets 7 asks.
NO_FOLDERS = """import jupyter_core.paths
jupyter_core.paths.jupyter_path = lambda *parts: []"""

# Notes how many points are drawn each time that changes while the Stop button is there.
WATCH = """() => {
  const root = document.querySelector(".lrf-finder");
  window.drawn = [];
  new MutationObserver(() => {
    const n = DOTS(root);
    const running = [...root.querySelectorAll("button")].some((b) => /Stop/.test(b.textContent));
    if (running && n !== window.drawn.at(-1)) window.drawn.push(n);
  }).observe(root, { attributes: true, childList: true, subtree: true });
}""".replace("DOTS", DOTS)


@in_each_host
def test_quickstart_from_start_to_a_dragged_learning_rate(host: Host) -> None:
    host.open(QUICKSTART).run_all()
    finder = Finder(host)
    expect(finder.start).to_be_visible()
    expect(finder.status).to_contain_text("Start trains 100 steps on cpu")
    assert finder.label() == "1.00e-04"  # the guess that `lr` holds

    host.page.evaluate(WATCH)
    finder.start.click()
    finder.wait_until_ended()
    drawn = host.page.evaluate("window.drawn")
    growing = [n for n in dict.fromkeys(drawn) if n]
    assert growing == sorted(growing)
    assert len(growing) >= 3, drawn
    expect(finder.status).to_contain_text("Everything has been restored.")
    expect(finder.status).to_contain_text("this suggests")
    assert finder.label().startswith("candidate ")
    assert host.append_and_run("print(lr)") == "0.0001"  # a candidate alone writes nothing
    host.screenshot("finished", finder.root)

    finder.drag_to(finder.tick_x("1e-3") + 17)
    picked = re.compile(r"lr = \d\.\d\de-03")
    expect(finder.root.locator("code")).to_have_text(picked)
    expect(finder.root.locator(".lrf-label")).to_have_text(picked)  # it may come a little later
    label = finder.label()
    host.wait_until_kernel_says("print(f'lr = {lr:.2e}')", label)
    assert host.append_and_run("print(type(lr).__name__, lr == finder.lr)") == "float True"
    host.screenshot("picked", finder.root)
    training_cell = 6
    assert label.removeprefix("lr = ") in host.run_cell(training_cell)


def test_the_notebook_stays_usable_while_the_test_runs(host: Host) -> None:
    host.open([SLOW, "finder = endless_model()\nfinder.start()"]).run_all()
    ask = "print(finder.state.name, len(finder.curve))"
    first = host.append_and_run(ask).split()
    second = host.append_and_run(ask).split()
    assert first[0] == second[0] == "RUNNING"
    assert int(second[1]) >= int(first[1])
    finder = Finder(host)
    expect(finder.root).to_contain_text(re.compile(r"steps/s · .* left"))
    finder.stop.click()
    expect(finder.status).to_contain_text(re.compile(r"Stopped after \d+ of 6000 steps"))
    assert host.append_and_run("print(finder.state.name, finder.reason)") == "STOPPED stopped"


def test_marker_and_axis_agree_at_every_width(host: Host) -> None:
    host.open([SLOW, "lr = 1e-3\nslow_model()"]).run_all()
    finder = Finder(host)
    for width in (700, 1000, 1500):
        host.set_width(width)
        for tick in ("1e-7", "1e-3", "1e+1"):
            host.append_and_run(f"lr = {tick.replace('e+', 'e')}")
            expect(finder.handle).to_have_attribute(
                "aria-valuetext", re.compile(rf"^{float(tick):.2e}".replace("+", r"\+"))
            )
            finder.root.evaluate("(e) => e.scrollIntoView({ block: 'center' })")
            host.page.wait_for_function(
                "() => document.querySelectorAll('.lrf-figure g.axis g.tick').length >= 5"
            )
            assert finder.gap(tick) <= 1.0, (width, tick)
    host.set_width(1280)


def test_keys_move_the_marker_and_commit_when_released(host: Host) -> None:
    host.open([SLOW, "lr = 1e-3\nfinder = slow_model()\nfinder"]).run_all()
    finder = Finder(host)
    finder.handle.focus()
    host.page.keyboard.down("ArrowRight")
    expect(finder.handle).to_have_attribute("aria-valuetext", re.compile(r"^1\.12e-03"))
    host.page.keyboard.up("ArrowRight")
    expect(finder.root.locator("code")).to_contain_text("lr = 1.12e-03")
    for key, expected in (
        ("ArrowLeft", "1.00e-03"),
        ("PageUp", "1.00e-02"),
        ("Shift+ArrowUp", "1.02e-02"),
        ("Home", "1.00e-07"),
        ("End", "1.00e+01"),
    ):
        finder.handle.press(key)
        expect(finder.root.locator("code")).to_contain_text(f"lr = {expected}")
    host.wait_until_kernel_says("print(lr)", "10.0")


def test_a_finger_drags_the_marker(host: Host) -> None:
    host.open([SLOW, "lr = 1e-3\nfinder = slow_model()\nfinder"]).run_all()
    finder = Finder(host)
    finder.handle.scroll_into_view_if_needed()
    box = finder.handle.bounding_box()
    x, y, goal = finder.x(), box["y"] + box["height"] / 2, finder.tick_x("1e-2")
    touch = host.page.context.new_cdp_session(host.page)

    def send(kind: str, *points: float) -> None:
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": p, "y": y} for p in points]},
        )

    send("touchStart", x)
    for i in range(1, 9):
        send("touchMove", x + (goal - x) * i / 8)
    send("touchEnd")
    expect(finder.root.locator("code")).to_have_text(re.compile(r"lr = (9\.\d\de-03|1\.0\de-02)"))


def test_the_number_box_picks_and_refuses_what_is_no_number(host: Host) -> None:
    host.open([SLOW, "lr = 1e-3\nfinder = slow_model()\nfinder"]).run_all()
    finder = Finder(host)
    finder.number.fill("0.00316")
    finder.number.press("Enter")
    expect(finder.root.locator("code")).to_contain_text("lr = 3.16e-03")
    expect(finder.number).to_have_value("3.16e-03")
    assert finder.label() == "lr = 3.16e-03"
    finder.number.fill("<b>fast</b>")
    finder.number.press("Enter")
    expect(finder.status).to_contain_text("'<b>fast</b>' is not a positive number")
    expect(finder.number).to_have_value("3.16e-03")
    assert finder.status.locator("b").count() == 0
    assert host.append_and_run("print(lr)") == "0.00316"


def test_the_numbers_are_read_in_a_narrow_column(lab: Host) -> None:
    lab.open([SLOW, "lr = 1e-3\nfinder = slow_model()\nfinder"]).run_all()
    finder = Finder(lab)
    finder.number.fill("0.00316")
    finder.number.press("Enter")
    expect(finder.picked).to_contain_text("lr = 3.16e-03  # LR range test")
    for width in (120, 200, 360):
        finder.root.evaluate("(root, width) => { root.style.maxWidth = `${width}px`; }", width)
        room = "([element, least]) => element.clientWidth >= least"
        lab.page.wait_for_function(room, arg=[finder.number.element_handle(), 80])
        lab.page.wait_for_function(room, arg=[finder.picked.element_handle(), 100])
        label = finder.root.locator(".lrf-label")
        assert label.evaluate("(e) => e.scrollWidth <= e.clientWidth")
        for part in (finder.number, finder.picked):
            box, root = part.bounding_box(), finder.root.bounding_box()
            assert box["x"] + box["width"] <= root["x"] + root["width"] + 1


def test_a_cell_that_assigns_the_variable_moves_the_marker(host: Host) -> None:
    host.open([SLOW, "lr = 1e-3\nfinder = slow_model()\nfinder"]).run_all()
    finder = Finder(host)
    host.append_and_run("lr = 0.0123456")
    expect(finder.handle).to_have_attribute("aria-valuetext", re.compile(r"^1\.23e-02"))
    expect(finder.number).to_have_value("1.23e-02")
    assert host.append_and_run("print(lr)") == "0.0123456"  # followed, not rounded


def test_pause_and_resume(host: Host) -> None:
    host.open([SLOW, "finder = endless_model()\nfinder"]).run_all()
    finder = Finder(host)
    finder.start.click()
    finder.wait_for_dots(4)
    finder.pause.click()
    expect(finder.status).to_contain_text("Paused after")
    host.screenshot("paused", finder.root)
    ask = "print(len(finder.curve))"
    count = int(host.append_and_run(ask))
    assert count - int(host.append_and_run(ask)) == 0
    finder.resume.click()
    expect(finder.pause).to_be_visible()
    host.wait_until_kernel_says(f"print(len(finder.curve) > {count})", "True")
    finder.stop.click()
    finder.wait_until_ended()


def test_an_error_of_the_users_is_shown_as_text_with_a_folded_traceback(host: Host) -> None:
    host.open([SLOW, BROKEN]).run_all()
    finder = Finder(host)
    finder.start.click()
    expect(finder.status).to_contain_text("Failed after 0 steps; everything has been restored.")
    expect(finder.status).to_contain_text("ValueError: <img src=x onerror=alert(1)> & <b>bold</b>")
    assert finder.status.locator("img, b").count() == 0
    trace = finder.status.locator("pre")
    expect(trace).to_be_hidden()
    finder.status.get_by_text("Traceback", exact=True).click()
    expect(trace).to_be_visible()
    expect(trace).to_contain_text("in forward")
    host.screenshot("failed", finder.root)
    assert "ValueError: <img" in host.append_and_run("finder.wait()")


def test_a_cell_run_again_takes_over(host: Host) -> None:
    make = "finders = globals().get('finders', []) + [endless_model()]\nfinders[-1].start()"
    host.open([SLOW, make]).run_all()
    expect(Finder(host).stop).to_be_visible()
    host.run_cell(1)
    expect(host.page.locator(".lrf-finder")).to_have_count(1)
    assert host.append_and_run("print([f.state.name for f in finders])") == (
        "['STOPPED', 'RUNNING']"
    )
    assert host.append_and_run(
        "print(sum(t.name == 'LR range test' for t in threading.enumerate()))"
    ) == ("1")
    host.append_and_run("finders[-1].stop()")


def test_a_page_reloaded_in_mid_run_goes_on_drawing(host: Host) -> None:
    host.open([SLOW, "finder = endless_model()\nfinder.start()"]).run_all()
    Finder(host).wait_for_dots(4)
    host.reload()
    finder = Finder(host)
    expect(finder.stop).to_be_visible()
    drawn = finder.dots()
    finder.wait_for_dots(drawn + 6)
    finder.stop.click()
    finder.wait_until_ended()


def test_a_host_without_anywidget_is_told_what_to_install(host: Host) -> None:
    host.page.route(re.compile(r"extensions/anywidget/"), lambda route: route.abort())
    host.open([SLOW, "finder = slow_model()\nfinder"]).run_all()
    hint = host.page.get_by_text("(pip install ipywidgets bqplot anywidget)")
    expect(hint).to_be_visible()
    host.screenshot("without-anywidget")
    host.console_errors.clear()  # the browser has reason to complain


def test_without_bqplots_javascript_the_page_draws_the_chart(host: Host) -> None:
    host.page.route(re.compile(r"extensions/bqplot/"), lambda route: route.abort())
    host.open([NO_FOLDERS, SLOW, "finder = slow_model(0, 50)\nfinder"]).run_all()
    finder = Finder(host)
    expect(finder.root.locator(".lrf-own")).to_be_visible()
    finder.start.click()
    finder.wait_until_ended()
    finder.wait_for_dots(50)
    host.console_errors.clear()  # the browser has reason to complain


@pytest.mark.slow
def test_the_hint_on_what_to_install_goes_away_when_all_is_there(host: Host) -> None:
    host.open([SLOW, "finder = slow_model()\nfinder"]).run_all()
    expect(Finder(host).handle).to_be_visible()
    expect(host.page.get_by_text("(pip install ipywidgets bqplot anywidget)")).to_have_count(1)
    expect(host.page.get_by_text("(pip install ipywidgets bqplot anywidget)")).to_be_hidden()


@pytest.mark.parametrize(
    ("dark", "width"),
    [
        pytest.param(False, 1500, id="light-1500", marks=pytest.mark.slow),
        pytest.param(True, 480, id="dark-480"),
        pytest.param(False, 480, id="light-480", marks=pytest.mark.slow),
        pytest.param(True, 1500, id="dark-1500", marks=pytest.mark.slow),
    ],
)
def test_it_looks_well(lab: Host, dark: bool, width: int) -> None:
    """Pictures for a person to look at; what a machine can see is that nothing is cut off."""
    lab.open(QUICKSTART).run_all()
    lab.theme(dark=dark)
    lab.set_width(width)
    lab.page.get_by_role("tab", name="File Browser").click()  # room for the notebook
    finder = Finder(lab)
    finder.start.click()
    finder.wait_until_ended()
    finder.root.scroll_into_view_if_needed()
    root = finder.root.bounding_box()
    for part in (finder.start, finder.number, finder.use, finder.root.locator(".lrf-label")):
        box = part.bounding_box()
        assert box["x"] >= root["x"] - 1
        assert box["x"] + box["width"] <= root["x"] + root["width"] + 1
    finder.use.click()
    written, copy = finder.picked, finder.root.get_by_title("Copy this line of code")
    expect(written).to_contain_text("# LR range test")
    code, button = written.bounding_box(), copy.bounding_box()
    assert code["y"] - 1 < button["y"] + button["height"] / 2 < code["y"] + code["height"] + 1
    lab.screenshot(f"{'dark' if dark else 'light'}-{width}", finder.root)
    lab.set_width(1280)
