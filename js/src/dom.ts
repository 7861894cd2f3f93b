/** The marker's elements, and what it needs from the page around them. */

const LOOK_FOR_CHART_MS = 10_000;
const LOOK_EVERY_MS = 100;

export function build(el: HTMLElement) {
  el.classList.add("lrf-marker");
  const plot = element("div", "lrf-plot", el);
  const ticks = element("div", "lrf-ticks", plot);
  ticks.setAttribute("aria-hidden", "true");
  const handle = element("div", "lrf-handle", plot);
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-label", "learning rate");
  handle.setAttribute("aria-orientation", "horizontal");
  handle.dataset["lmSuppressShortcuts"] = "true";
  element("div", "lrf-line", handle);
  element("div", "lrf-knob", handle);
  const box = element("div", "lrf-label", handle);
  const label = {
    left: element("span", "lrf-beyond", box),
    name: element("span", "lrf-name", box),
    number: element("span", "lrf-number", box),
    right: element("span", "lrf-beyond", box),
  };
  const loss = element("div", "lrf-loss", handle);
  return { plot, ticks, handle, label, loss };
}

function element(tag: "div" | "span", className: string, parent: HTMLElement): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  parent.append(made);
  return made;
}

/**
 * Once the kernel is gone, nothing in the finder works: it is greyed out, ignores clicks, and says
 * what to do.
 */
export function showGone(el: HTMLElement, isGone: boolean): void {
  const root = el.closest<HTMLElement>(".lrf-finder");
  if (root === null) return;
  const shown = root.querySelector(":scope > .lrf-gone-note");
  for (const child of root.children) {
    if (child !== shown) child.toggleAttribute("inert", isGone);
  }
  root.classList.toggle("lrf-gone", isGone);
  if (!isGone) shown?.remove();
  else if (shown === null) {
    const note = document.createElement("div");
    note.className = "lrf-gone-note";
    note.setAttribute("role", "status");
    root.prepend(note);
    // A live region is announced only if its text changes after it was added to the page.
    note.textContent = "The kernel is gone; this is the last state. Run the cell again.";
  }
}

export function isModified(event: KeyboardEvent): boolean {
  return event.ctrlKey || event.metaKey || event.altKey;
}

export function stop(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

/** Calls `found` once the chart is drawn, which may be before or after the marker. */
export function whenChartIsThere(el: HTMLElement, signal: AbortSignal, found: () => void): void {
  const start_ms = performance.now();
  let timer: ReturnType<typeof setTimeout>;
  const look = () => {
    if (el.parentElement?.querySelector(".bqplot")) found();
    else if (performance.now() - start_ms < LOOK_FOR_CHART_MS) {
      timer = setTimeout(look, LOOK_EVERY_MS);
    }
  };
  timer = setTimeout(look, 0);
  signal.addEventListener("abort", () => clearTimeout(timer));
}
