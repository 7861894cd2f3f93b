/** What can be set up: the next run, the training that a learning rate is for, and the display. */

import { button, hide, make, put, say } from "./dom.ts";
import { fields, list, text } from "./model.ts";
import { field, type Page, type TypedBox, typedBox } from "./parts.ts";
import { blockedBy } from "./state.ts";

export interface Settings {
  readonly panel: HTMLElement;
  readonly trainSteps: HTMLInputElement;
}

let made = 0;

export function addSettings(page: Page, root: Element): Settings {
  const { model } = page;
  const panel = make("div", "lrf-panel lrf-settings", root);
  const set = (key: string) => (value: unknown) => page.send({ set: { [key]: value } });
  const boxes: [string, TypedBox][] = [];
  const selects: [string, HTMLSelectElement][] = [];
  const checks: [string, HTMLInputElement][] = [];
  const runOnly: (HTMLInputElement | HTMLSelectElement)[] = [];

  const group = (name: string) => {
    const box = make("fieldset", "lrf-fields", panel);
    make("legend", "", box, name);
    return make("div", "lrf-bar", box);
  };
  const textBox = (parent: Element, key: string, label: string, className = "") => {
    const input = field(parent, label, className);
    boxes.push([key, typedBox(input, set(key))]);
    return input;
  };
  const select = (
    parent: Element,
    key: string,
    label: string,
    options: readonly (readonly [string, string])[],
  ) => {
    const box = make("label", "lrf-field", parent);
    make("span", "", box, label);
    const made = make("select", "", box);
    made.dataset["lmSuppressShortcuts"] = "true";
    for (const [value, name] of options) make("option", "", made, name).value = value;
    made.addEventListener("change", () => set(key)(made.value));
    selects.push([key, made]);
    return made;
  };
  const check = (parent: Element, key: string, label: string) => {
    const box = make("label", "lrf-check", parent);
    const input = make("input", "", box);
    input.type = "checkbox";
    make("span", "", box, label);
    input.addEventListener("change", () => set(key)(input.checked));
    checks.push([key, input]);
  };

  const run = group("Next run");
  runOnly.push(
    textBox(run, "start_lr", "from"),
    textBox(run, "end_lr", "to"),
    textBox(run, "num_iter", "points"),
    select(run, "mode", "spacing", [
      ["exp", "exponential"],
      ["linear", "linear"],
    ]),
    textBox(run, "repeats", "repeats", "lrf-short"),
  );
  const narrow = button(run, "", () => page.send({ click: "narrow" }), page.refuse);
  narrow.show(
    "Narrow",
    "narrow",
    "Set the range to where the loss falls, plus a decade on either side",
  );
  const note = make("p", "lrf-note", run.parentElement ?? run);

  const training = group("Your training");
  const trainSteps = textBox(training, "train_steps", "training steps", "lrf-long");
  trainSteps.placeholder = "unknown";
  trainSteps.title = "For how many steps you will train: the more, the lower the candidate";
  const offers = make("datalist", "", training);
  offers.id = `lrf-offers-${made++}`;
  put(trainSteps, "list", offers.id);
  const schedule = select(training, "schedule", "schedule", [
    ["constant", "constant"],
    ["decay", "decays"],
  ]);
  schedule.title = "Whether the learning rate of your training will be constant or decay";

  const display = group("Display");
  check(display, "zoom", "zoom to the run");
  check(display, "log_loss", "logarithmic loss axis");
  const smoothing = field(display, "smoothing %", "lrf-short");
  smoothing.type = "number";
  Object.assign(smoothing, { min: "0", max: "50", step: "5" });
  smoothing.title =
    "Percentage of the points that the line is smoothed over; candidates do not depend on it";
  boxes.push([
    "smoothing",
    typedBox(smoothing, (typed) => {
      const percent = Math.round(Number(typed));
      if (typed !== "" && Number.isFinite(percent)) {
        set("smoothing")(Math.min(Math.max(percent, 0), 50));
      }
    }),
  ]);

  page.when(["settings"], () => {
    const settings = fields(model.get("settings"));
    for (const [key, box] of boxes) box.show(settings[key]);
    for (const [key, box] of selects) box.value = text(settings[key]) || box.value;
    for (const [key, box] of checks) box.checked = settings[key] === true;
  });
  page.when(["offers"], () => {
    const options = list(model.get("offers")).map((offer) => {
      const [value, label] = list(offer).map(text);
      const option = make("option", "");
      option.value = label ? `${value} (${label})` : (value ?? "");
      return option;
    });
    offers.replaceChildren(...options);
  });
  page.when(["blocked"], () => {
    const why = blockedBy(model, "settings");
    narrow.block(blockedBy(model, "narrow"));
    say(note, why);
    hide(note, !why);
    for (const box of runOnly) {
      put(box, "aria-disabled", why ? "true" : null);
      if (box instanceof HTMLInputElement) box.readOnly = why !== "";
      else box.disabled = why !== "";
      box.title = why;
    }
  });
  return { panel, trainSteps };
}
