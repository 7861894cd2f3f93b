/** Typed access to a widget's model. The values that come from it are not trusted. */

/** The part of a model that we use; listeners are called with the view as `this`. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(name: string, callback: (content?: unknown) => void): void;
  off(name: string, callback: (content?: unknown) => void): void;
  send?(content: unknown): void;
  widget_manager?: { get_model?(id: string): Promise<unknown> | undefined };
}

/** The same model, where what a host does not have (MyST's raises errors) does nothing. */
export function tolerant(model: Model): Model {
  function attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch {
      return undefined;
    }
  }
  const widget_manager = attempt(() => model.widget_manager);
  return {
    get: (name) => model.get(name),
    set: (name, value) => model.set(name, value),
    on: (name, callback) => model.on(name, callback),
    off: (name, callback) => attempt(() => model.off(name, callback)),
    save_changes: () => attempt(() => model.save_changes()),
    send: (content) => attempt(() => model.send?.(content)),
    ...(widget_manager && { widget_manager }),
  };
}

export type Fields = Readonly<Record<string, unknown>>;

/** Two arrays of the same length. */
export interface Line {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

const NOTHING = new Float64Array();
export const NO_LINE: Line = { x: NOTHING, y: NOTHING };

export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

export function number(value: unknown): number {
  return typeof value === "number" ? value : Number.NaN;
}

/** A number, or null if it is none. */
export function maybe(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function pair(value: unknown): readonly [number, number] | null {
  const [low, high] = list(value).map(maybe);
  return low === undefined || low === null || high === undefined || high === null
    ? null
    : [low, high];
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
  if (value instanceof Uint8Array) {
    return decode(new DataView(value.buffer, value.byteOffset, value.byteLength)); // Colab's
  }
  if (value instanceof DataView) {
    const length = value.byteLength >> 3;
    return Float64Array.from({ length }, (_, i) => value.getFloat64(8 * i, true));
  }
  if (!Array.isArray(value) && !ArrayBuffer.isView(value)) return NOTHING;
  return Float64Array.from(value as ArrayLike<unknown>, number);
}

const lines = new WeakMap<Float64Array, Line>();

export function lineOf(value: unknown): Line {
  const x = numbers(fields(value)["x"]);
  const y = numbers(fields(value)["y"]);
  if (x.length === 0 || x.length !== y.length) return NO_LINE;
  let line = lines.get(y);
  if (line?.x !== x) {
    line = { x, y };
    lines.set(y, line);
  }
  return line;
}

/** Whether a pick has been sent that the kernel has not acknowledged. */
export function isPending(model: Model): boolean {
  return commitNumber(model) > (number(model.get("received")) || 0);
}

export function commitNumber(model: Model): number {
  return number(fields(model.get("commit"))["n"]) || 0;
}

export function listen(
  model: Model,
  names: readonly string[],
  callback: (content?: unknown) => void,
  signal: AbortSignal,
): void {
  for (const name of names) {
    model.on(name, callback);
    signal.addEventListener("abort", () => model.off(name, callback));
  }
}

export function changes(...names: string[]): string[] {
  return names.map((name) => `change:${name}`);
}
