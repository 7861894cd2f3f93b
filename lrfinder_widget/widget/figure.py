"""The bqplot figure that the page draws on, where there is bqplot."""

from __future__ import annotations

from typing import Any

MARGIN = {"top": 34, "right": 22, "bottom": 46, "left": 62}
"""Pixels around the plot area; fixed, so that the marker can be placed on the axis."""

RIGHT_OF_METRIC = 65
"""The margin to the right that the axis of a metric takes, until the page knows its labels."""

_COLOUR = "#1976d2"  # until the page sets those of its theme


class Figure:
    """Scales, axes and marks without data: the page fills them from the model of the finder.

    The kernel then sends each point once, whatever draws it.

    Parameters
    ----------
    log, log_loss : bool
        Whether the axis of the learning rate, and that of the loss, is logarithmic.
    metric : str or None
        The name of the metric, if there is one; then it has an axis to the right.

    Raises
    ------
    ImportError
        If bqplot is not installed.
    """

    def __init__(self, *, log: bool, log_loss: bool, metric: str | None = None) -> None:
        import bqplot

        def scale(log: bool) -> Any:
            kind: Any = bqplot.LogScale if log else bqplot.LinearScale
            return kind(min=0.1 if log else 0.0, max=1.0, allow_padding=False)

        def lines(y_scale: Any, **traits: Any) -> Any:
            scales = {"x": x, "y": y_scale}
            return bqplot.Lines(x=[], y=[], scales=scales, colors=[_COLOUR], **traits)

        x, y, unit = scale(log), scale(log_loss), scale(False)
        x_axis = bqplot.Axis(
            scale=x,
            label="learning rate",
            label_offset="38px",
            grid_lines="solid",
            tick_format=".1~e" if log else ".2~g",
        )
        y_axis = bqplot.Axis(
            scale=y,
            label="loss",
            label_offset="50px",
            side="left",
            grid_lines="solid",
            tick_format=".6~g",
            num_ticks=0,  # not `visible`: bqplot misses a change of that while it makes the axis
        )
        beside: dict[str, Any] = {}
        axes, margin, behind = [x_axis, y_axis], MARGIN, dict[str, Any]()
        if metric is not None:
            z = scale(False)
            z_axis = bqplot.Axis(
                scale=z,
                label=metric,
                label_offset="45px",
                side="right",
                grid_lines="none",
                tick_format=".6~g",
                num_ticks=0,
            )
            beside, behind = {"z": z, "z_axis": z_axis}, {"metric": lines(z, stroke_width=1.25)}
            axes, margin = [*axes, z_axis], {**MARGIN, "right": RIGHT_OF_METRIC}
        marks = {
            # The band of the suggestion spans the full height.
            "band": lines(unit, fill="bottom", fill_opacities=[0.12], stroke_width=0),
            "solid": lines(y, stroke_width=2),
            "dashed": lines(y, stroke_width=2, line_style="dashed"),
            "dash_dotted": lines(y, stroke_width=2, line_style="dash_dotted"),
            "repeats": lines(y, stroke_width=1, opacities=[0.35]),
            **behind,
            # Not bqplot's Scatter, which has an element per point: a line of dots.
            "dots": lines(y, stroke_width=4.2, opacities=[0.65]),
            "line": lines(y, stroke_width=2.5),
        }
        self.widget = bqplot.Figure(
            scale_x=x,
            scale_y=y,
            axes=axes,
            marks=list(marks.values()),
            fig_margin=margin,
            min_aspect_ratio=0.01,
            max_aspect_ratio=100,
            padding_x=0,
            padding_y=0,
            animation_duration=0,
            display_toolbar=False,
            layout={"width": "100%", "height": "340px"},
        )
        self.widget.add_class("lrf-figure")
        parts = {"x": x, "y": y, "unit": unit, "x_axis": x_axis, "y_axis": y_axis}
        parts |= {**beside, **marks}
        self._parts = [self.widget, self.widget.layout, *parts.values()]
        self.kind = log, log_loss, metric
        self.ids = {name: part.model_id for name, part in parts.items()}
        self.ids["figure"] = self.widget.model_id

    def close(self) -> None:
        """Close every model of the figure."""
        for part in self._parts:
            part.close()
