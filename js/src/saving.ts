/** Buttons that save the chart, or the runs on it, as a file. */

import { button, make } from "./dom.ts";
import type { Page } from "./parts.ts";

const KINDS = {
  svg: "The chart as a vector graphic",
  png: "The chart as a bitmap",
  csv: "All runs as a table",
  json: "All runs in full precision",
};

export function addSaving(page: Page, root: Element): HTMLElement {
  const panel = make("div", "lrf-panel lrf-saving", root);
  const bar = make("div", "lrf-group", panel);
  for (const [kind, about] of Object.entries(KINDS)) {
    button(bar, "", () => page.send({ save: kind }), page.refuse).show(
      kind.toUpperCase(),
      "save",
      about,
    );
  }
  return panel;
}
