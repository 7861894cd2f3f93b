/** What the parts of the page share: the model, buttons, boxes and panels. */

import { drawing, flag, hide, make, on, put, say, sayOrHide, svg } from "./dom.ts";
import { PATHS } from "./icons.ts";
import { fieldsOf, type Model, text } from "./model.ts";
import type { Marker } from "./source.ts";
import { blockedBy } from "./state.ts";

type Message = Readonly<Record<string, unknown>>;

export interface Page {
  readonly model: Model;
  readonly signal: AbortSignal;
  marker(): Marker;
  send(content: Message): void;
  /** Say why a click did nothing. */
  refuse(why: string): void;
  /** Call now, and whenever one of these traits changes. */
  when(names: readonly string[], show: () => void): void;
}

/** A button that stays reachable while it cannot work, so that it can say why. */
export interface Button {
  readonly element: HTMLButtonElement;
  /** Without a label, what it is about is its name. */
  show(label: string, icon: string, about?: string): Button;
  /** Say why it cannot work now; an empty string if it can. */
  block(why: string): Button;
}

/** `act` is what a click does, or what it tells the kernel, which may say that it cannot work now. */
export function button(
  page: Page,
  parent: Element,
  classes: string,
  act: Message | (() => void),
): Button {
  const element = make("button", `button ${classes}`, parent, "", { type: "button" });
  const icon = drawing("icon", 16, 16, element);
  hide(icon, true);
  const path = svg("path", {}, icon);
  const words = make("span", "", element);
  let why = "";
  let tip = "";
  on(element, "click", () => {
    if (why) page.refuse(why);
    else if (typeof act === "function") act();
    else page.send(act);
  });
  const made: Button = {
    element,
    show(label, iconName, about = "") {
      tip = about;
      say(words, label);
      hide(icon, !iconName);
      put(path, { d: PATHS[iconName] ?? "" });
      put(element, { "aria-label": label ? "" : about });
      return made.block(why);
    },
    block(now) {
      why = now;
      put(element, { "aria-disabled": why !== "", title: why || tip });
      return made;
    },
  };
  const control = typeof act === "function" ? "" : text(act["click"]);
  if (control) page.when(["blocked"], () => made.block(blockedBy(page.model, control)));
  return made;
}

/** Show a button that starts something, and stops it once it is active. */
export function showStart(start: Button, isActive: boolean, label: string): void {
  flag(start.element, "primary", !isActive);
  start.show(isActive ? "Stop" : label, isActive ? "stop" : "play");
}

/** Say below some boxes why they cannot be edited now. */
export function blockBoxes(
  page: Page,
  parent: Element | null,
  control: string,
  boxes: readonly (HTMLInputElement | HTMLSelectElement)[],
): void {
  const note = make("p", "note", parent);
  page.when(["blocked"], () => {
    const why = blockedBy(page.model, control);
    sayOrHide(note, why);
    for (const box of boxes) block(box, why);
  });
}

/** Say why a box cannot be edited now; an empty string if it can. */
export const block = (box: HTMLInputElement | HTMLSelectElement, why: string): void =>
  put(box, {
    [box.type === "text" ? "readonly" : "disabled"]: why !== "",
    "aria-disabled": why !== "",
    title: why,
  });

/**
 * A box that shows what the kernel has, and tells it what is typed, on Enter and on leaving the box.
 *
 * What is being typed is never written over: only a value that has changed is shown, and not while
 * the user is at it.
 */
export interface TypedBox {
  /** Show a value of the kernel's. */
  show(value: unknown): void;
  /** Show the kernel's value again, whatever was typed. */
  reset(): void;
}

export function typedBox(input: HTMLInputElement, tell: (typed: string) => void): TypedBox {
  let shown = "";
  /** What the kernel was told last, or has shown since. */
  let known = "";
  let isEdited = false;

  const reset = (): void => {
    isEdited = false;
    known = shown;
    if (input.value !== shown) input.value = shown;
  };

  const commit = (): void => {
    const typed = input.value;
    isEdited = false;
    // Enter makes browsers report a change, too.
    if (input.readOnly || typed === known) return;
    known = typed;
    tell(typed);
  };

  on(input, "input", () => {
    isEdited = true;
  });
  on(input, "change", commit);
  on(input, "keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) commit();
    else if (event.key === "Escape" && isEdited) reset();
  });
  return {
    reset,
    show(value) {
      const now = text(value);
      if (now === shown) return;
      shown = known = now;
      if (!(isEdited && input.matches(":focus"))) reset();
    },
  };
}

/** A box with its label before it. */
export function field<K extends "input" | "select">(
  parent: Element,
  label: string,
  tag: K,
  classes = "",
): HTMLElementTagNameMap[K] {
  const box = make("label", `field ${classes}`, parent);
  make("span", "", box, label);
  return make(tag, "", box);
}

export function textField(parent: Element, label: string, classes = ""): HTMLInputElement {
  const input = field(parent, label, "input", classes);
  put(input, { type: "text", spellcheck: "false", autocomplete: "off" });
  return input;
}

/** A box with a tick, and its label after it. */
export function check(parent: Element, label: string): HTMLInputElement {
  const box = make("label", "check", parent);
  const input = make("input", "", box, "", { type: "checkbox" });
  make("span", "", box, label);
  return input;
}

/** Show one of the finder's settings, now and whenever it changes. */
export const whenSet = (page: Page, key: string, show: (value: unknown) => void): void =>
  page.when(["settings"], () => show(fieldsOf(page.model, "settings")[key]));

export const set = (page: Page, key: string, value: unknown): void =>
  page.send({ set: { [key]: value } });

/** A text box for one of the finder's settings; `read` makes its value from what is typed. */
export function setting(
  page: Page,
  parent: Element,
  key: string,
  label: string,
  classes = "",
  read: (typed: string) => unknown = text,
): HTMLInputElement {
  const input = textField(parent, label, classes);
  const box = typedBox(input, (typed) => set(page, key, read(typed)));
  whenSet(page, key, box.show);
  return input;
}

/** A box with a choice for one of the finder's settings; `options` are the labels by their values. */
export function select(
  page: Page,
  parent: Element,
  key: string,
  label: string,
  options: Readonly<Record<string, string>>,
): HTMLSelectElement {
  const made = field(parent, label, "select");
  for (const [value, name] of Object.entries(options)) make("option", "", made, name).value = value;
  on(made, "change", () => set(page, key, made.value));
  whenSet(page, key, (value) => {
    if (text(value) in options) made.value = text(value);
  });
  return made;
}

let identified = 0;

/** Give an element an id that no other finder's has. */
export function identify(element: Element): string {
  element.id = `lrf-${identified++}`;
  return element.id;
}

/** A button that folds a panel out and in; which ones are open is the page's own affair. */
export function addFold(
  page: Page,
  folds: Element,
  panel: HTMLElement,
  label: string,
  icon: string,
  about: string,
): (isOpen: boolean) => void {
  const id = identify(panel);
  put(panel, { role: "group", "aria-label": label });
  const toggle = button(page, folds, "toggle", () => {
    open(panel.hidden !== false);
    if (!panel.hidden) panel.scrollIntoView?.({ block: "nearest" });
  }).show(label, icon, about);
  const open = (isOpen: boolean): void => {
    hide(panel, !isOpen);
    put(toggle.element, { "aria-controls": id, "aria-expanded": `${isOpen}` });
  };
  open(false);
  return open;
}
