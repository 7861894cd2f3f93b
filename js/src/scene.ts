/** What the chart of a finder shows, whoever draws it. */

import { type AxisOf, lossAxis, rightOf, type Scene, type Stroke } from "./chart.ts";
import type { Axis } from "./geometry.ts";
import { CURRENT, look, METRIC } from "./lines.ts";
import { type Line, type Model, NO_LINE } from "./model.ts";
import { exponent, general, lrTicks } from "./scales.ts";
import { type ChartState, chartOf, type Run, readingOf, repeatsOf, runsOf } from "./state.ts";

export interface Picture {
  readonly chart: ChartState;
  readonly repeats: readonly Line[];
  /** The runs that are drawn behind the current one. */
  readonly others: readonly Run[];
  readonly band: readonly [number, number] | null;
}

/** Read everything, or only the first `cut` points of the current run. */
export function pictureOf(model: Model, cut: number | null): Picture {
  const chart = chartOf(model);
  const others = runsOf(model).filter((run) => run.shown && !run.current);
  const repeats = repeatsOf(model);
  if (cut === null) return { chart, repeats, others, band: readingOf(model).band };
  const last = chart.dots.x[cut - 1] ?? -Infinity;
  const behind = chart.line.x.findIndex((lr) => lr > last);
  const dots = slice(chart.dots, cut);
  const line = slice(chart.line, behind < 0 ? chart.line.x.length : behind);
  const metric = chart.metric && {
    ...chart.metric,
    line: slice(chart.metric.line, chart.metric.line.x.filter((lr) => lr <= last).length),
  };
  return { chart: { ...chart, dots, line, metric }, repeats: [], others, band: null };
}

function slice({ x, y }: Line, count: number): Line {
  return count > 0 ? { x: x.subarray(0, count), y: y.subarray(0, count) } : NO_LINE;
}

/** An axis of learning rates. */
export const lrAxis = (axis: Axis): AxisOf => ({
  ...axis,
  ticks: (width_px) => lrTicks(axis, width_px),
  format: axis.log ? exponent : (lr) => general(lr, 2),
});

export function sceneOf({ chart, repeats, others, band }: Picture): Scene {
  const { metric } = chart;
  const strokes: Stroke[] = [
    ...others.map(({ key, line, style }) => ({
      ...{ key: `run ${key}`, line, width: 2, ...look(style) },
    })),
    ...repeats.map((line, i) => ({
      ...{ key: `repeat ${i}`, line, colour: CURRENT, width: 1, opacity: 0.35 },
    })),
    ...(metric?.y
      ? [{ key: "metric", line: metric.line, colour: METRIC, width: 1.25, beside: true }]
      : []),
    { key: "dots", line: chart.dots, colour: CURRENT, width: 4.2, opacity: 0.65, dots: true },
    { key: "line", line: chart.line, colour: CURRENT, width: 2.5 },
  ];
  return {
    x: lrAxis(chart.x),
    y: lossAxis(chart.y),
    band,
    right_px: rightOf(metric),
    beside: metric && { name: metric.name, y: lossAxis(metric.y) },
    strokes,
  };
}
