/** The runs on the chart: each can be named, hidden and removed; one is the current run. */

import { button, hide, make, put } from "./dom.ts";
import { swatch } from "./lines.ts";
import { type Page, typedBox } from "./parts.ts";
import { blockedBy, type Run, runsOf } from "./state.ts";

interface Row {
  readonly element: HTMLElement;
  show(run: Run, whyNotChoose: string): void;
}

export function addLegend(page: Page, root: Element): void {
  const { model } = page;
  const box = make("ul", "lrf-legend", root);
  box.setAttribute("aria-label", "runs on the chart");
  const rows = new Map<number, Row>();
  page.when(["runs", "blocked"], () => {
    const runs = runsOf(model);
    const keys = new Set(runs.map(({ key }) => key));
    for (const [key, row] of rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      rows.delete(key);
    }
    for (const [i, run] of runs.entries()) {
      const row = rows.get(run.key) ?? makeRow(page, run.key);
      rows.set(run.key, row);
      // Not appended again: that would take the focus from a name that is being typed.
      if (box.children[i] !== row.element) box.insertBefore(row.element, box.children[i] ?? null);
      row.show(run, blockedBy(model, "choose"));
    }
    hide(box, runs.length === 0);
  });
}

function makeRow(page: Page, key: number): Row {
  const element = make("li", "lrf-run");
  const sample = make("span", "lrf-sample", element);
  const label = make("label", "lrf-check", element);
  const shown = make("input", "", label);
  shown.type = "checkbox";
  make("span", "", label, "show");
  const input = make("input", "lrf-run-name", element);
  input.type = "text";
  input.placeholder = "name of this run";
  input.setAttribute("aria-label", "name of this run");
  const name = typedBox(input, (typed) => page.send({ run: key, name: typed }));
  const act = (what: string) => () => page.send({ run: key, do: what });
  const choose = button(element, "lrf-choose lrf-live", act("choose"), page.refuse);
  const remove = button(element, "lrf-bare lrf-live", act("remove"), page.refuse);
  let isCurrent = false;
  shown.addEventListener("click", (event) => {
    if (!isCurrent) return;
    event.preventDefault();
    page.refuse(ALWAYS);
  });
  shown.addEventListener("change", () => page.send({ run: key, shown: shown.checked }));
  let shownStyle: number | null | undefined;
  return {
    element,
    show(run, whyNotChoose) {
      isCurrent = run.current;
      const style = run.current ? null : run.style;
      if (style !== shownStyle) {
        shownStyle = style;
        sample.replaceChildren();
        swatch(style, sample);
      }
      shown.checked = run.shown || run.current;
      put(shown, "aria-disabled", run.current ? "true" : null);
      put(label, "title", run.current ? ALWAYS : null);
      name.show(run.name);
      choose
        .show(
          run.current ? "current" : "choose",
          run.current ? "check" : "",
          `Make ${run.name} the current run, with its points, band and candidates`,
        )
        .block(run.current ? "This is the current run" : whyNotChoose);
      remove
        .show("", "trash", `Remove ${run.name} from the chart`)
        .block(run.latest ? "The latest run stays on the chart" : "");
    },
  };
}

const ALWAYS = "The current run is always shown";
