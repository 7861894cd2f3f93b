import { describe, expect, test } from "vitest";
import { beyond, fractionOf, lossAt, lrAfterKey, lrAt } from "../src/geometry.ts";
import { fractions, LINEAR, LOG, ODD } from "./axes.ts";

describe("the place on the axis", () => {
  test("is a fraction of the decades on a log scale", () => {
    expect(fractionOf(1e-3, LOG)).toBeCloseTo(0.5, 12);
    expect(lrAt(0.5, LOG)).toBeCloseTo(1e-3, 12);
  });

  test("is a fraction of the range on a linear scale", () => {
    expect(fractionOf(0.1, LINEAR)).toBeCloseTo(0.2, 12);
    expect(lrAt(0.2, LINEAR)).toBeCloseTo(0.1, 12);
  });

  test.each([LOG, LINEAR, ODD])("is found again from its learning rate: %o", (axis) => {
    for (const fraction of fractions(500)) {
      if (axis === LINEAR && fraction < 1e-3) continue;
      expect(fractionOf(lrAt(fraction, axis), axis)).toBeCloseTo(fraction, 10);
    }
  });

  test("is exact at the ends, so that nothing computed lies outside", () => {
    expect(lrAt(0, ODD)).toBe(ODD.low);
    expect(lrAt(1, ODD)).toBe(ODD.high);
    expect(lrAt(-3, ODD)).toBe(ODD.low);
    expect(lrAt(7, ODD)).toBe(ODD.high);
  });

  test("is at an end for what lies beyond it", () => {
    expect(fractionOf(1e-12, LOG)).toBe(0);
    expect(fractionOf(1e12, LOG)).toBe(1);
    expect(beyond(1e-12, LOG)).toBe(-1);
    expect(beyond(1e12, LOG)).toBe(1);
    expect(beyond(10, LOG)).toBe(0);
    expect(beyond(10 * (1 + 1e-15), LOG)).toBe(0);
  });

  test("is the left end where the axis makes no sense", () => {
    for (const axis of [
      { low: 1, high: 1, log: true },
      { low: 0, high: 1, log: true },
      { low: Number.NaN, high: 1, log: false },
    ] as const) {
      expect(fractionOf(0.5, axis)).toBe(0);
    }
  });

  test("never stands for a learning rate that is not positive", () => {
    expect(lrAt(0, LINEAR)).toBeGreaterThan(0);
    expect(lrAt(1e-9, LINEAR)).toBeGreaterThan(0);
  });
});

describe("a key", () => {
  test("moves a twentieth of a decade, with Shift a hundredth", () => {
    expect(lrAfterKey("ArrowRight", false, 1e-3, LOG)).toBeCloseTo(1e-3 * 10 ** 0.05, 12);
    expect(lrAfterKey("ArrowUp", false, 1e-3, LOG)).toBeCloseTo(1e-3 * 10 ** 0.05, 12);
    expect(lrAfterKey("ArrowLeft", true, 1e-3, LOG)).toBeCloseTo(1e-3 * 10 ** -0.01, 12);
    expect(lrAfterKey("ArrowDown", false, 1e-3, LOG)).toBeCloseTo(1e-3 * 10 ** -0.05, 12);
  });

  test("moves a hundredth of the range on a linear scale, with Shift a thousandth", () => {
    expect(lrAfterKey("ArrowRight", false, 0.1, LINEAR)).toBeCloseTo(0.105, 12);
    expect(lrAfterKey("ArrowLeft", true, 0.1, LINEAR)).toBeCloseTo(0.0995, 12);
    expect(lrAfterKey("PageUp", false, 0.1, LINEAR)).toBeCloseTo(0.15, 12);
  });

  test("moves a decade or to an end", () => {
    expect(lrAfterKey("PageUp", false, 1e-3, LOG)).toBeCloseTo(1e-2, 12);
    expect(lrAfterKey("PageDown", true, 1e-3, LOG)).toBeCloseTo(1e-4, 12);
    expect(lrAfterKey("Home", false, 1e-3, LOG)).toBe(1e-7);
    expect(lrAfterKey("End", false, 1e-3, LOG)).toBe(10);
  });

  test("stays on the axis, also from beyond it", () => {
    expect(lrAfterKey("ArrowRight", false, 10, LOG)).toBe(10);
    expect(lrAfterKey("PageDown", false, 2e-7, LOG)).toBe(1e-7);
    expect(lrAfterKey("PageDown", false, 1000, LOG)).toBeCloseTo(1, 12);
  });

  test("that is not the marker's is left alone", () => {
    for (const key of ["a", "Tab", "Enter", "Escape", "toString", "constructor"]) {
      expect(lrAfterKey(key, false, 1e-3, LOG)).toBeNull();
    }
  });
});

describe("the loss at the marker", () => {
  const line = (x: number[], y: number[]) => ({ x: Float64Array.from(x), y: Float64Array.from(y) });
  const CURVE = line([1e-4, 1e-3, 1e-1], [3, 2, 4]);

  test("is that of the curve at its points", () => {
    for (const axis of [LOG, LINEAR]) {
      CURVE.x.forEach((lr, i) => {
        expect(lossAt(lr, CURVE, axis)).toBe(CURVE.y[i]);
      });
    }
  });

  test("lies between its neighbours as far as the eye sees it", () => {
    expect(lossAt(1e-2, CURVE, LOG)).toBeCloseTo(3, 12);
    expect(lossAt(0.0505, CURVE, LINEAR)).toBeCloseTo(3, 12);
  });

  test("is between the two losses at its sides, at every place", () => {
    for (const axis of [LOG, LINEAR]) {
      for (const fraction of fractions(500)) {
        const lr = 1e-4 * 1000 ** fraction;
        const loss = lossAt(lr, CURVE, axis);
        expect(loss).toBeGreaterThanOrEqual(2);
        expect(loss).toBeLessThanOrEqual(lr < 1e-3 ? 3 : 4);
      }
    }
  });

  test("is unknown where nothing was measured", () => {
    expect(lossAt(9.9e-5, CURVE, LOG)).toBeNull();
    expect(lossAt(0.11, CURVE, LOG)).toBeNull();
    expect(lossAt(Number.NaN, CURVE, LOG)).toBeNull();
    expect(lossAt(1e-3, line([], []), LOG)).toBeNull();
  });

  test("is unknown for a curve that makes no sense", () => {
    expect(lossAt(1e-3, line([1e-4, 1e-2], [1]), LOG)).toBeNull();
    expect(lossAt(1e-3, line([1e-4, 1e-2], [1, Number.NaN]), LOG)).toBeNull();
    expect(lossAt(1e-3, line([0, 1e-2], [1, 2]), LOG)).toBeNull();
  });

  test("is known of a single point and of one that comes twice", () => {
    expect(lossAt(1e-3, line([1e-3], [5]), LOG)).toBe(5);
    expect(lossAt(1e-3, line([1e-3, 1e-3], [5, 6]), LOG)).not.toBeNull();
  });
});
