/** Small marks on the axis for the candidates; clicking one moves the marker there. */

import { make, on } from "./dom.ts";
import { type Axis, beyond, fractionOf } from "./geometry.ts";
import type { Candidate } from "./state.ts";

/** Ticks that are closer than they are wide lie above each other, each in its place on the axis. */
const WIDTH_PX = 10;
const HEIGHT_PX = 10;

/**
 * For pointers only: the buttons below the chart offer the same to keyboards and screen readers,
 * so the ticks are hidden from both.
 */
export function drawTicks(
  box: HTMLElement,
  ticks: readonly Candidate[],
  axis: Axis,
  width_px: number,
  onClick: (lr: number) => void,
): void {
  /** Where the last tick of each row is, from the axis upwards. */
  const last_px: number[] = [];
  const made = ticks
    .filter(([, lr]) => beyond(lr, axis) === 0)
    .map(([name, lr]) => {
      const tick = make("div", "tick", null, "", { "data-rule": name });
      const fraction = fractionOf(lr, axis);
      const at_px = fraction * width_px;
      const free = last_px.findIndex((before_px) => at_px - before_px >= WIDTH_PX);
      const row = free < 0 ? last_px.length : free;
      last_px[row] = at_px;
      tick.style.left = `${100 * fraction}%`;
      tick.style.bottom = `${row * HEIGHT_PX}px`;
      make("span", "", tick, name);
      on(tick, "click", () => onClick(lr));
      return tick;
    });
  box.replaceChildren(...made);
}
