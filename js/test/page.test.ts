import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import finder from "../src/index.ts";
import { paceText } from "../src/toolbar.ts";
import { bytes, FakeFinder, READY } from "./fake.ts";
import { RUN, show } from "./shown.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe("a page", () => {
  test("says hello once, and draws the chart itself where there is no figure", () => {
    const model = new FakeFinder({ chart: RUN });
    const { el, all } = show(model);
    expect(model.messages).toEqual([{ hello: 1 }]);
    expect(el.classList.contains("lrf-finder")).toBe(true);
    const paths = all(".lrf-figure path.line").map((path) => path.getAttribute("d") ?? "");
    expect(Math.max(...paths.map((d) => d.split("Z").length - 1))).toBe(3);
    expect(all(".lrf-figure g.axis")[0]?.textContent).toBe("1e-71e-61e-51e-41e-31e-21e-11e+01e+1");
  });

  test("taken away leaves no element, listener, class or timer behind", () => {
    const model = new FakeFinder({ chart: RUN, figure: { x: "gone" } });
    const { el, remove } = show(model);
    remove();
    expect(el.childElementCount).toBe(0);
    expect(el.className).toBe("");
    expect(model.listenerCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("inside the finder's box has no box of its own", () => {
    const box = document.createElement("div");
    box.className = "lrf-finder";
    const el = document.createElement("div");
    box.append(el);
    const model = new FakeFinder();
    finder.render({ model, el });
    document.body.append(box); // ipywidgets puts it into the page later
    vi.advanceTimersByTime(100);
    expect(el.className).toBe("lrf-page");
  });

  test("waits two seconds for bqplot's figure, then draws", async () => {
    const model = new FakeFinder({ chart: RUN, figure: { x: "missing" } });
    model.widget_manager = { get_model: () => Promise.reject(new Error("not found")) };
    const { all } = show(model);
    await vi.advanceTimersByTimeAsync(1500);
    expect(all(".lrf-chart[aria-label^=Loss\\ over]")).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1000);
    expect(all(".lrf-own")).toHaveLength(1);
  });

  test.each([
    ...[null, undefined, 3, "x", [], {}, { x: "no" }].map((nonsense) => [nonsense] as const),
  ])("bears %j for every trait", (nonsense) => {
    const names = Object.keys(READY).filter((name) => name !== "chart");
    const model = new FakeFinder(Object.fromEntries(names.map((name) => [name, nonsense])));
    model.values["chart"] = nonsense ?? {};
    expect(() => show(model)).not.toThrow();
  });

  test("shows text as text", () => {
    const markup = "<b>x</b>";
    const model = new FakeFinder({
      status: {
        ...READY.status,
        text: markup,
        problem: markup,
        unrestored: [markup],
        traceback: markup,
      },
      picked: { ...READY.picked, text: markup, about: markup },
      reading: { candidates: { [markup]: 1e-3 }, band: null, weak: false },
      runs: [{ key: 1, name: markup, style: 0, shown: true }],
    });
    expect(show(model).el.querySelector("b")).toBeNull();
  });
});

describe("clicks", () => {
  test("are messages", () => {
    const model = new FakeFinder({ blocked: {} });
    const { named } = show(model);
    model.messages.length = 0;
    for (const name of ["Start", "Pause", "Apply", "Narrow", "Run", "CSV"]) named(name).click();
    expect(model.messages).toEqual([
      ...["start", "pause", "apply", "narrow", "try"].map((click) => ({ click })),
      { save: "csv" },
    ]);
  });

  test("on what cannot work say why, and do nothing", () => {
    const model = new FakeFinder();
    const { named, said } = show(model);
    const pause = named("Pause");
    expect(pause.getAttribute("aria-disabled")).toBe("true");
    expect(pause.title).toBe("Nothing is running");
    pause.click();
    expect(model.messages).toEqual([{ hello: 1 }]);
    expect(said()).toContain("Nothing is running");
    model.kernel({ status: { ...READY.status, state: "running" }, blocked: {} });
    expect(said()).not.toContain("Nothing is running");
    expect(named("Stop").textContent).toBe("Stop");
    named("Pause").click();
    expect(model.messages).toHaveLength(2);
  });

  test("on Use pick where the marker stands", () => {
    const model = new FakeFinder({ position: 0.0031622 });
    show(model).named("Use").click();
    expect(model.saved.at(-1)).toEqual({
      position: 3.16e-3,
      commit: { lr: 3.16e-3, n: 1_000_000 },
    });
  });

  test("on a candidate move the marker there", () => {
    const model = new FakeFinder({
      reading: { candidates: { valley: 0.01, minimum: 0.1 }, band: null, weak: false },
    });
    const { named, all } = show(model);
    named("minimum 1.00e-01").click();
    expect(model.saved).toEqual([{ position: 0.1, kind: "candidate" }]);
    all(".lrf-tick")[0]?.click();
    expect(model.values["position"]).toBe(0.01);
  });
});

