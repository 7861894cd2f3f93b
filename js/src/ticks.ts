/** Small marks on the axis for the candidates; clicking one moves the marker there. */

import { type Axis, beyond, fractionOf } from "./geometry.ts";

/** Names closer together than this would overlap. */
const APART_PX = 15;
const USUAL_WIDTH_PX = 800;
const LEVELS = 3;

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
  const width_px = box.clientWidth || USUAL_WIDTH_PX;
  const shown = Object.entries((ticks ?? {}) as Record<string, unknown>)
    .filter((entry): entry is [string, number] => typeof entry[1] === "number")
    .filter(([, lr]) => beyond(lr, axis) === 0)
    .sort(([, a], [, b]) => a - b);
  const places = layOut(shown.map(([, lr]) => fractionOf(lr, axis) * width_px));
  const made = shown.map(([name, lr], i) => {
    const tick = document.createElement("div");
    tick.className = "lrf-tick";
    tick.style.setProperty("--lrf-at", String(fractionOf(lr, axis)));
    tick.style.setProperty("--lrf-level", String(places[i]?.level));
    tick.style.setProperty("--lrf-aside", `${places[i]?.aside_px}px`);
    const label = document.createElement("span");
    label.textContent = name;
    tick.append(label);
    tick.addEventListener("click", () => onClick(lr));
    return tick;
  });
  box.replaceChildren(...made);
}

/**
 * Lay out the names of ticks at these ascending positions: each goes to the lowest level with room
 * for it, or, if no level has room, is shifted right on the level with the most.
 */
export function layOut(places_px: readonly number[]): { level: number; aside_px: number }[] {
  const taken_px = new Array<number>(LEVELS).fill(Number.NEGATIVE_INFINITY);
  return places_px.map((place_px) => {
    const free = taken_px.findIndex((last_px) => place_px - last_px >= APART_PX);
    const level = free < 0 ? taken_px.indexOf(Math.min(...taken_px)) : free;
    const at_px = Math.max(place_px, (taken_px[level] ?? 0) + APART_PX);
    taken_px[level] = at_px;
    return { level, aside_px: at_px - place_px };
  });
}
