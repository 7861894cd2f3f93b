/** What the kernel says about a finder, as the page reads it. */

import type { Kind } from "./format.ts";
import type { Axis } from "./geometry.ts";
import {
  fields,
  fieldsOf,
  type Line,
  lineOf,
  list,
  type Model,
  maybe,
  number,
  pair,
  text,
} from "./model.ts";

export interface ChartState {
  readonly x: Axis;
  /** Null while there is no point. */
  readonly y: Axis | null;
  readonly n: number;
  readonly total: number;
  readonly perSecond: number | null;
  readonly dots: Line;
  readonly line: Line;
  readonly metric: Metric | null;
}

/** What was measured beside the loss; its axis is null while there is no point. */
export interface Metric {
  readonly name: string;
  readonly y: Axis | null;
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

export type Candidate = readonly [rule: string, lr: number];

export interface Reading {
  readonly candidates: readonly Candidate[];
  readonly band: readonly [number, number] | null;
  readonly weak: boolean;
}

export function axisOf(model: Model): Axis {
  const chart = fieldsOf(model, "chart");
  const log = chart["x_log"] !== false;
  return axisFrom(chart["x"], log) ?? { low: 1e-7, high: 10, log };
}

export function axisFrom(limits: unknown, log: boolean): Axis | null {
  const found = pair(limits);
  return found && { low: found[0], high: found[1], log };
}

export function chartOf(model: Model): ChartState {
  const chart = fieldsOf(model, "chart");
  return {
    x: axisOf(model),
    y: axisFrom(chart["y"], chart["y_log"] === true),
    n: number(chart["n"]) || 0,
    total: number(chart["total"]) || 0,
    perSecond: maybe(chart["per_second"]),
    dots: lineOf(chart["dots"]),
    line: lineOf(chart["line"]),
    metric: metricOf(model),
  };
}

export function metricOf(model: Model): Metric | null {
  const { name, y, line } = fields(fieldsOf(model, "chart")["metric"]);
  return text(name) ? { name: text(name), y: axisFrom(y, false), line: lineOf(line) } : null;
}

export const repeatsOf = (model: Model): Line[] => list(model.get("repeats")).map(lineOf);

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
  const reading = fieldsOf(model, "reading");
  return {
    candidates: candidatesOf(reading["candidates"]),
    band: pair(reading["band"]),
    weak: reading["weak"] === true,
  };
}

/** From low to high. */
export const candidatesOf = (value: unknown): Candidate[] =>
  Object.entries(fields(value))
    .filter((entry): entry is [string, number] => maybe(entry[1]) !== null)
    .sort(([, a], [, b]) => a - b);

/** What the number stands for; whether a candidate is weak is said elsewhere. */
export function kindOf(model: Model, isWeak: boolean): Kind {
  const kind = model.get("kind");
  if (kind === "pick") return kind;
  return kind === "candidate" ? (isWeak ? "weak" : kind) : "start";
}

export const isActive = (state: unknown): boolean => state === "running" || state === "paused";

/** Why a control cannot work now; empty if it can. */
export const blockedBy = (model: Model, control: string): string =>
  text(fieldsOf(model, "blocked")[control]);
