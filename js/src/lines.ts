/** The colours and dashes that distinguish lines, as `widget/lines.py` has them for pictures. */

import { drawing, svg } from "./dom.ts";
import type { Line } from "./model.ts";

export const CURRENT = "var(--accent)";
export const METRIC = "var(--metric)";

// The palette of Okabe and Ito, made for colour blindness; the blue close to the current run's comes
// last.
const COLOURS = ["#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#0072b2"];
export const STYLES = ["solid", "dashed", "dash_dotted"] as const;
export const DASHES = { solid: "", dashed: "8 4", dash_dotted: "8 3 2 3", dotted: "2 6" } as const;

export type Dashes = keyof typeof DASHES;

/** The line of the starting weights. */
const START = -1;

export function look(style: number): { colour: string; dashes: Dashes } {
  if (style === START) return { colour: "var(--muted)", dashes: "dotted" };
  const i = Math.max(0, Math.trunc(style));
  const again = Math.floor(i / COLOURS.length); // with other dashes
  return {
    colour: COLOURS[i % COLOURS.length] ?? CURRENT,
    dashes: STYLES[(i + again) % STYLES.length] ?? "solid",
  };
}

/** A line of a run, and dots of its colour. */
export const lineOfRun = (style: number, line: Line) => ({
  ...{ key: `${style}`, line, width: 2, ...look(style) },
});
export const dotsOfRun = (style: number, line: Line, width: number) => ({
  ...{ key: `${style} dots`, line, colour: look(style).colour, width, dots: true },
});

/** A sample of a line; `null` is the current run, or its metric. */
export function swatch(style: number | null, own = CURRENT): SVGSVGElement {
  const { colour, dashes } =
    style === null ? { colour: own, dashes: "solid" as const } : look(style);
  const made = drawing("swatch", 30, 10);
  const line = svg("path", { d: "M0 5H30", "stroke-dasharray": DASHES[dashes] }, made);
  line.style.stroke = colour;
  line.style.strokeWidth = style === null ? "3.5" : "2.5";
  return made;
}
