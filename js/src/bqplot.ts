/**
 * bqplot as the drawing surface: this page sets the state of its models.
 *
 * `set_state` changes a model here only; nothing goes back to the kernel, which therefore sends every
 * number once.
 */

import { type AxisOf, MARGIN, type Scene, UNIT } from "./chart.ts";
import { CURRENT, METRIC, STYLES } from "./lines.ts";
import { changes, fields, type Line, listen, type Model, text } from "./model.ts";
import { clipped } from "./paths.ts";

interface Mark extends Pick<Model, "on" | "off"> {
  set_state(state: Record<string, unknown>): void;
  readonly views?: Readonly<Record<string, Promise<{ relayout?(): void }>>>;
}

type Name = "x" | "y" | "z";
const LINES = ["repeats", ...STYLES, "metric", "dots", "line"] as const;
type Part = "figure" | "band" | Name | `${Name}_axis` | (typeof LINES)[number];

export interface Bqplot {
  draw(scene: Scene, width_px: number): void;
}

/** A kernel that is connected anew sets all models to what it has of them: nothing of the drawing. */
const LOSSES = changes("x", "min", "tick_values", "fig_margin");
/** A change by this page, of whatever view, is no loss. */
let isDrawing = false;

/** Find the models of a figure, by their names; null if one of them cannot be had. */
export async function findBqplot(
  model: Model,
  ids: unknown,
  onLoss: () => void,
  signal: AbortSignal,
): Promise<Bqplot | null> {
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
    return driver(new Map(found), onLoss, signal);
  } catch {
    return null;
  }
}

function driver(marks: ReadonlyMap<Part, Mark>, onLoss: () => void, signal: AbortSignal): Bqplot {
  /** What each model was given last, compared by identity, part by part. */
  const given = new Map<Part, readonly unknown[]>();
  for (const [part, mark] of marks) {
    const lose = () => {
      if (!isDrawing && given.delete(part)) onLoss();
    };
    listen(mark, LOSSES, lose, signal);
  }

  const give = (
    part: Part,
    key: readonly unknown[],
    state: () => Record<string, unknown>,
  ): void => {
    const before = given.get(part);
    if (before?.length === key.length && before.every((value, i) => value === key[i])) return;
    given.set(part, key);
    isDrawing = true;
    try {
      marks.get(part)?.set_state(state());
    } finally {
      isDrawing = false;
    }
  };

  const color = "var(--ink)";
  return {
    draw({ x, y, beside, band, right_px = MARGIN.right, strokes }, width_px) {
      const z = beside?.y ?? null;
      const giveAxis = (name: Name, axis: AxisOf | null, more = {}) => {
        const { low, high, digits } = axis ?? UNIT;
        const ticks = axis?.ticks(width_px) ?? [];
        if (axis) give(name, [low, high], () => ({ min: low, max: high }));
        give(`${name}_axis`, [axis === null, right_px, ...ticks], () => ({
          ...{ color, label_color: name === "z" ? METRIC : color, grid_color: "var(--grid)" },
          tick_style: { fill: color, "font-size": "12px" },
          ...{ num_ticks: axis ? null : 0, tick_values: ticks },
          ...(digits && { tick_format: `.${digits}~g` }),
          ...more,
        }));
      };
      giveAxis("x", x);
      giveAxis("y", y);
      giveAxis("z", z, { label_offset: `${right_px - 20}px` });
      give("figure", [right_px, width_px], () => {
        // bqplot follows 300 ms later, and the marker would be off its axis meanwhile.
        for (const view of Object.values(marks.get("figure")?.views ?? {})) {
          void view.then((figure) => figure.relayout?.());
        }
        return { fig_margin: { ...MARGIN, right: right_px } };
      });
      give("band", [...(band ?? [])], () => ({
        ...{ x: band ?? [], y: band ? [1, 1] : [] },
        ...{ colors: [CURRENT], fill_colors: [CURRENT] },
      }));
      for (const part of LINES) {
        const found = strokes.filter(({ key, line }) => key.startsWith(part) && line.x.length > 0);
        const looks = found.flatMap(({ line, colour }) => [line, colour]);
        give(part, [...looks, y?.low, y?.high, z?.low, z?.high], () => {
          const lines = found.map(({ line, dots, beside }) =>
            dots ? apart(line) : clipped(line, x, (beside ? z : y) ?? UNIT),
          );
          return {
            x: lines.map(({ x }) => x),
            y: lines.map(({ y }) => y),
            colors: found.length ? found.map(({ colour }) => colour) : [CURRENT],
            opacities: found.map(({ opacity }) => opacity ?? 1),
          };
        });
      }
    },
  };
}

/** Points as a line with gaps between all of them; its round caps look like dots. */
function apart({ x, y }: Line): Line {
  const count = 2 * x.length - 1; // bqplot expects no gap at the end
  return {
    x: Float64Array.from({ length: count }, (_, i) => x[i >> 1] as number),
    y: Float64Array.from({ length: count }, (_, i) => (i % 2 ? NaN : (y[i >> 1] as number))),
  };
}
