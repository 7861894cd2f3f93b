/** The whole finder: its parts, from top to bottom, and what they share. */

import { addCandidates } from "./candidates.ts";
import { MARGIN } from "./chart.ts";
import { guardKeys, make } from "./dom.ts";
import { answerIfClicked } from "./downloads.ts";
import { greet, isDisconnected, type Kernel, showKernel, watchKernel } from "./kernel.ts";
import { addLegend } from "./legend.ts";
import { addMarker } from "./marker.ts";
import { changes, listen, type Model, tolerant } from "./model.ts";
import type { Page } from "./parts.ts";
import { addPick } from "./pick.ts";
import { addReplay } from "./replay.ts";
import { addSaving } from "./saving.ts";
import { pictureOf } from "./scene.ts";
import { addSettings } from "./settings.ts";
import type { Marker } from "./source.ts";
import { axisOf, curveOf, kindOf, readingOf } from "./state.ts";
import { addStatus, type Status } from "./status.ts";
import { addSurface } from "./surface.ts";
import { addFold, addToolbar } from "./toolbar.ts";
import { addTrials } from "./trials.ts";

const ADOPT_EVERY_MS = 20;

export function renderPage(given: Model, el: HTMLElement): () => void {
  const model = tolerant(given);
  const controller = new AbortController();
  const { signal } = controller;
  const findRoot = () => el.parentElement?.closest<HTMLElement>(".lrf-finder") ?? el;
  const parts = make("div", "lrf-parts");

  const when: Page["when"] = (names, show) => {
    listen(model, changes(...names), show, signal);
    show();
  };
  let status: Status | undefined;
  const page: Page = {
    ...{ model, signal, when },
    send: (content) => model.send?.(content),
    refuse: (why) => status?.refuse(why),
  };
  let marker: Marker;
  const { folds, bar } = addToolbar(page, parts);
  const settings = addSettings(page, parts);
  const saving = addSaving(page, parts);
  const stage = make("div", "lrf-stage", parts);
  const overlay = make("div", "", parts);
  const pick = addPick(page, parts, () => marker);
  addCandidates(
    page,
    parts,
    () => marker,
    () => {
      setUp.open(true);
      settings.trainSteps.focus();
    },
  );
  status = addStatus(page, parts);
  addLegend(page, parts);
  let tryOut: { open(isOpen: boolean): void } | undefined;
  let isTrying = false;
  const openTrials = () => {
    isTrying = true;
    tryOut?.open(true);
  };
  const trials = addTrials(page, parts, () => marker, openTrials);
  const setUp = addFold(page, folds, settings.panel, [
    "Set up",
    "sliders",
    "Range, number of points and repeats of the next run; length of the training",
  ]);
  tryOut = addFold(page, folds, trials, [
    "Try",
    "flask",
    "Train a few hundred steps with each of several learning rates and compare",
  ]);
  tryOut.open(isTrying);
  addFold(page, folds, saving, [
    "Save",
    "save",
    "Save the chart as a picture, or the runs as a table",
  ]);

  const stays = [...parts.children];
  el.classList.add("lrf-page");
  el.append(...stays);

  marker = addMarker(model, overlay, {
    place: "position",
    drawn: ["chart", "position", "reading"],
    ticked: ["chart", "reading"],
    axis: () => axisOf(model),
    kind: () => kindOf(model, readingOf(model).weak),
    curve: () => curveOf(model),
    ticks: () => Object.fromEntries(readingOf(model).candidates),
    margin: (side) => MARGIN[side as keyof typeof MARGIN],
    shown: (lr) => pick.at(lr),
  });

  const surface = addSurface(model, stage, findRoot, signal);
  let kernel: Kernel = "live";
  const draw = () => {
    surface.draw(pictureOf(model, replay.cut()));
    overlay.classList.toggle("lrf-away", replay.cut() !== null);
  };
  const replay = addReplay(page, bar, draw);
  when(["chart", "repeats", "runs", "reading"], draw);

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
    el.classList.toggle("lrf-finder", isRoot);
    if (!isRoot) el.querySelector(":scope > .lrf-gone-note")?.remove();
    if (kernel !== "live") showKernel(findRoot(), kernel);
  }

  return () => {
    marker.remove();
    clearTimeout(timer);
    controller.abort();
    for (const element of stays) element.remove();
    el.querySelector(":scope > .lrf-gone-note")?.remove();
    el.classList.remove("lrf-page", "lrf-finder", "lrf-gone", "lrf-static", "lrf-draws");
  };
}
