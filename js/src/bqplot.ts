/**
 * bqplot as the drawing surface: this page sets the state of its models.
 *
 * `set_state` changes a model here only; nothing goes back to the kernel, which therefore sends every
 * number once.
 */

import { CURRENT, type Dashes, look } from "./lines.ts";
import { fields, type Line, type Model, text } from "./model.ts";
import { clipped } from "./paths.ts";
import { lossTicks, lrTicks } from "./scales.ts";
import type { Picture } from "./scene.ts";

interface Mark {
  set_state(state: Record<string, unknown>): void;
}

const AXES = ["x_axis", "y_axis"] as const;
const LINES = ["band", "repeats", "solid", "dashed", "dash_dotted", "dots", "line"] as const;
const PARTS = ["x", "y", ...AXES, ...LINES] as const;
type Part = (typeof PARTS)[number];

export interface Bqplot {
  draw(picture: Picture, width_px: number): void;
}

/** Find the models of a figure; null if one of them cannot be had. */
export async function findBqplot(model: Model, ids: unknown): Promise<Bqplot | null> {
  const manager = model.widget_manager;
  try {
    const found = await Promise.all(
      PARTS.map(async (part) => {
        const mark = await manager?.get_model?.(text(fields(ids)[part]));
        if (typeof (mark as Partial<Mark> | undefined)?.set_state !== "function") {
          throw new TypeError(part);
        }
        return [part, mark as Mark] as const;
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

  function give(part: Part, key: readonly unknown[], state: () => Record<string, unknown>): void {
    const before = given.get(part);
    if (before?.length === key.length && before.every((value, i) => value === key[i])) return;
    given.set(part, key);
    marks.get(part)?.set_state(state());
  }

  const color = "var(--lrf-ink)";
  for (const axis of AXES) {
    marks.get(axis)?.set_state({
      ...{ color, label_color: color, grid_color: "var(--lrf-grid)" },
      tick_style: { fill: color, "font-size": "12px" },
    });
  }
  for (const part of LINES) {
    marks.get(part)?.set_state({ colors: [CURRENT], fill_colors: [CURRENT] });
  }
  return {
    draw({ chart, repeats, others, band }, width_px) {
      const { low, high, scale } = chart.x;
      const log = scale === "log";
      const [least, most] = chart.y ?? (chart.yLog ? [0.1, 1] : [0, 1]);
      const limits = [least, most, chart.yLog] as const;
      const drawn = (line: Line) => clipped(line, log, ...limits);
      const several = (lines: readonly Line[]) => {
        const all = lines.map(drawn);
        return { x: all.map(({ x }) => x), y: all.map(({ y }) => y) };
      };
      give("x", [low, high], () => ({ min: low, max: high }));
      const ticks = lrTicks(low, high, log, width_px);
      give("x_axis", ticks, () => ({ tick_values: ticks }));
      give("y", [least, most], () => ({ min: least, max: most }));
      give("y_axis", [...limits, chart.y === null], () => ({
        visible: chart.y !== null,
        tick_values: lossTicks(...limits),
      }));
      give("band", [...(band ?? [])], () => ({ x: band ?? [], y: band === null ? [] : [1, 1] }));
      give("line", [chart.line, ...limits], () => ({ ...drawn(chart.line) }));
      give("dots", [chart.dots], () => apart(chart.dots));
      give("repeats", [...repeats, ...limits], () => ({
        ...several(repeats),
        opacities: repeats.map(() => 0.35),
      }));
      for (const dashes of ["solid", "dashed", "dash_dotted"] as const) {
        const runs = others.filter(
          (run) => run.line.x.length > 0 && dashesOf(run.style) === dashes,
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

function dashesOf(style: number): Dashes {
  return look(style).dashes;
}

/** Points as a line with gaps between all of them; its round caps look like dots. */
function apart({ x, y }: Line): Record<string, unknown> {
  const count = Math.max(0, 2 * x.length - 1); // bqplot expects no gap at the end
  const lrs = Float64Array.from({ length: count }, (_, i) => x[i >> 1] as number);
  const losses = Float64Array.from({ length: count }, (_, i) =>
    i % 2 ? Number.NaN : (y[i >> 1] as number),
  );
  return { x: lrs, y: losses };
}
