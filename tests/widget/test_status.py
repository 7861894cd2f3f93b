"""Buttons, progress and the status line: where the test is, why it ended, what went wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from support import linear, loader, sgd_momentum
from torch import nn
from widget_support import DESCENT, POINTS, WAIT_S, Gate, Script, finished, status

from lrfinder_widget import LRFinder, State


def test_a_double_click_on_start_starts(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    finder._presenter.view.controls.start.click()
    finder._presenter.view.controls.start.click()
    assert finder.state is State.RUNNING
    assert "Stopping" not in status(finder)
    gate.let_all()
    assert finder.wait(WAIT_S).state is State.FINISHED


def labels(finder: LRFinder) -> tuple[str, str, bool]:
    controls = finder._presenter.view.controls
    return controls.start.description, controls.pause.description, controls.pause.disabled


def test_the_buttons_say_what_they_would_do(
    make: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrfinder_widget.widget.clicks._DOUBLE_CLICK_S", 0.0)
    finder = make(gate, namespace={})
    controls = finder._presenter.view.controls
    assert labels(finder) == ("Start", "Pause", True)
    controls.start.click()
    assert (finder.state, labels(finder)) == (State.RUNNING, ("Stop", "Pause", False))
    gate.wait_until_asked()
    controls.pause.click()
    assert (finder.state, labels(finder)) == (State.PAUSED, ("Stop", "Resume", False))
    controls.pause.click()
    assert (finder.state, labels(finder)) == (State.RUNNING, ("Stop", "Pause", False))
    controls.start.click()
    assert "Stopping" in status(finder)
    gate.let_all()
    finder._session.test.join(WAIT_S)
    assert (finder.state, labels(finder)) == (State.STOPPED, ("Start", "Pause", True))
    controls.start.click()
    assert finder.wait(WAIT_S).state is State.FINISHED


def test_what_a_click_runs_into_is_shown_not_raised(make: Any) -> None:
    finder = make(namespace={})
    # The page was too late to know that it is disabled.
    finder._presenter.view.controls.pause.click()
    assert "can be paused; this one is ready" in status(finder)
    start = finder._presenter.view.controls.start
    finder.close()
    start.click()
    assert finder.state is State.READY


def test_the_status_says_where_the_test_is(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    assert f"trains {POINTS} steps" in status(finder)
    finder.start()
    gate.wait_until_asked()
    assert "Running." in status(finder)
    finder.pause()
    assert "Paused after 0 of 60 steps" in status(finder)
    finder.resume()
    gate.let_all()
    finder.wait(WAIT_S)
    assert "All 60 steps done. Everything has been restored." in status(finder)


@pytest.mark.parametrize(
    ("losses", "stop", "batches", "reason", "said"),
    [
        ([2.0, 1.0, math.nan], None, [0], "non-finite", "no longer finite at"),
        (DESCENT, lambda losses: len(losses) == 7, [0], "stop-rule", "Your stop rule ended"),
        ([*DESCENT[:50], *np.geomspace(9, 1e6, 10)], "divergence", [0], "diverged", "diverged at"),
        (DESCENT, None, iter(range(9)), "exhausted", "ran out after 9 of 60 steps"),
    ],
)
def test_the_status_says_why_it_ended(
    losses: Any, stop: Any, batches: Any, reason: str, said: str
) -> None:
    model = linear()
    finder = LRFinder(
        model,
        sgd_momentum(model),
        batches,
        step=Script(losses),
        stop=stop,
        num_iter=POINTS,
        namespace={},
    )
    finished(finder)
    assert (finder.state, finder.reason) == (State.FINISHED, reason)
    assert said in status(finder)
    assert "Everything has been restored." in status(finder)
    finder.close()


def test_the_progress_is_the_number_of_points(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    progress = finder._presenter.view.controls.progress
    assert (progress.value, progress.max) == (0, POINTS)
    finder.start()
    gate.let_all()
    finder.wait(WAIT_S)
    assert progress.value == POINTS
    assert f"{POINTS} / {POINTS}" in finder._presenter.view.controls.pace.value


def test_an_exception_is_shown_as_text_with_a_folded_traceback(make: Any) -> None:
    def broken_step(batch: Any) -> float:
        raise ValueError("<script>alert('&')</script>")

    finder = make(broken_step, namespace={}).start()
    with pytest.raises(ValueError, match="script"):
        finder.wait(WAIT_S)
    html = status(finder)
    assert "<script" not in html
    assert "ValueError: &lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in html
    assert "Failed after 0 steps; everything has been restored." in html
    sentence, folded = html.split("<details>")  # closed until somebody opens it
    assert "Traceback" not in sentence
    assert "broken_step" in folded
    assert labels(finder) == ("Start", "Pause", True)


def test_an_exception_that_cannot_be_written_is_shown_all_the_same(make: Any) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def step(batch: Any) -> float:
        raise Unspeakable

    finder = make(step, namespace={}).start()
    with pytest.raises(Unspeakable):
        finder.wait(WAIT_S)
    assert "Failed after 0 steps" in status(finder)
    assert labels(finder) == ("Start", "Pause", True)


def test_repeats_that_cannot_differ_are_said_to_tell_nothing(make: Any) -> None:
    finder = finished(make(repeats=2, namespace={}))
    assert finder.suggestion.spread is None
    assert "saw the same data in the same order" in status(finder)


def test_a_model_on_the_cpu_beside_a_gpu_is_worth_a_word(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = linear()

    def text() -> str:
        finder = LRFinder(
            model, sgd_momentum(model), loader(), nn.CrossEntropyLoss(), variable=None
        )
        said = status(finder)
        finder.close()
        return said

    assert "on cpu, one per" in text()
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert "on cpu, although a cuda device is available, one per" in text()
