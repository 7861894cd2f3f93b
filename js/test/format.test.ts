import { describe, expect, test } from "vitest";
import { formatLoss, formatLr, labelOf, pickAt, roundLr, valueText } from "../src/format.ts";
import { type Axis, beyond, lrAt } from "../src/geometry.ts";
import { fractions, LINEAR, LOG, ODD } from "./axes.ts";

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
    expect(pickAt(1.0044, { low: 1.0041, high: 2, log: true })).toBe(1.01);
    expect(pickAt(9.996, { low: 1, high: 9.999, log: true })).toBe(9.99);
  });

  test("is positive on an axis that begins at zero", () => {
    expect(pickAt(0, LINEAR)).toBeGreaterThan(0);
  });

  test("is on the axis even if no number of three digits is", () => {
    const tiny: Axis = { low: 1.0041, high: 1.0042, log: true };
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

describe("a loss", () => {
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
