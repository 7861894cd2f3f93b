/** Icons as strokes in a square of 16. */

export const PATHS: Readonly<Record<string, string>> = {
  play: "M5 3v10l8-5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  stop: "M4 4h8v8H4z",
  check: "M3 8.5l3.5 3.5L13 4.5",
  copy: "M6 6h7v7H6zM3 10V3h7",
  apply: "M3 8h10M9 4l4 4-4 4",
  undo: "M3 6h6.5a3.5 3.5 0 010 7H6M6 3L3 6l3 3",
  sliders: "M2 5h5M11 5h3M2 11h3M9 11h5M7 5a2 2 0 104 0 2 2 0 10-4 0M5 11a2 2 0 104 0 2 2 0 10-4 0",
  flask: "M6 2h4M7 2v4.5L3 14h10L9 6.5V2M5 10.5h6",
  save: "M8 2v8M4.5 7L8 10.5 11.5 7M2.5 13.5h11",
  narrow: "M2 8h4M4 6l2 2-2 2M14 8h-4M12 6l-2 2 2 2M8 3v10",
  trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 9h6l.5-9",
};
