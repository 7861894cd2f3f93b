/** A tiny drawing of the training that the candidate is for: its learning rate over its steps. */

import { drawing, make, svg } from "./dom.ts";
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

/** Draw it as all that a box holds. */
export function drawSchedule(box: Element, { decays, steps, lr }: Planned): void {
  const made = drawing("schedule", 60, 28);
  svg("path", { d: AXES }, made);
  const d = decays ? DECAY : CONSTANT;
  svg("path", { d, "stroke-dasharray": steps === null ? "3 3" : "" }, made);
  const rate = lr === null ? "" : ` ${decays ? "from" : "at"} ${formatLr(lr)}`;
  const length = steps === null ? "length unknown" : `${steps.toLocaleString("en")} steps`;
  const words = `your training: ${decays ? "decays" : "constant"}${rate}, ${length}`;
  box.replaceChildren(made, make("span", "", null, words));
}
