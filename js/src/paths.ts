/** The paths of lines and dots, in pixels. */

import { type Axis, clamp, position, valueAt } from "./geometry.ts";
import type { Line } from "./model.ts";
import type { Scale } from "./scales.ts";

/** The path of a line, cut where it leaves the room above and below the plot. */
export function linePath(line: Line, x: Scale, y: Scale): string {
  const cut = clipped(line, x, y);
  let path = "";
  let pen = "M";
  cut.x.forEach((lr, i) => {
    const [x_px, y_px] = [x.at(lr), y.at(cut.y[i] as number)];
    const isGap = !Number.isFinite(x_px + y_px);
    if (!isGap) path += `${pen}${short(x_px)} ${short(y_px)}`;
    pen = isGap ? "M" : "L";
  });
  return path;
}

/**
 * A line without what lies more than a plot's height above or below; the line itself if nothing does.
 *
 * A diverged loss may be a million times the plot's height; coordinates like that are drawn badly.
 * A line that leaves goes to where it crosses the border and on along it, so what is seen of it keeps
 * its slope. Points that are not finite are gaps.
 */
export function clipped(line: Line, xAxis: Axis, yAxis: Axis): Line {
  const bottom = position(yAxis.low, yAxis);
  const top = position(yAxis.high, yAxis);
  const [least, most] = [2 * bottom - top, 2 * top - bottom];
  const outside = (loss: number) => {
    const y = position(loss, yAxis);
    return !(y >= least && y <= most);
  };
  if (!line.y.some(outside)) return line;
  const lrs: number[] = [];
  const losses: number[] = [];
  const to = (x: number, y: number) => {
    lrs.push(valueAt(x, xAxis));
    losses.push(valueAt(y, yAxis));
  };
  let before: readonly [number, number] | null = null;
  for (const [i, lr] of line.x.entries()) {
    const x = position(lr, xAxis);
    const y = position(line.y[i] as number, yAxis);
    if (!Number.isFinite(x + y)) {
      if (before) to(before[0], NaN);
      before = null;
      continue;
    }
    if (before) {
      const [x0, y0] = before;
      for (const border of y > y0 ? [least, most] : [most, least]) {
        const share = (border - y0) / (y - y0);
        if (share > 0 && share < 1) to(x0 + share * (x - x0), border);
      }
    }
    to(x, clamp(y, least, most));
    before = [x, y];
  }
  return { x: Float64Array.from(lrs), y: Float64Array.from(losses) };
}

/** Points as strokes of length zero, whose round caps are dots. */
export function dotsPath(line: Line, x: Scale, y: Scale): string {
  // As much room above and below the plot as it is high.
  const [top, bottom] = [y.at(y.high), y.at(y.low)];
  let path = "";
  line.x.forEach((lr, i) => {
    const x_px = x.at(lr);
    const y_px = clamp(y.at(line.y[i] as number), 2 * top - bottom, 2 * bottom - top);
    if (Number.isFinite(x_px + y_px)) path += `M${short(x_px)} ${short(y_px)}Z`;
  });
  return path;
}

const short = (px: number): string => String(Math.round(px * 10) / 10);
