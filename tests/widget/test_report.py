"""The report of a finder: on the latest test, the trials, the pick, and what was not put back."""

from __future__ import annotations

import json
from typing import Any

from widget_support import POINTS, RISE, WAIT_S, Gate, finished, in_thread, stopping


def test_a_finder_reports_on_its_test_and_its_pick(make: Any) -> None:
    finder = make(namespace={})
    assert finder.report()["next"] == ["Run the LR range test: nothing has been measured yet."]
    finished(finder)
    report = finder.report()
    assert (report["run"]["points"], report["run"]["state"]) == (POINTS, "finished")
    assert report["run"]["about"] in str(report)
    assert report["suggestion"]["lr"] == finder.suggestion.lr
    assert report["picked"] is report["trials"] is None
    finder.pick(3.21e-3)
    assert finder.report()["picked"] == 3.21e-3
    assert json.loads(json.dumps(finder.report(), allow_nan=False)) == finder.report()


def test_a_test_that_has_not_ended_is_not_said_to_be_stopped(make: Any, gate: Gate) -> None:
    finder = make(gate, namespace={})
    for started in (False, True):
        if started:
            finder.start()
            gate.let(3)
            gate.wait_until_asked(4)
        report = finder.report()
        assert report["run"]["reason"] is None
        assert "Ended" not in str(report)
    asked, stop = stopping(finder), in_thread(finder.stop)
    assert asked.wait(WAIT_S)
    gate.let_all()
    stop()
    assert finder.report()["run"]["reason"] == "stopped"
    assert "the test was stopped" in str(finder.report())


def test_it_answers_for_the_training_that_is_planned_now(make: Any) -> None:
    finder = finished(make(namespace={}, train_steps=5_000, schedule="decay"))
    assert finder.report()["training"] == {"steps": 5_000, "schedule": "decay"}


def test_a_finder_that_is_closed_still_reports(make: Any) -> None:
    finder = finished(make(namespace={}, losses=RISE))
    finder.close()
    report = finder.report()
    assert report["suggestion"]["lr"] is None
    assert report["next"]
