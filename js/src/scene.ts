/** What the chart of a finder shows, whoever draws it. */

import { type AxisOf, lossAxis, rightOf, type Scene } from "./chart.ts";
import type { Axis } from "./geometry.ts";
import { CURRENT, look, METRIC } from "./lines.ts";
import { type Line, type Model, NO_LINE } from "./model.ts";
import { exponent, general, lrTicks } from "./scales.ts";
import { chartOf, readingOf, repeatsOf, runsOf } from "./state.ts";

/** Everything, or only the first `cut` points of the current run. */
export function sceneOf(model: Model, cut: number | null): Scene {
  const { x, y, dots, line, metric } = chartOf(model);
  const isCut = cut !== null;
  const last = dots.x[(cut ?? 0) - 1] ?? -Infinity;
  // Otherwise the very same line, so that it is not drawn again.
  const until = (line: Line) =>
    isCut ? slice(line, line.x.filter((lr) => lr <= last).length) : line;
  const others = runsOf(model).filter((run) => run.shown && !run.current);
  return {
    x: lrAxis(x),
    y: lossAxis(y),
    band: isCut ? null : readingOf(model).band,
    right_px: rightOf(metric),
    beside: metric && { name: metric.name, y: lossAxis(metric.y) },
    strokes: [
      ...others.map(({ key, line, style }) => {
        const { colour, dashes } = look(style);
        return { key: `${dashes} ${key}`, line, width: 2, colour, dashes };
      }),
      ...(isCut ? [] : repeatsOf(model)).map((line, i) => ({
        ...{ key: `repeats ${i}`, line, colour: CURRENT, width: 1, opacity: 0.35 },
      })),
      ...(metric?.y
        ? [{ key: "metric", line: until(metric.line), colour: METRIC, width: 1.25, beside: true }]
        : []),
      {
        ...{ key: "dots", line: isCut ? slice(dots, cut) : dots, colour: CURRENT },
        ...{ width: 4.2, opacity: 0.65, dots: true },
      },
      { key: "line", line: until(line), colour: CURRENT, width: 2.5 },
    ],
  };
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
