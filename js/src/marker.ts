/**
 * The draggable marker on top of the chart: DOM and events, no arithmetic.
 *
 * A gesture (a drag, or a key held down) moves the marker immediately and sends `lr` to the kernel
 * along the way; only its end is a pick, sent as `commit`. Both are traits rather than messages,
 * because traits coalesce while the kernel is busy: only the last value matters.
 */

import { build, isModified, showGone, stop, whenChartIsThere } from "./dom.ts";
import { labelOf, pickAt, shortNumber, valueText } from "./format.ts";
import { fractionOf, lossAt, lrAfterKey, lrAt, position } from "./geometry.ts";
import type { Model } from "./model.ts";
import { axisOf, commitNumber, curveOf, isPending, kindOf, listen, number } from "./model.ts";
import { answer, type Request } from "./page.ts";
import { drawTicks, whenResized } from "./ticks.ts";

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

const DRAWN_TRAITS = [
  ...["low", "high", "scale", "lr", "kind", "weak", "variable", "disabled"],
  ...["moving_from", "commit", "received", "curve_lrs", "curve_losses"],
];
const SEND_EVERY_MS = 40;
/** A hand trembles when it clicks: a smaller movement is not a drag. */
const CLICK_SLOP_PX = 3;

/** Put the marker back if a page was closed in the middle of a drag and could not do so itself. */
function initialize({ model }: { model: Model }): void {
  const from = model.get("moving_from");
  if (typeof from !== "number") return;
  model.set("lr", from);
  model.set("moving_from", null);
  model.save_changes();
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  const { plot, ticks, handle, label, loss } = build(el);

  let gesture: Gesture | null = null;
  /** The latest pick before rounding, so that twenty steps of 1/20 decade add up to a decade. */
  let unrounded = Number.NaN;
  /** A tick that was clicked while a pick was pending. */
  let clicked: number | null = null;
  let isDead = el.classList.contains("jupyter-widgets-disconnected");
  /** True while this view writes: "change" events fire for its own values too. */
  let isWriting = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastSent_ms = Number.NEGATIVE_INFINITY;

  const lrNow = () => gesture?.lr ?? number(model.get("lr"));
  const isInert = () => isDead || model.get("disabled") === true;

  function draw(): void {
    const axis = axisOf(model);
    const lr = lrNow();
    const kind = kindOf(model);
    // A pick that the kernel has not acknowledged is not in the variable yet, and a drag in another
    // view of this marker is a drag here too: neither may be drawn as picked.
    const isMoving =
      gesture?.moved || typeof model.get("moving_from") === "number" || isPending(model);
    const variable = String(model.get("variable") ?? "");
    const lossHere = lossAt(lr, curveOf(model), axis);
    const words = labelOf(lr, axis, kind, variable, isMoving, lossHere);

    plot.style.setProperty("--lrf-fraction", String(fractionOf(lr, axis)));

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

  function sendSoon(): void {
    timer ??= setTimeout(send, Math.max(0, lastSent_ms + SEND_EVERY_MS - performance.now()));
  }

  function begin(by: Gesture["by"], pointerId: number, start_px: number, offset_px: number) {
    const lr = number(model.get("lr"));
    clicked = null;
    gesture = { by, pointerId, start_px, offset_px, before: lr, lr, moved: false };
    return gesture;
  }

  function move(current: Gesture, lr: number): void {
    current.moved = true;
    current.lr = lr;
    write({ lr, moving_from: current.before });
    draw();
    sendSoon();
  }

  function commit(lr: number): void {
    gesture = null;
    unrounded = lr;
    const pick = pickAt(lr, axisOf(model));
    // Strictly increasing even if the clock is set back, so that equal picks stay distinct.
    const n = Math.max(Date.now(), commitNumber(model) + 1);
    write({ lr: pick, moving_from: null, commit: { lr: pick, n } });
    send();
    draw();
  }

  function cancel(): void {
    if (gesture === null) return;
    const { before, moved } = gesture;
    gesture = null;
    if (moved) {
      write({ lr: before, moving_from: null });
      send();
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
    const line_px = rect.left + fractionOf(lrNow(), axisOf(model)) * rect.width;
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
    move(gesture, lrAt(fraction, axisOf(model)));
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
    const axis = axisOf(model);
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
    if (gesture !== null && model.get("lr") !== gesture.lr)
      gesture.before = number(model.get("lr"));
    placeClicked();
    draw();
  }

  function onAxis(): void {
    const margin = (model.get("margin") ?? {}) as Record<string, unknown>;
    for (const side of ["top", "right", "bottom", "left"]) {
      plot.style.setProperty(`--lrf-${side}`, `${number(margin[side]) || 0}px`);
    }
    drawTicks(ticks, model.get("ticks"), axisOf(model), (lr) => {
      if (isInert()) return;
      clicked = lr;
      placeClicked();
    });
  }

  /** Not while a pick is pending: the kernel would move the marker back to it. */
  function placeClicked(): void {
    if (clicked === null || isPending(model)) return;
    write({ lr: clicked, kind: "candidate" });
    clicked = null;
    send();
    draw();
  }

  // Several pages may show this finder. Only the one that was clicked should answer.
  let wasClicked = false;
  function onAnyClick(event: MouseEvent): void {
    const root = el.closest(".lrf-finder");
    wasClicked = root?.contains(event.target as Node) ?? false;
  }

  function onMessage(content?: unknown): void {
    if (wasClicked) void answer((content ?? {}) as Request);
  }

  // The model proxy passed to `render` hides `comm_live`, but `this` is the view, whose model has
  // it. It becomes false when the kernel is restarted.
  function onCommLive(this: unknown): void {
    const view = this as { model?: { comm_live?: boolean } } | undefined;
    isDead = view?.model?.comm_live !== true;
    if (isDead) gesture = null;
    showGone(el, isDead);
    draw();
  }

  handle.addEventListener("pointerdown", onPointerDown, { signal });
  handle.addEventListener("pointermove", onPointerMove, { signal });
  handle.addEventListener("pointerup", onPointerUp, { signal });
  handle.addEventListener("pointercancel", onPointerLost, { signal });
  handle.addEventListener("lostpointercapture", onPointerLost, { signal });
  handle.addEventListener("contextmenu", onContextMenu, { signal });
  handle.addEventListener("keydown", onKeyDown, { signal });
  handle.addEventListener("keyup", onKeyUp, { signal });
  handle.addEventListener("blur", onBlur, { signal });
  window.addEventListener("keydown", onAnyKeyDown, { signal, capture: true });
  listen(
    model,
    DRAWN_TRAITS.map((name) => `change:${name}`),
    onModelChange,
    signal,
  );
  const axisTraits = ["ticks", "low", "high", "scale", "margin"].map((name) => `change:${name}`);
  listen(model, axisTraits, onAxis, signal);
  listen(model, ["msg:custom"], onMessage, signal);
  document.addEventListener("click", onAnyClick, { signal, capture: true });
  listen(model, ["comm_live_update"], onCommLive, signal);
  whenChartIsThere(el, signal, () => {
    if (model.get("ready") === true) return;
    model.set("ready", true);
    model.save_changes();
  });
  draw();
  onAxis();
  whenResized(ticks, signal, onAxis);
  // In a notebook opened without its kernel, the rest of the finder is rendered after this.
  if (isDead) setTimeout(() => showGone(el, isDead), 0);

  return () => {
    // The marker may be removed in the middle of a gesture, for example when its cell runs again.
    cancel();
    if (timer !== undefined) send();
    controller.abort();
    plot.remove();
    el.classList.remove("lrf-marker");
  };
}

export default { initialize, render };
