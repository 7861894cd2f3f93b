/** A marker by itself, over any chart in the same grid cell: the widget `LRMarker`. */

import { guardKeys } from "./dom.ts";
import { isDisconnected, watchKernel } from "./kernel.ts";
import { addMarker } from "./marker.ts";
import { fieldsOf, lineFrom, type Model, number } from "./model.ts";
import { candidatesOf, kindOf } from "./state.ts";

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
    line: () => lineFrom(model.get("curve_lrs"), model.get("curve_losses")),
    ticks: () => candidatesOf(model.get("ticks")),
    margin: () => fieldsOf(model, "margin"),
  });
  guardKeys(el, signal);
  watchKernel(model, !isDisconnected(el), signal, (kernel) => marker.dead(kernel !== "live"));
  return () => {
    marker.remove();
    controller.abort();
  };
}
