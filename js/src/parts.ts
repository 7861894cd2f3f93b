/** What the parts of the page share: the model, and ways to tell the kernel or the user something. */

import { make } from "./dom.ts";
import { type Model, text } from "./model.ts";

export interface Page {
  readonly model: Model;
  readonly signal: AbortSignal;
  send(content: Readonly<Record<string, unknown>>): void;
  /** Say why a click did nothing. */
  refuse(why: string): void;
  /** Call now, and whenever one of these traits changes. */
  when(names: readonly string[], show: () => void): void;
}

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

  function reset(): void {
    isEdited = false;
    known = shown;
    if (input.value !== shown) input.value = shown;
  }

  function commit(): void {
    const typed = input.value;
    isEdited = false;
    // Enter makes browsers report a change, too.
    if (input.readOnly || typed === known) return;
    known = typed;
    tell(typed);
  }

  input.dataset["lmSuppressShortcuts"] = "true";
  input.addEventListener("input", () => {
    isEdited = true;
  });
  input.addEventListener("change", commit);
  input.addEventListener("keydown", (event) => {
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

/** A text box with its label before it. */
export function field(parent: Element, label: string, className = ""): HTMLInputElement {
  const box = make("label", `lrf-field ${className}`, parent);
  make("span", "", box, label);
  const input = make("input", "", box);
  input.type = "text";
  input.spellcheck = false;
  input.autocomplete = "off";
  return input;
}
