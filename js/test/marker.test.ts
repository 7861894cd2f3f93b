import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import marker from "../src/index.ts";
import type { Model } from "../src/model.ts";

type Listener = (this: unknown, content?: unknown) => void;

/** A model with a kernel behind it, as the page sees it. One object may serve several views. */
class FakeModel implements Model {
  readonly values: Record<string, unknown> = {
    low: 1e-7,
    high: 10,
    scale: "log",
    lr: 1e-3,
    kind: "start",
    variable: "lr",
    margin: { top: 40, right: 20, bottom: 50, left: 60 },
    disabled: false,
    moving_from: null,
    commit: {},
    received: 0,
    ticks: {},
    curve_lrs: new DataView(new ArrayBuffer(0)),
    curve_losses: new DataView(new ArrayBuffer(0)),
  };
  /** What each message to the kernel held. */
  readonly sent: Record<string, unknown>[] = [];
  /** What listeners are called on; the real one is the view. */
  view: { model: { comm_live: boolean } } = { model: { comm_live: true } };
  private listeners: [string, Listener][] = [];
  private unsent: Record<string, unknown> = {};

  constructor(values: Record<string, unknown> = {}) {
    Object.assign(this.values, values);
  }

  get(name: string): unknown {
    return this.values[name];
  }

  set(name: string, value: unknown): void {
    if (this.values[name] === value) return;
    this.values[name] = value;
    this.unsent[name] = value;
    this.trigger(`change:${name}`);
  }

  save_changes(): void {
    if (Object.keys(this.unsent).length > 0) this.sent.push(this.unsent);
    this.unsent = {};
  }

  on(name: string, callback: Listener): void {
    this.listeners.push([name, callback]);
  }

  off(name: string, callback: Listener): void {
    this.listeners = this.listeners.filter(([n, c]) => n !== name || c !== callback);
  }

  trigger(name: string, content?: unknown): void {
    const wanted = [...this.listeners].filter(([n]) => n === name);
    for (const [, callback] of wanted) callback.call(this.view, content);
  }

  fromKernel(values: Record<string, unknown>): void {
    Object.assign(this.values, values);
    for (const name of Object.keys(values)) this.trigger(`change:${name}`);
  }

  get listenerCount(): number {
    return this.listeners.length;
  }

  get lastCommit(): { lr: number; n: number } {
    return this.values["commit"] as { lr: number; n: number };
  }
}

/** The plot area is 800 px wide and begins at 100: one decade of the default axis is 100 px. */
const PLOT_LEFT = 100;
const PLOT_WIDTH = 800;
const x_at = (log10_lr: number) => PLOT_LEFT + (PLOT_WIDTH * (log10_lr + 7)) / 8;

