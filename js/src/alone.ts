/** A marker by itself, over any chart in the same grid cell: the widget `LRMarker`. */

import { guardKeys, on } from "./dom.ts";
import { answerIfClicked } from "./downloads.ts";
import { isDisconnected, showKernel, watchKernel } from "./kernel.ts";
import { addMarker } from "./marker.ts";
import { fieldsOf, type Model, number, numbers } from "./model.ts";
import { candidatesOf, kindOf } from "./state.ts";

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
      log: model.get("scale") !== "linear",
    }),
    kind: () => kindOf(model, model.get("weak") === true),
    curve: () => ({
      lrs: numbers(model.get("curve_lrs")),
      losses: numbers(model.get("curve_losses")),
    }),
    ticks: () => candidatesOf(model.get("ticks")),
    margin: (side) => number(fieldsOf(model, "margin")[side]),
  });
  const findRoot = () => el.closest<HTMLElement>(".lrf-finder");
  guardKeys(el, signal);
  answerIfClicked(model, findRoot, signal);
  watchKernel(model, !isDisconnected(el), signal, (kernel) => {
    marker.dead(kernel !== "live");
    const root = findRoot();
    if (root) showKernel(root, kernel);
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
  on(signal, "abort", () => clearTimeout(timer));
}
