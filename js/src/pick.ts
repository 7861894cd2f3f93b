/** The row below the chart: the number, taking it, what was picked, and applying it. */

import { button, hide, make, put, say } from "./dom.ts";
import { copy } from "./downloads.ts";
import { formatLr } from "./format.ts";
import { isReactive } from "./kernel.ts";
import { changes, fields, listen, number, text } from "./model.ts";
import { field, type Page, typedBox } from "./parts.ts";
import type { Marker } from "./source.ts";
import { blockedBy } from "./state.ts";

const SHOW_EVERY_MS = 40;

export interface PickRow {
  /** Show where the marker is. */
  at(lr: number): void;
}

export function addPick(page: Page, root: Element, marker: () => Marker): PickRow {
  const { model } = page;
  const bar = make("div", "lrf-bar lrf-pick", root);
  const choose = make("div", "lrf-group lrf-live", bar);
  const input = field(choose, "learning rate", "lrf-lr");
  input.inputMode = "decimal";
  const box = typedBox(input, (typed) => {
    const lr = Number(typed);
    const isNumber = lr > 0 && lr < Number.POSITIVE_INFINITY;
    // Only what is saved runs cells again.
    if (isNumber && isReactive(input)) marker().pick(lr);
    else page.send({ type: typed });
    // What is no number is not kept; the status line says what was typed.
    if (!isNumber) box.reset();
  });
  const use = button(choose, "", () => marker().pick(), page.refuse);
  use.show("Use", "check", "Pick the learning rate at the marker");
  const apply = button(choose, "", () => page.send({ click: "apply" }), page.refuse);
  const written = make("div", "lrf-group", bar);
  const code = make("code", "", written);
  const assigned = make("span", "", code);
  const about = make("span", "lrf-about", code);
  const unpicked = make("span", "lrf-muted", written);
  const line = button(written, "lrf-bare", () => void copyLine(), page.refuse);
  const copied = make("span", "lrf-muted", written);
  copied.setAttribute("aria-live", "polite");
  line.show("", "copy", "Copy this line of code");

  async function copyLine(): Promise<void> {
    await copy(text(fields(model.get("picked"))["code"]));
    say(copied, "copied");
  }

  page.when(["picked", "blocked"], () => {
    const picked = fields(model.get("picked"));
    const origin = text(picked["about"]);
    const content = text(picked["text"]);
    say(assigned, content);
    say(about, origin && `  # ${origin}`);
    hide(code, !content);
    say(unpicked, origin ? "" : content ? "unchanged; nothing picked yet" : "nothing picked yet");
    hide(line.element, !text(picked["code"]));
    say(copied, "");
    const optimizer = text(picked["optimizer"]);
    const applied = picked["applied"] === true;
    apply
      .show(
        applied ? "Undo" : "Apply",
        applied ? "undo" : "apply",
        applied
          ? `Restore the previous learning rate of the ${optimizer} optimizer`
          : `Set the picked learning rate on the ${optimizer} optimizer of this test`,
      )
      .block(blockedBy(model, "apply"));
    use.block(blockedBy(model, "use"));
    const why = blockedBy(model, "use");
    input.readOnly = why !== "";
    put(input, "aria-disabled", why ? "true" : null);
    put(input, "title", why || null);
  });
  page.when(["status", "received"], () => box.reset());
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
  page.signal.addEventListener("abort", () => clearTimeout(timer));
  listen(model, changes("position"), () => at(number(model.get("position"))), page.signal);
  return { at };
}