function show(model: FakeModel) {
  const box = document.createElement("div");
  box.className = "lrf-finder";
  const el = document.createElement("div");
  box.append(el, document.createElement("button"));
  document.body.append(box);
  const remove = marker.render({ model, el });
  const find = (name: string) => {
    const found = el.querySelector<HTMLElement>(`.${name}`);
    if (found === null) throw new Error(`no .${name}`);
    return found;
  };
  const plot = find("lrf-plot");
  const handle = find("lrf-handle");
  plot.getBoundingClientRect = () => new DOMRect(PLOT_LEFT, 0, PLOT_WIDTH, 300);
  return {
    box,
    el,
    plot,
    handle,
    remove,
    label: () => find("lrf-label").textContent,
    loss: () => find("lrf-loss").textContent,
    log10: () => 8 * Number(plot.style.getPropertyValue("--fraction")) - 7,
    is: (state: string) => plot.classList.contains(`lrf-${state}`),
    aria: (name: string) => handle.getAttribute(`aria-${name}`),
    pointer(type: string, clientX = 0, init: PointerEventInit = {}) {
      const base = { bubbles: true, cancelable: true, isPrimary: true, pointerId: 1, button: 0 };
      const event = new PointerEvent(`pointer${type}`, { ...base, clientX, ...init });
      handle.dispatchEvent(event);
      return event;
    },
    key(key: string, init: KeyboardEventInit = {}, type = "keydown") {
      const event = new KeyboardEvent(type, { key, bubbles: true, cancelable: true, ...init });
      handle.dispatchEvent(event);
      return event;
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("what is drawn", () => {
  test("a start is hollow and bears the number alone", () => {
    const view = show(new FakeModel());
    expect(view.label()).toBe("1.00e-03");
    expect(view.is("hollow")).toBe(true);
    expect(view.log10()).toBeCloseTo(-3, 9);
  });

  test("a candidate is hollow and says so", () => {
    const view = show(new FakeModel({ kind: "candidate", lr: 0.0031622 }));
    expect(view.label()).toBe("candidate 3.16e-03");
    expect(view.is("hollow")).toBe(true);
    expect(view.aria("valuetext")).toBe("3.16e-03, candidate");
  });

  test("a weak candidate says that it is one", () => {
    const model = new FakeModel({ kind: "candidate", lr: 0.0031622 });
    const view = show(model);
    model.fromKernel({ weak: true });
    expect(view.label()).toBe("weak candidate 3.16e-03");
    expect(view.is("hollow")).toBe(true);
    expect(view.aria("valuetext")).toBe("3.16e-03, weak candidate");
    model.fromKernel({ kind: "pick" });
    expect(view.aria("valuetext")).toBe("3.16e-03, picked");
  });

  test("a pick is full and bears the variable's name", () => {
    const view = show(new FakeModel({ kind: "pick", lr: 3.16e-3, variable: "rate" }));
    expect(view.label()).toBe("rate = 3.16e-03");
    expect(view.is("hollow")).toBe(false);
  });

  test("a value beyond the axis stands at the edge and tells its true number", () => {
    const model = new FakeModel({ kind: "pick", lr: 100 });
    const view = show(model);
    expect(view.label()).toBe("lr = 1.00e+02 ›");
    expect(view.log10()).toBe(1);
    model.fromKernel({ lr: 1e-9 });
    expect(view.label()).toBe("‹ lr = 1.00e-09");
    expect(view.log10()).toBe(-7);
  });

  test("every change from the kernel is drawn", () => {
    const model = new FakeModel();
    const view = show(model);
    model.fromKernel({ lr: 1e-2, kind: "pick", variable: "" });
    expect(view.label()).toBe("1.00e-02");
    model.fromKernel({ low: 1e-4, high: 1 });
    expect(view.plot.style.getPropertyValue("--fraction")).toBe("0.5");
    model.fromKernel({ margin: { top: 1, right: 2, bottom: 3, left: 4 } });
    expect(view.plot.style.inset).toBe("1px 2px 3px 4px");
    model.fromKernel({ scale: "linear", low: 0, high: 0.1, lr: 0.025 });
    expect(view.plot.style.getPropertyValue("--fraction")).toBe("0.25");
  });

  test("text from the kernel is never markup", () => {
    const view = show(new FakeModel({ kind: "pick", variable: "<b>x</b>" }));
    expect(view.label()).toBe("<b>x</b> = 1.00e-03");
    expect(view.el.querySelector("b")).toBeNull();
  });

  test("it is a slider with a name, a range and a place in the tab order", () => {
    const view = show(new FakeModel());
    expect(view.handle.getAttribute("role")).toBe("slider");
    expect(view.aria("label")).toBe("learning rate");
    expect([view.aria("valuemin"), view.aria("valuenow"), view.aria("valuemax")]).toEqual([
      "-7",
      "-3",
      "1",
    ]);
    expect(view.aria("valuetext")).toBe("1.00e-03, not picked yet");
    expect(view.handle.tabIndex).toBe(0);
  });
});

describe("the loss at the marker", () => {
  /** As the kernel sends it: doubles that begin anywhere in a message. */
  function bytes(...values: number[]): DataView {
    const view = new DataView(new ArrayBuffer(8 * values.length + 3), 3);
    values.forEach((value, i) => {
      view.setFloat64(8 * i, value, true);
    });
    return view;
  }
  const CURVE = { curve_lrs: bytes(1e-4, 1e-2), curve_losses: bytes(2, 1) };

  test("is read off the curve that the kernel sends", () => {
    const model = new FakeModel({ kind: "candidate" });
    const view = show(model);
    expect(view.loss()).toBe("");
    model.fromKernel(CURVE);
    expect(view.loss()).toBe("loss 1.50");
    expect(view.aria("valuetext")).toBe("1.00e-03, candidate, loss 1.50");
    expect(view.label()).toBe("candidate 1.00e-03");
    model.fromKernel({ curve_lrs: bytes(), curve_losses: bytes() });
    expect(view.loss()).toBe("");
  });

  test("goes along with a drag, kernel or no kernel", () => {
    const view = show(new FakeModel(CURVE));
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-2.5));
    expect(view.loss()).toBe("loss 1.25");
    expect(view.aria("valuetext")).toBe("3.16e-03, loss 1.25");
    view.pointer("move", x_at(-1));
    expect(view.loss()).toBe("");
    expect(view.aria("valuetext")).toBe("1.00e-01");
  });

  test.each([null, undefined, "abc", [1], {}])("is not there for %j", (nonsense) => {
    const view = show(new FakeModel({ ...CURVE, curve_losses: nonsense }));
    expect(view.loss()).toBe("");
  });
});

describe("a drag", () => {
  test("keeps the distance to where it was taken hold of", () => {
    const view = show(new FakeModel());
    view.pointer("down", x_at(-3) + 7);
    expect(view.log10()).toBeCloseTo(-3, 9);
    view.pointer("move", x_at(-2) + 7);
    expect(view.log10()).toBeCloseTo(-2, 9);
  });

  test("moves the marker at once, hollow and with the number alone", () => {
    const view = show(new FakeModel({ kind: "pick" }));
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-2.5));
    expect(view.label()).toBe("3.16e-03");
    expect(view.is("moving")).toBe(true);
    expect(view.is("hollow")).toBe(true);
    expect(view.aria("valuetext")).toBe("3.16e-03");
  });

  test("tells the kernel at most every 40 ms, and the last value always", () => {
    const model = new FakeModel();
    const view = show(model);
    view.pointer("down", x_at(-3));
    for (let step = 1; step <= 100; step++) {
      view.pointer("move", x_at(-3 + step / 100));
      vi.advanceTimersByTime(4);
    }
    vi.advanceTimersByTime(100);
    expect(model.sent.length).toBeGreaterThan(5);
    expect(model.sent.length).toBeLessThanOrEqual(12);
    expect(model.sent.at(-1)?.["lr"]).toBeCloseTo(1e-2, 12);
    expect(model.sent.every((message) => !("commit" in message))).toBe(true);
    expect(model.sent[0]?.["moving_from"]).toBe(1e-3);
  });

  test("ends in one message with the pick, rounded to three digits", () => {
    const model = new FakeModel();
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-2.5));
    view.pointer("up", x_at(-2.5));
    expect(model.sent.at(-1)).toEqual({
      lr: 3.16e-3,
      moving_from: null,
      commit: { lr: 3.16e-3, n: 1_000_000 },
    });
    vi.advanceTimersByTime(1000);
    expect(model.sent).toHaveLength(1);
  });

  test("is not drawn as chosen until the kernel has answered", () => {
    const model = new FakeModel({ kind: "pick" });
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-2.5));
    view.pointer("up");
    expect(view.label()).toBe("3.16e-03");
    expect(view.is("hollow")).toBe(true);
    model.fromKernel({ received: model.lastCommit.n });
    expect(view.label()).toBe("lr = 3.16e-03");
    expect(view.is("hollow")).toBe(false);
  });

  test("stays on the axis", () => {
    const model = new FakeModel({ low: 1.2345e-7 });
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", -5000);
    expect(view.plot.style.getPropertyValue("--fraction")).toBe("0");
    view.pointer("up");
    expect(model.lastCommit.lr).toBe(1.24e-7);
  });

  test("is put back by Escape, wherever the focus is, and picks nothing", () => {
    const model = new FakeModel({ kind: "pick" });
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1));
    vi.advanceTimersByTime(100);
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(view.label()).toBe("lr = 1.00e-03");
    expect(model.sent.at(-1)).toEqual({ lr: 1e-3, moving_from: null });
    view.pointer("move", x_at(0));
    view.pointer("up", x_at(0));
    expect(view.label()).toBe("lr = 1.00e-03");
    expect(model.lastCommit).toEqual({});
  });

  test.each(["cancel", "lostcapture"])("is put back when the pointer is lost: %s", (how) => {
    const model = new FakeModel({ kind: "pick" });
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1));
    if (how === "cancel") view.pointer("cancel");
    else view.handle.dispatchEvent(new PointerEvent("lostpointercapture", { pointerId: 1 }));
    expect(view.label()).toBe("lr = 1.00e-03");
    expect(model.lastCommit).toEqual({});
  });

  test("is not disturbed by the kernel, which has its way when it is put back", () => {
    const model = new FakeModel({ kind: "candidate" });
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1));
    model.fromKernel({ lr: 5e-4 });
    expect(view.label()).toBe("1.00e-01");
    view.key("Escape");
    expect(view.label()).toBe("candidate 5.00e-04");
  });

  test("shows in every view of the marker", () => {
    const model = new FakeModel({ kind: "pick" });
    const [one, two] = [show(model), show(model)];
    one.pointer("down", x_at(-3));
    one.pointer("move", x_at(-2));
    expect(two.label()).toBe("1.00e-02");
    expect(two.is("moving")).toBe(true);
    one.pointer("up");
    model.fromKernel({ received: model.lastCommit.n });
    expect([one.label(), two.label()]).toEqual(["lr = 1.00e-02", "lr = 1.00e-02"]);
  });

  test("needs the first button of the first pointer", () => {
    const view = show(new FakeModel());
    view.pointer("down", x_at(-3), { button: 2 });
    view.pointer("move", x_at(-1));
    view.pointer("down", x_at(-3), { isPrimary: false });
    view.pointer("move", x_at(-1));
    expect(view.log10()).toBeCloseTo(-3, 9);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1), { pointerId: 2 });
    expect(view.log10()).toBeCloseTo(-3, 9);
  });

  test("of a figure without width changes nothing", () => {
    const view = show(new FakeModel());
    view.plot.getBoundingClientRect = () => new DOMRect(0, 0, 0, 0);
    view.pointer("down", 0);
    view.pointer("move", 50);
    expect(view.label()).toBe("1.00e-03");
  });

  test("that the page did not live to see the end of is undone by the next page", () => {
    const model = new FakeModel({ lr: 0.5, moving_from: 1e-3 });
    marker.initialize({ model });
    expect(model.sent).toEqual([{ lr: 1e-3, moving_from: null }]);
  });
});

