"""The picture without a kernel: valid SVG, finite numbers only, users' words as text."""

from __future__ import annotations

import dataclasses
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from lrfinder_widget import LossCurve
from lrfinder_widget.widget.lines import ShownRun
from lrfinder_widget.widget.picture import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Picture

SVG = "{http://www.w3.org/2000/svg}"
_x = np.linspace(0.0, 1.0, 100)
LOSSES = 2.3 - 1.6 / (1 + np.exp(-25 * (_x - 0.5))) + 40 * np.clip(_x - 0.85, 0, None)


def svg_of(curve: LossCurve, lr: float | None = None, *, log: bool = True) -> str:
    return Picture(ShownRun("own", 0, curve), lr, log=log)._repr_svg_()


def picture(losses: object = LOSSES, lr: float | None = None, *, log: bool = True) -> ET.Element:
    n = len(np.atleast_1d(np.asarray(losses)))
    spaced = np.geomspace if log else np.linspace
    return ET.fromstring(svg_of(LossCurve(spaced(1e-6, 1.0, n), losses), lr, log=log))


def numbers(root: ET.Element) -> list[float]:
    names = ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height")
    found = [float(e.get(name, 0)) for e in root.iter() for name in names]
    for line in root.iter(f"{SVG}polyline"):
        found += [float(v) for point in line.get("points", "").split() for v in point.split(",")]
    return found


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    "losses",
    [
        LOSSES,
        [1.0, 2.0],
        [1.0] * 50,
        [math.nan] * 30,
        [*LOSSES[:60], math.nan],
        [*LOSSES[:60], math.inf, 1e300],
        -LOSSES,
    ],
    ids=["usual", "two", "constant", "nan", "nan-last", "huge", "negative"],
)
def test_every_curve_gives_a_valid_picture_of_finite_numbers(losses: object, log: bool) -> None:
    root = picture(losses, 0.01, log=log)
    assert all(map(math.isfinite, numbers(root)))


def test_an_empty_curve_gives_a_picture_with_its_sentence() -> None:
    svg = svg_of(LossCurve([], []))
    assert "no finite loss" in "".join(ET.fromstring(svg).itertext())


def test_the_pick_stands_where_the_axis_has_it() -> None:
    root = picture(lr=1e-3)
    (marker,) = (e for e in root.iter(f"{SVG}line") if e.get("stroke") == "black")
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2  # of 1e-6 to 1
    assert float(marker.get("x1", 0)) == pytest.approx(middle, abs=0.1)
    assert "lr = 1.00e-03" in "".join(root.itertext())


def test_the_band_and_the_reason_are_shown() -> None:
    curve = LossCurve(np.geomspace(1e-6, 1.0, 100), LOSSES)
    root = picture()
    (band,) = (e for e in root.iter(f"{SVG}rect") if e.get("opacity") == "0.12")
    assert float(band.get("width", 0)) > 10
    assert (float(band.get("y", 0)), float(band.get("height", 0))) == (TOP, HEIGHT - TOP - BOTTOM)
    words = " ".join(e.text or "" for e in root.iter(f"{SVG}text"))
    assert curve.suggestion.reason in words


def test_without_a_pick_the_candidate_is_drawn_as_one() -> None:
    lr = LossCurve(np.geomspace(1e-6, 1.0, 100), LOSSES).suggestion.lr
    words = "".join(picture().itertext())
    assert f"candidate {lr:.2e}" in words
    assert "lr =" not in words
    assert "candidate 1" not in "".join(picture([1.0] * 50).itertext())


def test_a_weak_candidate_is_called_one() -> None:
    noise = np.random.default_rng(0).normal(0, 1.2, size=(50, 100))
    curves = (LossCurve(np.geomspace(1e-6, 1.0, 100), LOSSES + each) for each in noise)
    curve = next(curve for curve in curves if curve.suggestion.weak)
    words = "".join(ET.fromstring(svg_of(curve)).itertext())
    assert f"weak candidate {curve.suggestion.lr:.2e}" in words
    axes = curve.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"weak candidate {curve.suggestion.lr:.2e}" in labels


def test_runs_beside_it_are_drawn_and_named_and_the_axes_hold_them() -> None:
    curve = LossCurve(np.geomspace(1e-6, 1.0, 100), LOSSES)
    lower = LossCurve(np.geomspace(1e-8, 1e-2, 50), LOSSES[::2] - 9)
    empty = LossCurve([], [])
    beside = [ShownRun("<b>lower</b>", 1, lower), ShownRun("empty", 2, empty)]
    root = ET.fromstring(
        Picture(ShownRun("own", 0, curve), 0.01, log=True, beside=beside)._repr_svg_()
    )
    assert all(map(math.isfinite, numbers(root)))
    assert len(list(root.iter(f"{SVG}polyline"))) == 2
    words = [e.text for e in root.iter(f"{SVG}text")]
    assert {"<b>lower</b>", "own", "1e-08", "-5"} <= set(words)
    assert "empty" not in words
    alone = ET.fromstring(
        Picture(ShownRun("", 0, empty), None, log=True, beside=beside)._repr_svg_()
    )
    assert len(list(alone.iter(f"{SVG}polyline"))) == 2  # one of them without a point


def test_a_long_curve_is_thinned() -> None:
    rng = np.random.default_rng(0)
    svg = svg_of(LossCurve(np.geomspace(1e-6, 1, 50_000), rng.normal(size=50_000)))
    assert len(svg) < 400_000


def test_a_picture_of_a_thousand_points_is_small() -> None:
    losses = 1 + np.random.default_rng(0).normal(0, 0.1, 1000)
    svg = svg_of(LossCurve(np.geomspace(1e-6, 1, 1000), losses))
    dots = next(part for part in svg.split("<") if part.startswith("path"))
    assert dots.count("M") == 1000
    assert len(svg) < 40_000


@pytest.mark.parametrize("low", [0.5, 0.09401, -1.2e-7, 123456.0])
def test_the_labels_of_a_metric_leave_room_for_its_name(low: float) -> None:
    curve = LossCurve(np.geomspace(1e-6, 1.0, 100), LOSSES, metric=low * (1 + _x / 1e5))
    curve = dataclasses.replace(curve, metric_name="share")
    texts = list(ET.fromstring(svg_of(curve)).iter(f"{SVG}text"))
    name = next(text for text in texts if text.text == "share")
    name_x = float(re.findall(r"[\d.]+", name.get("transform", ""))[0])
    line = max(float(one.get("x", 0)) for one in texts) - 8
    labels = [text for text in texts if float(text.get("x", 0)) > line]
    assert len(labels) > 1
    widest = max(len(label.text or "") for label in labels)
    assert line + 8 + 7.7 * widest + 11 <= name_x  # a wide font
