/** The row below the chart: the number, taking it, what was picked, and applying it. */

import { hide, make, on, say } from "./dom.ts";
import { copy } from "./downloads.ts";
import { formatLr } from "./format.ts";
import { isReactive } from "./kernel.ts";
import { changes, fieldsOf, listen, number, text } from "./model.ts";
import { block, button, type Page, textField, typedBox } from "./parts.ts";
import { blockedBy } from "./state.ts";

const SHOW_EVERY_MS = 40;

/** Returns what shows where the marker is. */
export function addPick(page: Page, root: Element): (lr: number) => void {
  const { model } = page;
  const bar = make("div", "bar pick", root);
  const choose = make("div", "group live", bar);
  const input = textField(choose, "learning rate");
  input.inputMode = "decimal";
  const box = typedBox(input, (typed) => {
    const lr = Number(typed);
    const isNumber = lr > 0 && lr < Infinity;
    // Only what is saved runs cells again.
    if (isNumber && isReactive(input)) page.marker().pick(lr);
    else page.send({ type: typed });
    // What is no number is not kept; the status line says what was typed.
    if (!isNumber) box.reset();
  });
  const actions = make("div", "group", choose);
  const use = button(page, actions, "", () => page.marker().pick());
  use.show("Use", "check", "Pick the learning rate at the marker");
  const apply = button(page, actions, "", { click: "apply" });
  const written = make("div", "group", bar);
  const code = make("code", "", written);
  const assigned = make("span", "", code);
  const about = make("span", "about", code);
  const unpicked = make("span", "muted", written);
  const line = button(page, written, "bare", async () => {
    await copy(text(fieldsOf(model, "picked")["code"]));
    say(copied, "copied");
  }).show("", "copy", "Copy this line of code");
  const copied = make("span", "muted", written, "", { "aria-live": "polite" });

  page.when(["picked", "blocked"], () => {
    const picked = fieldsOf(model, "picked");
    const origin = text(picked["about"]);
    const content = text(picked["text"]);
    say(assigned, content);
    say(about, origin && `  # ${origin}`);
    hide(code, !content);
    say(unpicked, origin ? "" : `${content && "unchanged; "}nothing picked yet`);
    hide(line.element, !text(picked["code"]));
    say(copied, "");
    const optimizer = `${text(picked["optimizer"])} optimizer`;
    if (picked["applied"] === true) {
      apply.show("Undo", "undo", `Restore the previous learning rate of the ${optimizer}`);
    } else {
      apply.show("Apply", "apply", `Set the picked learning rate on the ${optimizer} of this test`);
    }
    use.block(blockedBy(model, "use"));
    block(input, blockedBy(model, "use"));
  });
  page.when(["status", "received"], box.reset);
  // Not at once: a drag must not wait for the layout of the box.
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lr = number(model.get("position"));
  const show = () => {
    timer = undefined;
    box.show(Number.isFinite(lr) ? formatLr(lr) : "");
  };
  const at = (now: number) => {
    lr = now;
    timer ??= setTimeout(show, SHOW_EVERY_MS);
  };
  show();
  on(page.signal, "abort", () => clearTimeout(timer));
  listen(model, changes("position"), () => at(number(model.get("position"))), page.signal);
  return at;
}
