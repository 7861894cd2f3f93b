/** A line chart in SVG: axes, grid, band, lines and dots. Only what has changed is drawn again. */

import { type Attributes, put, rows, say, svg, whenResized } from "./dom.ts";
import { type Axis, clamp } from "./geometry.ts";
import { DASHES, type Dashes, METRIC } from "./lines.ts";
import type { Line } from "./model.ts";
import { dotsPath, linePath } from "./paths.ts";
import { digitsOf, general, lossTicks, type Scale, scaleOf } from "./scales.ts";
import type { Metric } from "./state.ts";

/** The same around bqplot's plot area, so that the marker fits both charts. */
export const MARGIN = { top: 34, right: 22, bottom: 46, left: 62 };
export const HEIGHT_PX = 340;

/** The margin to the right; an axis of the metric there has room for its labels, and then its name. */
export const rightOf = (metric: Metric | null | undefined): number =>
  metric ? 33 + 8 * Math.max(4, ...lengths(lossAxis(metric.y))) : MARGIN.right;

const lengths = (axis: AxisOf | null): number[] =>
  axis ? axis.ticks(0).map((tick) => axis.format(tick).length) : [];

/** The room at the sides for the dots at both ends. */
const SIDE_PX = 4;
export const USUAL_WIDTH_PX = 800;

export interface AxisOf extends Axis {
  ticks(width_px: number): readonly number[];
  readonly format: (x: number) => string;
  /** Those of its labels, if they are losses. */
  readonly digits?: number;
}

export interface Stroke {
  /** In the finder's own chart, it begins with the name of bqplot's mark. */
  readonly key: string;
  readonly line: Line;
  readonly colour: string;
  readonly width: number;
  readonly dashes?: Dashes;
  readonly opacity?: number;
  /** Whether it is drawn as dots rather than as a line. */
  readonly dots?: boolean;
  /** Whether it is on the axis to the right. */
  readonly beside?: boolean;
}

export interface Scene {
  readonly x: AxisOf;
  /** Null if there is nothing yet to measure. */
  readonly y: AxisOf | null;
  readonly band?: readonly [number, number] | null;
  readonly right_px?: number;
  /** The axis to the right, if there is one. */
  readonly beside?: { readonly name: string; readonly y: AxisOf | null } | null;
  /** From back to front. */
  readonly strokes: readonly Stroke[];
}

interface Options {
  readonly name: string;
  readonly xLabel: string;
  readonly yLabel?: string;
  readonly height_px?: number;
  readonly top_px?: number;
  /** Without room, the ticks have no labels. */
  readonly bottom_px?: number;
}

export interface Chart {
  draw(scene: Scene): void;
}

