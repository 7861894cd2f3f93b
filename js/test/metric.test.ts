import { afterEach, describe, expect, test } from "vitest";
import { bytes, FakeFinder } from "./fake.ts";
import { RUN, show } from "./shown.ts";

const line = (...y: number[]) => ({ x: bytes(1e-3, 1e-2, 1e-1), y: bytes(...y) });
const METRIC = { name: "<b>accuracy", y: [0, 1], line: line(0.25, 0.5, 0.75) };
const FIGURE_PX = 262;

afterEach(() => document.body.replaceChildren());

const shown = (metric: unknown) => {
  const model = new FakeFinder({ chart: { ...RUN, metric }, figure: {}, position: 1e-2 });
  const { el, all } = show(model);
  const path = () => all(".lrf-own path.line").find((one) => /--metric/.test(one.style.cssText));
  const legend = () => all(".lrf-metric")[0];
  return { model, el, all, path, legend };
};

describe("a metric", () => {
  test("is a line on an axis of its own, with its name as text", () => {
    const { el, all, path, legend } = shown(METRIC);
    const d = path()?.getAttribute("d") ?? "";
    const ys = [...d.matchAll(/ (-?[\d.]+)/g)].map(([, y]) => Number(y));
    expect(ys).toHaveLength(3);
    expect((ys[0] ?? 0) - (ys[1] ?? 0)).toBeCloseTo((ys[1] ?? 0) - (ys[2] ?? 0), 0);
    expect(ys[1]).toBeLessThan(FIGURE_PX);
    const names = all(".lrf-own text").map((text) => text.textContent);
    expect(names).toContain("<b>accuracy");
    expect(legend()?.textContent).toBe("<b>accuracy, on the axis to the right");
    expect(el.querySelector("b")).toBeNull();
    const handle = el.querySelector('[role="slider"]');
    expect(handle?.getAttribute("aria-valuetext")).toMatch(/loss 1\.00, <b>accuracy 0\.500$/);
  });

  test("has gaps, and no number where there is none", () => {
    const { el, path } = shown({ ...METRIC, line: line(0.25, Number.NaN, 0.75) });
    expect(path()?.getAttribute("d")?.match(/M/g)).toHaveLength(2);
    const handle = el.querySelector('[role="slider"]');
    expect(handle?.getAttribute("aria-valuetext")).toMatch(/loss 1\.00$/);
  });

  test("is nowhere without one, and makes room for its axis", () => {
    const { model, el, path, legend } = shown(undefined);
    const plot = el.querySelector<HTMLElement>(".lrf-plot");
    expect(path()).toBeUndefined();
    expect(legend()?.hidden).toBe(true);
    expect(plot?.style.inset).toContain("22px");
    model.kernel({ chart: { ...RUN, metric: METRIC } });
    expect(path()).toBeDefined();
    expect(plot?.style.inset).toContain("65px");
    model.kernel({ chart: { ...RUN, metric: { ...METRIC, y: null, line: {} } } });
    expect(path()).toBeUndefined();
    expect(plot?.style.inset).toContain("65px");
  });

  test.each([3, "x", { name: 3, y: "x" }, { name: "", y: [0, 1] }, { name: "a", y: [1], line: 2 }])(
    "that is none does no harm: %j",
    (metric) => expect(() => shown(metric)).not.toThrow(),
  );
});
