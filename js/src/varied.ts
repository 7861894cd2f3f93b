/** Tests with other settings varied: their curves, what each shows, and a map of two settings. */

import { addChart, lossAxis } from "./chart.ts";
import { flag, hide, make, sayAtEnd } from "./dom.ts";
import { dotsOfRun, lineOfRun, swatch } from "./lines.ts";
import { fields, fieldsOf, lineOf, list, maybe, number, text } from "./model.ts";
import type { Page } from "./parts.ts";
import { lrAxis } from "./scene.ts";
import { axisFrom, isActive } from "./state.ts";

export function addVaried(page: Page, root: Element): void {
  const panel = make("div", "panel", root, "", { role: "group", "aria-label": "Tests compared" });
  const said = make("p", "", panel);
  const name = "Loss of the tests over the learning rate";
  const chart = addChart(panel, { name, xLabel: "learning rate" }, page.signal);
  const tables = make("div", "bar tables", panel);
  let shown = "";
  page.when(["varied"], () => {
    const varied = fieldsOf(page.model, "varied");
    const x = axisFrom(varied["x"], varied["x_log"] !== false);
    hide(panel, x === null);
    if (x === null) return;
    sayAtEnd(said, text(varied["text"]), isActive(varied["state"]));
    const lines = list(varied["lines"]).map((each) => {
      const { style, line, dot } = fields(each);
      return { style: number(style) || 0, line: lineOf(line), dot: lineOf(dot) };
    });
    chart.draw({
      x: lrAxis(x),
      y: lossAxis(axisFrom(varied["y"], varied["y_log"] === true)),
      strokes: [
        ...lines.map(({ style, line }) => lineOfRun(style, line)),
        ...lines.map(({ style, dot }) => dotsOfRun(style, dot, 9)),
      ],
    });
    const { table, map, heads } = varied;
    const now = JSON.stringify([table, map]);
    if (now === shown) return; // what is being read or selected stays
    shown = now;
    const rows = list(table).map((row) => list(row).map((cell) => [cell]));
    const made = tableOf("What each test shows", rows, number(heads));
    for (const [i, { style }] of lines.entries())
      made.rows[i + 1]?.cells[0]?.prepend(swatch(style));
    tables.replaceChildren(made);
    if (list(map).length === 0) return;
    const [down = "", across = ""] = rows[0]?.flat().map(text) ?? [];
    tables.append(
      tableOf(`Candidate by ${down} (down) and ${across} (across)`, list(map).map(list), 1),
    );
  });
  page.when(["varied", "chart"], () => {
    flag(panel, "alone", !panel.hidden && !fieldsOf(page.model, "chart")["y"]);
  });
}

/** A table of cells, each a text and perhaps a share from 0 to 1: the higher, the more colour. */
function tableOf(
  caption: string,
  rows: readonly (readonly unknown[])[],
  heads: number,
): HTMLTableElement {
  const table = make("table", "");
  make("caption", "", table, caption);
  for (const [i, row] of rows.entries()) {
    const tr = make("tr", "", table);
    for (const [j, cell] of row.entries()) {
      const [content, share] = list(cell);
      const isHead = (i === 0 || j < heads) && content !== "";
      const made = make(isHead ? "th" : "td", "", tr, text(content), {
        scope: isHead && (i === 0 ? "col" : "row"),
      });
      const percent = maybe(share);
      if (percent !== null) made.style.setProperty("--share", `${10 + Math.round(40 * percent)}%`);
    }
  }
  return table;
}
