import { afterEach, expect, test } from "vitest";
import { bytes, FakeFinder, READY } from "./fake.ts";
import { show } from "./shown.ts";

afterEach(() => document.body.replaceChildren());

const LINE = { x: bytes(1e-3, 1e-2), y: bytes(2, 1) };

function varied(rows: string[][], more = {}) {
  const head = ["momentum", "candidate", "turns up after", "lowest loss"];
  return {
    ...{ state: "finished", text: "Done.", x: [1e-4, 1], x_log: true, y: [0, 3], y_log: false },
    lines: rows.map((_, style) => ({ style, line: LINE, dot: { x: bytes(), y: bytes() } })),
    ...{ heads: 1, table: [head, ...rows], map: [] },
    ...more,
  };
}

const panelOf = (el: Element) => el.querySelector<HTMLElement>("[aria-label='Tests compared']");
const cells = (table: Element | undefined) =>
  [...(table?.querySelectorAll("tr") ?? [])].map((row) =>
    [...row.children].map((cell) => [cell.localName, cell.textContent]),
  );

test("tests are a chart and a table, whose rows have the lines' colours", () => {
  const model = new FakeFinder();
  const { el, all } = show(model);
  expect(panelOf(el)?.hidden).toBe(true);
  const rows = [
    ["0", "3.16e-03, weak", "1.00e-01", "1.00"],
    ["<b>1</b>", "running", "", ""],
  ];
  model.kernel({ varied: varied(rows, { state: "running" }) });
  expect(panelOf(el)?.hidden).toBe(false);
  expect(panelOf(el)?.querySelectorAll("path.line").length).toBeGreaterThan(1);
  expect(all("table")).toHaveLength(1);
  const [head, first, second] = cells(all("table")[0]);
  expect(head?.map(([name]) => name)).toEqual(["th", "th", "th", "th"]);
  expect(first?.map(([, text]) => text)).toEqual(rows[0]);
  expect(first?.map(([name]) => name)).toEqual(["th", "td", "td", "td"]);
  expect(second?.[0]).toEqual(["th", "<b>1</b>"]);
  expect(all("table th[scope=row] .lrf-swatch")).toHaveLength(2);
  const kept = all("table")[0];
  model.kernel({ varied: varied(rows) });
  expect(all("table")[0]).toBe(kept); // only the lines have changed
  model.kernel({ varied: {} });
  expect(panelOf(el)?.hidden).toBe(true);
});

test("tests by two settings also have a map, with more colour where it is higher", () => {
  const map = [
    [
      ["", null],
      ["8", null],
      ["64", null],
    ],
    [
      ["0", null],
      ["1.00e-04", 0],
      ["1.00e-03", 1],
    ],
    [
      ["0.9", null],
      ["none", null],
      ["", null],
    ],
  ];
  const table = [["momentum", "batch size", "candidate"]];
  const model = new FakeFinder({ varied: varied([], { heads: 2, table, map }) });
  const shown = show(model).all("table")[1];
  expect(shown?.querySelector("caption")?.textContent).toBe(
    "Candidate by momentum (down) and batch size (across)",
  );
  expect(cells(shown).map((row) => row.map(([name]) => name).join(" "))).toEqual([
    "td th th",
    "th td td",
    "th td td",
  ]);
  expect([...(shown?.querySelectorAll("th[scope=row]") ?? [])]).toHaveLength(2);
  const shares = [...(shown?.querySelectorAll<HTMLElement>("tr + tr td") ?? [])].map((cell) =>
    cell.style.getPropertyValue("--share"),
  );
  expect(shares).toEqual(["10%", "50%", "", ""]);
});

test("what to vary is set up, run, stopped and blocked", () => {
  const settings = { ...READY.settings, vary: "momentum", vary_values: "0, 0.9", vary_2: "" };
  const model = new FakeFinder({ settings, blocked: {}, vary_cost: "at most 200 steps" });
  const { el, all, named, box, type } = show(model);
  const hidden = () =>
    all<HTMLElement>("label")
      .filter((each) => each.textContent === "values")
      .map((each) => each.hidden);
  expect(hidden()).toEqual([false, true]);
  expect(box("vary").value).toBe("momentum");
  expect(el.textContent).toContain("at most 200 steps");
  model.messages.length = 0;
  type("values", "0.5");
  const second = box("and");
  expect(second.querySelector("option[value=optimizer]")?.textContent).toBe("optimizer");
  second.value = "batch_size";
  second.dispatchEvent(new Event("change"));
  named("Vary").click();
  expect(model.messages).toEqual([
    { set: { vary_values: "0.5" } },
    { set: { vary_2: "batch_size" } },
    { click: "vary" },
  ]);
  model.kernel({
    settings: { ...settings, vary_2: "batch_size" },
    blocked: { vary_settings: "Wait." },
    varied: varied([], { state: "running" }),
  });
  expect(hidden()).toEqual([false, false]);
  expect(box("values").readOnly).toBe(true);
  expect(box("vary").disabled).toBe(true);
  named("Stop").click();
  expect(model.messages.at(-1)).toEqual({ click: "vary" });
  model.kernel({ blocked: { vary: "It has none." }, varied: {} });
  named("Vary").click();
  expect(model.messages).toHaveLength(4);
  expect(named("Vary").title).toBe("It has none.");
});

test("the chart without a point is out of the way of tests that have some", () => {
  const model = new FakeFinder();
  const { el } = show(model);
  const isAlone = () => el.querySelector(".lrf-alone") !== null;
  expect(isAlone()).toBe(false); // there is nothing else
  model.kernel({ varied: varied([["0", "", "", ""]]) });
  expect(isAlone()).toBe(true);
  model.kernel({ chart: { ...READY.chart, y: [0, 3] } });
  expect(isAlone()).toBe(false);
});
