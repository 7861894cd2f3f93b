import type { Axis } from "../src/geometry.ts";

export const LOG: Axis = { low: 1e-7, high: 10, log: true };
export const LINEAR: Axis = { low: 0, high: 0.5, log: false };
export const ODD: Axis = { low: 1.2345e-7, high: 9.8765, log: true };

/** Numbers spread evenly in [0, 1), the same in every run (the golden ratio's multiples). */
export function fractions(count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i * 0.6180339887498949) % 1);
}
