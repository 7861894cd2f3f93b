import { describe, expect, test } from "vitest";
import {
  type Axis,
  beyond,
  formatLoss,
  formatLr,
  fractionOf,
  labelOf,
  lossAt,
  lrAfterKey,
  lrAt,
  pickAt,
  roundLr,
  valueText,
} from "../src/geometry.ts";
import { layOut } from "../src/ticks.ts";

const LOG: Axis = { low: 1e-7, high: 10, scale: "log" };
const LINEAR: Axis = { low: 0, high: 0.5, scale: "linear" };
const ODD: Axis = { low: 1.2345e-7, high: 9.8765, scale: "log" };

/** Numbers spread evenly in [0, 1), the same in every run (the golden ratio's multiples). */
function fractions(count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 0.6180339887498949) % 1);
}

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
      { low: 1, high: 1, scale: "log" },
      { low: 0, high: 1, scale: "log" },
      { low: Number.NaN, high: 1, scale: "linear" },
    ] as const) {
      expect(fractionOf(0.5, axis)).toBe(0);
    }
  });

  test("never stands for a learning rate that is not positive", () => {
    expect(lrAt(0, LINEAR)).toBeGreaterThan(0);
    expect(lrAt(1e-9, LINEAR)).toBeGreaterThan(0);
    expect(pickAt(0, LINEAR)).toBeGreaterThan(0);
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

describe("a number", () => {
  // The right-hand side is what Python 3 prints for f"{x:.2e}".
  test.each([
    [3.16227766e-3, "3.16e-03"],
    [1, "1.00e+00"],
    [10, "1.00e+01"],
    [0.1, "1.00e-01"],
    [9.999e-5, "1.00e-04"],
    [9.994e-5, "9.99e-05"],
    [1e-7, "1.00e-07"],
    [1.5e-100, "1.50e-100"],
    [2.5e120, "2.50e+120"],
    [5e-324, "4.94e-324"],
    [0, "0.00e+00"],
    [-0.0042, "-4.20e-03"],
    [Number.POSITIVE_INFINITY, "inf"],
    [Number.NEGATIVE_INFINITY, "-inf"],
    [Number.NaN, "nan"],
  ])("%d is written %s, as in Python", (x, written) => {
    expect(formatLr(x)).toBe(written);
  });

  test.each([
    [0.03125, "3.12e-02"],
    [1.125, "1.12e+00"],
    [1.375, "1.38e+00"],
    [1.625, "1.62e+00"],
    [1.875, "1.88e+00"],
    [1005, "1.00e+03"],
    [1015, "1.02e+03"],
    [-1.125, "-1.12e+00"],
    [1.005, "1.00e+00"],
    [1.115, "1.11e+00"],
  ])("%d, half way or nearly, rounds to %s, as in Python", (x, written) => {
    expect(formatLr(x)).toBe(written);
  });

  test("means, rounded, exactly what is written", () => {
    for (const fraction of fractions(500)) {
      const rounded = roundLr(lrAt(fraction, LOG));
      expect(Number(formatLr(rounded))).toBe(rounded);
    }
  });
});

describe("a pick", () => {
  test("has three significant digits", () => {
    expect(pickAt(3.16227766e-3, LOG)).toBe(3.16e-3);
    expect(pickAt(0.123456, LINEAR)).toBe(0.123);
  });

  test("lies on the axis and is what is shown, at every place", () => {
    for (const fraction of [0, 1, 1e-9, 1 - 1e-9, ...fractions(500)]) {
      const pick = pickAt(lrAt(fraction, ODD), ODD);
      expect(pick).toBeGreaterThanOrEqual(ODD.low);
      expect(pick).toBeLessThanOrEqual(ODD.high);
      expect(Number(formatLr(pick))).toBe(pick);
    }
  });

  test("steps inside where rounding would step out", () => {
    expect(pickAt(1.2345e-7, ODD)).toBe(1.24e-7);
    expect(pickAt(9.8765, ODD)).toBe(9.87);
    expect(pickAt(1000, ODD)).toBe(9.87);
    expect(pickAt(1.0044, { low: 1.0041, high: 2, scale: "log" })).toBe(1.01);
    expect(pickAt(9.996, { low: 1, high: 9.999, scale: "log" })).toBe(9.99);
  });

  test("is on the axis even if no number of three digits is", () => {
    const tiny: Axis = { low: 1.0041, high: 1.0042, scale: "log" };
    expect(beyond(pickAt(1.00415, tiny), tiny)).toBe(0);
  });
});

describe("the words", () => {
  test("carry the variable's name only for a pick", () => {
    const text = (
      kind: "pick" | "candidate" | "weak" | "start",
      variable: string,
      moving = false,
    ) => {
      const { name, number } = labelOf(3.16e-3, LOG, kind, variable, moving);
      return name + number;
    };
    expect(text("pick", "lr")).toBe("lr = 3.16e-03");
    expect(text("pick", "")).toBe("3.16e-03");
    expect(text("candidate", "lr")).toBe("candidate 3.16e-03");
    expect(text("weak", "lr")).toBe("weak candidate 3.16e-03");
    expect(text("start", "lr")).toBe("3.16e-03");
    expect(text("pick", "lr", true)).toBe("3.16e-03");
    expect(text("candidate", "lr", true)).toBe("3.16e-03");
  });

  test("tell the true value of what lies beyond the axis", () => {
    const label = labelOf(100, LOG, "pick", "lr", false);
    expect(label).toEqual({ name: "lr = ", number: "1.00e+02", beyond: 1, loss: "" });
    expect(valueText(label, "pick", false)).toBe("1.00e+02, picked, right of the chart");
  });

  test("begin with the number when they are read aloud", () => {
    const label = labelOf(3.16e-3, LOG, "candidate", "lr", false);
    expect(valueText(label, "candidate", false)).toBe("3.16e-03, candidate");
    expect(valueText(label, "start", false)).toBe("3.16e-03, not picked yet");
    expect(valueText(label, "pick", true)).toBe("3.16e-03");
  });

  test("end with the loss when they are read aloud, if it is known", () => {
    const label = labelOf(3.16e-3, LOG, "pick", "lr", false, 1.234);
    expect(label.loss).toBe("loss 1.23");
    expect(valueText(label, "pick", false)).toBe("3.16e-03, picked, loss 1.23");
    expect(valueText(label, "pick", true)).toBe("3.16e-03, loss 1.23");
  });
});

describe("the loss at the marker", () => {
  const CURVE = { lrs: [1e-4, 1e-3, 1e-1], losses: [3, 2, 4] };

  test("is that of the curve at its points", () => {
    for (const axis of [LOG, LINEAR]) {
      CURVE.lrs.forEach((lr, i) => {
        expect(lossAt(lr, CURVE, axis)).toBe(CURVE.losses[i]);
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
    expect(lossAt(1e-3, { lrs: [], losses: [] }, LOG)).toBeNull();
  });

  test("is unknown for a curve that makes no sense", () => {
    expect(lossAt(1e-3, { lrs: [1e-4, 1e-2], losses: [1] }, LOG)).toBeNull();
    expect(lossAt(1e-3, { lrs: [1e-4, 1e-2], losses: [1, Number.NaN] }, LOG)).toBeNull();
    expect(lossAt(1e-3, { lrs: [0, 1e-2], losses: [1, 2] }, LOG)).toBeNull();
  });

  test("is known of a single point and of one that comes twice", () => {
    expect(lossAt(1e-3, { lrs: [1e-3], losses: [5] }, LOG)).toBe(5);
    expect(lossAt(1e-3, { lrs: [1e-3, 1e-3], losses: [5, 6] }, LOG)).not.toBeNull();
  });

  test.each([
    [2.2951, "2.30"],
    [0.012345, "0.0123"],
    [0.00123, "0.00123"],
    [0.000123, "1.23e-04"],
    [123.4, "123"],
    [99.96, "100"],
    [999.6, "1.00e+03"],
    [123456, "1.23e+05"],
    [-0.5, "-0.500"],
    [0, "0.00"],
  ])("%d is written %s", (loss, written) => {
    expect(formatLoss(loss)).toBe(written);
  });
});

describe("the names of ticks", () => {
  test("go to the lowest level with room", () => {
    expect(layOut([10, 100, 110, 120, 130])).toEqual([
      { level: 0, aside_px: 0 },
      { level: 0, aside_px: 0 },
      { level: 1, aside_px: 0 },
      { level: 0, aside_px: 0 },
      { level: 1, aside_px: 0 },
    ]);
  });

  test("step aside where all levels are taken, and are never written over each other", () => {
    const places_px = [50, 51, 52, 53, 54, 55, 60, 61];
    const found = layOut(places_px);
    expect(found.slice(0, 3).map(({ aside_px }) => aside_px)).toEqual([0, 0, 0]);
    for (const level of [0, 1, 2]) {
      const at_px = found.flatMap((one, i) =>
        one.level === level ? [(places_px[i] ?? 0) + one.aside_px] : [],
      );
      expect(at_px.every((at, i) => i === 0 || at - (at_px[i - 1] ?? 0) >= 15)).toBe(true);
    }
  });
});
