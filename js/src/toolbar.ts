/** The row above the chart: start and pause, progress, and what can be folded out. */

import { make, put, say } from "./dom.ts";
import { fieldsOf } from "./model.ts";
import { button, type Page, showStart } from "./parts.ts";
import { general } from "./scales.ts";
import { chartOf, isActive } from "./state.ts";

export function addToolbar(page: Page, root: Element): { folds: HTMLElement; bar: HTMLElement } {
  const { model } = page;
  const bar = make("div", "bar", root);
  const actions = make("div", "group live", bar);
  const progress = make("div", "progress", bar);
  const folds = make("div", "group live", bar);
  const start = button(page, actions, "wide", { click: "start" });
  const pause = button(page, actions, "wide", { click: "pause" });
  const track = make("div", "track", progress, "", {
    ...{ role: "progressbar", "aria-label": "steps done", "aria-valuemin": 0 },
  });
  const done = make("div", "done", track);
  const pace = make("span", "pace", progress);

  page.when(["status"], () => {
    const { state } = fieldsOf(model, "status");
    showStart(start, isActive(state), "Start");
    const paused = state === "paused";
    pause.show(paused ? "Resume" : "Pause", paused ? "play" : "pause");
  });
  page.when(["chart"], () => {
    const { n, total, perSecond } = chartOf(model);
    done.style.transform = `scaleX(${total > 0 ? Math.min(1, n / total) : 0})`;
    put(track, {
      "aria-valuemax": total,
      "aria-valuenow": n,
      "aria-valuetext": total > 0 ? `${n} of ${total} steps` : `${n} steps`,
    });
    say(pace, paceText(n, total, perSecond));
  });
  return { folds, bar };
}

/** Progress, speed and the time that is left at most; a total of 0 is unknown. */
export function paceText(n: number, total: number, perSecond: number | null): string {
  const parts = [total > 0 ? `${n} / ${total}` : `${n}`];
  if (perSecond !== null && perSecond > 0) {
    parts.push(
      perSecond >= 10 ? `${perSecond.toFixed(0)} steps/s` : `${general(1 / perSecond, 2)} s/step`,
    );
    if (n < total) parts.push(`${duration((total - n) / perSecond)} left`);
  }
  return parts.join(" · ");
}

function duration(seconds: number): string {
  if (seconds < 60) return seconds >= 1 ? `${seconds.toFixed(0)} s` : "< 1 s";
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
