import { describe, expect, test } from "vitest";
import { layOut } from "../src/ticks.ts";

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
