/** Trial runs: which learning rates to try, their losses, and what came out. */

import { addChart, lossAxis, type Scene } from "./chart.ts";
import { hide, make, rows, say, sayAtEnd } from "./dom.ts";
import { formatLr } from "./format.ts";
import { isReactive } from "./kernel.ts";
import { dotsOfRun, lineOfRun, swatch } from "./lines.ts";
import { type Fields, fields, fieldsOf, lineOf, list, maybe, number, text } from "./model.ts";
import { addFold, blockBoxes, button, type Page, setting, showStart } from "./parts.ts";
import { roundTicks } from "./scales.ts";
import { axisFrom, blockedBy, isActive } from "./state.ts";

/** The share of the axis on either side, so that the dots at both ends are whole. */
const SIDE = 0.008;

export function addTrials(page: Page, root: Element, folds: Element): void {
  const { model } = page;
  const panel = make("div", "panel trials", root);
  const bar = make("div", "bar live", panel);
  const lrs = setting(page, bar, "trial_lrs", "learning rates", "lrs");
  lrs.placeholder = "1e-3, 3e-3, 1e-2";
  const actions = make("div", "group", bar);
  const steps = setting(page, actions, "trial_steps", "steps", "short");
  const run = button(page, actions, "", { click: "try" });
  let winner: number | null = null;
  const take = button(page, actions, "", () => {
    // Only what is saved runs cells again.
    if (winner !== null && isReactive(panel)) page.marker().pick(winner);
    else page.send({ click: "take" });
  });
  const cost = make("span", "muted", bar);
  blockBoxes(page, panel, "trial_settings", [lrs, steps]);
  const results = make("div", "", panel);
  const name = "Loss of the trial runs over their steps";
  const chart = addChart(results, { name, xLabel: "step" }, page.signal);
  const showNames = rows<Trial>(
    make("ul", "names", results),
    ({ name, style }) => `${style} ${name}`,
    ({ name, style }) => {
      const element = make("li", "");
      element.append(swatch(style), make("span", "", null, name));
      return { element };
    },
  );
  const said = make("p", "", results);
  const open = addFold(
    page,
    folds,
    panel,
    "Try",
    "flask",
    "Train a few hundred steps with each of several learning rates and compare",
  );

  page.when(["trial_cost"], () => say(cost, text(model.get("trial_cost"))));
  let wasEmpty = true;
  page.when(["trials", "blocked"], () => {
    const trials = fieldsOf(model, "trials");
    const isEmpty = !trials["state"];
    const isRunning = isActive(trials["state"]);
    showStart(run, isRunning, "Run");
    winner = maybe(trials["take"]);
    hide(take.element, winner === null);
    take.show(`Use ${formatLr(winner ?? 0)}`, "check", "Pick this learning rate");
    take.block(blockedBy(model, "take"));
    hide(results, isEmpty);
    if (!isEmpty) {
      sayAtEnd(said, text(trials["text"]), isRunning);
      const lines = list(trials["lines"]).map(trialOf);
      showNames(lines);
      if (wasEmpty) open(true);
      chart.draw(sceneOf(trials, lines));
    }
    wasEmpty = isEmpty;
  });
}

function trialOf(value: unknown) {
  const { name, style, line, held_out } = fields(value);
  return {
    ...{ name: text(name), style: number(style) || 0 },
    ...{ line: lineOf(line), heldOut: lineOf(held_out) },
  };
}

type Trial = ReturnType<typeof trialOf>;

function sceneOf(trials: Fields, lines: readonly Trial[]): Scene {
  const steps = number(trials["steps"]) || 1;
  return {
    x: {
      ...{ low: -SIDE * steps, high: (1 + SIDE) * steps, log: false },
      ticks: () => roundTicks(0, steps).filter(Number.isInteger),
      format: String,
    },
    y: lossAxis(axisFrom(trials["y"], false)),
    strokes: [
      ...lines.map(({ style, line }) => lineOfRun(style, line)),
      ...lines.map(({ style, heldOut }) => ({
        ...lineOfRun(style, heldOut),
        ...{ key: `${style} between`, width: 1, dashes: "dotted" as const },
      })),
      ...lines.map(({ style, heldOut }) => dotsOfRun(style, heldOut, 8)),
    ],
  };
}
