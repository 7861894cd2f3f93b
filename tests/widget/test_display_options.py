"""Zoom, smoothing and a logarithmic loss axis: changed without a run."""

from __future__ import annotations

import math
from typing import Any

from widget_support import DESCENT, RISE, behind, finished

from lrfinder_widget import LossCurve


def test_the_axis_holds_every_run_until_it_is_zoomed(make: Any) -> None:
    finder = make([*DESCENT[:40], math.nan], namespace={})
    marker, scale = finder._presenter.view.marker, finder._presenter.view.chart._x
    finder._presenter.view.looks.zoom.value = True
    lrs = finished(finder).curve.lrs
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-5, lrs[-1])
    assert lrs[-1] < 0.1  # as far as it came
    finder._presenter.view.looks.zoom.value = False
    finder.add(LossCurve([1e-8, 1e-7, 1e-6], [3.0, 2.0, 1.0]))
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-8, 1.0)
    finder._presenter.view.looks.zoom.value = True
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-5, lrs[-1])
    added = finder._presenter.view.legend.box.children[1]
    added.children[3].click()
    assert (scale.min, scale.max) == (marker.low, marker.high) == (1e-8, 1e-6)


def test_the_smoothing_is_changed_without_a_run_and_changes_no_candidate(make: Any) -> None:
    finder = finished(finished(make([*DESCENT, *RISE], namespace={})))
    chart, marker, candidates = (
        finder._presenter.view.chart,
        finder._presenter.view.marker,
        finder._presenter.view.marker.ticks,
    )
    for percent, share in ((0, 0.0), (40, 0.4), (10, 0.1)):
        finder._presenter.view.looks.smoothing.value = percent
        smooth = finder.curve.smooth(share).tolist()
        assert chart._smooth.y.tolist() == smooth == marker.curve_losses.tolist()
        assert [line.y.tolist() for line in chart._others.values()] == [
            finder.curves[0].smooth(share).tolist()
        ]
        assert marker.ticks == candidates
    assert finder.curve.smooth(0.0).tolist() == finder.curve.losses.tolist()


def test_the_loss_axis_can_be_logarithmic_and_linear_again(make: Any) -> None:
    finder = finished(make(namespace={}))
    finished(finder)
    for log_loss in (True, False):
        finder._presenter.view.looks.log_loss.value = log_loss
        chart = finder._presenter.view.chart
        assert (type(chart._y).__name__ == "LogScale") == log_loss
        assert chart._smooth.y.tolist() == finder.curve.smooth().tolist()
        assert chart._band.x.tolist() == [finder.suggestion.low, finder.suggestion.high]
        assert len(behind(finder)) == 1
        assert finder._presenter.view._stage.children[0] is chart.figure