describe("a click", () => {
  test.each(["candidate", "start"])("on a %s chooses it, rounded", (kind) => {
    const model = new FakeModel({ kind, lr: 0.0031622 });
    const view = show(model);
    view.pointer("down", x_at(-2.5));
    view.pointer("move", x_at(-2.5) + 2);
    view.pointer("up", x_at(-2.5) + 2);
    expect(model.lastCommit.lr).toBe(3.16e-3);
  });

  test("on a pick changes nothing, not even its further digits", () => {
    const model = new FakeModel({ kind: "pick", lr: 0.0031622 });
    const view = show(model);
    view.pointer("down", x_at(-2.5));
    view.pointer("up", x_at(-2.5));
    expect(model.sent).toEqual([]);
    expect(model.get("lr")).toBe(0.0031622);
  });
});

describe("the keyboard", () => {
  test("moves at once and picks when the key comes up", () => {
    const model = new FakeModel();
    const view = show(model);
    const event = view.key("ArrowRight");
    expect(event.defaultPrevented).toBe(true);
    expect(view.label()).toBe("1.12e-03");
    expect(view.is("moving")).toBe(true);
    expect(model.lastCommit).toEqual({});
    view.key("ArrowRight", {}, "keyup");
    expect(model.lastCommit.lr).toBe(1.12e-3);
  });

  test("picks once for a key that is held", () => {
    const model = new FakeModel();
    const view = show(model);
    for (let i = 0; i < 20; i++) view.key("ArrowRight", { repeat: i > 0 });
    view.key("ArrowRight", {}, "keyup");
    expect(model.lastCommit.lr).toBe(1e-2);
    expect(model.sent.filter((message) => "commit" in message)).toHaveLength(1);
  });

  test("makes a decade of twenty steps, although each is rounded", () => {
    const model = new FakeModel();
    const view = show(model);
    for (let i = 0; i < 20; i++) {
      view.key("ArrowUp");
      view.key("ArrowUp", {}, "keyup");
    }
    expect(model.lastCommit.lr).toBe(1e-2);
  });

  test("picks when the focus leaves before the key comes up", () => {
    const model = new FakeModel();
    const view = show(model);
    view.key("PageUp");
    view.handle.dispatchEvent(new FocusEvent("blur"));
    expect(model.lastCommit.lr).toBe(1e-2);
  });

  test("puts back with Escape", () => {
    const model = new FakeModel({ kind: "pick" });
    const view = show(model);
    view.key("End");
    view.key("Escape");
    view.key("End", {}, "keyup");
    expect(view.label()).toBe("lr = 1.00e-03");
    expect(model.lastCommit).toEqual({});
  });

  test.each(["Enter", " "])("chooses where it stands: %j", (key) => {
    const model = new FakeModel({ kind: "candidate", lr: 0.0031622 });
    const view = show(model);
    view.key(key);
    view.key(key, { repeat: true });
    expect(model.lastCommit.lr).toBe(3.16e-3);
    expect(model.sent).toHaveLength(1);
  });

  test("tells equal picks apart, also when the clock is put back", () => {
    const model = new FakeModel();
    const view = show(model);
    view.key("Enter");
    const first = model.lastCommit;
    vi.setSystemTime(5);
    view.key("Enter");
    expect(model.lastCommit.lr).toBe(first.lr);
    expect(model.lastCommit.n).toBe(first.n + 1);
  });

  test("does nothing at the end of the axis", () => {
    const model = new FakeModel({ kind: "pick", lr: 10 });
    const view = show(model);
    view.key("ArrowRight");
    view.key("ArrowRight", {}, "keyup");
    expect(model.sent).toEqual([]);
  });

  test("leaves saving, running and other keys to the page", () => {
    const model = new FakeModel();
    const view = show(model);
    expect(view.key("s", { ctrlKey: true }).defaultPrevented).toBe(false);
    expect(view.handle.dataset["lmSuppressShortcuts"]).toBeUndefined();
    expect(view.key("Enter", { shiftKey: true }).defaultPrevented).toBe(false);
    expect(view.handle.dataset["lmSuppressShortcuts"]).toBeUndefined();
    expect(view.key("d").defaultPrevented).toBe(false);
    expect(view.handle.dataset["lmSuppressShortcuts"]).toBe("true");
    expect(view.key("ArrowRight", { ctrlKey: true }).defaultPrevented).toBe(false);
    expect(model.sent).toEqual([]);
  });
});

