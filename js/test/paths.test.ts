import { expect, test } from "vitest";
import type { Line } from "../src/model.ts";
import { clipped, dotsPath, linePath } from "../src/paths.ts";
import { scaleOf } from "../src/scales.ts";

const X = scaleOf({ low: 0, high: 10, log: false }, 0, 100);
const Y = scaleOf({ low: 0, high: 1, log: false }, 100, 0);
const line = (x: number[], y: number[]): Line => ({
  x: Float64Array.from(x),
  y: Float64Array.from(y),
});

test("a line inside the plot goes through its points", () => {
  expect(linePath(line([0, 5, 10], [0, 0.5, 1]), X, Y)).toBe("M0 100L50 50L100 0");
});

test("a line that leaves keeps the slope of what is seen of it", () => {
  // From the middle to 1000 plots above: it crosses the border, one plot above, almost at once.
  const path = linePath(line([0, 10, 10], [0.5, 1000.5, 0.5]), X, Y);
  expect(path).toBe("M0 50L0.2 -100L100 -100L100 -100L100 50");
});

test("a line that crosses the whole room is cut at both borders", () => {
  expect(linePath(line([0, 10], [-5, 5]), X, Y)).toBe("M0 200L40 200L70 -100L100 -100");
});

test("what is not finite is a gap", () => {
  expect(linePath(line([0, 2, 4, 6], [0, 0, Number.NaN, 0]), X, Y)).toBe("M0 100L20 100M60 100");
});

test("each point is a dot, those far outside too", () => {
  expect(dotsPath(line([0, 1, 2], [0, 1e100, Number.NaN]), X, Y)).toBe("M0 100ZM10 -100Z");
});

test("a line for bqplot is cut in the same places, and the same object where nothing is cut", () => {
  const axis = { low: 0.1, high: 1, log: true };
  const inside = line([1, 10], [0.1, 1]);
  expect(clipped(inside, axis, axis)).toBe(inside);
  const { x, y } = clipped(line([0.01, 100], [0.1, 1e7]), axis, axis);
  expect([...y].map((loss) => Math.round(loss * 10) / 10)).toEqual([0.1, 10, 10]);
  expect(x[1]).toBeCloseTo(0.1, 9); // a quarter of the way, in logarithms
});
