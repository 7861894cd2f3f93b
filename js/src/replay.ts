/** On a page that never had a kernel: play a run again, or step through its points. */

import { hide, make, on, put, say } from "./dom.ts";
import { formatLr } from "./format.ts";
import { button, type Page } from "./parts.ts";
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
  const box = make("div", "replay", bar);
  const play = button(page, box, "", () => (frame ? pause() : begin()));
  const slider = make("input", "", box, "", {
    ...{ type: "range", min: 1, "aria-label": "points drawn" },
  });
  const where = make("span", "pace", box);
  let frame = 0;
  let from = 0;
  let began_ms = 0;

  const lrs = () => chartOf(model).dots.x;
  const at = () => slider.valueAsNumber;
  const show = (): void => {
    slider.max = String(lrs().length);
    const lr = lrs()[at() - 1];
    const words = `${at()} / ${slider.max}${lr === undefined ? "" : ` · ${formatLr(lr)}`}`;
    say(where, words);
    put(slider, { "aria-valuetext": words });
    play.show(frame ? "Pause" : "Play", frame ? "pause" : "play", "Play this run again");
    changed();
  };
  const begin = (): void => {
    from = at() >= lrs().length ? 1 : at();
    began_ms = performance.now();
    frame = requestAnimationFrame(step);
  };
  const pause = (): void => {
    cancelAnimationFrame(frame);
    frame = 0;
    show();
  };
  const step = (): void => {
    const all = lrs().length;
    const now = Math.floor(from + ((performance.now() - began_ms) / DURATION_MS) * all);
    slider.value = String(Math.min(all, now));
    if (now < all) {
      frame = requestAnimationFrame(step);
      show();
    } else pause();
  };
  on(slider, "input", () => (frame ? pause() : show()));
  on(signal, "abort", () => cancelAnimationFrame(frame));
  hide(box, true);
  return {
    cut: () => (box.hidden || at() >= lrs().length ? null : at()),
    offer(isOffered) {
      const isPossible = isOffered && lrs().length > 1;
      hide(box, !isPossible);
      if (!isPossible) return;
      slider.max = slider.value = String(lrs().length);
      show();
    },
  };
}
