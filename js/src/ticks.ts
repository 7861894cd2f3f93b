/** Small marks on the axis for the candidates; clicking one moves the marker there. */

import { make } from "./dom.ts";
import { type Axis, beyond, fractionOf } from "./geometry.ts";

/**
 * For pointers only: the buttons below the chart offer the same to keyboards and screen readers,
 * so the ticks are hidden from both.
 */
export function drawTicks(
  box: HTMLElement,
  ticks: unknown,
  axis: Axis,
  onClick: (lr: number) => void,
): void {
  const made = Object.entries((ticks ?? {}) as Record<string, unknown>)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number")
    .filter(([, lr]) => beyond(lr, axis) === 0)
    .sort(([, a], [, b]) => a - b)
    .map(([name, lr]) => {
      const tick = make("div", "lrf-tick");
      tick.style.setProperty("--lrf-at", String(fractionOf(lr, axis)));
      tick.dataset["rule"] = name;
      make("span", "", tick, name);
      tick.addEventListener("click", () => onClick(lr));
      return tick;
    });
  box.replaceChildren(...made);
}
