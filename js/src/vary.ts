/** What to vary besides the learning rate. */

import { hide, make, sayOrHide } from "./dom.ts";
import { fieldsOf, text } from "./model.ts";
import { blockBoxes, button, type Page, select, setting, showStart, whenSet } from "./parts.ts";
import { isActive } from "./state.ts";

const SETTINGS = {
  weight_decay: "weight decay",
  momentum: "momentum",
  batch_size: "batch size",
  optimizer: "optimizer",
};

export function addVary(page: Page, bar: Element): void {
  const { model } = page;
  const boxes = [
    select(page, bar, "vary", "vary", SETTINGS),
    setting(page, bar, "vary_values", "values", "long"),
    select(page, bar, "vary_2", "and", { "": "nothing else", ...SETTINGS }),
  ];
  const second = setting(page, bar, "vary_2_values", "values", "long");
  const run = button(page, bar, "live", { click: "vary" });
  const cost = make("span", "muted", bar);
  blockBoxes(page, bar.parentElement, "vary_settings", [...boxes, second]);
  whenSet(page, "vary_2", (value) => hide(second.parentElement ?? second, !value));
  page.when(["vary_cost"], () => sayOrHide(cost, text(model.get("vary_cost"))));
  page.when(["varied"], () => {
    showStart(run, isActive(fieldsOf(model, "varied")["state"]), "Vary");
  });
}
