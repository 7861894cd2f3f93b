/**
 * The marker's arithmetic: where a learning rate lies on the axis, how far a key moves it, and how
 * it is written. No DOM, so that all of it can be tested as plain functions.
 */

export type Scale = "log" | "linear";
export type Kind = "pick" | "candidate" | "weak" | "start";

export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly scale: Scale;
}

/** A label in parts, so that a long variable name can be cut off without losing the number. */
export interface Label {
  readonly name: string;
  readonly number: string;
  /** -1 or 1 when the true value lies beyond the left or right end of the axis. */
  readonly beyond: -1 | 0 | 1;
  /** The loss there, with its name; empty where nothing has been measured. */
  readonly loss: string;
}

/** A loss over the learning rate: as many numbers in each, learning rates from low to high. */
export interface Curve {
  readonly lrs: ArrayLike<number>;
  readonly losses: ArrayLike<number>;
}

/** Where `lr` lies on the axis: 0 at the low end, 1 at the high end, never outside. */
export function fractionOf(lr: number, axis: Axis): number {
  const low = position(axis.low, axis);
  const fraction = (position(lr, axis) - low) / (position(axis.high, axis) - low);
  // An empty axis (both ends equal, or one not positive on a log scale) has no meaningful place.
  return Number.isFinite(fraction) ? clamp(fraction, 0, 1) : 0;
}

/** The learning rate at a fraction of the axis; the ends come out exactly, without rounding. */
export function lrAt(fraction: number, axis: Axis): number {
  if (fraction <= 0) return lowest(axis);
  if (fraction >= 1) return axis.high;
  const low = position(axis.low, axis);
  const here = low + fraction * (position(axis.high, axis) - low);
  return inside(axis.scale === "log" ? 10 ** here : here, axis);
}

/** On which side of the axis `lr` lies: -1 left of it, 1 right of it, 0 on it. */
export function beyond(lr: number, axis: Axis): -1 | 0 | 1 {
  // The kernel may have computed an end through a logarithm; an ulp is not "outside".
  const slack = 1e-9;
  if (lr < axis.low * (1 - slack)) return -1;
  return lr > axis.high * (1 + slack) ? 1 : 0;
}

/** Where a key press moves the marker, or `null` if the key is not one that moves it. */
export function lrAfterKey(key: string, fine: boolean, lr: number, axis: Axis): number | null {
  if (key === "Home") return lrAt(0, axis);
  if (key === "End") return lrAt(1, axis);
  const steps = KEY_STEPS.get(key);
  if (steps === undefined) return null;
  const [direction, isPage] = steps;
  const from = inside(lr, axis);
  if (axis.scale === "log") {
    const decades = isPage ? 1 : fine ? 1 / 100 : 1 / 20;
    return inside(from * 10 ** (direction * decades), axis);
  }
  const share = isPage ? 1 / 10 : fine ? 1 / 1000 : 1 / 100;
  return inside(from + direction * share * (axis.high - axis.low), axis);
}

const KEY_STEPS: ReadonlyMap<string, readonly [direction: 1 | -1, isPage: boolean]> = new Map([
  ["ArrowRight", [1, false]],
  ["ArrowUp", [1, false]],
  ["ArrowLeft", [-1, false]],
  ["ArrowDown", [-1, false]],
  ["PageUp", [1, true]],
  ["PageDown", [-1, true]],
]);

/**
 * What a pick at `lr` is: three significant digits, on the axis.
 *
 * Where rounding would step over an end of the axis, the next number inside is taken, so that what
 * is shown is what is meant.
 */
export function pickAt(lr: number, axis: Axis): number {
  const wanted = inside(lr, axis);
  const rounded = roundLr(wanted);
  if (rounded >= lowest(axis) && rounded <= axis.high) return rounded;
  // The three digits cut off, not rounded, lie just below; one unit more lies just above.
  const [digits = "", exponent = ""] = wanted.toExponential(20).split("e");
  const hundredths = Math.round(Number(digits.slice(0, 4)) * 100) + (rounded > axis.high ? 0 : 1);
  return inside(Number(`${hundredths}e${Number(exponent) - 2}`), axis);
}

