/** The whole finder: its parts, from top to bottom, and what they share. */

import { addCandidates } from "./candidates.ts";
import { MARGIN, rightOf } from "./chart.ts";
import { flag, guardKeys, make } from "./dom.ts";
import { answerIfClicked } from "./downloads.ts";
import { greet, isDisconnected, type Kernel, showKernel, watchKernel } from "./kernel.ts";
import { addLegend } from "./legend.ts";
import { addMarker } from "./marker.ts";
import { changes, listen, type Model, tolerant } from "./model.ts";
import type { Page } from "./parts.ts";
import { addPick } from "./pick.ts";
import { addReplay } from "./replay.ts";
import { addSaving } from "./saving.ts";
import { sceneOf } from "./scene.ts";
import { addSettings } from "./settings.ts";
import type { Marker } from "./source.ts";
import { axisOf, chartOf, kindOf, metricOf, readingOf } from "./state.ts";
import { addStatus } from "./status.ts";
import { addSurface } from "./surface.ts";
import { addToolbar } from "./toolbar.ts";
import { addTrials } from "./trials.ts";
import { addVaried } from "./varied.ts";
import { addWhy } from "./why.ts";

const ADOPT_EVERY_MS = 20;

export function renderPage(given: Model, el: HTMLElement): () => void {
  const model = tolerant(given);
  const controller = new AbortController();
  const { signal } = controller;
  const findRoot = () => el.parentElement?.closest<HTMLElement>(".lrf-finder") ?? el;

  let marker: Marker;
  let refuse: Page["refuse"];
  const page: Page = {
    ...{ model, signal, marker: () => marker },
    send: (content) => model.send?.(content),
    refuse: (why) => refuse(why),
    when(names, show) {
      listen(model, changes(...names), show, signal);
      show();
    },
  };
  const above = make("div", "above");
  const stage = make("div", "stage");
  const overlay = make("div", "");
  const below = make("div", "below");
  const { folds, bar } = addToolbar(page, above);
  const setUpTraining = addSettings(page, above, folds);
  addWhy(page, below);
  addCandidates(page, below, setUpTraining);
  const showPlace = addPick(page, below);
  refuse = addStatus(page, below);
  addLegend(page, below);
  addTrials(page, below, folds);
  addVaried(page, below);
  addSaving(page, above, folds);

  const parts = [above, stage, overlay, below];
  flag(el, "page", true);
  el.append(...parts);

  marker = addMarker(model, overlay, {
    place: "position",
    drawn: ["chart", "position", "reading"],
    ticked: ["chart", "reading"],
    axis: () => axisOf(model),
    kind: () => kindOf(model, readingOf(model).weak),
    line: () => chartOf(model).line,
    ticks: () => readingOf(model).candidates,
    metric: () => metricOf(model),
    margin: () => ({ ...MARGIN, right: rightOf(metricOf(model)) }),
    shown: showPlace,
  });

  const surface = addSurface(model, stage, findRoot, signal);
  let kernel: Kernel = "live";
  const draw = () => surface.draw(sceneOf(model, replay.cut()));
  const replay = addReplay(page, bar, draw);
  page.when(["chart", "repeats", "runs", "reading"], draw);

  const isLive = greet(given) && !isDisconnected(el);
  guardKeys(el, signal);
  answerIfClicked(model, findRoot, signal);
  watchKernel(model, isLive, signal, (now) => {
    kernel = now;
    marker.dead(kernel !== "live");
    showKernel(findRoot(), kernel);
    replay.offer(kernel === "static");
    // On a saved page only what needs no kernel can be used: replaying, copying, reading.
    for (const part of el.querySelectorAll(".lrf-candidates, .lrf-legend")) {
      part.toggleAttribute("inert", kernel !== "live");
    }
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  adopt();

  /** Be the finder's box, unless there is one around, which may come after this has returned. */
  function adopt(): void {
    if (!el.isConnected) {
      timer = setTimeout(adopt, ADOPT_EVERY_MS);
      return;
    }
    const isRoot = findRoot() === el;
    flag(el, "finder", isRoot);
    if (!isRoot) showKernel(el, "live");
    if (kernel !== "live") showKernel(findRoot(), kernel);
  }

  return () => {
    marker.remove();
    clearTimeout(timer);
    controller.abort();
    for (const element of parts) element.remove();
    showKernel(el, "live");
    for (const name of ["page", "finder", "draws"]) flag(el, name, false);
  };
}
