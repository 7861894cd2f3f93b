/** What a marker is made from, and what can be done with it. */

import type { Kind } from "./format.ts";
import type { Axis } from "./geometry.ts";
import type { Fields, Line, Model } from "./model.ts";
import type { Candidate, Metric } from "./state.ts";

/** Where a marker's axis, line and ticks come from. */
export interface Source {
  /** The trait that says where it stands. */
  readonly place: "lr" | "position";
  /** The traits that it is drawn from, and those that its ticks are drawn from. */
  readonly drawn: readonly string[];
  readonly ticked: readonly string[];
  axis(): Axis;
  kind(): Kind;
  /** The loss over the learning rate. */
  line(): Line;
  metric?(): Metric | null;
  ticks(): readonly Candidate[];
  margin(): Fields;
  /** Told each place at which the marker is drawn. */
  shown?(lr: number): void;
}

export interface Marker {
  /** Whether it has no kernel, and cannot be moved. */
  dead(isDead: boolean): void;
  /** Pick where it stands, or a number that was typed. */
  pick(typed?: number): void;
  /** Move it to a candidate. */
  place(lr: number): void;
  remove(): void;
}

/** Put the marker back if a page was closed in the middle of a drag and could not do so itself. */
export function putBack(model: Model, place: Source["place"]): void {
  const from = model.get("moving_from");
  if (typeof from !== "number") return;
  model.set(place, from);
  model.set("moving_from", null);
  model.save_changes();
}
