/** The runs on the chart: each can be named, hidden and removed; one is the current run. */

import { hide, make, on, put, type Row, rows, say } from "./dom.ts";
import { METRIC, swatch } from "./lines.ts";
import { button, check, type Page, typedBox } from "./parts.ts";
import { blockedBy, metricOf, type Run, runsOf } from "./state.ts";

const ALWAYS = "The current run is always shown";

export function addLegend(page: Page, root: Element): void {
  const { model } = page;
  const box = make("ul", "legend", root, "", { "aria-label": "runs on the chart" });
  const metric = make("div", "metric", root);
  const called = make("span", "", metric);
  metric.prepend(swatch(null, METRIC));
  const showAll = rows<Run>(
    box,
    ({ key }) => key,
    ({ key }) => makeRow(page, key),
  );
  page.when(["runs", "blocked"], () => {
    const runs = runsOf(model);
    showAll(runs);
    hide(box, runs.length === 0);
  });
  page.when(["chart"], () => {
    const name = metricOf(model)?.name;
    say(called, `${name}, on the axis to the right`);
    hide(metric, !name);
  });
}

function makeRow(page: Page, key: number): Row<Run> {
  const element = make("li", "run");
  let sample = swatch(null);
  element.append(sample);
  const shown = check(element, "show");
  const called = "name of this run";
  const input = make("input", "", element, "", {
    ...{ type: "text", placeholder: called, "aria-label": called },
  });
  const name = typedBox(input, (typed) => page.send({ run: key, name: typed }));
  const choose = button(page, element, "wide live", { run: key, do: "choose" });
  const remove = button(page, element, "bare live", { run: key, do: "remove" });
  let isCurrent = false;
  on(shown, "click", (event) => {
    if (!isCurrent) return;
    event.preventDefault();
    page.refuse(ALWAYS);
  });
  on(shown, "change", () => page.send({ run: key, shown: shown.checked }));
  return {
    element,
    show(run) {
      isCurrent = run.current;
      const now = swatch(isCurrent ? null : run.style);
      sample.replaceWith(now);
      sample = now;
      shown.checked = run.shown || isCurrent;
      put(shown, { "aria-disabled": isCurrent });
      put(shown.parentElement ?? shown, { title: isCurrent && ALWAYS });
      name.show(run.name);
      choose
        .show(
          isCurrent ? "current" : "choose",
          isCurrent ? "check" : "",
          `Make ${run.name} the current run, with its points, band and candidates`,
        )
        .block(isCurrent ? "This is the current run" : blockedBy(page.model, "choose"));
      remove
        .show("", "trash", `Remove ${run.name} from the chart`)
        .block(run.latest ? "The latest run stays on the chart" : "");
    },
  };
}
