/**
 * The marker's geometry: where a learning rate lies on the axis, how far a key moves it, and the
 * loss at that point. No DOM, so that everything here can be tested as plain functions.
 */

import type { Line } from "./model.ts";

export interface Axis {
  readonly low: number;
  readonly high: number;
  /** Whether it is logarithmic. */
  readonly log: boolean;
}

/** The position of `lr` on the axis: 0 at the low end, 1 at the high end, clamped to both. */
export function fractionOf(lr: number, axis: Axis): number {
  const low = position(axis.low, axis);
  const fraction = (position(lr, axis) - low) / (position(axis.high, axis) - low);
  // On an empty axis (equal ends, or an end that is not positive on a log scale), no position is
  // meaningful.
  return Number.isFinite(fraction) ? clamp(fraction, 0, 1) : 0;
}

/** The learning rate at a fraction of the axis; the ends are exact, without rounding. */
export function lrAt(fraction: number, axis: Axis): number {
  if (fraction <= 0) return lowest(axis);
  if (fraction >= 1) return axis.high;
  const low = position(axis.low, axis);
  const here = low + fraction * (position(axis.high, axis) - low);
  return inside(valueAt(here, axis), axis);
}

/** Which side of the axis `lr` lies on: -1 if left of it, 1 if right of it, 0 if on it. */
export function beyond(lr: number, axis: Axis): -1 | 0 | 1 {
  // The kernel may have computed an end via a logarithm; an error of an ulp is not "outside".
  const slack = 1e-9;
  if (lr < axis.low * (1 - slack)) return -1;
  return lr > axis.high * (1 + slack) ? 1 : 0;
}

/** The learning rate after a key press, or `null` if the key does not move the marker. */
export function lrAfterKey(key: string, fine: boolean, lr: number, axis: Axis): number | null {
  if (key === "Home") return lrAt(0, axis);
  if (key === "End") return lrAt(1, axis);
  const [, group, way] = /^(Arrow|Page)(.+)/.exec(key) ?? [];
  if (!way) return null;
  const direction = way === "Right" || way === "Up" ? 1 : -1;
  const isPage = group === "Page";
  const from = inside(lr, axis);
  if (axis.log) {
    const decades = isPage ? 1 : fine ? 1 / 100 : 1 / 20;
    return inside(from * 10 ** (direction * decades), axis);
  }
  const share = isPage ? 1 / 10 : fine ? 1 / 1000 : 1 / 100;
  return inside(from + direction * share * (axis.high - axis.low), axis);
}

/**
 * The loss at `lr`, interpolated linearly between the points on either side, as the line is drawn:
 * in the logarithm of `lr` on a log scale. `null` if there is no point on one side.
 */
export function lossAt(lr: number, { x, y }: Line, axis: Axis): number | null {
  const right = x.findIndex((one) => one >= lr);
  const left = x[right] === lr ? right : right - 1;
  const at = (values: Float64Array, i: number) => values[i] ?? NaN;
  const start = position(at(x, left), axis);
  const width = position(at(x, right), axis) - start;
  const share = width > 0 ? (position(lr, axis) - start) / width : 0;
  const loss = at(y, left) * (1 - share) + at(y, right) * share;
  return Number.isFinite(loss) ? loss : null;
}

/** `lr` in the units in which the axis is linear: its logarithm on a log scale, or `lr` itself. */
export const position = (lr: number, { log }: Pick<Axis, "log">): number =>
  log ? Math.log10(lr) : lr;

/** The inverse of `position`. */
export const valueAt = (position: number, { log }: Pick<Axis, "log">): number =>
  log ? 10 ** position : position;

/** The learning rate on the axis that is closest to `lr`. */
export const inside = (lr: number, axis: Axis): number => clamp(lr, lowest(axis), axis.high);

/** A linear axis may start at zero, but a learning rate is positive: stay one fine step above. */
const lowest = (axis: Axis): number => (axis.low > 0 ? axis.low : axis.high / 1000);

export const clamp = (x: number, low: number, high: number): number =>
  Math.min(Math.max(x, low), high);