export function addChart(parent: Element, options: Options, signal: AbortSignal): Chart {
  const { name, xLabel, yLabel = "loss" } = options;
  const { height_px = 258, top_px = 12, bottom_px = MARGIN.bottom } = options;
  const { left } = MARGIN;
  const tall_px = height_px - top_px - bottom_px;
  const root = svg(
    "svg",
    { class: "lrf-chart", height: height_px, role: "img", "aria-label": name },
    parent,
  );
  const xAxis = svg("g", { class: "axis", transform: at(left, top_px + tall_px) }, root);
  const yAxis = svg("g", { class: "axis", transform: at(left, top_px) }, root);
  const xName = svg("text", { ...NAME, y: top_px + tall_px + 38 }, root, xLabel);
  const middle = `${at(12, top_px + tall_px / 2)} rotate(-90)`;
  svg("text", { ...NAME, transform: middle }, root, yLabel);
  const zAxis = svg("g", { class: "axis" }, root);
  const zName = svg("text", { ...NAME, style: `fill: ${METRIC}` }, root);
  // A picture inside the picture cuts off what is beyond the plot area.
  const area = svg("svg", { x: left - SIDE_PX, y: top_px, height: tall_px }, root);
  const band = svg("rect", { class: "lrf-band", height: tall_px }, area);
  let scene: Scene | null = null;
  let across = "";
  let up = "";
  let root_px = 0;
  let xScale: Scale;
  let yScale: Scale;
  let zScale: Scale;

  const drawStrokes = rows<Stroke>(
    area,
    ({ key }) => key,
    () => {
      const element = svg("path", { class: "line" });
      let drawn: Line;
      let axes = "";
      return {
        element,
        show({ line, width, dashes, opacity, colour, dots, beside }) {
          put(element, {
            "stroke-width": width,
            "stroke-dasharray": DASHES[dashes ?? "solid"],
            opacity: opacity ?? 1,
            // Only a style may refer to the theme's colours.
            style: `stroke: ${colour}`,
          });
          if (drawn === line && axes === across + up) return;
          drawn = line;
          axes = across + up;
          put(element, { d: (dots ? dotsPath : linePath)(line, xScale, beside ? zScale : yScale) });
        },
      };
    },
  );

  const draw = (now: Scene): void => {
    scene = now;
    root_px = root.clientWidth || USUAL_WIDTH_PX;
    const { x, y, beside, right_px = MARGIN.right } = now;
    const width_px = Math.max(1, root_px - left - right_px);
    xScale = scaleOf(x, 0, width_px);
    yScale = scaleOf(y ?? UNIT, tall_px, 0);
    const z = beside?.y ?? null;
    zScale = scaleOf(z ?? UNIT, tall_px, 0);
    // What an axis is, without its functions.
    const acrossNow = JSON.stringify([width_px, x]);
    const upNow = JSON.stringify([width_px, y, beside]);
    if (across !== acrossNow) {
      const wide_px = width_px + 2 * SIDE_PX;
      put(xName, { x: left + width_px / 2 });
      put(area, { width: wide_px, viewBox: `${-SIDE_PX} 0 ${wide_px} ${tall_px}` });
      const place = (lr: number) => at(xScale.at(lr), 0);
      const label = { y: 19, "text-anchor": "middle" };
      drawAxis(xAxis, `M0 0H${width_px}`, x, width_px, place, { y1: -tall_px, y2: 5 }, label);
    }
    if (up !== upNow) {
      const place = (loss: number) => at(0, yScale.at(loss));
      const label = { x: -9, dy: "0.32em", "text-anchor": "end" };
      drawAxis(yAxis, `M0 0V${tall_px}`, y, tall_px, place, { x1: -5, x2: width_px }, label);
      const domain = beside ? `M0 0V${tall_px}` : "";
      put(zAxis, { transform: at(left + width_px, top_px) });
      put(zName, {
        transform: `${at(root_px - 10, top_px + tall_px / 2)} rotate(-90)`,
      });
      say(zName, beside?.name ?? "");
      const up = (value: number) => at(0, zScale.at(value));
      const right = { x: 9, dy: "0.32em" };
      drawAxis(zAxis, domain, z, tall_px, up, { x2: 5 }, right);
    }
    across = acrossNow;
    up = upNow;
    const [low = 0, high = 0] = now.band?.map((lr) => clamp(xScale.at(lr), 0, width_px)) ?? [];
    put(band, { x: low, width: Math.max(0, high - low) });
    drawStrokes(now.strokes);
  };

  whenResized(parent, signal, () => {
    if (root.clientWidth !== root_px && scene) draw(scene);
  });
  return { draw };
}

/** Where there is no axis yet. */
export const UNIT: Axis & Pick<AxisOf, "digits"> = { low: 0, high: 1, log: false };
const NAME = { class: "lrf-axis-label", "text-anchor": "middle" };

/** The line of an axis, and at each tick one across the plot, and a label. */
function drawAxis(
  box: Element,
  domain: string,
  axis: AxisOf | null,
  length_px: number,
  place: (tick: number) => string,
  line: Attributes,
  label: Attributes,
): void {
  box.replaceChildren(svg("path", { class: "domain", d: domain }));
  for (const tick of axis?.ticks(length_px) ?? []) {
    const one = svg("g", { class: "tick", transform: place(tick) }, box);
    svg("line", line, one);
    svg("text", label, one, axis?.format(tick));
  }
}

/** An axis of losses; null if there is nothing yet to measure. */
export function lossAxis(axis: Axis | null): AxisOf | null {
  if (!axis) return null;
  const ticks = lossTicks(axis);
  const digits = digitsOf(ticks);
  return { ...axis, digits, ticks: () => ticks, format: (loss) => general(loss, digits) };
}

const at = (x_px: number, y_px: number): string => `translate(${x_px} ${y_px})`;
