/**
 * The draggable marker on top of the chart: DOM and events, no arithmetic.
 *
 * A gesture (a drag, or a key held down) moves the marker immediately and sends its place to the
 * kernel along the way; only its end is a pick, sent as `commit`. Both are traits rather than
 * messages, because traits coalesce while the kernel is busy: only the last value matters.
 */

import { USUAL_WIDTH_PX } from "./chart.ts";
import { flag, isModified, make, on, put, say, stop, whenResized } from "./dom.ts";
import { formatLoss, labelOf, pickAt, roundLr, shortNumber, valueText } from "./format.ts";
import { fractionOf, lossAt, lrAfterKey, lrAt, position } from "./geometry.ts";
import { isReactive } from "./kernel.ts";
import { changes, commitNumber, isPending, listen, type Model, NO_LINE, number } from "./model.ts";
import type { Marker, Source } from "./source.ts";
import { drawTicks } from "./ticks.ts";

/** A drag or key press in progress; while there is one, the kernel does not move the marker. */
interface Gesture {
  /** Null for keys. */
  readonly pointerId: number | null;
  /** Where the pointer went down, and its distance from the line. */
  readonly start_px: number;
  readonly offset_px: number;
  /** The learning rate that a cancelled gesture returns to. */
  before: number;
  lr: number;
  moved: boolean;
}

const DRAWN_TRAITS = ["variable", "disabled", "kind", "moving_from", "commit", "received"];
const SIDES = ["top", "right", "bottom", "left"];
const SEND_EVERY_MS = 40;
/** A hand trembles when it clicks: a smaller movement is not a drag. */
const CLICK_SLOP_PX = 3;

