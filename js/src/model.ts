/** Typed access to a widget's model. The values that come from it are not trusted. */

import { on } from "./dom.ts";

/** The part of a model that we use; listeners are called with the view as `this`. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, callback: (content?: unknown) => void): void;
  off(name: string, callback: (content?: unknown) => void): void;
  send?(content: unknown): void;
  /** May raise an error. */
  readonly widget_manager?: { get_model?(id: string): Promise<unknown> | undefined } | undefined;
}

/** The same model, where what a host does not have (MyST's raises errors) does nothing. */
export function tolerant(model: Model): Model {
  return new Proxy(model, {
    get(_, name) {
      const found: unknown = Reflect.get(model, name);
      if (typeof found !== "function") return found;
      return (...values: unknown[]): unknown => {
        try {
          return found.apply(model, values);
        } catch {
          return undefined; // Nothing to be done: this host has no kernel.
        }
      };
    },
  });
}

export type Fields = Readonly<Record<string, unknown>>;

/** Two arrays of the same length. */
export interface Line {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

const NOTHING = new Float64Array();
export const NO_LINE: Line = { x: NOTHING, y: NOTHING };

export const fields = (value: unknown): Fields =>
  typeof value === "object" ? ((value ?? {}) as Fields) : {};

export const fieldsOf = (model: Model, trait: string): Fields => fields(model.get(trait));

export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export const text = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "";

export const number = (value: unknown): number => (typeof value === "number" ? value : NaN);

/** A number, or null if it is none. */
export const maybe = (value: unknown): number | null =>
  Number.isFinite(value) ? (value as number) : null;

export function pair(value: unknown): readonly [number, number] | null {
  const [low = null, high = null] = list(value).map(maybe);
  return low === null || high === null ? null : [low, high];
}

/** Equal bytes give the same array, so that lines can be compared by identity. */
const read = new WeakMap<object, Float64Array>();

/** Decode numbers from the kernel: little-endian doubles at any offset, or a plain array. */
export function numbers(value: unknown): Float64Array {
  if (value instanceof Float64Array) return value;
  if (typeof value !== "object" || value === null) return NOTHING;
  let found = read.get(value);
  if (found === undefined) {
    found = decode(value);
    read.set(value, found);
  }
  return found;
}

function decode(value: object): Float64Array {
  if (value instanceof ArrayBuffer) return decode(new DataView(value));
  // Colab's are plain bytes.
  if (value instanceof DataView || value instanceof Uint8Array) {
    const { buffer, byteOffset, byteLength } = value;
    const view = new DataView(buffer, byteOffset, byteLength);
    return Float64Array.from({ length: byteLength >> 3 }, (_, i) => view.getFloat64(8 * i, true));
  }
  return Float64Array.from(value as ArrayLike<unknown>, number);
}

const lines = new WeakMap<Float64Array, Line>();

export const lineOf = (value: unknown): Line => lineFrom(fields(value)["x"], fields(value)["y"]);

export function lineFrom(lrs: unknown, losses: unknown): Line {
  const x = numbers(lrs);
  const y = numbers(losses);
  if (x.length === 0 || x.length !== y.length) return NO_LINE;
  let line = lines.get(y);
  if (line?.x !== x) {
    line = { x, y };
    lines.set(y, line);
  }
  return line;
}

/** Whether a pick has been sent that the kernel has not acknowledged. */
export const isPending = (model: Model): boolean =>
  commitNumber(model) > (number(model.get("received")) || 0);

export const commitNumber = (model: Model): number => number(fieldsOf(model, "commit")["n"]) || 0;

export function listen(
  model: Pick<Model, "on" | "off">,
  names: readonly string[],
  callback: (content?: unknown) => void,
  signal: AbortSignal,
): void {
  for (const name of names) {
    model.on(name, callback);
    on(signal, "abort", () => model.off(name, callback));
  }
}

export const changes = (...names: readonly string[]): string[] =>
  names.map((name) => `change:${name}`);
