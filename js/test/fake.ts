import type { Model } from "../src/model.ts";

type Listener = (this: unknown, content?: unknown) => void;

export const NO_POINTS = { x: [], y: [] };

/** What a kernel sends before the first run. */
export const READY = {
  chart: {
    ...{ x: [1e-7, 10], x_log: true, y: null, y_log: false, n: 0, total: 100, per_second: null },
    ...{ dots: NO_POINTS, line: NO_POINTS },
  },
  repeats: [],
  runs: [],
  reading: { candidates: {}, band: null, weak: false },
  status: {
    ...{ state: "ready", stopping: false, text: "Start trains 100 steps.", problem: "" },
    ...{ unrestored: [], traceback: "" },
  },
  picked: { text: "lr = 1.00e-03", about: "", code: "", applied: false, optimizer: "SGD" },
  settings: {
    ...{ start_lr: "1e-07", end_lr: "10.0", num_iter: "100", repeats: "1", mode: "exp" },
    ...{
      diagnose: false,
      train_steps: "",
      schedule: "constant",
      zoom: false,
      log_loss: false,
      smoothing: 5,
    },
    ...{ trial_lrs: "1e-3", trial_steps: "200" },
    ...{ vary: "weight_decay", vary_values: "0, 0.01", vary_2: "", vary_2_values: "" },
  },
  offers: [["8", "1 epoch"]],
  planned: { steps: null, schedule: "constant", lr: null },
  diagnosis: {},
  trials: {},
  trial_cost: "",
  varied: {},
  vary_cost: "",
  blocked: { pause: "Nothing is running" },
  figure: {},
  variable: "lr",
  lr: null,
  position: 1e-3,
  kind: "start",
  moving_from: null,
  commit: {},
  received: 0,
  disabled: false,
} as const;

/** Doubles as the kernel sends them, beginning anywhere in a message. */
export function bytes(...values: number[]): DataView {
  const view = new DataView(new ArrayBuffer(8 * values.length + 3), 3);
  values.forEach((value, i) => {
    view.setFloat64(8 * i, value, true);
  });
  return view;
}

export class FakeFinder implements Model {
  readonly values: Record<string, unknown>;
  readonly messages: unknown[] = [];
  readonly saved: Record<string, unknown>[] = [];
  view = { model: { comm_live: true } };
  send?: (content: unknown) => void = (content) => this.messages.push(content);
  widget_manager?: NonNullable<Model["widget_manager"]>;
  private unsaved: Record<string, unknown> = {};
  private listeners: [string, Listener][] = [];

  constructor(values: Record<string, unknown> = {}) {
    this.values = { ...READY, ...values };
  }

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    if (this.values[name] === value) return;
    this.values[name] = value;
    this.unsaved[name] = value;
    this.trigger(`change:${name}`);
  }

  save_changes(): void {
    this.saved.push(this.unsaved);
    this.unsaved = {};
  }

  on(name: string, callback: Listener): void {
    this.listeners.push([name, callback]);
  }

  off(name: string, callback: Listener): void {
    this.listeners = this.listeners.filter(([n, c]) => n !== name || c !== callback);
  }

  trigger(name: string, content?: unknown): void {
    for (const [n, callback] of [...this.listeners])
      if (n === name) callback.call(this.view, content);
  }

  kernel(values: Record<string, unknown>): void {
    Object.assign(this.values, values);
    for (const name of Object.keys(values)) this.trigger(`change:${name}`);
  }

  get listenerCount(): number {
    return this.listeners.length;
  }
}
