/** Why a curve turns: what its steps did besides their losses, below the chart and on its axis. */

import { addChart, lossAxis, MARGIN, rightOf } from "./chart.ts";
import { hide, make, say } from "./dom.ts";
import { CURRENT } from "./lines.ts";
import { fields, fieldsOf, lineOf, list, number, text } from "./model.ts";
import type { Page } from "./parts.ts";
import { exponent } from "./scales.ts";
import { lrAxis } from "./scene.ts";
import { axisFrom, axisOf, metricOf } from "./state.ts";

/** The height of a mark on the axis, as a share of the plot. */
const MARK = 0.15;

export function addWhy({ model, signal, when }: Page, root: Element): void {
  const box = make("details", "why", root, "", { open: true });
  make("summary", "", box, "Why it turns");
  const plots = ["gradient", "update"].map((key, isLast) => {
    const bottom_px = isLast ? MARGIN.bottom : 6;
    const options = { name: `The ${key}`, yLabel: key, xLabel: isLast ? "learning rate" : "" };
    const sizes = { height_px: 100 + bottom_px, top_px: 8, bottom_px };
    return [key, addChart(box, { ...options, ...sizes }, signal)] as const;
  });
  const said = make("p", "note", box);

  when(["diagnosis", "chart"], () => {
    const shown = fieldsOf(model, "diagnosis");
    const x = lrAxis(axisOf(model));
    hide(box, !shown["text"]);
    say(said, text(shown["text"]));
    for (const [key, chart] of plots) {
      const { lines, marks, guide, y: limits } = fields(shown[key]);
      const y = lossAxis(axisFrom(limits, true));
      const { low, high } = y ?? x;
      const straight = (key: string, colour: string, x: number[], y: number[]) => ({
        ...{ key, colour, width: 1.5 },
        line: { x: Float64Array.from(x), y: Float64Array.from(y) },
      });
      chart.draw({
        right_px: rightOf(metricOf(model)),
        x,
        y: y && { ...y, format: exponent },
        strokes: [
          straight("guide", "var(--border)", [x.low, x.high], [number(guide), number(guide)]),
          ...list(lines).map((line, i, { length }) => ({
            ...{ key: `${i}`, line: lineOf(line), colour: CURRENT },
            width: 2 * i + 1 === length ? 2.5 : 1, // the one in the middle
          })),
          ...list(marks).map((lr, i) =>
            straight(
              `mark ${i}`,
              "var(--warn)",
              [number(lr), number(lr)],
              [low, low * (high / low) ** MARK],
            ),
          ),
        ],
      });
    }
  });
}
