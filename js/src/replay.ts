/** On a page that never had a kernel: play a run again, or step through its points. */

import { button, hide, make, put, say } from "./dom.ts";
import { formatLr } from "./format.ts";
import type { Page } from "./parts.ts";
import { chartOf } from "./state.ts";

const DURATION_MS = 6000;

export interface Replay {
  /** The number of points to show; null for all. */
  cut(): number | null;
  /** Whether it is offered. */
  offer(isOffered: boolean): void;
}

export function addReplay(page: Page, bar: Element, changed: () => void): Replay {
  const { model, signal } = page;
  const box = make("div", "lrf-replay", bar);
  const play = button(box, "", () => (frame ? pause() : begin()), page.refuse);
  const slider = make("input", "", box);
  slider.type = "range";
  slider.min = "1";
  slider.setAttribute("aria-label", "points drawn");
  const where = make("span", "lrf-pace", box);
  let frame = 0;
  let from = 0;
  let began_ms = 0;

  const count = () => chartOf(model).dots.x.length;
  function show(): void {
    const all = count();
    slider.max = String(all);
    const lr = chartOf(model).dots.x[Number(slider.value) - 1];
    const words = `${slider.value} / ${all}${lr === undefined ? "" : ` · ${formatLr(lr)}`}`;
    say(where, words);
    put(slider, "aria-valuetext", words);
    play.show(frame ? "Pause" : "Play", frame ? "pause" : "play", "Play this run again");
    changed();
  }
  function begin(): void {
    from = Number(slider.value) >= count() ? 1 : Number(slider.value);
    began_ms = performance.now();
    frame = requestAnimationFrame(step);
  }
  function pause(): void {
    cancelAnimationFrame(frame);
    frame = 0;
    show();
  }
  function step(): void {
    const all = count();
    const at = Math.floor(from + ((performance.now() - began_ms) / DURATION_MS) * all);
    slider.value = String(Math.min(all, at));
    if (at < all) {
      frame = requestAnimationFrame(step);
      show();
    } else pause();
  }
  slider.addEventListener("input", () => (frame ? pause() : show()));
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  hide(box, true);
  return {
    cut: () => (box.hidden || Number(slider.value) >= count() ? null : Number(slider.value)),
    offer(isOffered) {
      const isPossible = isOffered && count() > 1;
      hide(box, !isPossible);
      if (!isPossible) return;
      slider.max = String(count());
      slider.value = slider.max;
      show();
    },
  };
}
