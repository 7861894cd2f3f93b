import { expect, test, vi } from "vitest";
import { findBqplot } from "../src/bqplot.ts";
import { sceneOf } from "../src/scene.ts";
import { bytes, FakeFinder, READY } from "./fake.ts";

const PARTS = [
  ...["figure", "x", "y", "unit", "x_axis", "y_axis", "band", "repeats"],
  ...["solid", "dashed", "dash_dotted", "dots", "line"],
];
const IDS = Object.fromEntries(PARTS.map((part) => [part, `id-${part}`]));

function bqplot() {
  const told: [string, Record<string, unknown>][] = [];
  const relayout = vi.fn();
  const heard = new Map<string, Map<string, () => void>>();
  /** As Backbone does, whoever sets it. */
  const changed = (part: string, state: Record<string, unknown>) => {
    told.push([part, state]);
    for (const key of Object.keys(state)) heard.get(part)?.get(`change:${key}`)?.();
  };
  const get_model = async (id: string) => ({
    on(name: string, callback: () => void) {
      const part = id.slice(3);
      heard.set(part, (heard.get(part) ?? new Map()).set(name, callback));
    },
    off: (name: string) => heard.get(id.slice(3))?.delete(name),
    set_state: (state: Record<string, unknown>) => changed(id.slice(3), state),
    views: id === "id-figure" ? { one: Promise.resolve({ relayout }) } : {},
  });
  const model = new FakeFinder({
    figure: IDS,
    chart: {
      ...{ ...READY.chart, y: [0, 3] },
      dots: { x: bytes(1e-3, 1e-2), y: bytes(2, 1) },
      line: { x: bytes(1e-3, 1e-2), y: bytes(2, 1) },
    },
    runs: [0, 1, 2].map((key) => ({
      ...{ key, name: "", style: key, shown: key > 0, current: false, latest: false },
      line: { x: bytes(1e-3, 1e-2), y: bytes(2, 1) },
    })),
  });
  model.widget_manager = { get_model };
  const last = (part: string) => told.filter(([name]) => name === part).at(-1)?.[1];
  const onLoss = vi.fn();
  const controller = new AbortController();
  const find = () => findBqplot(model, IDS, onLoss, controller.signal);
  return { model, told, last, relayout, changed, onLoss, controller, find };
}

test("bqplot's models get axes, lines and dots", async () => {
  const { model, last, find } = bqplot();
  const driver = await find();
  driver?.draw(sceneOf(model, null), 700);
  expect(last("x")).toEqual({ min: 1e-7, max: 10 });
  expect(last("y_axis")).toMatchObject({ num_ticks: null });
  const color = "var(--accent)";
  expect(last("line")).toEqual({
    ...{ x: [Float64Array.of(1e-3, 1e-2)], y: [Float64Array.of(2, 1)] },
    ...{ colors: [color], opacities: [1] },
  });
  expect(last("dots")).toEqual({
    ...{ x: [Float64Array.of(1e-3, 1e-3, 1e-2)], y: [Float64Array.of(2, Number.NaN, 1)] },
    ...{ colors: [color], opacities: [0.65] },
  });
  expect(last("solid")).toMatchObject({ x: [], y: [] }); // hidden
  expect(last("dashed")).toMatchObject({ x: [Float64Array.of(1e-3, 1e-2)], colors: ["#009e73"] });
  expect(last("dash_dotted")).toMatchObject({ colors: ["#cc79a7"] });
});

test("what has not changed is not set again", async () => {
  const { model, told, find } = bqplot();
  const driver = await find();
  driver?.draw(sceneOf(model, null), 700);
  const before = told.length;
  driver?.draw(sceneOf(model, null), 700);
  expect(told).toHaveLength(before);
  const chart = model.get("chart") as Record<string, unknown>;
  model.kernel({ chart: { ...chart, dots: { x: bytes(1e-3), y: bytes(2) } } });
  driver?.draw(sceneOf(model, null), 700);
  expect(told.slice(before).map(([part]) => part)).toEqual(["dots"]);
});

test("what a kernel that is connected anew takes away is drawn again, and only that", async () => {
  const { model, told, changed, onLoss, controller, find } = bqplot();
  const driver = await find();
  driver?.draw(sceneOf(model, null), 700);
  expect(onLoss).not.toHaveBeenCalled();
  changed("line", { x: [], y: [], colors: ["steelblue"] });
  changed("x", { min: null, max: null });
  changed("x_axis", { tick_values: null, color: null });
  expect(onLoss).toHaveBeenCalledTimes(3);
  const before = told.length;
  driver?.draw(sceneOf(model, null), 700);
  expect(told.slice(before).map(([part]) => part)).toEqual(["x", "x_axis", "line"]);
  expect(told.at(-2)?.[1]).toMatchObject({ color: "var(--ink)" });
  controller.abort();
  changed("line", { x: [], y: [] });
  expect(onLoss).toHaveBeenCalledTimes(3);
});

test("another view of the same figure that draws takes nothing away", async () => {
  const { model, onLoss, find } = bqplot();
  const [one, other] = [await find(), await find()];
  one?.draw(sceneOf(model, null), 700);
  other?.draw(sceneOf(model, null), 400);
  expect(onLoss).not.toHaveBeenCalled();
});

test("a figure of another width, or with other margins, is laid out at once", async () => {
  const { model, last, relayout, find } = bqplot();
  const driver = await find();
  const draw = async (width_px: number) => {
    driver?.draw(sceneOf(model, null), width_px);
    await Promise.resolve();
    return relayout.mock.calls.length;
  };
  expect(await draw(700)).toBe(1);
  expect(await draw(700)).toBe(1);
  expect(await draw(600)).toBe(2);
  const metric = { name: "a", y: [0.5, 0.500001], line: {} };
  model.kernel({ chart: { ...(model.get("chart") as object), metric } });
  expect(await draw(600)).toBe(3);
  expect(last("figure")?.["fig_margin"]).toMatchObject({ right: 33 + 8 * "0.5000002".length });
});

test("a model that cannot be had means that the page draws", async () => {
  const { model, find } = bqplot();
  model.widget_manager = { get_model: () => Promise.reject(new Error("not found")) };
  expect(await find()).toBeNull();
  model.widget_manager = { get_model: () => undefined };
  expect(await find()).toBeNull();
  delete model.widget_manager;
  expect(await find()).toBeNull();
});
