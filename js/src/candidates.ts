/** Below the chart: a button for each candidate, and the training that they are for. */

import { hide, make, put, rows } from "./dom.ts";
import { formatLr } from "./format.ts";
import { fieldsOf, maybe, text } from "./model.ts";
import { button, type Page } from "./parts.ts";
import { drawSchedule } from "./schedule.ts";
import { type Candidate, readingOf } from "./state.ts";

export function addCandidates(page: Page, root: Element, setUpTraining: () => void): void {
  const { model } = page;
  const bar = make("div", "bar candidates", root);
  const names = { role: "group", "aria-label": "candidates" };
  const group = make("div", "group", bar, "", names);
  make("span", "muted", group, "candidates", { "aria-hidden": true });
  const showAll = rows<Candidate>(
    group,
    ([rule]) => rule,
    ([rule]) => {
      let lr = 0;
      const chip = button(page, group, "chip", () => page.marker().place(lr));
      return {
        element: chip.element,
        show(now) {
          lr = now[1];
          const about = `Move the marker to the candidate of the rule "${rule}"`;
          chip.show(`${rule} ${formatLr(lr)}`, "", about);
          const isHere = model.get("kind") === "candidate" && model.get("position") === lr;
          put(chip.element, { "aria-current": isHere });
        },
      };
    },
  );
  const plan = button(page, bar, "plan bare", setUpTraining).element;
  plan.title = "The training that the candidate is for: click to change it";

  page.when(["reading", "position", "kind"], () => {
    const { candidates } = readingOf(model);
    showAll(candidates);
    hide(group, candidates.length === 0);
  });
  page.when(["planned"], () => {
    const { schedule, steps, lr } = fieldsOf(model, "planned");
    hide(plan, !text(schedule));
    drawSchedule(plan, { decays: schedule === "decay", steps: maybe(steps), lr: maybe(lr) });
  });
}
