/** A finder in a page, and its parts. */

import finder from "../src/index.ts";
import { bytes, type FakeFinder, READY } from "./fake.ts";

export const RUN = {
  ...{ ...READY.chart, y: [0, 3], n: 3 },
  dots: { x: bytes(1e-3, 1e-2, 1e-1), y: bytes(2, 1, 5) },
  line: { x: bytes(1e-3, 1e-2, 1e-1), y: bytes(2, 1, 5) },
};

export function show(model: FakeFinder, parent: Node = document.body) {
  const el = document.createElement("div");
  parent.appendChild(el);
  const remove = finder.render({ model, el });
  const all = <T extends HTMLElement>(selector: string) => [...el.querySelectorAll<T>(selector)];
  const named = (name: string) => {
    const found = all<HTMLButtonElement>("button").find(
      (button) => (button.getAttribute("aria-label") ?? button.textContent) === name,
    );
    if (found === undefined) throw new Error(`no button ${name}`);
    return found;
  };
  const box = (label: string) => {
    const found = all("label").find((each) => each.textContent?.startsWith(label));
    const input = found?.querySelector<HTMLInputElement>("input, select");
    if (!input) throw new Error(`no box ${label}`);
    return input;
  };
  const type = (label: string, typed: string) => {
    const input = box(label);
    input.focus();
    input.value = typed;
    input.dispatchEvent(new Event("input"));
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
    input.dispatchEvent(new Event("change"));
  };
  const said = () => el.querySelector('[role="status"]')?.textContent;
  return { el, remove, all, named, box, type, said };
}
