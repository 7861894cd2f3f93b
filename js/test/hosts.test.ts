import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeFinder, READY } from "./fake.ts";
import { RUN, show } from "./shown.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("a host that lacks something", () => {
  test("whose model raises errors, as MyST's does, is a saved page that can be replayed", () => {
    const model = new FakeFinder({ chart: RUN, status: { ...READY.status, state: "finished" } });
    const raise = () => {
      throw new Error("not implemented");
    };
    Object.assign(model, { send: raise, off: raise, save_changes: raise });
    Object.defineProperty(model, "widget_manager", { get: raise });
    const { el, named, remove } = show(model);
    expect(el.querySelector(".lrf-gone-note")?.textContent).toContain("A saved page");
    expect(named("Play").hidden).toBe(false);
    expect(remove).not.toThrow();
  });

  test("whose buffers are plain bytes, as Colab's, is drawn alike", () => {
    const plain = (...numbers: number[]) => new Uint8Array(new Float64Array(numbers).buffer);
    const dots = { x: plain(1e-3, 1e-2, 1e-1), y: plain(2, 1, 5) };
    const drawn = (values: object) => {
      const { all } = show(new FakeFinder({ chart: { ...RUN, ...values } }));
      return all(".lrf-figure path.line").map((path) => path.getAttribute("d"));
    };
    expect(drawn({ dots, line: dots })).toEqual(drawn({}));
  });

  describe("and runs cells again at each change, as marimo does,", () => {
    const reactive = (model: FakeFinder) => {
      const host = document.createElement("marimo-anywidget");
      document.body.append(host);
      return show(model, host.attachShadow({ mode: "open" }));
    };

    test("is told of picks with the marker only", () => {
      const model = new FakeFinder({ chart: RUN, position: 1e-3 });
      const { el } = reactive(model);
      const save = vi.spyOn(model, "save_changes");
      const handle = el.querySelector<HTMLElement>(".lrf-handle");
      handle?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
      vi.advanceTimersByTime(1000);
      expect(save).not.toHaveBeenCalled();
      handle?.dispatchEvent(new KeyboardEvent("keyup", { key: "ArrowRight" }));
      expect(save).toHaveBeenCalledTimes(1);
      expect(model.get("commit")).toMatchObject({ lr: model.get("position") });
    });

    test("is told of a number that was typed, also one beyond the axis", () => {
      const model = new FakeFinder({ chart: RUN, position: 1e-3 });
      const { type } = reactive(model);
      const save = vi.spyOn(model, "save_changes");
      type("learning rate", "123.456");
      expect(save).toHaveBeenCalledTimes(1);
      expect(model.get("commit")).toMatchObject({ lr: 123 });
      type("learning rate", "-1");
      expect(save).toHaveBeenCalledTimes(1);
      expect(model.messages.at(-1)).toEqual({ type: "-1" });
    });

    test("is told of the winner of trial runs", () => {
      const model = new FakeFinder({ chart: RUN, position: 1e-3 });
      const { named } = reactive(model);
      const ended = { state: "finished", steps: 2, text: "Done.", y: [0, 1], lines: [] };
      model.kernel({ trials: { ...ended, take: 0.01 } });
      const save = vi.spyOn(model, "save_changes");
      named("Use 1.00e-02").click();
      expect(save).toHaveBeenCalledTimes(1);
      expect(model.get("commit")).toMatchObject({ lr: 0.01 });
    });
  });
});
