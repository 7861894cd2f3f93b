/** A marker by itself, over any chart in the same grid cell: the widget `LRMarker`. */

import { answerIfClicked } from "./downloads.ts";
import type { Kind } from "./format.ts";
import { isDisconnected, showKernel, watchKernel } from "./kernel.ts";
import { addMarker } from "./marker.ts";
import { fields, type Model, number, numbers } from "./model.ts";

const LOOK_FOR_CHART_MS = 10_000;
const LOOK_EVERY_MS = 100;

export function renderAlone(model: Model, el: HTMLElement): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  const marker = addMarker(model, el, {
    place: "lr",
    drawn: ["low", "high", "scale", "lr", "weak", "curve_lrs", "curve_losses"],
    ticked: ["ticks", "low", "high", "scale", "margin"],
    axis: () => ({
      low: number(model.get("low")),
      high: number(model.get("high")),
      scale: model.get("scale") === "linear" ? "linear" : "log",
    }),
    kind() {
      const kind = model.get("kind") as Kind;
      return kind === "candidate" && model.get("weak") === true ? "weak" : kind;
    },
    curve: () => ({
      lrs: numbers(model.get("curve_lrs")),
      losses: numbers(model.get("curve_losses")),
    }),
    ticks: () => model.get("ticks"),
    margin: (side) => number(fields(model.get("margin"))[side]),
  });
  const findRoot = () => el.closest<HTMLElement>(".lrf-finder");
  answerIfClicked(model, findRoot, signal);
  watchKernel(model, !isDisconnected(el), signal, (kernel) => {
    marker.dead(kernel !== "live");
    const root = findRoot();
    if (root !== null) showKernel(root, kernel);
  });
  whenChartIsThere(el, signal, () => {
    if (model.get("ready") === true) return;
    model.set("ready", true);
    model.save_changes();
  });
  return () => {
    marker.remove();
    controller.abort();
  };
}

/** Calls `found` once the chart is drawn, which may be before or after the marker. */
function whenChartIsThere(el: HTMLElement, signal: AbortSignal, found: () => void): void {
  const start_ms = performance.now();
  let timer: ReturnType<typeof setTimeout>;
  const look = () => {
    if (el.parentElement?.querySelector(".bqplot")) found();
    else if (performance.now() - start_ms < LOOK_FOR_CHART_MS) {
      timer = setTimeout(look, LOOK_EVERY_MS);
    }
  };
  timer = setTimeout(look, 0);
  signal.addEventListener("abort", () => clearTimeout(timer));
}
