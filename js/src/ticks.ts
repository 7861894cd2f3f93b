/** The candidates as small marks on the axis: a click puts the marker there. */

import { type Axis, beyond, fractionOf } from "./geometry.ts";

/** Narrower than this, two names would be written over each other. */
const APART_PX = 15;
const USUAL_WIDTH_PX = 800;
const LEVELS = 3;

/**
 * Only for the hand: who uses the keyboard or a screen reader has the same as buttons below the
 * chart, so these are hidden from both.
 */
export function drawTicks(
  box: HTMLElement,
  ticks: unknown,
  axis: Axis,
  onClick: (lr: number) => void,
): void {
  const width_px = box.clientWidth || USUAL_WIDTH_PX;
  const shown = Object.entries((ticks ?? {}) as Record<string, unknown>)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number")
    .filter(([, lr]) => beyond(lr, axis) === 0)
    .sort(([, a], [, b]) => a - b);
  let last_px = Number.NEGATIVE_INFINITY;
  let level = 0;
  const made = shown.map(([name, lr]) => {
    const fraction = fractionOf(lr, axis);
    level = fraction * width_px - last_px < APART_PX ? (level + 1) % LEVELS : 0;
    last_px = fraction * width_px;
    const tick = document.createElement("div");
    tick.className = "lrf-tick";
    tick.style.setProperty("--lrf-at", String(fraction));
    tick.style.setProperty("--lrf-level", String(level));
    const label = document.createElement("span");
    label.textContent = name;
    tick.append(label);
    tick.addEventListener("click", () => onClick(lr));
    return tick;
  });
  box.replaceChildren(...made);
}
