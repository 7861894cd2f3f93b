"""A finder whose test runs on a Dask cluster, in a real JupyterLab."""

from __future__ import annotations

import re

from finder import Finder
from host import Host
from playwright.sync_api import expect

CLUSTER = """from distributed import Client
client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
"""
# Steps that take their time without using it, and a fall that can be read.
REMOTE = """from lrfinder_widget import LRFinder

def setup():
    import time, torch
    from torch import nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(512, 8)
    y = (x[:, :1] * x[:, 1:2] > 0).long().squeeze(1)
    batches = list(zip(x.split(64), y.split(64)))
    entropy = nn.CrossEntropyLoss()
    def criterion(output, target):
        time.sleep(0.02)
        return entropy(output, target)
    return model, optimizer, batches, criterion

lr = 1e-3
finder = LRFinder.remote(setup, on=client, workers=2, num_iter=400)
finder
"""


def test_a_run_on_a_cluster_is_shown_steered_and_picked_from(lab: Host) -> None:
    lab.open([CLUSTER, REMOTE]).run_all()
    finder = Finder(lab)
    expect(finder.status).to_contain_text("Start trains 400 steps")
    finder.start.click()
    # Until the workers have started, and have imported torch.
    expect(finder.root).to_contain_text(re.compile(r"[1-9]\d* / 400"), timeout=90_000)
    finder.wait_for_dots(10)
    finder.pause.click()
    expect(finder.status).to_contain_text(re.compile(r"Paused after \d+ of 400 steps"))
    # bqplot draws later than the page writes.
    drawn = int(re.findall(r"Paused after (\d+) of", finder.status.inner_text())[0])
    finder.wait_for_dots(drawn)
    assert lab.append_and_run("import time; time.sleep(0.3); print(finder.state.name)") == "PAUSED"
    assert finder.dots() == drawn
    finder.resume.click()
    finder.wait_for_dots(drawn + 10)
    lab.screenshot("cluster-running", finder.root)
    finder.stop.click()
    expect(finder.status).to_contain_text(re.compile(r"Stopped after \d+ of 400 steps"))

    finder.root.get_by_role("button", name="Set up").click()
    points = finder.root.get_by_role("textbox", name="points")
    points.fill("60")
    points.press("Enter")
    finder.start.click()
    expect(finder.status).to_contain_text("this suggests", timeout=60_000)
    expect(finder.start).to_be_visible()
    apply = finder.root.get_by_role("button", name="Apply")
    expect(apply).to_have_attribute("aria-disabled", "true")
    finder.drag_to(finder.tick_x("1e-2"))
    expect(finder.picked).to_contain_text("# LR range test, SGD")
    assert lab.append_and_run("print(lr == finder.lr, abs(lr - 1e-2) < 1e-3)") == "True True"

    finder.root.get_by_role("button", name="Try").click()
    finder.root.get_by_role("textbox", name="learning rates").fill("1e-3, 1e-2, 0.1")
    finder.root.get_by_role("textbox", name="steps").fill("20")
    finder.root.get_by_role("textbox", name="steps").press("Enter")
    finder.root.get_by_role("button", name="Run").click()
    expect(finder.root).to_contain_text("has the lowest loss", timeout=60_000)
    lab.screenshot("cluster-tried", finder.root)
    lab.append_and_run("finder.close(); client.shutdown()")
