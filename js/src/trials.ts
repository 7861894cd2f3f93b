/** Trial runs: which learning rates to try, their losses, and what came out. */

import { addChart, type Chart } from "./chart.ts";
import { button, hide, make, put, say } from "./dom.ts";
import { formatLr } from "./format.ts";
import { isReactive } from "./kernel.ts";
import { look, swatch } from "./lines.ts";
import { fields, text } from "./model.ts";
import { field, type Page, typedBox } from "./parts.ts";
import { general, lossTicks, roundTicks } from "./scales.ts";
import type { Marker } from "./source.ts";
import { blockedBy, type Trials, trialsOf } from "./state.ts";

/** The share of the axis on either side, so that the dots at both ends are whole. */
const SIDE = 0.008;
const HEIGHT_PX = 258;
const TOP_PX = 12;

export function addTrials(
  page: Page,
  root: Element,
  marker: () => Marker,
  open: () => void,
): HTMLElement {
  const { model } = page;
  const panel = make("div", "lrf-panel lrf-trials", root);
  const bar = make("div", "lrf-bar lrf-live", panel);
  const lrs = field(bar, "learning rates", "lrf-lrs");
  lrs.placeholder = "1e-3, 3e-3, 1e-2";
  const runs = make("div", "lrf-group", bar);
  const steps = field(runs, "steps", "lrf-short");
  const set = (key: string) => (value: unknown) => page.send({ set: { [key]: value } });
  const boxes = {
    trial_lrs: typedBox(lrs, set("trial_lrs")),
    trial_steps: typedBox(steps, set("trial_steps")),
  };
  const run = button(runs, "", () => page.send({ click: "try" }), page.refuse);
  let winner: number | null = null;
  const pickWinner = () => {
    // Only what is saved runs cells again.
    if (winner !== null && isReactive(panel)) marker().pick(winner);
    else page.send({ click: "take" });
  };
  const take = button(runs, "", pickWinner, page.refuse);
  const cost = make("span", "lrf-muted", bar);
  const note = make("p", "lrf-note", panel);
  const box = make("div", "lrf-trials-chart", panel);
  const options = { name: "Loss of the trial runs over their steps", xLabel: "step" };
  const sizes = { height_px: HEIGHT_PX, top_px: TOP_PX };
  const chart = addChart(box, { ...options, ...sizes }, page.signal);
  const legend = make("ul", "lrf-names", panel);
  const said = make("p", "lrf-said", panel);

  page.when(["settings"], () => {
    const settings = fields(model.get("settings"));
    for (const [key, each] of Object.entries(boxes)) each.show(settings[key]);
  });
  page.when(["trial_cost"], () => say(cost, text(model.get("trial_cost"))));
  page.when(["blocked"], () => {
    const why = blockedBy(model, "trial_settings");
    say(note, why);
    hide(note, !why);
    for (const input of [lrs, steps]) {
      input.readOnly = why !== "";
      put(input, "aria-disabled", why ? "true" : null);
      put(input, "title", why || null);
    }
  });
  let wasEmpty = true;
  page.when(["trials", "blocked"], () => {
    const trials = trialsOf(model);
    const active = trials?.active === true;
    run.element.classList.toggle("lrf-primary", !active);
    run.show(active ? "Stop" : "Run", active ? "stop" : "play").block(blockedBy(model, "try"));
    winner = trials?.take ?? null;
    hide(take.element, winner === null);
    take.show(winner === null ? "" : `Use ${formatLr(winner)}`, "check", "Pick this learning rate");
    take.block(blockedBy(model, "take"));
    for (const part of [box, legend, said]) hide(part, trials === null);
    if (trials !== null) {
      // Read out once, when they have ended, and not at each step.
      put(said, "aria-live", trials.active ? "off" : "polite");
      say(said, trials.text);
      drawNames(legend, trials);
      if (wasEmpty) open();
      chart.draw(sceneOf(trials));
    }
    wasEmpty = trials === null;
  });
  return panel;
}

function drawNames(legend: HTMLElement, trials: Trials): void {
  const names = trials.lines.map(({ name, style }) => `${style} ${name}`).join("\n");
  if (legend.dataset["names"] === names) return;
  legend.dataset["names"] = names;
  const made = trials.lines.map(({ name, style }) => {
    const item = make("li", "");
    swatch(style, item);
    make("span", "", item, name);
    return item;
  });
  legend.replaceChildren(...made);
}

function sceneOf({ steps, y, lines }: Trials): Parameters<Chart["draw"]>[0] {
  return {
    x: {
      ...{ low: -SIDE * steps, high: (1 + SIDE) * steps, log: false },
      ticks: () => roundTicks(0, steps).filter(Number.isInteger),
      format: String,
    },
    y: y && {
      ...{ low: y[0], high: y[1], log: false, ticks: () => lossTicks(...y, false) },
      format: (loss) => general(loss, 6),
    },
    band: null,
    strokes: [
      ...lines.map(({ style, line }) => ({ key: `${style}`, line, width: 2, ...look(style) })),
      ...lines.map(({ style, heldOut }) => ({
        ...{ key: `${style} between`, line: heldOut, width: 1, ...look(style) },
        dashes: "dotted" as const,
      })),
      ...lines.map(({ style, heldOut }) => ({
        ...{ key: `${style} held out`, line: heldOut, colour: look(style).colour },
        ...{ width: 8, dots: true },
      })),
    ],
  };
}
