"""Files of what is shown, handed to the browser."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from widget_support import DESCENT, RISE, finished

from lrfinder_widget import LossCurve


def test_what_is_shown_can_be_saved_as_a_file(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    finder._presenter.view.legend.box.children[0].children[2].value = '<b>"one", two</b>'
    finder.pick(0.01)
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(finder._presenter.view.marker, "send", sent.append)
    for button in finder._presenter.view.saving.buttons.values():
        button.click()
    names = [message["download"] for message in sent]
    assert names == [f"lr-range-test.{ending}" for ending in ("svg", "png", "csv", "json")]
    svg, png, table, runs = (message["text"] for message in sent)
    assert svg == png == finder.snapshot()._repr_svg_()
    assert "&lt;b&gt;&quot;one&quot;, two&lt;/b&gt;" in svg
    assert "<b>" not in svg
    read = list(csv.DictReader(io.StringIO(table)))
    assert [
        float(row["loss"]) for row in read if row["run"] == "SGD #2"
    ] == finder.curve.losses.tolist()
    assert {row["run"] for row in read} == {'<b>"one", two</b>', "SGD #2"}
    content = json.loads(runs)
    assert content["lr"] == 0.01
    assert LossCurve.from_json(json.dumps(content["runs"][1])) == finder.curve
    finder._presenter.view.controls.copy.click()
    assert sent[-1] == {"copy": finder.code}
