"""Closing a finder, and what stays behind: no thread, no widget, no callback, no model."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import weakref
from typing import Any

import ipywidgets
import pytest
import torch
from support import linear
from torch import nn
from widget_support import (
    DESCENT,
    POINTS,
    WAIT_S,
    Gate,
    Script,
    Shell,
    finished,
    in_thread,
    number_of_widgets,
    while_held,
)

from lrfinder_widget import LossCurve, LRFinder, State

# -- close -----------------------------------------------------------------------------------------


def test_close_stops_a_run_and_restores(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    assert while_held(gate, finder, finder.close) is None
    assert finder.state is State.STOPPED


def test_close_twice_and_from_two_threads(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    gate.wait_until_asked()
    closing = [in_thread(finder.close) for _ in range(2)]
    gate.let_all()
    assert [finish() for finish in closing] == [None, None]
    finder.close()


def test_a_step_may_close_its_finder_even_while_another_thread_closes_it(
    make: Any, gate: Gate
) -> None:
    finders: list[LRFinder] = []

    def step(batch: Any) -> float:
        loss = gate(batch)
        finders[0].close()
        return loss

    finders.append(make(step, namespace={}))
    finder = finders[0].start()
    assert while_held(gate, finder, finder.close) is None
    assert finder.state is State.STOPPED


def test_a_closed_finder_cannot_be_started_but_its_curve_can_be_read(make: Any) -> None:
    finder = finished(make(namespace={}))
    finder.close()
    with pytest.raises(RuntimeError, match="is closed; make a new one"):
        finder.start()
    assert finder.curve.losses.tolist() == DESCENT
    assert finder.pick() == finder.lr


def test_a_closed_finder_hears_no_more_cells(make: Any, shell: Shell) -> None:
    finder = make()
    assert shell.listening == 1
    finder.close()
    assert shell.listening == 0


def test_a_finder_can_be_closed_after_the_callbacks_were_cleared(make: Any, shell: Shell) -> None:
    finder, before = make(), number_of_widgets()
    shell.events.callbacks["post_run_cell"].clear()
    finder.close()
    assert number_of_widgets() < before


def test_closing_every_widget_at_once_stops_the_run(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={}).start()
    assert while_held(gate, finder, ipywidgets.Widget.close_all) is None
    assert finder.state is State.STOPPED


def test_an_interrupted_close_can_be_finished(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = make(namespace={})
    before = number_of_widgets()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finder, "stop", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finder.close()
    finder.close()
    assert number_of_widgets() < before


# -- what stays behind -----------------------------------------------------------------------------


def worker_threads() -> int:
    return sum(thread.name == "LR range test" for thread in threading.enumerate())


def test_neither_widgets_nor_threads_nor_callbacks_pile_up_when_a_cell_runs_again(
    make: Any, shell: Shell
) -> None:
    counts = []
    for _ in range(20):
        finished(shell.run("a", make))
        counts.append((number_of_widgets(), shell.listening))
    assert counts == [counts[0]] * 20
    assert worker_threads() <= 1  # the last one may still be on its way out


def test_a_finder_has_few_models_and_does_not_grow(make: Any) -> None:
    before = number_of_widgets()
    finder = make(namespace={})
    assert number_of_widgets() - before <= 2  # itself and its layout
    finished(finished(finder)).pick(0.01)
    finder.compare([0.1], steps=10).wait(WAIT_S)
    finder.add(finder.curve, name="of another")
    assert number_of_widgets() - before <= 2
    finder._repr_mimebundle_()
    displayed = number_of_widgets() - before
    assert displayed <= 30  # with bqplot's figure
    finished(finished(finder)).pick(0.02)
    finder.compare([0.1], steps=10).wait(WAIT_S)
    finder._repr_mimebundle_()
    assert number_of_widgets() - before == displayed


def test_closing_leaves_no_widget_behind(make: Any) -> None:
    before = number_of_widgets()
    for displayed in (False, True):
        finder = finished(make(namespace={}))
        if displayed:
            finder._repr_mimebundle_()
        finder.close()
        assert number_of_widgets() == before


def test_a_closed_finder_is_let_go(shell: Shell) -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    finder = LRFinder(model, optimizer, [0], step=Script(DESCENT), num_iter=POINTS)
    box = finder._presenter.view.display.box()
    gone = [weakref.ref(one) for one in (finder, model, box, *box.children)]
    finished(finder).close()
    del finder, model, optimizer, box
    gc.collect()
    assert [ref() for ref in gone] == [None] * 6


def test_python_ends_in_silence_with_a_finder_still_open() -> None:
    source = """
import torch
from torch import nn
from lrfinder_widget import LRFinder
model, data = nn.Linear(4, 1), [(torch.ones(2, 4), torch.ones(2, 1))]
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
finder = LRFinder(model, optimizer, data, nn.MSELoss(), num_iter=20)
finder.start().wait()
"""
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_closed_finder_that_ipython_keeps_keeps_no_model(shell: Shell) -> None:
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [(torch.randn(8, 6), torch.zeros(8, dtype=torch.long))]
    finder = LRFinder(model, optimizer, data, nn.CrossEntropyLoss(), num_iter=POINTS, stop=None)
    finished(finder).pick(0.01)
    finder.apply()
    finder.compare([0.1], steps=10).wait(WAIT_S)
    code, ranking = finder.code, finder.comparison.ranking
    finder.close()
    gone = [weakref.ref(thing) for thing in (model, optimizer, model.weight, data[0][0])]
    del model, optimizer, data
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4
    # What was found can still be read.
    assert (len(finder.curve), finder.code, finder.parameters()) == (POINTS, code, [])
    assert finder.comparison.ranking == ranking
    assert "svg" in finder.snapshot()._repr_svg_()
    assert "LRFinder" in repr(finder)


def test_a_closed_finder_that_ipython_keeps_keeps_no_widget_but_itself(make: Any) -> None:
    namespace: dict[str, Any] = {}

    def widgets() -> int:
        gc.collect()
        return sum(issubclass(type(thing), ipywidgets.Widget) for thing in gc.get_objects())

    before = widgets()
    finder = finished(finished(make(namespace=namespace)))
    finder.add(LossCurve([1e-3, 1e-2, 1e-1], [3.0, 2.0, 1.0]), name="of another")
    names = [run["name"] for run in json.loads(finder.to_json())["runs"]]
    finder._repr_mimebundle_()
    assert widgets() > before + 10
    finder.close()
    assert widgets() - before <= 2  # it is one, with a layout
    # What was found can still be read, and picked.
    assert [run["name"] for run in json.loads(finder.to_json())["runs"]] == names
    assert [len(curve) for curve in finder.curves] == [POINTS, POINTS]
    assert "of another" in finder.to_csv()
    assert "svg" in finder.snapshot()._repr_svg_()
    assert finder.pick(0.02) == finder.lr == namespace["lr"] == 0.02


def test_an_exception_that_is_kept_does_not_keep_the_copy_of_the_model(make: Any) -> None:
    model = nn.Linear(613, 2)

    def weights() -> int:
        gc.collect()
        kinds = (torch.Tensor, nn.Parameter)
        return sum(type(o) in kinds and o.shape == model.weight.shape for o in gc.get_objects())

    def step(batch: Any) -> float:
        raise ValueError("out of memory")

    before = weights()
    finder = make(step, model=model, namespace={})
    with pytest.raises(ValueError, match="out of memory"):
        finished(finder)
    assert finder.exception is not None
    assert weights() == before
