/** A tiny drawing of the training that the candidate is for: its learning rate over its steps. */

import { make, say, svg } from "./dom.ts";
import { formatLr } from "./format.ts";

export interface Planned {
  readonly decays: boolean;
  /** Null if it is not known. */
  readonly steps: number | null;
  readonly lr: number | null;
}

const AXES = "M2 2V25H58";
const CONSTANT = "M2 5H58";
/** Half a cosine, nearly, as schedules that decay have it. */
const DECAY = "M2 5C22 5 38 23 58 23";

export function drawSchedule(box: Element, { decays, steps, lr }: Planned): void {
  box.querySelector(".lrf-schedule")?.remove();
  const size = { width: "60", height: "28", "aria-hidden": "true" };
  const drawing = svg("svg", { class: "lrf-schedule", ...size });
  svg("path", { class: "lrf-schedule-axes", d: AXES }, drawing);
  const d = decays ? DECAY : CONSTANT;
  const line = svg("path", { class: "lrf-schedule-line", d }, drawing);
  if (steps === null) line.setAttribute("stroke-dasharray", "3 3");
  box.prepend(drawing);
  const words = box.querySelector(".lrf-plan-words") ?? make("span", "lrf-plan-words", box);
  const rate = lr === null ? "" : ` ${decays ? "from" : "at"} ${formatLr(lr)}`;
  const length = steps === null ? "length unknown" : `${steps.toLocaleString("en")} steps`;
  say(words, `your training: ${decays ? "decays" : "constant"}${rate}, ${length}`);
}
