"""While a cell computes, or nobody looks: the chart grows, the marker moves, picks arrive."""

from __future__ import annotations

import json
import re

import pytest
from finder import DOTS, SLOW, Finder, middle
from host import Host
from playwright.sync_api import Locator, expect

BUSY_S = 10
MARKUP = '<img src=x onerror="window.hit = 1"><b>bold</b>'

# Keeps the interpreter to itself, as a loop over data in plain Python does.
BUSY = f"""import time
began = time.monotonic()
n = 0
while time.monotonic() - began < {BUSY_S}:
    n += 1
print("computed")"""

SEEN = """lr, seen = 1e-3, []
finder = slow_model(num_iter=5000)
finder.on_commit(lambda lr: seen.append(float(f"{lr:.2e}")))
finder.start()"""

# When the points that are drawn changed, and how many they were then.
WATCH = """() => {
  const root = document.querySelector(".lrf-finder");
  window.grown = [];
  window.labels = [];
  new MutationObserver(() => {
    const n = DOTS(root);
    if (n !== window.grown.at(-1)?.[1]) window.grown.push([performance.now(), n]);
    const label = root.querySelector(".lrf-label")?.textContent;
    if (label !== window.labels.at(-1)) window.labels.push(label);
  }).observe(root, { childList: true, subtree: true, characterData: true, attributes: true });
}""".replace("DOTS", DOTS)


def test_while_a_cell_computes_the_chart_grows_and_picks_arrive_in_order(lab: Host) -> None:
    assert len(gaps_while_a_cell_computes(lab)) > BUSY_S


@pytest.mark.slow  # only a machine with little else to do can say this
def test_while_a_cell_computes_the_chart_never_rests_for_a_second(host: Host) -> None:
    assert max(gaps_while_a_cell_computes(host)) < 1000


def gaps_while_a_cell_computes(host: Host) -> list[float]:
    """Drag the marker about while a cell computes; return the milliseconds between redraws."""
    host.open([SLOW, SEEN, BUSY])
    host.run_cell(0)
    host.run_cell(1)
    finder = Finder(host)
    finder.wait_for_dots(4)
    finder.root.scroll_into_view_if_needed()
    host.page.evaluate(WATCH)
    host.run_cell(2, wait=False)
    began = host.page.evaluate("performance.now()")
    picked = []
    for tick in ("1e-2", "1e-4", "1e-1", "1e-5"):
        x = finder.tick_x(tick) + 5
        finder.drag_to(x, release=False)
        assert abs(finder.x() - x) <= 2.0  # it follows the pointer, kernel or no kernel
        host.page.mouse.up()
        picked.append(finder.label().split()[-1])
    host.wait_until_run()
    ended = host.page.evaluate("performance.now()")
    assert ended - began > 1000 * BUSY_S / 2  # it was busy while all this was done
    grown = [at for at, _ in host.page.evaluate("window.grown") if began < at < ended]
    gaps = [b - a for a, b in zip([began, *grown], [*grown, ended], strict=True)]
    host.wait_until_kernel_says("print(lr == seen[-1] == finder.lr)", "True")
    shown = host.append_and_run("print(*(f'{lr:.2e}' for lr in seen))").split()
    print(f"{len(grown)} redraws in {ended - began:.0f} ms, longest gap {max(gaps):.0f} ms")
    # In order, the last one always. While the kernel does not answer, ipywidgets keeps only the
    # latest value of a trait: of several picks in one busy cell the earlier ones may be left out.
    later = iter(picked)
    assert all(lr in later for lr in shown), (shown, picked)
    assert shown[-1] == picked[-1]
    finder.stop.click()
    finder.wait_until_ended()
    return gaps


def test_two_tabs_on_one_notebook_agree(lab: Host) -> None:
    lab.open([SLOW, "lr = 1e-3\nfinder = slow_model(0.2)\nfinder"]).run_all()
    lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    other = Host("lab", lab.page.context.new_page(), lab.server)
    other.page.set_default_timeout(15_000)
    other.page.goto(lab.page.url.replace("?reset", "") + "?reset")
    other.wait_until_ready()
    here, there = Finder(lab), Finder(other)
    expect(there.handle).to_be_visible()
    there.start.click()
    for one in (here, there):
        expect(one.stop).to_be_visible()
        one.wait_for_dots(6)
    there.drag_to(there.tick_x("1e-2") + 9)
    written = re.compile(r"lr = (9\.\d\de-03|1\.\d\de-02)")
    for one in (here, there):  # the marker and the texts come by channels of their own
        expect(one.root.locator("code")).to_have_text(written)
        expect(one.root.locator(".lrf-label")).to_contain_text(written)
    assert here.label() == there.label()
    expect(here.number).to_have_value(there.number.input_value())
    lab.page.bring_to_front()
    here.stop.click()
    for one in (here, there):
        one.wait_until_ended()
    measured = int(lab.append_and_run("print(len(finder.curve))"))
    for one in (here, there):
        one.page.bring_to_front()  # one that nobody sees gets no frame to draw in
        one.wait_for_dots(measured, measured)
    assert here.status.inner_text() == there.status.inner_text()
    assert other.console_errors == []
    other.page.close()


