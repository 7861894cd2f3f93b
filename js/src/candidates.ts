/** Below the chart: a button for each candidate, and the training that they are for. */

import { type Button, button, hide, make, put } from "./dom.ts";
import { formatLr } from "./format.ts";
import { fields, maybe, text } from "./model.ts";
import type { Page } from "./parts.ts";
import { drawSchedule } from "./schedule.ts";
import type { Marker } from "./source.ts";
import { readingOf } from "./state.ts";

export function addCandidates(
  page: Page,
  root: Element,
  marker: () => Marker,
  setUpTraining: () => void,
): void {
  const { model } = page;
  const bar = make("div", "lrf-bar lrf-candidates", root);
  const group = make("div", "lrf-group", bar);
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "candidates");
  const label = make("span", "lrf-muted", group, "candidates");
  label.setAttribute("aria-hidden", "true");
  const buttons = new Map<string, Button>();
  const plan = button(bar, "lrf-plan lrf-bare", setUpTraining, page.refuse);

  page.when(["reading", "position", "kind"], () => {
    const { candidates } = readingOf(model);
    const here = model.get("kind") === "candidate" ? model.get("position") : null;
    for (const [rule, chip] of buttons) {
      if (candidates.some(([name]) => name === rule)) continue;
      chip.element.remove();
      buttons.delete(rule);
    }
    for (const [rule, lr] of candidates) {
      let chip = buttons.get(rule);
      if (chip === undefined) {
        const act = () => {
          const now = readingOf(model).candidates.find(([name]) => name === rule);
          if (now) marker().place(now[1]);
        };
        chip = button(group, "lrf-chip", act, page.refuse);
        buttons.set(rule, chip);
      }
      chip.show(
        `${rule} ${formatLr(lr)}`,
        "",
        `Move the marker to the candidate of the rule "${rule}"`,
      );
      put(chip.element, "aria-current", here === lr ? "true" : null);
    }
    const inOrder = candidates.map(([rule]) => buttons.get(rule)?.element);
    if (inOrder.some((element, i) => element !== group.children[i + 1])) {
      for (const element of inOrder) if (element) group.append(element);
    }
    hide(group, candidates.length === 0);
  });
  page.when(["planned"], () => {
    const planned = fields(model.get("planned"));
    const schedule = text(planned["schedule"]);
    hide(plan.element, !schedule);
    drawSchedule(plan.element, {
      decays: schedule === "decay",
      steps: maybe(planned["steps"]),
      lr: maybe(planned["lr"]),
    });
    plan.element.title = "The training that the candidate is for: click to change it";
  });
}
