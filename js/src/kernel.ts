/** Whether there is a kernel behind the page, and what the page says if there is none. */

import { flag, make, say } from "./dom.ts";
import { listen, type Model } from "./model.ts";

/** "gone": there was a kernel. "static": there never was one, as on a saved page. */
export type Kernel = "live" | "gone" | "static";

const NOTES = {
  gone: "The kernel is gone; this is the last state. Run the cell again.",
  static: "A saved page: nothing can be run here.",
};

/** Whether ipywidgets has marked this view as one without a kernel. */
export const isDisconnected = (el: HTMLElement): boolean =>
  el.classList.contains("jupyter-widgets-disconnected");

/**
 * Whether each change that a page saves runs cells again, as in marimo: there, only a pick is saved.
 */
export function isReactive(el: Element): boolean {
  const root = el.getRootNode();
  return root instanceof ShadowRoot && root.host.localName.startsWith("marimo");
}

/** Tell the kernel that a page is there; false if there is none to tell. */
export function greet(model: Model): boolean {
  if (typeof model.send !== "function") return false;
  try {
    model.send({ hello: 1 });
    return true;
  } catch {
    return false; // MyST's does so
  }
}

export function watchKernel(
  model: Model,
  isLive: boolean,
  signal: AbortSignal,
  changed: (kernel: Kernel) => void,
): void {
  let kernel: Kernel = isLive ? "live" : "static";
  // The model proxy passed to `render` hides `comm_live`, but `this` is the view, whose model has
  // it. It becomes false when the kernel is restarted.
  function onCommLive(this: unknown): void {
    const view = this as { model?: { comm_live?: boolean } } | undefined;
    if (view?.model?.comm_live === true) kernel = "live";
    else if (kernel === "live") kernel = "gone";
    changed(kernel);
  }
  listen(model, ["comm_live_update"], onCommLive, signal);
  if (kernel !== "live") changed(kernel);
}

/**
 * Say that nothing works, and put everything out of reach but what is marked as working.
 *
 * The note is a child of the finder's box, so that it is not out of reach itself.
 */
export function showKernel(root: HTMLElement, kernel: Kernel): void {
  let note = root.querySelector<HTMLElement>(":scope > .lrf-gone-note");
  for (const child of root.children) {
    if (child !== note) child.toggleAttribute("inert", kernel === "gone");
  }
  flag(root, "gone", kernel === "gone");
  flag(root, "static", kernel === "static");
  if (kernel === "live") {
    note?.remove();
    return;
  }
  if (note === null) {
    note = make("div", "gone-note", null, "", { role: "status" });
    root.prepend(note);
  }
  // A live region is announced only if its text changes after it was added to the page.
  say(note, NOTES[kernel]);
}