describe("boxes", () => {
  test("tell what is typed, once", () => {
    const model = new FakeFinder();
    const { type } = show(model);
    type("from", "1e-4");
    expect(model.messages.slice(1)).toEqual([{ set: { start_lr: "1e-4" } }]);
    type("from", "1e-07");
    expect(model.messages).toHaveLength(3); // back to what the kernel had before
  });

  test("never write over what is being typed", () => {
    const model = new FakeFinder();
    const { box } = show(model);
    const from = box("from");
    from.focus();
    from.value = "1e-";
    from.dispatchEvent(new Event("input"));
    model.kernel({ settings: { ...READY.settings, start_lr: "5e-5", end_lr: "2" } });
    expect([from.value, box("to").value]).toEqual(["1e-", "2"]);
  });

  test("show the marker's number, and refuse what is none", () => {
    const model = new FakeFinder();
    const { box, type } = show(model);
    type("learning rate", "<b>fast</b>");
    expect(model.messages.at(-1)).toEqual({ type: "<b>fast</b>" });
    expect(box("learning rate").value).toBe("1.00e-03");
    type("learning rate", "0.00316");
    expect(box("learning rate").value).toBe("0.00316");
    model.kernel({ position: 3.16e-3 });
    vi.advanceTimersByTime(100);
    expect(box("learning rate").value).toBe("3.16e-03");
  });

  test("cannot be edited while they are blocked", () => {
    const model = new FakeFinder({ blocked: { settings: "Wait until the run has ended" } });
    const { el, box } = show(model);
    expect([box("from").readOnly, box("training steps").readOnly]).toEqual([true, false]);
    expect(el.querySelector(".lrf-note")?.textContent).toBe("Wait until the run has ended");
  });
});

describe("the runs", () => {
  const run = (key: number, more = {}) => ({
    ...{ key, name: `run ${key}`, style: key, shown: true, current: false, latest: false },
    ...{ line: { x: bytes(1e-3, 1e-2), y: bytes(2, 1) }, ...more },
  });

  test("can be hidden, named, chosen and removed", () => {
    const model = new FakeFinder({ runs: [run(7), run(8, { current: true, latest: true })] });
    const { all, named } = show(model);
    model.messages.length = 0;
    all<HTMLInputElement>(".lrf-run input[type=checkbox]")[0]?.click();
    named("choose").click();
    named("Remove run 7 from the chart").click();
    named("Remove run 8 from the chart").click(); // the latest stays
    expect(model.messages).toEqual([
      { run: 7, shown: false },
      { run: 7, do: "choose" },
      { run: 7, do: "remove" },
    ]);
    const lines = all(".lrf-figure path.line").length;
    model.kernel({ runs: [run(7, { shown: false }), run(8, { current: true })] });
    expect(all(".lrf-figure path.line")).toHaveLength(lines - 1);
  });

  test("that stay keep their row, and the focus in it", () => {
    const model = new FakeFinder({ runs: [run(1), run(2, { current: true, latest: true })] });
    const { all } = show(model);
    const name = all<HTMLInputElement>(".lrf-run input[type=text]")[1];
    name?.focus();
    model.kernel({ runs: [run(2, { current: true, latest: true })] });
    expect(all(".lrf-run")).toHaveLength(1);
    expect(document.activeElement).toBe(name);
  });
});