describe("a marker that cannot be moved", () => {
  test("is one that the kernel has disabled", () => {
    const model = new FakeModel({ disabled: true });
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1));
    view.key("End");
    expect(view.label()).toBe("1.00e-03");
    expect([view.aria("disabled"), view.handle.tabIndex]).toEqual(["true", -1]);
    model.fromKernel({ disabled: false });
    expect([view.aria("disabled"), view.handle.tabIndex]).toEqual(["false", 0]);
  });

  test("is one whose kernel is gone", () => {
    const model = new FakeModel();
    const view = show(model);
    model.view = { model: { comm_live: false } };
    model.trigger("comm_live_update");
    expect(view.is("dead")).toBe(true);
    expect(view.aria("disabled")).toBe("true");
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1));
    expect(view.label()).toBe("1.00e-03");
    model.view = { model: { comm_live: true } };
    model.trigger("comm_live_update");
    expect(view.is("dead")).toBe(false);
  });

  test("is one from a saved notebook that never had a kernel", () => {
    const el = document.createElement("div");
    el.className = "jupyter-widgets-disconnected";
    marker.render({ model: new FakeModel(), el });
    expect(el.querySelector(".lrf-dead")).not.toBeNull();
  });
});

describe("taking a view away", () => {
  test("leaves no element, listener or timer behind", () => {
    const model = new FakeModel();
    const view = show(model);
    const other = show(model);
    expect(model.listenerCount).toBeGreaterThan(0);
    view.remove();
    other.remove();
    expect(view.el.childElementCount).toBe(0);
    expect(view.el.className).toBe("");
    expect(model.listenerCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    view.key("ArrowRight");
    view.pointer("down", x_at(-3));
    expect(model.sent).toEqual([]);
  });

  test("in the middle of a drag puts the marker back", () => {
    const model = new FakeModel();
    const view = show(model);
    view.pointer("down", x_at(-3));
    view.pointer("move", x_at(-1));
    vi.advanceTimersByTime(100);
    view.remove();
    expect(model.sent.at(-1)).toEqual({ lr: 1e-3, moving_from: null });
  });
});

describe("the candidates on the axis", () => {
  const ticksOf = (view: ReturnType<typeof show>) =>
    [...view.el.querySelectorAll<HTMLElement>(".lrf-tick")].map((tick) => ({
      tick,
      name: tick.textContent,
      log10: 8 * (Number.parseFloat(tick.style.left) / 100) - 7,
    }));

  test("stand where they are, with their names, from low to high", () => {
    const ticks = { minimum: 0.1, steepest: 1e-3, far: 1e5, bad: "<b>" };
    const view = show(new FakeModel({ ticks }));
    expect(ticksOf(view).map(({ name }) => name)).toEqual(["steepest", "minimum"]);
    expect(ticksOf(view)[0]?.log10).toBeCloseTo(-3, 9);
    expect(ticksOf(view)[1]?.log10).toBeCloseTo(-1, 9);
  });

  test("follow the kernel and the axis", () => {
    const model = new FakeModel({ ticks: { steepest: 1e-3 } });
    const view = show(model);
    model.fromKernel({ low: 1e-4, high: 1e4 });
    expect(ticksOf(view)[0]?.log10).toBeCloseTo(-6, 9); // an eighth of the way
    model.fromKernel({ ticks: {} });
    expect(ticksOf(view)).toEqual([]);
  });

  test("close ones are above each other, and each where it is", () => {
    // An axis of 8 decades, drawn 800 pixels wide: a tenth of a decade is 10 pixels.
    const close = { a: 1e-3, b: 10 ** -2.95, c: 10 ** -2.92, d: 10 ** -2.89, e: 10 ** -2 };
    const view = show(new FakeModel({ ticks: close }));
    expect(ticksOf(view).map(({ tick }) => tick.style.bottom)).toEqual(
      ["0px", "10px", "20px", "0px", "0px"], // the fourth has room beside the first
    );
    expect(ticksOf(view)[1]?.log10).toBeCloseTo(-2.95, 9);
  });

  test("a name is text, whatever it holds", () => {
    const view = show(new FakeModel({ ticks: { "<img src=x>": 1e-3 } }));
    expect(view.el.querySelector("img")).toBeNull();
    expect(ticksOf(view)[0]?.name).toBe("<img src=x>");
  });

  test("a click puts the marker there, as a candidate, unless the kernel is gone", () => {
    const model = new FakeModel({ ticks: { steepest: 0.01, minimum: 0.1 }, kind: "pick" });
    const view = show(model);
    ticksOf(view)[0]?.tick.click();
    expect(model.sent).toEqual([{ lr: 0.01, kind: "candidate" }]);
    expect(view.label()).toBe("candidate 1.00e-02");
    model.view.model.comm_live = false;
    model.trigger("comm_live_update");
    ticksOf(view)[1]?.tick.click();
    expect(model.sent).toHaveLength(1);
  });

  test("a click waits for the pick before it, which would put the marker back", () => {
    const model = new FakeModel({ ticks: { steepest: 0.01 } });
    const view = show(model);
    view.key("Home");
    view.key("Home", {}, "keyup");
    const { lr, n } = model.lastCommit;
    ticksOf(view)[0]?.tick.click();
    expect(model.values["lr"]).toBe(lr);
    model.fromKernel({ lr, kind: "pick" });
    expect(model.values["lr"]).toBe(lr);
    model.fromKernel({ received: n });
    expect(model.values).toMatchObject({ lr: 0.01, kind: "candidate" });
    expect(model.sent.at(-1)).toEqual({ lr: 0.01, kind: "candidate" });
  });

  test("a gesture after the click makes it forgotten", () => {
    const model = new FakeModel({ ticks: { steepest: 0.01 } });
    const view = show(model);
    view.key("Home");
    view.key("Home", {}, "keyup");
    ticksOf(view)[0]?.tick.click();
    view.key("End");
    view.key("End", {}, "keyup");
    model.fromKernel({ received: model.lastCommit.n });
    expect(model.values["lr"]).toBe(10);
  });

  test("are hidden from screen readers, who have the buttons", () => {
    const view = show(new FakeModel({ ticks: { steepest: 1e-3 } }));
    expect(view.el.querySelector(".lrf-ticks")?.getAttribute("aria-hidden")).toBe("true");
    expect(view.el.querySelectorAll(".lrf-ticks [tabindex]")).toHaveLength(0);
  });
});
