/** What can be set up: the next run, the training that a learning rate is for, and the display. */

import { make, on, put } from "./dom.ts";
import { clamp } from "./geometry.ts";
import { list, text } from "./model.ts";
import {
  addFold,
  blockBoxes,
  button,
  check,
  identify,
  type Page,
  select,
  set,
  setting,
  whenSet,
} from "./parts.ts";
import { addVary } from "./vary.ts";

/** Returns what shows the settings of the training. */
export function addSettings(page: Page, root: Element, folds: Element): () => void {
  const { model } = page;
  const panel = make("div", "panel settings", root);

  const group = (name: string) => {
    const box = make("fieldset", "", panel);
    make("legend", "", box, name);
    return make("div", "bar", box);
  };
  const toggle = (parent: Element, key: string, label: string) => {
    const box = check(parent, label);
    on(box, "change", () => set(page, key, box.checked));
    whenSet(page, key, (value) => {
      box.checked = value === true;
    });
    return box;
  };

  const run = group("Next run");
  const runOnly = [
    setting(page, run, "start_lr", "from"),
    setting(page, run, "end_lr", "to"),
    setting(page, run, "num_iter", "points"),
    select(page, run, "mode", "spacing", { exp: "exponential", linear: "linear" }),
    setting(page, run, "repeats", "repeats", "short"),
    toggle(run, "diagnose", "why it turns"),
  ];
  button(page, run, "", { click: "narrow" }).show(
    "Narrow",
    "narrow",
    "Set the range to where the loss falls, plus a decade on either side",
  );
  blockBoxes(page, run.parentElement, "settings", runOnly);

  const training = group("Your training");
  const trainSteps = setting(page, training, "train_steps", "training steps", "long");
  const offers = make("datalist", "", training);
  put(trainSteps, {
    list: identify(offers),
    placeholder: "unknown",
    title: "For how many steps you will train: the more, the lower the candidate",
  });
  select(page, training, "schedule", "schedule", { constant: "constant", decay: "decays" }).title =
    "Whether the learning rate of your training will be constant or decay";

  addVary(page, group("One more setting"));

  const display = group("Display");
  toggle(display, "zoom", "zoom to the run");
  toggle(display, "log_loss", "logarithmic loss axis");
  // An empty box is no number, which the kernel does not take.
  const percent = (typed: string) => clamp(Math.round(Number.parseFloat(typed)), 0, 50);
  put(setting(page, display, "smoothing", "smoothing %", "short", percent), {
    ...{ type: "number", min: 0, max: 50, step: 5 },
    title: "Share of the points that the line is smoothed over; candidates do not depend on it",
  });

  page.when(["offers"], () => {
    const options = list(model.get("offers")).map((offer) => {
      const [value = "", label] = list(offer).map(text);
      return make("option", "", null, "", { value: label ? `${value} (${label})` : value });
    });
    offers.replaceChildren(...options);
  });
  const open = addFold(
    page,
    folds,
    panel,
    "Set up",
    "sliders",
    "Range, points and repeats of the next run; length of the training",
  );
  return () => {
    open(true);
    trainSteps.focus();
  };
}