test("trial runs open their panel by themselves, once", () => {
  const model = new FakeFinder();
  const { el, named } = show(model);
  const panel = el.querySelector<HTMLElement>(".lrf-trials");
  expect(panel?.hidden).toBe(true);
  const trials = { state: "finished", steps: 2, text: "Done.", y: [0, 1], lines: [], take: 0.01 };
  model.kernel({ trials });
  expect(panel?.hidden).toBe(false);
  named("Use 1.00e-02").click();
  expect(model.messages.at(-1)).toEqual({ click: "take" });
  named("Try").click();
  model.kernel({ trials: { ...trials, text: "Again." } });
  expect(panel?.hidden).toBe(true);
});

describe("without a kernel", () => {
  test("that was there everything is out of reach but the note", () => {
    const model = new FakeFinder({ chart: RUN });
    const { el, all } = show(model);
    model.view.model.comm_live = false;
    model.trigger("comm_live_update");
    model.trigger("comm_live_update");
    expect(el.querySelectorAll(":scope > :not([inert])")).toHaveLength(1);
    expect(all(".lrf-gone-note")[0]?.textContent).toMatch(/^The kernel is gone/);
    expect(el.querySelector<HTMLElement>(".lrf-replay")?.hidden).toBe(true);
    model.view.model.comm_live = true;
    model.trigger("comm_live_update");
    expect(all(":scope > [inert], .lrf-gone-note")).toHaveLength(0);
  });

  test("a finished run can be stepped through", () => {
    const model = new FakeFinder({ chart: RUN });
    delete model.send;
    const { el, all } = show(model);
    expect(all(".lrf-gone-note")[0]?.textContent).toBe("A saved page: nothing can be run here.");
    const dots = () =>
      Math.max(
        ...all(".lrf-figure path").map((p) => (p.getAttribute("d") ?? "").split("Z").length - 1),
      );
    const slider = el.querySelector<HTMLInputElement>(".lrf-replay input");
    if (slider === null) throw new Error("no slider");
    expect(dots()).toBe(3);
    slider.value = "2";
    slider.dispatchEvent(new Event("input"));
    expect(dots()).toBe(2);
  });
});

test("a drag that a page did not live to see the end of is undone by the next page", () => {
  const model = new FakeFinder({ position: 0.5, moving_from: 1e-3 });
  finder.initialize({ model });
  expect(model.saved).toEqual([{ position: 1e-3, moving_from: null }]);
});

test("the pace is told in words", () => {
  expect(paceText(0, 100, null)).toBe("0 / 100");
  expect(paceText(57, 100, 20)).toBe("57 / 100 · 20 steps/s · 2 s left");
  expect(paceText(1, 4000, 0.5)).toBe("1 / 4000 · 2 s/step · 2 h 13 min left");
  expect(paceText(57, 0, 20)).toBe("57 · 20 steps/s");
  expect(paceText(100, 100, 57.3)).toBe("100 / 100 · 57 steps/s");
});

describe("files and the clipboard", () => {
  function watch() {
    const saved: { name: string; href: string }[] = [];
    const blobs: Blob[] = [];
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
      this: HTMLAnchorElement,
    ) {
      saved.push({ name: this.download, href: this.href });
    });
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
      blobs.push(blob as Blob);
      return "blob:of-the-test";
    });
    return { saved, blobs };
  }
  const message = { download: "runs.csv", type: "text/csv", text: "run,lr\n<b>,1" };

  afterEach(() => vi.restoreAllMocks());

  test("a text is saved where somebody has clicked, as it is", async () => {
    const { saved, blobs } = watch();
    const model = new FakeFinder();
    show(model).named("CSV").click();
    model.trigger("msg:custom", message);
    expect(saved).toEqual([{ name: "runs.csv", href: "blob:of-the-test" }]);
    expect(await blobs[0]?.text()).toBe(message.text);
    expect(blobs[0]?.type).toBe("text/csv");
  });

  test("a page that was not clicked does nothing", () => {
    const { saved } = watch();
    const model = new FakeFinder();
    show(model);
    document.body.click();
    model.trigger("msg:custom", message);
    expect(saved).toEqual([]);
  });

  test("what makes no sense does nothing", () => {
    const { saved } = watch();
    const model = new FakeFinder();
    show(model).named("CSV").click();
    for (const content of [undefined, null, 3, {}, { download: 3 }]) {
      model.trigger("msg:custom", content);
    }
    expect(saved).toEqual([]);
  });
});
