/** The row above the chart: start and pause, progress, and what can be folded out. */

import { button, hide, make, put, say } from "./dom.ts";
import { fields } from "./model.ts";
import type { Page } from "./parts.ts";
import { general } from "./scales.ts";
import { blockedBy, chartOf, isActive } from "./state.ts";

/** A button that folds a panel out and in; which ones are open is the page's own affair. */
export interface Fold {
  readonly panel: HTMLElement;
  open(isOpen: boolean): void;
}

export function addToolbar(page: Page, root: Element): { folds: HTMLElement; bar: HTMLElement } {
  const { model } = page;
  const bar = make("div", "lrf-bar lrf-toolbar", root);
  const actions = make("div", "lrf-group lrf-live", bar);
  const progress = make("div", "lrf-progress", bar);
  const folds = make("div", "lrf-group lrf-live", bar);
  const start = button(actions, "lrf-start", () => page.send({ click: "start" }), page.refuse);
  const pause = button(actions, "lrf-pause", () => page.send({ click: "pause" }), page.refuse);
  const track = make("div", "lrf-track", progress);
  track.setAttribute("role", "progressbar");
  track.setAttribute("aria-label", "steps done");
  put(track, "aria-valuemin", "0");
  const done = make("div", "lrf-done", track);
  const pace = make("span", "lrf-pace", progress);

  page.when(["status", "blocked"], () => {
    const { state } = fields(model.get("status"));
    const active = isActive(state);
    const paused = state === "paused";
    start.element.classList.toggle("lrf-primary", !active);
    start
      .show(active ? "Stop" : "Start", active ? "stop" : "play")
      .block(blockedBy(model, "start"));
    pause
      .show(paused ? "Resume" : "Pause", paused ? "play" : "pause")
      .block(blockedBy(model, "pause"));
    progress.classList.toggle("lrf-active", active);
  });
  page.when(["chart"], () => {
    const { n, total, perSecond } = chartOf(model);
    const share = total > 0 ? Math.min(1, n / total) : 0;
    done.style.transform = `scaleX(${share})`;
    put(track, "aria-valuemax", String(total));
    put(track, "aria-valuenow", String(n));
    put(track, "aria-valuetext", total > 0 ? `${n} of ${total} steps` : `${n} steps`);
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

let folded = 0;

export function addFold(
  page: Page,
  buttons: Element,
  panel: HTMLElement,
  [label, iconName, about]: readonly [label: string, iconName: string, about: string],
): Fold {
  panel.id = `lrf-panel-${folded++}`;
  panel.setAttribute("role", "group");
  panel.setAttribute("aria-label", label);
  const toggle = button(
    buttons,
    "lrf-toggle",
    () => open(panel.hidden !== false, true),
    page.refuse,
  );
  toggle.show(label, iconName, about);
  put(toggle.element, "aria-controls", panel.id);
  function open(isOpen: boolean, isClick = false): void {
    hide(panel, !isOpen);
    put(toggle.element, "aria-expanded", String(isOpen));
    if (isOpen && isClick) panel.scrollIntoView?.({ block: "nearest" });
  }
  open(false);
  return { panel, open };
}
