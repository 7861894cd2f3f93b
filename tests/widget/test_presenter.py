"""What lies between the runs and the widgets, where threads meet."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from widget_support import WAIT_S, Gate, candidate, marker

from lrfinder_widget import LossCurve, RangeTest


def test_a_run_that_ends_while_its_curve_is_read_has_its_candidate_offered(
    make: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = make(gate, namespace={}).start()
    gate.let(2)
    gate.wait_until_asked(3)
    test, read, reader = finder._session.test, RangeTest.curve.fget, threading.current_thread()
    held = []

    def curve(self: RangeTest) -> LossCurve:
        so_far: LossCurve = read(self)
        if threading.current_thread() is reader and not held:
            held.append(so_far)
            gate.let_all()
            with test._lock:  # the end is published, and its listener waits for this one
                assert test._change.wait_for(lambda: test.state.ended, WAIT_S)
        return so_far

    monkeypatch.setattr(RangeTest, "curve", property(curve))
    finder._presenter.redraw()
    finder.wait(WAIT_S)
    assert len(held[0]) == 2
    assert marker(finder) == (candidate(finder), "candidate")
