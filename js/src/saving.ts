/** Buttons that save the chart, or the runs on it, as a file. */

import { make } from "./dom.ts";
import { addFold, button, type Page } from "./parts.ts";

const KINDS = {
  svg: "The chart as a vector graphic",
  png: "The chart as a bitmap",
  csv: "All runs as a table",
  json: "All runs in full precision",
};

export function addSaving(page: Page, root: Element, folds: Element): void {
  const panel = make("div", "panel", root);
  const bar = make("div", "group", panel);
  for (const [kind, about] of Object.entries(KINDS)) {
    button(page, bar, "", { save: kind }).show(kind.toUpperCase(), "", about);
  }
  addFold(
    page,
    folds,
    panel,
    "Save",
    "save",
    "Save the chart as a picture, or the runs as a table",
  );
}
