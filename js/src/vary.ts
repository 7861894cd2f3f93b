/** What to vary besides the learning rate. */

import { hide, make, sayOrHide } from "./dom.ts";
import { fieldsOf, text } from "./model.ts";
import { block, button, type Page, select, setting, showStart, whenSet } from "./parts.ts";
import { blockedBy, isActive } from "./state.ts";

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
  const note = make("p", "note", bar.parentElement);
  whenSet(page, "vary_2", (value) => hide(second.parentElement ?? second, !value));
  page.when(["vary_cost"], () => sayOrHide(cost, text(model.get("vary_cost"))));
  page.when(["blocked", "varied"], () => {
    const active = isActive(fieldsOf(model, "varied")["state"]);
    showStart(run, active, "Vary", blockedBy(model, "vary"));
    const why = blockedBy(model, "vary_settings");
    sayOrHide(note, why);
    for (const box of [...boxes, second]) block(box, why);
  });
}