/** `x` rounded to the three significant digits that `formatLr` writes. */
export function roundLr(x: number): number {
  return Number(formatLr(x));
}

/** `x` written as Python's `f"{x:.2e}"` writes it: `3.16e-03`. */
export function formatLr(x: number): string {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x < 0 ? "-inf" : "inf";
  let [digits = "", exponent = ""] = x.toExponential(2).split("e");
  // A number exactly half way between two (0.03125 is one) rounds to the even digit in Python and
  // away from zero in JavaScript. More digits than any such number has tell the two apart.
  const half = /^(-?\d\.\d(\d))50*e/.exec(x.toExponential(40));
  if (half !== null && Number(half[2]) % 2 === 0) digits = half[1] ?? digits;
  return `${digits}e${exponent.charAt(0)}${exponent.slice(1).padStart(2, "0")}`;
}

/**
 * The loss at `lr`, on the straight line between the points on both sides of it, straight as it is
 * drawn: along the logarithm of `lr` on a log scale. `null` where there is no point on one side.
 */
export function lossAt(lr: number, { lrs, losses }: Curve, axis: Axis): number | null {
  const last = lrs.length - 1;
  // Two traits are two messages: in between, the arrays may belong to different curves.
  if (last < 0 || losses.length !== lrs.length) return null;
  const at = (values: ArrayLike<number>, i: number) => values[i] ?? Number.NaN;
  if (!(lr >= at(lrs, 0) && lr <= at(lrs, last))) return null;
  let left = 0;
  let right = last;
  while (right - left > 1) {
    const middle = (left + right) >> 1;
    if (at(lrs, middle) <= lr) left = middle;
    else right = middle;
  }
  const start = position(at(lrs, left), axis);
  const width = position(at(lrs, right), axis) - start;
  const share = width > 0 ? (position(lr, axis) - start) / width : 0;
  const loss = at(losses, left) * (1 - share) + at(losses, right) * share;
  return Number.isFinite(loss) ? loss : null;
}

/** `x` to three significant digits, written out where that is short: `0.0123`, `1.23e+05`. */
export function formatLoss(x: number): string {
  const written = formatLr(x);
  const power = Number(written.split("e")[1]);
  return power >= -3 && power <= 2 ? Number(written).toFixed(2 - power) : written;
}

/** What stands beside the marker. A number that is not chosen never carries the variable's name. */
export function labelOf(
  lr: number,
  axis: Axis,
  kind: Kind,
  variable: string,
  moving: boolean,
  loss: number | null = null,
): Label {
  const chosen = variable === "" ? "" : `${variable} = `;
  const names = { pick: chosen, candidate: "candidate ", weak: "weak candidate ", start: "" };
  return {
    name: moving ? "" : names[kind],
    number: formatLr(lr),
    beyond: beyond(lr, axis),
    loss: loss === null ? "" : `loss ${formatLoss(loss)}`,
  };
}

/** What a screen reader says of the value. The number comes first, the rest can be skipped. */
export function valueText(label: Label, kind: Kind, moving: boolean): string {
  const loss = label.loss && `, ${label.loss}`;
  // While a key is held only the numbers are of interest, and they are read again at every step.
  if (moving) return label.number + loss;
  const states = {
    pick: "picked",
    candidate: "candidate",
    weak: "weak candidate",
    start: "not picked yet",
  };
  const where = { [-1]: ", left of the chart", 0: "", 1: ", right of the chart" }[label.beyond];
  return `${label.number}, ${states[kind]}${where}${loss}`;
}

/** A number as ARIA wants it. */
export function shortNumber(x: number): string {
  return String(Number(x.toPrecision(5)));
}

/** A number that is even along the axis: the logarithm on a log scale, else `lr` itself. */
export function position(lr: number, axis: Axis): number {
  return axis.scale === "log" ? Math.log10(lr) : lr;
}

/** The nearest learning rate on the axis. */
export function inside(lr: number, axis: Axis): number {
  return clamp(lr, lowest(axis), axis.high);
}

/** A linear axis may begin at zero, a learning rate may not: stay one fine step above it. */
function lowest(axis: Axis): number {
  return axis.low > 0 ? axis.low : axis.high / 1000;
}

function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}
