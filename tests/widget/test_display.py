"""How a finder is displayed: the figure is made when it is, and only as long as it is needed."""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from widget_support import WAIT_S, Gate, Wire, fill, finished, number_of_widgets

from lrfinder_widget import LRFinder

VIEW = "application/vnd.jupyter.widget-view+json"


def shown(finder: LRFinder) -> Any:
    """The box of a finder that is displayed."""
    bundle, _ = finder._repr_mimebundle_()
    box = finder._presenter.view.display.box()
    assert bundle[VIEW]["model_id"] == box.model_id
    return box


def test_before_a_display_a_finder_is_one_model(make: Any) -> None:
    before = number_of_widgets()
    finder = finished(make(namespace={}))
    finder.pick()
    assert number_of_widgets() - before == 1
    assert finder.figure == {}


def test_a_display_makes_the_box_once(make: Any) -> None:
    before = number_of_widgets()
    finder = make(namespace={})
    box = shown(finder)
    page, figure, missing = box.children
    assert page is finder
    assert finder.figure["figure"] == figure.model_id
    assert box._dom_classes == ("lrf-finder",)
    models = number_of_widgets() - before
    assert models <= 30
    assert shown(finished(finder)) is box
    assert number_of_widgets() - before == models
    assert html.escape("pip install ipywidgets bqplot anywidget") in missing.value


@pytest.mark.parametrize("there", [False, True])
def test_a_box_of_ipywidgets_7_has_a_figure_only_if_bqplots_javascript_is_there(
    make: Any, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ipywidgets, "__version__", "7.7.1")
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda _: [str(tmp_path)])
    if there:
        (tmp_path / "bqplot").mkdir()
    finder = make(namespace={})
    assert (shown(finder) is not finder) == bool(finder.figure) == there


def test_the_figure_stays_while_the_scales_stay(make: Any) -> None:
    finder = make(namespace={})
    box = shown(finder)
    before, ids = box.children, finder.figure
    fill(finder, start_lr="1e-6", num_iter="20", smoothing=30, zoom=True)
    finished(finished(finder)).pick(0.1)
    assert (box.children, finder.figure) == (before, ids)


@pytest.mark.parametrize("what", ["log_loss", "mode"])
def test_other_scales_make_another_figure_and_close_the_old(make: Any, what: str) -> None:
    finder = finished(make(namespace={}))
    box = shown(finder)
    models, old, ids = number_of_widgets(), box.children[1], finder.figure
    if what == "mode":
        fill(finder, mode="linear", start_lr="1e-3")
        finished(finder)
    else:
        fill(finder, log_loss=True)
    page, figure, _ = box.children
    assert page is finder
    assert figure is not old
    assert old.comm is None
    assert not set(finder.figure.values()) & set(ids.values())
    assert finder.figure["figure"] == figure.model_id
    names = [type(axis.scale).__name__ for axis in figure.axes]
    assert names == (["LogScale"] * 2 if what == "log_loss" else ["LinearScale"] * 2)
    assert number_of_widgets() == models


def test_without_a_display_a_change_of_scales_makes_no_figure(make: Any) -> None:
    before = number_of_widgets()
    finder = finished(make(namespace={}))
    fill(finder, log_loss=True)
    assert (number_of_widgets() - before, finder.figure) == (1, {})
    shown(finder)
    assert finder._presenter.view.display._figure.kind == (True, True, None)


def test_a_figure_hears_nothing_from_the_kernel_while_a_run_grows(
    make: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = make(gate, namespace={})
    shown(finder)
    sent: list[Any] = []
    send = type(finder)._send

    def noted(widget: Any, message: Any, buffers: Any = None) -> None:
        sent.append(widget)
        send(widget, message, buffers)

    monkeypatch.setattr("ipywidgets.Widget._send", noted)
    finder.start()
    gate.let_all()
    finder.wait(WAIT_S)
    assert all(widget is finder for widget in sent)
    assert sent


def test_close_leaves_no_widget_whatever_was_displayed(make: Any) -> None:
    before = number_of_widgets()
    for changes in ([], [{"log_loss": True}], [{"log_loss": True}, {"log_loss": False}]):
        finder = finished(make(namespace={}))
        box = shown(finder)
        for change in changes:
            fill(finder, **change)
        finder.close()
        assert number_of_widgets() == before
        assert box.comm is None


def test_without_bqplot_the_page_is_displayed_alone(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "bqplot", missing)
    before = number_of_widgets()
    finder = finished(make(namespace={}))
    bundle, _ = finder._repr_mimebundle_()
    assert bundle[VIEW]["model_id"] == finder.model_id
    assert (finder.figure, number_of_widgets() - before) == ({}, 1)
    fill(finder, log_loss=True)
    assert finder.chart["y_log"] is True
    finder.close()
    assert number_of_widgets() == before


def test_a_display_is_less_than_half_of_what_it_was_beside_the_module(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was 92 kB in 102 messages."""
    import comm

    wire = Wire()
    monkeypatch.setattr(comm, "create_comm", wire.connect)
    finder = make(namespace={})
    shown(finder)
    module = sum(len(text.encode()) for text in (finder._esm, finder._css))
    print(f"{wire.bytes - module} bytes beside the module of {module}, {len(wire.opened)} models")
    assert wire.bytes - 1.1 * module < 46_000
    assert len(wire.opened) <= 30


def python(source: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


TASK = """
import sys, torch
from torch import nn
from lrfinder_widget import LRFinder
model, data = nn.Linear(4, 1), [(torch.ones(2, 4), torch.ones(2, 1))]
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
finder = LRFinder(model, optimizer, data, nn.MSELoss(), num_iter=20)
"""


def test_in_plain_python_a_finder_runs_and_bqplot_is_not_even_imported() -> None:
    out = python(
        TASK
        + """
finder.start().wait()
assert len(finder.curve) == 20 and finder.pick(0.1) == finder.lr == 0.1
assert finder.variable == "" and finder.picked["text"] == "1.00e-01"
assert "svg" in finder.snapshot()._repr_svg_()
finder.compare([1e-3], steps=10).wait()
assert "bqplot" not in sys.modules
bundle, _ = finder._repr_mimebundle_()
assert "bqplot" in sys.modules
print(bundle["text/plain"].splitlines()[0])
finder.close()
"""
    )
    assert out == "LRFinder(finished, 20 points, lr=0.1)\n"


def test_the_package_is_imported_without_bqplot() -> None:
    source = "import sys\nsys.modules['bqplot'] = None\n" + TASK + "finder.start().wait()\n"
    assert python(source + "finder._repr_mimebundle_()\nprint(finder.figure)") == "{}\n"
