import { afterEach, describe, expect, test } from "vitest";
import { bytes, FakeFinder, READY } from "./fake.ts";
import { RUN, show } from "./shown.ts";

const LRS = bytes(1e-3, 1e-2, 1e-1);
const line = (...y: number[]) => ({ x: LRS, y: bytes(...y) });
const DIAGNOSIS = {
  gradient: { lines: [line(2, 1, 5)], y: [0.5, 10] },
  update: {
    lines: [line(1e-5, 1e-4, 1e-3), line(1e-4, 1e-3, 1e-2), line(1e-3, 1e-2, 1e-1)],
    ...{ y: [1e-6, 1], guide: 1e-3, marks: [0.02, 0.05] },
  },
  text: "The norm of the gradient is 2 at first.",
};

afterEach(() => document.body.replaceChildren());

const parts = (model: FakeFinder) => {
  const shown = show(model);
  const [box] = shown.all<HTMLDetailsElement>(".lrf-why");
  if (box === undefined) throw new Error("no panel");
  return { ...shown, box };
};

describe("why a curve turns", () => {
  test("is away as long as nothing was measured", () => {
    const model = new FakeFinder({ chart: RUN, diagnosis: {} });
    const { box } = parts(model);
    expect(box.hidden).toBe(true);
    model.kernel({ diagnosis: DIAGNOSIS });
    expect(box.hidden).toBe(false);
    model.kernel({ diagnosis: {} });
    expect(box.hidden).toBe(true);
  });

  test("is two charts on the axis of the curve, in words too", () => {
    const { box } = parts(new FakeFinder({ chart: RUN, diagnosis: DIAGNOSIS }));
    const charts = [...box.querySelectorAll(".lrf-chart")];
    expect(charts.map((chart) => chart.getAttribute("aria-label"))).toEqual([
      "The gradient",
      "The update",
    ]);
    expect(charts.every((chart) => chart.getAttribute("role") === "img")).toBe(true);
    expect(box.querySelector("summary")?.textContent).toBe("Why it turns");
    expect(box.querySelector("p")?.textContent).toBe(DIAGNOSIS.text);
    const paths = charts.map((chart) =>
      [...chart.querySelectorAll("path.line")].map((path) => path.getAttribute("d")),
    );
    expect(paths[0]?.filter(Boolean)).toHaveLength(1); // no level, which is only the update's
    expect(paths[1]?.filter(Boolean)).toHaveLength(1 + 3 + 2);
    const widths = [...(charts[1]?.querySelectorAll("path.line") ?? [])].map((path) =>
      path.getAttribute("stroke-width"),
    );
    expect(widths).toEqual(["1.5", "1", "2.5", "1", "1.5", "1.5"]);
  });

  test("marks each critical learning rate with an upright line on the axis", () => {
    const { box } = parts(new FakeFinder({ chart: RUN, diagnosis: DIAGNOSIS }));
    const marks = [...box.querySelectorAll("path.line")].slice(-2);
    for (const mark of marks) {
      const [x0, y0, x1, y1] = (mark.getAttribute("d")?.match(/[\d.]+/g) ?? []).map(Number);
      expect(x1).toBe(x0);
      expect(y0).toBeGreaterThan(y1 ?? 0);
    }
    expect(marks[0]?.getAttribute("d")).not.toBe(marks[1]?.getAttribute("d"));
  });

  test.each([null, 3, "x", [], { text: "x" }, { text: "x", gradient: 1, update: { lines: 3 } }])(
    "bears %j",
    (diagnosis) => {
      expect(() => show(new FakeFinder({ diagnosis }))).not.toThrow();
    },
  );

  test("is turned on by a box that a run keeps", () => {
    const model = new FakeFinder({ settings: { ...READY.settings, diagnose: false } });
    const { box } = show(model);
    const input = box("why it turns");
    expect(input.checked).toBe(false);
    input.click();
    expect(model.messages.at(-1)).toEqual({ set: { diagnose: true } });
    model.kernel({ settings: { ...READY.settings, diagnose: true } });
    expect(input.checked).toBe(true);
    const said = model.messages.length;
    model.kernel({ blocked: { settings: "A test is running." } });
    expect(input.title).toBe("A test is running.");
    input.click();
    expect(model.messages).toHaveLength(said);
    expect(input.checked).toBe(true);
  });
});
