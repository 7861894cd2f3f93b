/** Small marks on the axis for the candidates; clicking one moves the marker there. */

import { make, on } from "./dom.ts";
import { type Axis, beyond, fractionOf } from "./geometry.ts";
import type { Candidate } from "./state.ts";

/**
 * For pointers only: the buttons below the chart offer the same to keyboards and screen readers,
 * so the ticks are hidden from both.
 */
export function drawTicks(
  box: HTMLElement,
  ticks: readonly Candidate[],
  axis: Axis,
  onClick: (lr: number) => void,
): void {
  const made = ticks
    .filter(([, lr]) => beyond(lr, axis) === 0)
    .map(([name, lr]) => {
      const tick = make("div", "tick", null, "", { "data-rule": name });
      tick.style.left = `${100 * fractionOf(lr, axis)}%`;
      make("span", "", tick, name);
      on(tick, "click", () => onClick(lr));
      return tick;
    });
  box.replaceChildren(...made);
}
