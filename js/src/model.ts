/** Typed access to the marker's model; the values that come from it are not trusted. */

import type { Kind } from "./format.ts";
import type { Axis, Curve } from "./geometry.ts";

/** The part of the model that the marker uses; listeners are called with the view as `this`. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, callback: (content?: unknown) => void): void;
  off(name: string, callback: (content?: unknown) => void): void;
}

export function axisOf(model: Model): Axis {
  const scale = model.get("scale") === "linear" ? "linear" : "log";
  return { low: number(model.get("low")), high: number(model.get("high")), scale };
}

/** What the number stands for; whether a candidate is weak is a separate trait. */
export function kindOf(model: Model): Kind {
  const kind = model.get("kind") as Kind;
  return kind === "candidate" && model.get("weak") === true ? "weak" : kind;
}

/** The curve whose loss is shown at the marker; both arrays are empty if there is none. */
export function curveOf(model: Model): Curve {
  return { lrs: numbers(model.get("curve_lrs")), losses: numbers(model.get("curve_losses")) };
}

/** The curve is needed at every pointer movement, so each buffer is decoded only once. */
const read = new WeakMap<DataView, Float64Array>();

/** Decode bytes from the kernel: little-endian doubles, at any offset in their buffer. */
function numbers(value: unknown): Float64Array {
  if (!(value instanceof DataView)) return new Float64Array();
  let found = read.get(value);
  if (found === undefined) {
    found = Float64Array.from({ length: value.byteLength >> 3 }, (_, i) =>
      value.getFloat64(8 * i, true),
    );
    read.set(value, found);
  }
  return found;
}

/** Whether a pick has been sent that the kernel has not acknowledged. */
export function isPending(model: Model): boolean {
  return commitNumber(model) > (number(model.get("received")) || 0);
}

export function commitNumber(model: Model): number {
  return number((model.get("commit") as { n?: unknown } | undefined)?.n) || 0;
}

export function number(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

export function listen(
  model: Model,
  names: string[],
  callback: (content?: unknown) => void,
  signal: AbortSignal,
): void {
  for (const name of names) {
    model.on(name, callback);
    signal.addEventListener("abort", () => model.off(name, callback));
  }
}
