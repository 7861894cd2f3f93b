/** A tiny drawing of the training that the candidate is for: its learning rate over its steps. */

import { make, say, svg } from "./dom.ts";
import { formatLr } from "./format.ts";

export interface Planned {
  readonly decays: boolean;
  /** Null if it is not known. */
  readonly steps: number | null;
  readonly lr: number | null;
}

const WIDTH = 56;
const TOP = 5;
const BOTTOM = 23;

export function drawSchedule(box: Element, { decays, steps, lr }: Planned): void {
  box.querySelector(".lrf-schedule")?.remove();
  const size = { width: String(WIDTH + 4), height: "28", "aria-hidden": "true" };
  const drawing = svg("svg", { class: "lrf-schedule", ...size });
  svg("path", { class: "lrf-schedule-axes", d: `M2 2V${BOTTOM + 2}H${WIDTH + 2}` }, drawing);
  const d = decays ? decay() : `M2 ${TOP}H${WIDTH + 2}`;
  const line = svg("path", { class: "lrf-schedule-line", d }, drawing);
  if (steps === null) line.setAttribute("stroke-dasharray", "3 3");
  box.prepend(drawing);
  const words = box.querySelector(".lrf-plan-words") ?? make("span", "lrf-plan-words", box);
  const rate = lr === null ? "" : ` ${decays ? "from" : "at"} ${formatLr(lr)}`;
  const length = steps === null ? "training steps unknown" : `${steps.toLocaleString("en")} steps`;
  say(words, `${length}, ${decays ? "decays" : "constant"}${rate}`);
}

/** Half a cosine, as schedules that decay have it. */
function decay(): string {
  const points = Array.from({ length: 15 }, (_, i) => {
    const height = (1 + Math.cos((Math.PI * i) / 14)) / 2;
    return `${2 + (WIDTH * i) / 14} ${(BOTTOM - (BOTTOM - TOP) * height).toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}
