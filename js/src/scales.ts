/** Which ticks an axis has, how their labels read, and where a value lies in pixels. */

import { type Axis, position } from "./geometry.ts";

/** An axis in pixels. */
export interface Scale extends Axis {
  at(value: number): number;
}

export function scaleOf(axis: Axis, from_px: number, to_px: number): Scale {
  const start = position(axis.low, axis);
  const perUnit = (to_px - from_px) / (position(axis.high, axis) - start);
  return { ...axis, at: (value) => from_px + (position(value, axis) - start) * perUnit };
}

/** At most `most` round numbers between the limits. */
export function roundTicks(low: number, high: number, most = 6): number[] {
  const rough = (high - low) / most;
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough) ?? 10 * power;
  const ticks = [];
  for (let i = Math.ceil(low / step); i <= Math.floor(high / step); i++) ticks.push(i * step);
  return ticks.filter((tick) => tick >= low && tick <= high);
}

/** Powers of ten between the limits, and multiples of them if those are few. */
export function logTicks(low: number, high: number, most = 8): number[] {
  if (!(low > 0) || !(high > low) || !Number.isFinite(high)) return [];
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  for (const factors of [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const ticks = [];
    for (let power = first; power <= last; power++) {
      for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
    }
    const inside = ticks.filter((t) => t >= low * (1 - 1e-9) && t <= high * (1 + 1e-9));
    if (inside.length > 2) {
      const every = 1 + Math.floor((inside.length - 1) / most);
      return inside.filter((_, i) => i % every === 0);
    }
  }
  return roundTicks(low, high);
}

/** As bqplot's format `.1~e`: "1e-3", "1.5e+0". */
export function exponent(x: number): string {
  return trimmed(x.toExponential(1));
}

/** As bqplot's formats `.2~g`, `.6~g` and so on. */
export function general(x: number, digits: number): string {
  return trimmed(x.toPrecision(digits));
}

/** As many digits as tell all labels apart. */
export function digitsOf(ticks: readonly number[]): number {
  let digits = 6;
  const labels = () => new Set(ticks.map((tick) => general(tick, digits)));
  while (digits < 15 && labels().size < ticks.length) digits++;
  return digits;
}

function trimmed(written: string): string {
  const [digits = "", power] = written.split("e");
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  return power === undefined ? short : `${short}e${power}`;
}

/** As many as their labels have room for. */
export function lrTicks({ low, high, log }: Axis, width_px: number): number[] {
  const most = Math.max(2, Math.floor(width_px / LABEL_PX));
  return log ? logTicks(low, high, Math.min(12, most)) : roundTicks(low, high, Math.min(6, most));
}

const LABEL_PX = 40;

export const lossTicks = ({ low, high, log }: Axis): number[] =>
  (log ? logTicks : roundTicks)(low, high);
