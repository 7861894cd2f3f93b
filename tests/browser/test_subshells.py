"""Where each model of each page has a subshell of its own, of which a kernel can hold about 250."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from finder import Finder
from host import Host, watched
from playwright.sync_api import Page, expect
from server import serve
from test_instrument import SHOWN

pytestmark = pytest.mark.slow


@pytest.fixture
def greedy(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("HOST_SUBSHELLS", "perComm")
    home = tmp_path / "home"
    home.mkdir()
    with serve("jupyterlab", home) as server:
        yield from watched(Host("lab", page, server))


def test_eight_reloads_have_bqplot_and_the_finder_works_after_twenty(greedy: Host) -> None:
    greedy.open(SHOWN).run_all()
    by_bqplot = []
    for _ in range(20):
        finder = Finder(greedy)
        expect(finder.handle).to_be_visible()
        expect(finder.root.locator(".lrf-figure g.axis").first).to_contain_text("1e-3")
        by_bqplot.append(finder.root.locator(".bqplot").count() == 1)
        greedy.reload()
    assert by_bqplot == sorted(by_bqplot, reverse=True)
    assert 8 <= sum(by_bqplot) < len(by_bqplot)
    finder = Finder(greedy)
    finder.start.click()
    finder.wait_until_ended()
    finder.drag_to(finder.tick_x("1e-3"))
    expect(finder.root.locator("code")).to_contain_text("# LR range test")
