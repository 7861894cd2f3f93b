"""The bqplot figure that the page draws on: empty, with what the marker relies on."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from widget_support import number_of_widgets

from lrfinder_widget.widget.figure import MARGIN, Figure

KINDS = [(log, log_loss) for log in (True, False) for log_loss in (True, False)]


@pytest.mark.parametrize(("log", "log_loss"), KINDS)
def test_the_scales_are_those_of_the_axes(log: bool, log_loss: bool) -> None:
    figure = Figure(log=log, log_loss=log_loss)
    assert figure.kind == (log, log_loss, None)
    names = [type(axis.scale).__name__ for axis in figure.widget.axes]
    assert names == ["LogScale" if one else "LinearScale" for one in (log, log_loss)]
    for axis in figure.widget.axes:
        assert axis.scale.allow_padding is False
        assert 0 <= axis.scale.min < axis.scale.max  # the page has not set them yet
        assert axis.scale.min > 0 or type(axis.scale).__name__ == "LinearScale"
    figure.close()


def test_there_are_no_numbers_of_a_loss_before_the_page_says_so() -> None:
    figure = Figure(log=True, log_loss=False)
    x_axis, y_axis = figure.widget.axes
    assert (x_axis.num_ticks, y_axis.num_ticks) == (None, 0)
    assert (x_axis.visible, y_axis.visible) == (True, True)  # bqplot may miss that it becomes so
    figure.close()


def test_the_plot_area_is_the_box_less_the_margins() -> None:
    figure = Figure(log=True, log_loss=False)
    widget = figure.widget  # what the marker relies on to find its place
    assert widget.fig_margin == MARGIN == {"top": 34, "right": 22, "bottom": 46, "left": 62}
    assert widget.layout.height == "340px"
    assert (widget.padding_x, widget.padding_y) == (0, 0)
    assert widget.min_aspect_ratio <= 0.01
    assert widget.max_aspect_ratio >= 100
    assert not widget.display_toolbar
    figure.close()


def test_the_ids_are_those_of_the_models_of_each_part() -> None:
    figure = Figure(log=True, log_loss=False)
    ids, widget = figure.ids, figure.widget
    assert json.loads(json.dumps(ids)) == ids
    assert len(set(ids.values())) == len(ids) == 13
    assert ids["figure"] == widget.model_id
    assert [ids["x_axis"], ids["y_axis"]] == [axis.model_id for axis in widget.axes]
    assert [ids["x"], ids["y"]] == [axis.scale.model_id for axis in widget.axes]
    order = ("band", "solid", "dashed", "dash_dotted", "repeats", "dots", "line")
    assert [ids[name] for name in order] == [mark.model_id for mark in widget.marks]
    band, *others = widget.marks
    assert band.scales["y"].model_id == ids["unit"]  # the band spans the full height
    assert (band.scales["y"].min, band.scales["y"].max) == (0.0, 1.0)
    assert {mark.scales["y"].model_id for mark in others} == {ids["y"]}
    assert {mark.scales["x"].model_id for mark in widget.marks} == {ids["x"]}
    styles = {ids[name]: name for name in ("solid", "dashed", "dash_dotted")}
    drawn = {styles[m.model_id]: m.line_style for m in others if m.model_id in styles}
    assert drawn == {name: name for name in styles.values()}
    figure.close()


def test_it_holds_no_data() -> None:
    figure = Figure(log=True, log_loss=False)
    assert {mark.x.size + mark.y.size for mark in figure.widget.marks} == {0}
    figure.close()


def test_closing_it_leaves_no_model() -> None:
    before = number_of_widgets()
    figure = Figure(log=True, log_loss=True)
    assert 13 <= number_of_widgets() - before <= 20
    figure.close()
    assert number_of_widgets() == before


def test_without_bqplot_it_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    before = number_of_widgets()
    missing: Any = None
    monkeypatch.setitem(sys.modules, "bqplot", missing)
    with pytest.raises(ImportError):
        Figure(log=True, log_loss=False)
    assert number_of_widgets() == before