def test_what_a_user_wrote_is_never_markup(lab: Host) -> None:
    lab.open(
        [
            SLOW,
            f"""MARKUP = {MARKUP!r}
model = nn.Linear(4, 1)
optimizer = type(MARKUP, (torch.optim.SGD,), {{}})(model.parameters(), lr=0.1)
losses = [2.0 - i / 20 for i in range(20)]

def step(batch):
    if not losses:
        raise ValueError(MARKUP)
    return losses.pop(0)

finder = LRFinder(model, optimizer, [0], step=step, num_iter=30)
finder""",
            "finder.pick(0.01)\nfinder.add(finder.curve, name=MARKUP)",
        ]
    ).run_all()
    finder = Finder(lab)
    finder.start.click()
    expect(finder.status).to_contain_text("Failed after 20 steps")
    lab.append_and_run("finder.pick(0.02)\nfinder.add(finder.curve, name=MARKUP)")
    names = finder.root.get_by_placeholder("name of this run")
    expect(names.last).to_have_value(MARKUP)
    finder.root.get_by_role("button", name="Try").click()
    finder.root.get_by_role("textbox", name="learning rates").fill("0.1")
    finder.root.get_by_role("textbox", name="learning rates").press("Enter")
    finder.root.get_by_role("button", name="Run").click()
    expect(finder.root).to_contain_text("The trial runs failed")
    expect(finder.root.locator("code")).to_contain_text("<img src=x")
    finder.root.get_by_role("button", name=re.compile("Apply|Undo")).hover()
    assert unmarked(finder.root)
    lab.append_and_run("finder.snapshot()")
    lab.append_and_run("finder")
    assert unmarked(lab.page.locator(".jp-Notebook"))


def unmarked(root: Locator) -> bool:
    expect(root.locator("img[src=x], b")).to_have_count(0)
    return bool(root.page.evaluate("window.hit === undefined"))


@pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(True, id="with-kernel"),
        pytest.param(False, id="without", marks=pytest.mark.slow),
    ],
)
def test_a_notebook_that_was_saved_is_opened_again(lab: Host, kernel: bool) -> None:
    lab.open(
        [SLOW, "lr = 1e-3\nfinder = slow_model(0, 60)\nfinder.start().wait().pick(0.01)\nfinder"]
    )
    lab.run_all()
    finder = Finder(lab)
    finder.wait_for_dots(60, 60)
    expect(finder.root.locator("code")).to_contain_text("lr = 1.00e-02")
    if not kernel:
        lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        lab.server.stop_kernels()
    lab.reload()
    if kernel:
        finder.wait_for_dots(60, 60)
        expect(finder.root.locator("code")).to_contain_text("lr = 1.00e-02")
        finder.drag_to(middle(finder.root.locator(".lrf-line")) + 40)
        expect(finder.root.locator("code")).not_to_contain_text("lr = 1.00e-02")
    else:
        # The picture that the display left behind is in the file, for whoever shows that.
        outputs = (
            "() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets[1]"
            ".model.sharedModel.getOutputs())"
        )
        saved = lab.page.evaluate(outputs)
        assert "image/svg+xml" in saved
        assert "LR range test: lr = 1.00e-02" in saved
        assert lab.append_and_run("print('a new kernel')") == "a new kernel"
        lab.console_errors.clear()  # the page asks for models that the new kernel does not have


def test_a_notebook_of_somebody_elses_shows_the_picture(host: Host) -> None:
    """It is not trusted then: nothing in it may run."""
    host.open(
        [SLOW, "finder = slow_model(0, 60)\nfinder.start().wait()\nfinder", "finder.snapshot()"]
    )
    host.run_all()
    source = host.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    host.reload()  # saves it
    notebook = json.loads((host.server.root / source).read_text())
    assert all(cell["outputs"] for cell in notebook["cells"][1:])
    notebook["cells"][0]["source"] += "# no more what was signed"
    (host.server.root / "untrusted.ipynb").write_text(json.dumps(notebook))
    host.open("untrusted.ipynb")
    pictures = host.page.get_by_role("img", name="LR range test: The loss")
    expect(pictures).to_have_count(2)
    for picture in pictures.all():
        expect(picture).to_be_visible()
        assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 720
