/** The paths of lines and dots, in pixels. */

import type { Line } from "./model.ts";
import type { Scale } from "./scales.ts";

/** The path of a line, cut where it leaves the room above and below the plot. */
export function linePath(line: Line, x: Scale, y: Scale): string {
  const [least, most] = room(y);
  let path = "";
  let pen = "M";
  walk(line, {
    ...{ x: x.at, y: y.at, least, most },
    to(x_px, y_px) {
      path += `${pen}${short(x_px)} ${short(y_px)}`;
      pen = "L";
    },
    gap() {
      pen = "M";
    },
  });
  return path;
}

interface Walk {
  x(value: number): number;
  y(value: number): number;
  readonly least: number;
  readonly most: number;
  to(x: number, y: number): void;
  gap(): void;
}

/**
 * Go along a line between two borders.
 *
 * A diverged loss may be a million times the plot's height; coordinates like that are drawn badly.
 * A line that leaves goes to where it crosses the border and on along it, so what is seen of it keeps
 * its slope. Points that are not finite are gaps.
 */
function walk(line: Line, way: Walk): void {
  const { least, most } = way;
  let before: readonly [number, number] | null = null;
  for (let i = 0; i < line.x.length; i++) {
    const x = way.x(line.x[i] as number);
    const y = way.y(line.y[i] as number);
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      if (before !== null) way.gap();
      before = null;
      continue;
    }
    if (before !== null) {
      const [x0, y0] = before;
      for (const border of y > y0 ? [least, most] : [most, least]) {
        const share = (border - y0) / (y - y0);
        if (share > 0 && share < 1) way.to(x0 + share * (x - x0), border);
      }
    }
    way.to(x, Math.min(Math.max(y, least), most));
    before = [x, y];
  }
}

/** A line for someone else to draw, cut in the same way; the line itself if it stays inside. */
export function clipped(line: Line, xLog: boolean, low: number, high: number, yLog: boolean): Line {
  const unit = (value: number, log: boolean) => (log ? Math.log10(value) : value);
  const back = (value: number, log: boolean) => (log ? 10 ** value : value);
  const [bottom, top] = [unit(low, yLog), unit(high, yLog)];
  const [least, most] = [bottom - (top - bottom), top + (top - bottom)];
  const outside = (loss: number) => !(unit(loss, yLog) >= least && unit(loss, yLog) <= most);
  if (!line.y.some(outside)) return line;
  const x: number[] = [];
  const y: number[] = [];
  walk(line, {
    ...{ x: (lr) => unit(lr, xLog), y: (loss) => unit(loss, yLog), least, most },
    to(at, loss) {
      x.push(back(at, xLog));
      y.push(back(loss, yLog));
    },
    gap() {
      x.push(x.at(-1) ?? line.x[0] ?? 1);
      y.push(Number.NaN);
    },
  });
  return { x: Float64Array.from(x), y: Float64Array.from(y) };
}

/** Points as strokes of length zero, whose round caps are dots. */
export function dotsPath(line: Line, x: Scale, y: Scale): string {
  const [least, most] = room(y);
  let path = "";
  for (let i = 0; i < line.x.length; i++) {
    const x_px = x.at(line.x[i] as number);
    const y_px = Math.min(Math.max(y.at(line.y[i] as number), least), most);
    if (Number.isFinite(x_px) && Number.isFinite(y_px)) path += `M${short(x_px)} ${short(y_px)}Z`;
  }
  return path;
}

/** As much room above and below the plot as it is high. */
function room(y: Scale): readonly [number, number] {
  const top = y.at(y.high);
  const bottom = y.at(y.low);
  return [top - (bottom - top), bottom + (bottom - top)];
}

function short(px: number): string {
  return String(Math.round(px * 10) / 10);
}
