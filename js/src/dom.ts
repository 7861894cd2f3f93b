/** Small helpers for elements, buttons and keys. All text goes in as text, never as markup. */

import { icon } from "./icons.ts";

type Attributes = Readonly<Record<string, string>>;

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  parent?: Element,
  content = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (content) made.textContent = content;
  parent?.append(made);
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes,
  parent?: Element,
): SVGElementTagNameMap[K] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

/** Set an attribute only if it differs: what changes is laid out again, and read out again. */
export function put(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export function say(element: Element, content: string): void {
  if (element.textContent !== content) element.textContent = content;
}

export function hide(element: HTMLElement, isHidden: boolean): void {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

/** A button that stays reachable while it cannot work, so that it can say why. */
export interface Button {
  readonly element: HTMLButtonElement;
  /** Without a label, what it is about is its name. */
  show(label: string, icon: string, about?: string): Button;
  /** Say why it cannot work now; an empty string if it can. */
  block(why: string): Button;
}

export function button(
  parent: Element,
  className: string,
  act: () => void,
  refuse: (why: string) => void,
): Button {
  const element = make("button", `lrf-button ${className}`, parent);
  element.type = "button";
  const words = make("span", "", element);
  let shownIcon = "";
  let why = "";
  let tip = "";
  element.addEventListener("click", () => {
    if (why) refuse(why);
    else act();
  });
  const made: Button = {
    element,
    show(label, iconName, about = "") {
      say(words, label);
      tip = about;
      if (iconName !== shownIcon) {
        shownIcon = iconName;
        element.querySelector(".lrf-icon")?.remove();
        if (iconName) element.prepend(icon(iconName));
      }
      put(element, "aria-label", label ? null : about);
      return made.block(why);
    },
    block(now) {
      why = now;
      put(element, "aria-disabled", why ? "true" : null);
      put(element, "title", why || tip || null);
      return made;
    },
  };
  return made;
}

export function isModified(event: KeyboardEvent): boolean {
  return event.ctrlKey || event.metaKey || event.altKey;
}

export function stop(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

/**
 * Keep JupyterLab and Notebook from taking keys that are meant for a text box.
 *
 * They handle keys on the document, before the element sees them: arrows would move between
 * headings, "dd" would delete the cell. An attribute tells them not to. It is removed for shortcuts
 * such as Save and Run; listeners on the window run before theirs.
 */
export function guardKeys(root: HTMLElement, signal: AbortSignal): void {
  const guard = (event: KeyboardEvent) => {
    const target = event.composedPath()[0];
    if (!(target instanceof HTMLElement) || !root.contains(target)) return;
    if (!target.matches("input, select")) return;
    const isForPage = isModified(event) || (event.key === "Enter" && event.shiftKey);
    if (isForPage) delete target.dataset["lmSuppressShortcuts"];
    else target.dataset["lmSuppressShortcuts"] = "true";
  };
  window.addEventListener("keydown", guard, { signal, capture: true });
}

/** Calls `callback` as soon as the size of the box is known, and whenever it changes. */
export function whenResized(box: Element, signal: AbortSignal, callback: () => void): void {
  if (typeof ResizeObserver === "undefined") return;
  const observer = new ResizeObserver(callback);
  observer.observe(box);
  signal.addEventListener("abort", () => observer.disconnect());
}
