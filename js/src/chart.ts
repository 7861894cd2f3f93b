/** A line chart in SVG: axes, grid, band, lines and dots. Only what has changed is drawn again. */

import { put, svg, whenResized } from "./dom.ts";
import type { Dashes } from "./lines.ts";
import { dashArray } from "./lines.ts";
import type { Line } from "./model.ts";
import { dotsPath, linePath } from "./paths.ts";
import { type Scale, scaleOf } from "./scales.ts";

/** The same around bqplot's plot area, so that the marker fits both charts. */
export const MARGIN = { top: 34, right: 22, bottom: 46, left: 62 };
export const HEIGHT_PX = 340;

/** The room at the sides for the dots at both ends. */
const SIDE_PX = 4;
export const USUAL_WIDTH_PX = 800;

export interface AxisOf {
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
  ticks(width_px: number): readonly number[];
  readonly format: (x: number) => string;
}

export interface Stroke {
  readonly key: string;
  readonly line: Line;
  readonly colour: string;
  readonly width: number;
  readonly dashes?: Dashes;
  readonly opacity?: number;
  /** Whether it is drawn as dots rather than as a line. */
  readonly dots?: boolean;
}

export interface Scene {
  readonly x: AxisOf;
  /** Null if there is nothing yet to measure. */
  readonly y: AxisOf | null;
  readonly band: readonly [number, number] | null;
  /** From back to front. */
  readonly strokes: readonly Stroke[];
}

interface Options {
  readonly name: string;
  readonly xLabel: string;
  readonly height_px: number;
  readonly top_px: number;
}

interface Drawn {
  readonly path: SVGPathElement;
  line?: Line;
  axes?: string;
}

export interface Chart {
  draw(scene: Scene): void;
}

export function addChart(parent: Element, options: Options, signal: AbortSignal): Chart {
  const { name, xLabel, height_px, top_px } = options;
  const { left, right, bottom } = MARGIN;
  const tall_px = height_px - top_px - bottom;
  const root = svg("svg", { class: "lrf-chart", role: "img", "aria-label": name }, parent);
  put(root, "height", String(height_px));
  const xAxis = svg("g", { class: "axis", transform: at(left, top_px + tall_px) }, root);
  const yAxis = svg("g", { class: "axis", transform: at(left, top_px) }, root);
  const xName = svg("text", { ...NAME, y: String(top_px + tall_px + 38) }, root);
  const middle = `${at(16, top_px + tall_px / 2)} rotate(-90)`;
  xName.textContent = xLabel;
  svg("text", { ...NAME, transform: middle }, root).textContent = "loss";
  // A picture inside the picture cuts off what is beyond the plot area.
  const area = svg("svg", { x: String(left - SIDE_PX), y: String(top_px) }, root);
  put(area, "height", String(tall_px));
  const band = svg("rect", { class: "lrf-band", height: String(tall_px) }, area);
  const drawn = new Map<string, Drawn>();
  let scene: Scene | null = null;
  let acrossBefore = "";
  let upBefore = "";
  let root_px = 0;

  function draw(now: Scene): void {
    scene = now;
    root_px = root.clientWidth || USUAL_WIDTH_PX;
    const width_px = Math.max(1, root_px - left - right);
    const { x, y } = now;
    const xScale = scaleOf(x.low, x.high, x.log, 0, width_px);
    const yScale = scaleOf(y?.low ?? 0, y?.high ?? 1, y?.log ?? false, tall_px, 0);
    const across = [width_px, x.low, x.high, x.log].join();
    const up = [width_px, y?.low, y?.high, y?.log].join();
    if (across !== acrossBefore) drawXAxis(now, xScale, width_px);
    if (up !== upBefore) drawYAxis(now, yScale, width_px);
    acrossBefore = across;
    upBefore = up;
    const axes = across + up;
    const [low = 0, high = 0] = now.band?.map((lr) => clamp(xScale.at(lr), width_px)) ?? [];
    put(band, "x", String(low));
    put(band, "width", String(Math.max(0, high - low)));
    drawStrokes(now.strokes, xScale, yScale, axes);
  }

  function drawXAxis(now: Scene, x: Scale, width_px: number): void {
    const wide_px = width_px + 2 * SIDE_PX;
    put(xName, "x", String(left + width_px / 2));
    put(area, "width", String(wide_px));
    put(area, "viewBox", `${-SIDE_PX} 0 ${wide_px} ${tall_px}`);
    xAxis.replaceChildren(svg("path", { class: "domain", d: `M0 0H${width_px}` }));
    for (const tick of now.x.ticks(width_px)) {
      const box = svg("g", { class: "tick", transform: at(x.at(tick), 0) }, xAxis);
      svg("line", { y1: String(-tall_px), y2: "5" }, box);
      svg("text", { y: "19", "text-anchor": "middle" }, box).textContent = now.x.format(tick);
    }
  }

  function drawYAxis(now: Scene, y: Scale, width_px: number): void {
    yAxis.replaceChildren(svg("path", { class: "domain", d: `M0 0V${tall_px}` }));
    if (now.y === null) return;
    for (const tick of now.y.ticks(tall_px)) {
      const box = svg("g", { class: "tick", transform: at(0, y.at(tick)) }, yAxis);
      svg("line", { x1: "-5", x2: String(width_px) }, box);
      const label = svg("text", { x: "-9", dy: "0.32em", "text-anchor": "end" }, box);
      label.textContent = now.y.format(tick);
    }
  }

  function drawStrokes(strokes: readonly Stroke[], x: Scale, y: Scale, axes: string): void {
    const keys = new Set(strokes.map(({ key }) => key));
    for (const [key, { path }] of drawn) {
      if (keys.has(key)) continue;
      path.remove();
      drawn.delete(key);
    }
    let before: Element = band;
    for (const stroke of strokes) {
      const is = drawn.get(stroke.key) ?? { path: svg("path", { class: "line" }) };
      drawn.set(stroke.key, is);
      const { path } = is;
      if (before.nextElementSibling !== path) before.after(path);
      before = path;
      put(path, "stroke-width", String(stroke.width));
      put(path, "stroke-dasharray", dashArray(stroke.dashes ?? "solid") || null);
      put(path, "opacity", String(stroke.opacity ?? 1));
      // Only a style may refer to the theme's colours.
      put(path, "style", `stroke: ${stroke.colour}`);
      if (is.line === stroke.line && is.axes === axes) continue;
      is.line = stroke.line;
      is.axes = axes;
      put(path, "d", (stroke.dots ? dotsPath : linePath)(stroke.line, x, y));
    }
  }

  whenResized(parent, signal, () => {
    if (root.clientWidth !== root_px && scene) draw(scene);
  });
  return { draw };
}

const NAME = { class: "lrf-axis-label", "text-anchor": "middle" };

function at(x_px: number, y_px: number): string {
  return `translate(${x_px} ${y_px})`;
}

function clamp(x_px: number, most_px: number): number {
  return Math.min(Math.max(x_px, 0), most_px);
}
