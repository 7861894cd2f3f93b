/**
 * bqplot as the drawing surface: this page sets the state of its models.
 *
 * `set_state` changes a model here only; nothing goes back to the kernel, which therefore sends every
 * number once.
 */

import { MARGIN, rightOf } from "./chart.ts";
import type { Axis } from "./geometry.ts";
import { CURRENT, look, METRIC, STYLES } from "./lines.ts";
import { fields, type Line, type Model, NO_LINE, text } from "./model.ts";
import { clipped } from "./paths.ts";
import { digitsOf, lossTicks, lrTicks } from "./scales.ts";
import type { Picture } from "./scene.ts";

interface Mark {
  set_state(state: Record<string, unknown>): void;
  readonly views?: Readonly<Record<string, Promise<{ relayout?(): void }>>>;
}

const AXES = ["x_axis", "y_axis", "z_axis"] as const;
const LINES = ["band", "repeats", ...STYLES, "dots", "line"] as const;
type Part = "figure" | "x" | "y" | "z" | "metric" | (typeof AXES)[number] | (typeof LINES)[number];

export interface Bqplot {
  draw(picture: Picture, width_px: number): void;
}

/** Find the models of a figure, by their names; null if one of them cannot be had. */
export async function findBqplot(model: Model, ids: unknown): Promise<Bqplot | null> {
  try {
    const found = await Promise.all(
      Object.entries(fields(ids)).map(async ([part, id]) => {
        const mark = await model.widget_manager?.get_model?.(text(id));
        if (typeof (mark as Partial<Mark> | undefined)?.set_state !== "function") {
          throw new TypeError(part);
        }
        return [part as Part, mark as Mark] as const;
      }),
    );
    return driver(new Map(found));
  } catch {
    return null;
  }
}

function driver(marks: ReadonlyMap<Part, Mark>): Bqplot {
  /** What each model was given last, compared by identity, part by part. */
  const given = new Map<Part, readonly unknown[]>();

  const give = (
    part: Part,
    key: readonly unknown[],
    state: () => Record<string, unknown>,
  ): void => {
    const before = given.get(part);
    if (before?.length === key.length && before.every((value, i) => value === key[i])) return;
    given.set(part, key);
    marks.get(part)?.set_state(state());
  };

  const color = "var(--ink)";
  for (const axis of AXES) {
    marks.get(axis)?.set_state({
      ...{ color, label_color: color, grid_color: "var(--grid)" },
      tick_style: { fill: color, "font-size": "12px" },
    });
  }
  for (const part of LINES) {
    marks.get(part)?.set_state({ colors: [CURRENT], fill_colors: [CURRENT] });
  }
  marks.get("metric")?.set_state({ colors: [METRIC] });
  marks.get("z_axis")?.set_state({ label_color: METRIC });
  return {
    draw({ chart, repeats, others, band }, width_px) {
      const { x } = chart;
      const y = chart.y ?? { low: chart.yLog ? 0.1 : 0, high: 1, log: chart.yLog };
      const limits = Object.values(y);
      const drawn = (line: Line) => clipped(line, x, y);
      const several = (lines: readonly Line[]) => {
        const all = lines.map(drawn);
        return { x: all.map(({ x }) => x), y: all.map(({ y }) => y) };
      };
      give("x", [x.low, x.high], () => ({ min: x.low, max: x.high }));
      const ticks = lrTicks(x, width_px);
      give("x_axis", ticks, () => ({ tick_values: ticks }));
      give("y", limits, () => ({ min: y.low, max: y.high }));
      give("y_axis", [...limits, chart.y === null], () => ({
        num_ticks: chart.y ? null : 0,
        ...labels(y),
      }));
      const z = chart.metric?.y ?? { low: 0, high: 1, log: false };
      const beside = chart.metric?.line ?? NO_LINE;
      give("z", [z.low, z.high], () => ({ min: z.low, max: z.high }));
      const right = rightOf(chart.metric);
      give("figure", [right, width_px], () => {
        // bqplot follows 300 ms later, and the marker would be off its axis meanwhile.
        for (const view of Object.values(marks.get("figure")?.views ?? {})) {
          void view.then((figure) => figure.relayout?.());
        }
        return { fig_margin: { ...MARGIN, right } };
      });
      give("z_axis", [z.low, z.high, beside.x.length], () => ({
        num_ticks: beside.x.length ? null : 0,
        label_offset: `${right - 20}px`,
        ...labels(z),
      }));
      give("metric", [beside, z.low, z.high], () => ({ ...clipped(beside, x, z) }));
      give("band", [...(band ?? [])], () => ({ x: band ?? [], y: band === null ? [] : [1, 1] }));
      give("line", [chart.line, ...limits], () => ({ ...drawn(chart.line) }));
      give("dots", [chart.dots], () => apart(chart.dots));
      give("repeats", [...repeats, ...limits], () => ({
        ...several(repeats),
        opacities: repeats.map(() => 0.35),
      }));
      for (const dashes of STYLES) {
        const runs = others.filter(
          (run) => run.line.x.length > 0 && look(run.style).dashes === dashes,
        );
        const lines = runs.map((run) => run.line);
        const styles = runs.map((run) => run.style);
        give(dashes, [...lines, ...styles, ...limits], () => ({
          ...several(lines),
          colors: runs.length ? styles.map((style) => look(style).colour) : [CURRENT],
        }));
      }
    },
  };
}

function labels(axis: Axis): Record<string, unknown> {
  const ticks = lossTicks(axis);
  return { tick_values: ticks, tick_format: `.${digitsOf(ticks)}~g` };
}

/** Points as a line with gaps between all of them; its round caps look like dots. */
function apart({ x, y }: Line): Record<string, unknown> {
  const count = Math.max(0, 2 * x.length - 1); // bqplot expects no gap at the end
  const lrs = Float64Array.from({ length: count }, (_, i) => x[i >> 1] as number);
  const losses = Float64Array.from({ length: count }, (_, i) =>
    i % 2 ? NaN : (y[i >> 1] as number),
  );
  return { x: lrs, y: losses };
}
