/** Small helpers for elements, listeners and keys. All text goes in as text, never as markup. */

/** What all classes of ours begin with; `make` and `flag` put it before the names that they are given. */
const PREFIX = "lrf-";

/** One that is false or empty is left out, or taken away. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** Make an element of some classes, written without their prefix. */
export const make = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  classes: string,
  parent?: Element | null,
  content = "",
  attributes: Attributes = {},
): HTMLElementTagNameMap[K] =>
  filled(document.createElement(tag), parent, content, {
    class: classes.replace(/\S+/g, `${PREFIX}$&`),
    ...attributes,
  });

/** Make a part of a drawing; its class is an attribute like others. */
export const svg = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes,
  parent?: Element,
  content = "",
): SVGElementTagNameMap[K] =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", tag), parent, content, attributes);

/** Make a drawing that says nothing to who cannot see it. */
export const drawing = (name: string, width: number, height: number, parent?: Element) => {
  const attributes = { class: PREFIX + name, viewBox: `0 0 ${width} ${height}` };
  return svg("svg", { ...attributes, width, height, "aria-hidden": true }, parent);
};

function filled<E extends Element>(
  made: E,
  parent: Element | null | undefined,
  content: string,
  attributes: Attributes,
): E {
  put(made, attributes);
  made.textContent = content;
  parent?.append(made);
  return made;
}

/** Set attributes, only those that differ: what changes is laid out again, and read out again. */
export function put(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === "" || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, `${value}`);
  }
}

export function say(element: Element, content: string): void {
  if (element.textContent !== content) element.textContent = content;
}

export const hide = (element: Element, isHidden: boolean): void =>
  put(element, { hidden: isHidden });

/** Say something, or hide the element if there is nothing to say. */
export function sayOrHide(element: Element, content: string): void {
  say(element, content);
  hide(element, !content);
}

/** Say what goes on, to be read out once, when it has ended, and not at each step. */
export function sayAtEnd(element: Element, content: string, isActive: boolean): void {
  put(element, { "aria-live": isActive ? "off" : "polite" });
  say(element, content);
}

export const flag = (element: Element, name: string, isOn: boolean): boolean =>
  element.classList.toggle(PREFIX + name, isOn);

export const on = <K extends keyof HTMLElementEventMap>(
  target: EventTarget,
  type: K,
  act: (event: HTMLElementEventMap[K]) => void,
  options?: AddEventListenerOptions,
): void => target.addEventListener(type, act as EventListener, options);

export interface Row<Item> {
  readonly element: Element;
  show?(item: Item): void;
}

/**
 * A row for each item of a list, after what the parent has already.
 *
 * A row stays the same as long as an item has its key, and keeps the focus that is in it.
 */
export function rows<Item>(
  parent: Element,
  keyOf: (item: Item) => unknown,
  makeRow: (item: Item) => Row<Item>,
): (items: readonly Item[]) => void {
  const first = parent.children.length;
  const shown = new Map<unknown, Row<Item>>();
  return (items) => {
    const keys = items.map(keyOf);
    for (const [key, { element }] of shown) {
      if (keys.includes(key)) continue;
      element.remove();
      shown.delete(key);
    }
    for (const [i, item] of items.entries()) {
      const row = shown.get(keys[i]) ?? makeRow(item);
      shown.set(keys[i], row);
      const there = parent.children[first + i];
      // Not appended again: that would take the focus from a name that is being typed.
      if (there !== row.element) parent.insertBefore(row.element, there ?? null);
      row.show?.(item);
    }
  };
}

export const isModified = (event: KeyboardEvent): boolean =>
  event.ctrlKey || event.metaKey || event.altKey;

export function stop(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

/**
 * Keep JupyterLab and Notebook from taking keys that are meant for a box or the marker.
 *
 * They handle keys on the document, before the element sees them: arrows would move between
 * headings, "dd" would delete the cell. An attribute tells them not to. It is removed for shortcuts
 * such as Save and Run; listeners on the window run before theirs.
 */
export function guardKeys(root: HTMLElement, signal: AbortSignal): void {
  const guard = (event: KeyboardEvent) => {
    const target = event.composedPath()[0];
    if (!(target instanceof HTMLElement) || !root.contains(target)) return;
    if (!target.matches("input, select, [role=slider]")) return;
    const isForPage = isModified(event) || (event.key === "Enter" && event.shiftKey);
    put(target, { "data-lm-suppress-shortcuts": !isForPage });
  };
  on(window, "keydown", guard, { signal, capture: true });
}

/** Calls `callback` as soon as the size of the box is known, and whenever it changes. */
export function whenResized(box: Element, signal: AbortSignal, callback: () => void): void {
  const observer = new ResizeObserver(callback);
  observer.observe(box);
  on(signal, "abort", () => observer.disconnect());
}
