/**
 * The draggable marker on top of the chart: DOM and events, no arithmetic.
 *
 * A gesture (a drag, or a key held down) moves the marker immediately and sends its place to the
 * kernel along the way; only its end is a pick, sent as `commit`. Both are traits rather than
 * messages, because traits coalesce while the kernel is busy: only the last value matters.
 */

import { isModified, make, stop } from "./dom.ts";
import { labelOf, pickAt, roundLr, shortNumber, valueText } from "./format.ts";
import { fractionOf, lossAt, lrAfterKey, lrAt, position } from "./geometry.ts";
import { isReactive } from "./kernel.ts";
import { changes, commitNumber, isPending, listen, type Model, number } from "./model.ts";
import type { Marker, Source } from "./source.ts";
import { drawTicks } from "./ticks.ts";

/** A drag or key press in progress; while there is one, the kernel does not move the marker. */
interface Gesture {
  readonly by: "pointer" | "keys";
  readonly pointerId: number;
  /** Where the pointer went down, and its distance from the line. */
  readonly start_px: number;
  readonly offset_px: number;
  /** The learning rate that a cancelled gesture returns to. */
  before: number;
  lr: number;
  moved: boolean;
}

const DRAWN_TRAITS = ["variable", "disabled", "kind", "moving_from", "commit", "received"];
const SEND_EVERY_MS = 40;
/** A hand trembles when it clicks: a smaller movement is not a drag. */
const CLICK_SLOP_PX = 3;

