/** What the kernel says about a finder, as the page reads it. */

import type { Kind } from "./format.ts";
import type { Axis, Curve } from "./geometry.ts";
import { fields, type Line, lineOf, list, type Model, maybe, number, pair, text } from "./model.ts";

export interface ChartState {
  readonly x: Axis;
  /** The limits of the loss axis; null while there is no point. */
  readonly y: readonly [number, number] | null;
  readonly yLog: boolean;
  readonly n: number;
  readonly total: number;
  readonly perSecond: number | null;
  readonly dots: Line;
  readonly line: Line;
}

export interface Run {
  readonly key: number;
  readonly name: string;
  readonly style: number;
  readonly shown: boolean;
  readonly current: boolean;
  readonly latest: boolean;
  readonly line: Line;
}

export interface Reading {
  readonly candidates: readonly (readonly [rule: string, lr: number])[];
  readonly band: readonly [number, number] | null;
  readonly weak: boolean;
}

export interface Trials {
  readonly active: boolean;
  readonly text: string;
  readonly steps: number;
  readonly y: readonly [number, number] | null;
  readonly take: number | null;
  readonly lines: readonly {
    readonly name: string;
    readonly style: number;
    readonly line: Line;
    readonly heldOut: Line;
  }[];
}

export function axisOf(model: Model): Axis {
  const chart = fields(model.get("chart"));
  const [low, high] = pair(chart["x"]) ?? [1e-7, 10];
  return { low, high, scale: chart["x_log"] === false ? "linear" : "log" };
}

export function chartOf(model: Model): ChartState {
  const chart = fields(model.get("chart"));
  return {
    x: axisOf(model),
    y: pair(chart["y"]),
    yLog: chart["y_log"] === true,
    n: number(chart["n"]) || 0,
    total: number(chart["total"]) || 0,
    perSecond: maybe(chart["per_second"]),
    dots: lineOf(chart["dots"]),
    line: lineOf(chart["line"]),
  };
}

export function curveOf(model: Model): Curve {
  const { x, y } = lineOf(fields(model.get("chart"))["line"]);
  return { lrs: x, losses: y };
}

export function repeatsOf(model: Model): Line[] {
  return list(model.get("repeats")).map(lineOf);
}

export function runsOf(model: Model): Run[] {
  return list(model.get("runs")).map((run) => {
    const { key, name, style, shown, current, latest, line } = fields(run);
    return {
      key: number(key),
      name: text(name),
      style: number(style) || 0,
      shown: shown !== false,
      current: current === true,
      latest: latest === true,
      line: lineOf(line),
    };
  });
}

export function readingOf(model: Model): Reading {
  const reading = fields(model.get("reading"));
  return {
    candidates: Object.entries(fields(reading["candidates"]))
      .filter((entry): entry is [string, number] => maybe(entry[1]) !== null)
      .sort(([, a], [, b]) => a - b),
    band: pair(reading["band"]),
    weak: reading["weak"] === true,
  };
}

/** What the number stands for; whether a candidate is weak is said elsewhere. */
export function kindOf(model: Model, isWeak: boolean): Kind {
  const kind = model.get("kind");
  if (kind === "pick") return kind;
  return kind === "candidate" ? (isWeak ? "weak" : kind) : "start";
}

export function trialsOf(model: Model): Trials | null {
  const trials = fields(model.get("trials"));
  if (Object.keys(trials).length === 0) return null;
  return {
    active: isActive(trials["state"]),
    text: text(trials["text"]),
    steps: number(trials["steps"]) || 1,
    y: pair(trials["y"]),
    take: maybe(trials["take"]),
    lines: list(trials["lines"]).map((each) => {
      const { name, style, line, held_out } = fields(each);
      return {
        name: text(name),
        style: number(style) || 0,
        line: lineOf(line),
        heldOut: lineOf(held_out),
      };
    }),
  };
}

export function isActive(state: unknown): boolean {
  return state === "running" || state === "paused";
}

/** Why a control cannot work now; empty if it can. */
export function blockedBy(model: Model, control: string): string {
  return text(fields(model.get("blocked"))[control]);
}
