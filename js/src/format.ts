/**
 * Numbers as the marker shows them: rounded picks, the label next to the marker, and what a screen
 * reader says. `widget/number.py` formats learning rates in the same way.
 */

import { type Axis, beyond, inside, lrAt } from "./geometry.ts";

export type Kind = "pick" | "candidate" | "weak" | "start";

const WORDS = {
  pick: "picked",
  candidate: "candidate",
  weak: "weak candidate",
  start: "not picked yet",
};

/** A label in parts, so that a long variable name can be truncated without losing the number. */
export interface Label {
  readonly name: string;
  readonly number: string;
  /** -1 or 1 if the true value lies beyond the left or right end of the axis. */
  readonly beyond: -1 | 0 | 1;
  /** The loss at that point, as in "loss 1.23, accuracy 0.75"; empty where nothing has been measured. */
  readonly loss: string;
}

/**
 * The value picked at `lr`: rounded to three significant digits, and on the axis.
 *
 * If rounding would cross an end of the axis, the next rounded number inside it is taken, so that
 * the number shown is exactly the number picked.
 */
export function pickAt(lr: number, axis: Axis): number {
  const wanted = inside(lr, axis);
  const rounded = roundLr(wanted);
  if (rounded >= lrAt(0, axis) && rounded <= axis.high) return rounded;
  // Truncating to three digits gives the number just below; one unit more, the one just above.
  const [digits = "", exponent = ""] = wanted.toExponential(20).split("e");
  const hundredths = Math.round(Number(digits.slice(0, 4)) * 100) + (rounded > axis.high ? 0 : 1);
  return inside(Number(`${hundredths}e${Number(exponent) - 2}`), axis);
}

/** `x` rounded to the three significant digits that `formatLr` writes. */
export const roundLr = (x: number): number => Number(formatLr(x));

/** `x` formatted as by Python's `f"{x:.2e}"`: `3.16e-03`. */
export function formatLr(x: number): string {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x < 0 ? "-inf" : "inf";
  let [digits = "", exponent = ""] = x.toExponential(2).split("e");
  // A number exactly halfway between two, such as 0.03125, rounds to the even digit in Python and
  // away from zero in JavaScript. Forty digits are more than enough to recognize such a number.
  const half = /^(-?\d\.\d(\d))50*e/.exec(x.toExponential(40));
  if (half !== null && Number(half[2]) % 2 === 0) digits = half[1] ?? digits;
  return `${digits}e${exponent.charAt(0)}${exponent.slice(1).padStart(2, "0")}`;
}

/** `x` to three significant digits, without an exponent where that is short: `0.0123`, `1.23e+05`. */
export function formatLoss(x: number): string {
  const written = formatLr(x);
  const power = Number(written.split("e")[1]);
  return power >= -3 && power <= 2 ? Number(written).toFixed(2 - power) : written;
}

/** The label next to the marker. Only a picked number is shown with the variable's name. */
export function labelOf(
  lr: number,
  axis: Axis,
  kind: Kind,
  variable: string,
  moving: boolean,
  loss: number | null = null,
  more = "",
): Label {
  const chosen = variable && `${variable} = `;
  const name = kind === "pick" ? chosen : `${WORDS[kind]} `;
  return {
    name: moving || kind === "start" ? "" : name,
    number: formatLr(lr),
    beyond: beyond(lr, axis),
    loss: loss === null ? "" : `loss ${formatLoss(loss)}${more}`,
  };
}

/** The value as a screen reader reads it. The number comes first, so the rest can be skipped. */
export function valueText(label: Label, kind: Kind, moving: boolean): string {
  const loss = label.loss && `, ${label.loss}`;
  // While a key is held, only the numbers matter, and they are read again at every step.
  if (moving) return label.number + loss;
  const where = label.beyond ? `, ${label.beyond < 0 ? "left" : "right"} of the chart` : "";
  return `${label.number}, ${WORDS[kind]}${where}${loss}`;
}

/** A number for an ARIA attribute. */
export const shortNumber = (x: number): number => Number(x.toPrecision(5));