export function addMarker(model: Model, el: HTMLElement, source: Source): Marker {
  const controller = new AbortController();
  const { signal } = controller;
  const { plot, ticks, handle, label, loss } = build(el);

  let gesture: Gesture | null = null;
  /** The latest pick before rounding, so that twenty steps of 1/20 decade add up to a decade. */
  let unrounded = Number.NaN;
  /** A tick that was clicked while a pick was pending. */
  let clicked: number | null = null;
  let isDead = false;
  /** True while this view writes: "change" events fire for its own values too. */
  let isWriting = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastSent_ms = Number.NEGATIVE_INFINITY;

  const lrNow = () => gesture?.lr ?? number(model.get(source.place));
  const isInert = () => isDead || model.get("disabled") === true;

  function draw(): void {
    const axis = source.axis();
    const lr = lrNow();
    const kind = source.kind();
    // A pick that the kernel has not acknowledged is not in the variable yet, and a drag in another
    // view of this marker is a drag here too: neither may be drawn as picked.
    const isMoving =
      gesture?.moved || typeof model.get("moving_from") === "number" || isPending(model);
    const variable = String(model.get("variable") ?? "");
    const lossHere = lossAt(lr, source.curve(), axis);
    const words = labelOf(lr, axis, kind, variable, isMoving, lossHere);

    plot.style.setProperty("--lrf-fraction", String(fractionOf(lr, axis)));
    source.shown?.(lr);

    label.left.textContent = words.beyond < 0 ? "‹ " : "";
    label.name.textContent = words.name;
    label.number.textContent = words.number;
    label.right.textContent = words.beyond > 0 ? " ›" : "";
    loss.textContent = words.loss;

    plot.classList.toggle("lrf-hollow", isMoving || kind !== "pick");
    plot.classList.toggle("lrf-moving", isMoving);
    plot.classList.toggle("lrf-dead", isDead);
    plot.classList.toggle("lrf-disabled", isInert());

    // Equal steps along the axis need the logarithm; the number itself is in the value text.
    handle.setAttribute("aria-valuemin", shortNumber(position(axis.low, axis)));
    handle.setAttribute("aria-valuemax", shortNumber(position(axis.high, axis)));
    handle.setAttribute("aria-valuenow", shortNumber(position(lr, axis)));
    handle.setAttribute("aria-valuetext", valueText(words, kind, isMoving));
    handle.setAttribute("aria-disabled", String(isInert()));
    handle.tabIndex = isInert() ? -1 : 0;
  }

  function write(values: Record<string, unknown>): void {
    isWriting = true;
    try {
      for (const [name, value] of Object.entries(values)) model.set(name, value);
    } finally {
      isWriting = false;
    }
  }

  function send(): void {
    clearTimeout(timer);
    timer = undefined;
    lastSent_ms = performance.now();
    model.save_changes();
  }

  /** Send what is not a pick, unless the host would run cells again for it. */
  function tell(): void {
    clearTimeout(timer);
    timer = undefined;
    if (!isReactive(handle)) send();
  }

  function tellSoon(): void {
    timer ??= setTimeout(tell, Math.max(0, lastSent_ms + SEND_EVERY_MS - performance.now()));
  }

  function begin(by: Gesture["by"], pointerId: number, start_px: number, offset_px: number) {
    const lr = number(model.get(source.place));
    clicked = null;
    gesture = { by, pointerId, start_px, offset_px, before: lr, lr, moved: false };
    return gesture;
  }

  function move(current: Gesture, lr: number): void {
    current.moved = true;
    current.lr = lr;
    write({ [source.place]: lr, moving_from: current.before });
    draw();
    tellSoon();
  }

  function commit(lr: number, pick = pickAt(lr, source.axis())): void {
    gesture = null;
    unrounded = lr;
    // Strictly increasing even if the clock is set back, so that equal picks stay distinct.
    const n = Math.max(Date.now(), commitNumber(model) + 1);
    write({ [source.place]: pick, moving_from: null, commit: { lr: pick, n } });
    send();
    draw();
  }

  function cancel(): void {
    if (gesture === null) return;
    const { before, moved } = gesture;
    gesture = null;
    if (moved) {
      write({ [source.place]: before, moving_from: null });
      tell();
    }
    draw();
  }

  function finish(current: Gesture): void {
    // Clicking a marker that is not a pick yet picks its value; clicking a pick changes nothing.
    if (current.moved || model.get("kind") !== "pick") commit(current.lr);
    else cancel();
  }

  function onPointerDown(event: PointerEvent): void {
    if (event.button !== 0 || !event.isPrimary || isInert()) return;
    // Not preventDefault(): the mouse events that follow set the focus, without a focus ring.
    event.stopPropagation();
    if (gesture?.by === "keys") commit(gesture.lr);
    const rect = plot.getBoundingClientRect();
    const line_px = rect.left + fractionOf(lrNow(), source.axis()) * rect.width;
    begin("pointer", event.pointerId, event.clientX, event.clientX - line_px);
    handle.setPointerCapture(event.pointerId);
  }

  function onPointerMove(event: PointerEvent): void {
    if (gesture?.by !== "pointer" || event.pointerId !== gesture.pointerId) return;
    stop(event);
    const rect = plot.getBoundingClientRect();
    const isClick = !gesture.moved && Math.abs(event.clientX - gesture.start_px) < CLICK_SLOP_PX;
    if (isClick || rect.width === 0) return;
    const fraction = (event.clientX - gesture.offset_px - rect.left) / rect.width;
    move(gesture, lrAt(fraction, source.axis()));
  }

  function onPointerUp(event: PointerEvent): void {
    if (gesture?.by !== "pointer" || event.pointerId !== gesture.pointerId) return;
    stop(event);
    finish(gesture);
  }

  function onPointerLost(event: PointerEvent): void {
    if (gesture?.by === "pointer" && event.pointerId === gesture.pointerId) cancel();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (isInert() || isModified(event)) return;
    const isCommit = (event.key === "Enter" || event.key === " ") && !event.shiftKey;
    const axis = source.axis();
    const rounded = lrNow();
    const from = pickAt(unrounded, axis) === rounded ? unrounded : rounded;
    const lr = lrAfterKey(event.key, event.shiftKey, from, axis);
    if (!isCommit && lr === null) return;
    stop(event);
    if (gesture?.by === "pointer") return;
    if (lr !== null) {
      if (lr !== rounded) move(gesture ?? begin("keys", -1, 0, 0), lr);
    } else if (!event.repeat) {
      commit(rounded);
    }
  }

  function onKeyUp(event: KeyboardEvent): void {
    if (gesture?.by !== "keys") return;
    stop(event);
    finish(gesture);
  }

  function onBlur(): void {
    if (gesture?.by === "keys") finish(gesture);
  }

  // JupyterLab and Notebook handle keys on the document, before the handle sees them: arrows would
  // move between headings, "dd" would delete the cell. The attribute tells them not to. It is
  // removed for shortcuts such as Save and Run; listeners on the window run before theirs.
  function onAnyKeyDown(event: KeyboardEvent): void {
    const isForPage = isModified(event) || (event.key === "Enter" && event.shiftKey);
    if (isForPage) delete handle.dataset["lmSuppressShortcuts"];
    else handle.dataset["lmSuppressShortcuts"] = "true";
    // Escape must cancel a drag even if the focus has moved elsewhere in the meantime.
    if (event.key !== "Escape" || gesture === null) return;
    stop(event);
    cancel();
  }

  // A long press on the handle is not a request for the page's context menu.
  function onContextMenu(event: Event): void {
    if (gesture !== null) stop(event);
  }

  function onModelChange(): void {
    if (isWriting) return;
    // Kept up to date, so that Escape returns to where the kernel has since put the marker.
    if (gesture !== null && model.get(source.place) !== gesture.lr)
      gesture.before = number(model.get(source.place));
    placeClicked();
    draw();
  }

  let shownTicks = "";
  function onAxis(): void {
    const axis = source.axis();
    const margins = ["top", "right", "bottom", "left"].map((side) => source.margin(side) || 0);
    const now = JSON.stringify([axis, source.ticks(), margins]);
    if (now === shownTicks) return;
    shownTicks = now;
    for (const [i, side] of ["top", "right", "bottom", "left"].entries()) {
      plot.style.setProperty(`--lrf-${side}`, `${margins[i]}px`);
    }
    drawTicks(ticks, source.ticks(), axis, place);
  }

  function place(lr: number): void {
    if (isInert()) return;
    clicked = lr;
    placeClicked();
  }

  /** Not while a pick is pending: the kernel would move the marker back to it. */
  function placeClicked(): void {
    if (clicked === null || isPending(model)) return;
    write({ [source.place]: clicked, kind: "candidate" });
    clicked = null;
    tell();
    draw();
  }

  const listeners = {
    pointerdown: onPointerDown,
    pointermove: onPointerMove,
    pointerup: onPointerUp,
    pointercancel: onPointerLost,
    lostpointercapture: onPointerLost,
    contextmenu: onContextMenu,
    keydown: onKeyDown,
    keyup: onKeyUp,
    blur: onBlur,
  };
  for (const [type, listener] of Object.entries(listeners)) {
    handle.addEventListener(type, listener as EventListener, { signal });
  }
  window.addEventListener("keydown", onAnyKeyDown, { signal, capture: true });
  listen(model, changes(...DRAWN_TRAITS, ...source.drawn), onModelChange, signal);
  listen(model, changes(...source.ticked), onAxis, signal);
  draw();
  onAxis();

  return {
    dead(now) {
      isDead = now;
      if (isDead) gesture = null;
      draw();
    },
    pick(typed) {
      if (isInert()) return;
      if (typed === undefined) commit(lrNow());
      else commit(typed, roundLr(typed));
    },
    place,
    remove() {
      // It may be removed in the middle of a gesture, for example when its cell runs again.
      cancel();
      if (timer !== undefined) tell();
      controller.abort();
      plot.remove();
      el.classList.remove("lrf-marker");
    },
  };
}

function build(el: HTMLElement) {
  el.classList.add("lrf-marker");
  const plot = make("div", "lrf-plot", el);
  const ticks = make("div", "lrf-ticks", plot);
  ticks.setAttribute("aria-hidden", "true");
  const handle = make("div", "lrf-handle", plot);
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-label", "learning rate");
  handle.setAttribute("aria-orientation", "horizontal");
  handle.dataset["lmSuppressShortcuts"] = "true";
  make("div", "lrf-line", handle);
  make("div", "lrf-knob", handle);
  const box = make("div", "lrf-label", handle);
  const label = {
    left: make("span", "lrf-beyond", box),
    name: make("span", "lrf-name", box),
    number: make("span", "lrf-number", box),
    right: make("span", "lrf-beyond", box),
  };
  const loss = make("div", "lrf-loss", handle);
  return { plot, ticks, handle, label, loss };
}
