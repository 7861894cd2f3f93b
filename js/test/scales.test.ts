import { describe, expect, test } from "vitest";
import {
  digitsOf,
  exponent,
  general,
  logTicks,
  lrTicks,
  roundTicks,
  scaleOf,
} from "../src/scales.ts";

describe("ticks", () => {
  test("of a logarithmic axis are powers of ten, thinned out where there are many", () => {
    expect(logTicks(1e-7, 10, 12).map(exponent)).toEqual(
      "1e-7 1e-6 1e-5 1e-4 1e-3 1e-2 1e-1 1e+0 1e+1".split(" "),
    );
    expect(logTicks(1e-7, 10, 5).map(exponent)).toEqual("1e-7 1e-5 1e-3 1e-1 1e+1".split(" "));
  });

  test("of a short one are multiples of powers of ten", () => {
    expect(logTicks(1e-3, 1e-2)).toEqual([1e-3, 2e-3, 5e-3, 1e-2]);
    expect(logTicks(2e-3, 4.5e-3)).toEqual([2e-3, 3e-3, 4e-3]);
  });

  test("of a linear axis are round", () => {
    expect(roundTicks(0, 1).map((x) => general(x, 6))).toEqual("0 0.2 0.4 0.6 0.8 1".split(" "));
    expect(roundTicks(0.5, 3.3)).toEqual([0.5, 1, 1.5, 2, 2.5, 3]);
  });

  test.each([
    [Number.NaN, 1],
    [1, 1],
    [0, Number.POSITIVE_INFINITY],
    [-1, 1],
  ])("of an axis from %j to %j end", (low, high) => {
    expect(logTicks(low, high)).toEqual([]);
    expect(roundTicks(low, high).length).toBeLessThan(10);
  });

  test("have room for their labels", () => {
    const axis = { low: 1e-7, high: 10, log: true };
    expect(lrTicks(axis, 236).length).toBeLessThanOrEqual(5);
    expect(lrTicks(axis, 700)).toHaveLength(9);
  });
});

test("labels read as bqplot's do", () => {
  expect([1e-3, 0.0015, 10].map(exponent)).toEqual(["1e-3", "1.5e-3", "1e+1"]);
  expect([0.30000000000000004, 2, 0.00012, 1e-7].map((x) => general(x, 2))).toEqual(
    "0.3 2 0.00012 1e-7".split(" "),
  );
  expect([1234567, 100, 0, 2.5].map((x) => general(x, 6))).toEqual(
    "1.23457e+6 100 0 2.5".split(" "),
  );
});

test("labels have as many digits as tell them apart", () => {
  expect(digitsOf([0.2, 0.4])).toBe(6);
  expect(digitsOf([123456.01, 123456.02])).toBe(8);
  expect(digitsOf([1, 1, 1 + Number.EPSILON])).toBe(15);
});

test("a scale is linear in the logarithm", () => {
  const x = scaleOf({ low: 1e-7, high: 10, log: true }, 0, 800);
  expect([1e-7, 1e-3, 10].map((lr) => Math.round(x.at(lr)))).toEqual([0, 400, 800]);
});