export function addMarker(model: Model, el: HTMLElement, source: Source): Marker {
  const controller = new AbortController();
  const { signal } = controller;
  const { plot, ticks, handle, name, written, loss } = build(el);

  let gesture: Gesture | null = null;
  /** The latest pick before rounding, so that twenty steps of 1/20 decade add up to a decade. */
  let unrounded = NaN;
  /** A tick that was clicked while a pick was pending. */
  let clicked: number | null = null;
  let isDead = false;
  /** True while this view writes: "change" events fire for its own values too. */
  let isWriting = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastSent_ms = -Infinity;

  const lrNow = () => gesture?.lr ?? number(model.get(source.place));
  const isInert = () => isDead || signal.aborted || model.get("disabled") === true;

  const draw = (): void => {
    const axis = source.axis();
    const lr = lrNow();
    const kind = source.kind();
    // A pick that the kernel has not acknowledged is not in the variable yet, and a drag in another
    // view of this marker is a drag here too: neither may be drawn as picked.
    const isMoving =
      gesture?.moved || typeof model.get("moving_from") === "number" || isPending(model);
    const variable = String(model.get("variable") ?? "");
    const lossHere = lossAt(lr, source.line(), axis);
    const metric = source.metric?.();
    const value = lossAt(lr, metric?.line ?? NO_LINE, axis);
    const more = metric && value !== null ? `, ${metric.name} ${formatLoss(value)}` : "";
    const words = labelOf(lr, axis, kind, variable, isMoving, lossHere, more);

    plot.style.setProperty("--fraction", String(fractionOf(lr, axis)));
    source.shown?.(lr);

    say(name, `${words.beyond < 0 ? "‹ " : ""}${words.name}`);
    say(written, `${words.number}${words.beyond > 0 ? " ›" : ""}`);
    say(loss, words.loss);

    flag(plot, "hollow", isMoving || kind !== "pick");
    flag(plot, "moving", isMoving);
    flag(plot, "dead", isDead);
    flag(plot, "disabled", isInert());

    put(handle, {
      // Equal steps along the axis need the logarithm; the number itself is in the value text.
      "aria-valuemin": shortNumber(position(axis.low, axis)),
      "aria-valuemax": shortNumber(position(axis.high, axis)),
      "aria-valuenow": shortNumber(position(lr, axis)),
      "aria-valuetext": valueText(words, kind, isMoving),
      "aria-disabled": `${isInert()}`,
      tabindex: isInert() ? -1 : 0,
    });
  };

  const write = (values: Record<string, unknown>): void => {
    isWriting = true;
    try {
      for (const [name, value] of Object.entries(values)) model.set(name, value);
    } finally {
      isWriting = false;
    }
  };

  const send = (): void => {
    clearTimeout(timer);
    timer = undefined;
    lastSent_ms = performance.now();
    model.save_changes();
  };

  /** Send what is not a pick, unless the host would run cells again for it. */
  const tell = (): void => {
    if (!isReactive(handle)) send();
  };

  const tellSoon = (): void => {
    timer ??= setTimeout(tell, Math.max(0, lastSent_ms + SEND_EVERY_MS - performance.now()));
  };

  const begin = (pointerId: number | null, start_px = 0, offset_px = 0): Gesture => {
    const lr = number(model.get(source.place));
    clicked = null;
    gesture = { pointerId, start_px, offset_px, before: lr, lr, moved: false };
    return gesture;
  };

  /** The gesture of this pointer, or of the keys. */
  const gestureOf = (pointerId: number | null) =>
    gesture?.pointerId === pointerId ? gesture : null;

  const move = (current: Gesture, lr: number): void => {
    current.moved = true;
    current.lr = lr;
    write({ [source.place]: lr, moving_from: current.before });
    draw();
    tellSoon();
  };

  const commit = (lr: number, pick = pickAt(lr, source.axis())): void => {
    gesture = null;
    unrounded = lr;
    // Strictly increasing even if the clock is set back, so that equal picks stay distinct.
    const n = Math.max(Date.now(), commitNumber(model) + 1);
    write({ [source.place]: pick, moving_from: null, commit: { lr: pick, n } });
    send();
    draw();
  };

  const cancel = (): void => {
    if (!gesture) return;
    const { before, moved } = gesture;
    gesture = null;
    if (moved) {
      write({ [source.place]: before, moving_from: null });
      tell();
    }
    draw();
  };

  const finish = (current: Gesture): void => {
    // Clicking a marker that is not a pick yet picks its value; clicking a pick changes nothing.
    if (current.moved || model.get("kind") !== "pick") commit(current.lr);
    else cancel();
  };

  on(handle, "pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary || isInert()) return;
    // Not preventDefault(): the mouse events that follow set the focus, without a focus ring.
    event.stopPropagation();
    const keys = gestureOf(null);
    if (keys) commit(keys.lr);
    const rect = plot.getBoundingClientRect();
    const line_px = rect.left + fractionOf(lrNow(), source.axis()) * rect.width;
    begin(event.pointerId, event.clientX, event.clientX - line_px);
    handle.setPointerCapture(event.pointerId);
  });

  on(handle, "pointermove", (event) => {
    const drag = gestureOf(event.pointerId);
    if (!drag) return;
    stop(event);
    const rect = plot.getBoundingClientRect();
    const isClick = !drag.moved && Math.abs(event.clientX - drag.start_px) < CLICK_SLOP_PX;
    if (isClick || rect.width === 0) return;
    const fraction = (event.clientX - drag.offset_px - rect.left) / rect.width;
    move(drag, lrAt(fraction, source.axis()));
  });

  on(handle, "pointerup", (event) => {
    const drag = gestureOf(event.pointerId);
    if (!drag) return;
    stop(event);
    finish(drag);
  });

  const onPointerLost = (event: PointerEvent) => {
    if (gestureOf(event.pointerId)) cancel();
  };
  on(handle, "pointercancel", onPointerLost);
  on(handle, "lostpointercapture", onPointerLost);

  on(handle, "keydown", (event) => {
    if (isInert() || isModified(event)) return;
    const isCommit = (event.key === "Enter" || event.key === " ") && !event.shiftKey;
    const axis = source.axis();
    const rounded = lrNow();
    const from = pickAt(unrounded, axis) === rounded ? unrounded : rounded;
    const lr = lrAfterKey(event.key, event.shiftKey, from, axis);
    if (!isCommit && lr === null) return;
    stop(event);
    if (gesture && !gestureOf(null)) return;
    if (lr !== null) {
      if (lr !== rounded) move(gesture ?? begin(null), lr);
    } else if (!event.repeat) {
      commit(rounded);
    }
  });

  const onKeysEnd = (event: Event) => {
    const keys = gestureOf(null);
    if (!keys) return;
    stop(event);
    finish(keys);
  };
  on(handle, "keyup", onKeysEnd);
  on(handle, "blur", onKeysEnd);

  // A long press on the handle is not a request for the page's context menu.
  on(handle, "contextmenu", (event) => {
    if (gesture) stop(event);
  });

  // Escape must cancel a drag even if the focus has moved elsewhere in the meantime.
  const onEscape = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !gesture) return;
    stop(event);
    cancel();
  };
  on(window, "keydown", onEscape, { signal, capture: true });

  const onModelChange = (): void => {
    if (isWriting) return;
    // Kept up to date, so that Escape returns to where the kernel has since put the marker.
    const now = number(model.get(source.place));
    if (gesture && now !== gesture.lr) gesture.before = now;
    placeClicked();
    draw();
  };

  let shownTicks = "";
  const onAxis = (): void => {
    const axis = source.axis();
    const margin = source.margin();
    const margins = SIDES.map((side) => `${number(margin[side]) || 0}px`);
    const width_px = plot.clientWidth || USUAL_WIDTH_PX;
    const now = JSON.stringify([axis, source.ticks(), margins, width_px]);
    if (now === shownTicks) return;
    shownTicks = now;
    plot.style.inset = margins.join(" ");
    plot.style.setProperty("--top", margins[0] ?? "");
    drawTicks(ticks, source.ticks(), axis, width_px, place);
  };

  const place = (lr: number): void => {
    if (isInert()) return;
    clicked = lr;
    placeClicked();
  };

  /** Not while a pick is pending: the kernel would move the marker back to it. */
  const placeClicked = (): void => {
    if (clicked === null || isPending(model)) return;
    write({ [source.place]: clicked, kind: "candidate" });
    clicked = null;
    tell();
    draw();
  };

  listen(model, changes(...DRAWN_TRAITS, ...source.drawn), onModelChange, signal);
  listen(model, changes(...source.ticked), onAxis, signal);
  whenResized(plot, signal, onAxis);
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
      clearTimeout(timer);
      controller.abort();
      plot.remove();
      flag(el, "marker", false);
    },
  };
}

function build(el: HTMLElement) {
  flag(el, "marker", true);
  const plot = make("div", "plot", el);
  const ticks = make("div", "ticks", plot, "", { "aria-hidden": true });
  const handle = make("div", "handle", plot, "", {
    ...{ role: "slider", "aria-label": "learning rate" },
  });
  make("div", "line", handle);
  make("div", "knob", handle);
  const label = make("div", "label", handle);
  const name = make("span", "name", label);
  const written = make("span", "number", label);
  const loss = make("div", "loss", handle);
  return { plot, ticks, handle, name, written, loss };
}
