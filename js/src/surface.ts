/** Who draws the chart: bqplot if its figure is there, else this page. */

import { type Bqplot, findBqplot } from "./bqplot.ts";
import { addChart, type Chart, HEIGHT_PX, MARGIN, rightOf, USUAL_WIDTH_PX } from "./chart.ts";
import { flag, make, on, whenResized } from "./dom.ts";
import { changes, fieldsOf, listen, type Model } from "./model.ts";
import { type Picture, sceneOf } from "./scene.ts";

const WAIT_MS = 2000;
const LOOK_EVERY_MS = 100;
/** After that, a figure is looked for less often, and one day no more. */
const LOOK_LATER_MS = 1000;
const GIVE_UP_MS = 60_000;

export interface Surface {
  draw(picture: Picture): void;
}

export function addSurface(
  model: Model,
  stage: HTMLElement,
  findRoot: () => HTMLElement,
  signal: AbortSignal,
): Surface {
  let picture: Picture | null = null;
  let own: { box: HTMLElement; chart: Chart } | null = null;
  let bqplot: Bqplot | null = null;
  let figure: Element | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let since_ms = 0;
  /** Which search this is: an older one that ends late counts no more. */
  let search = 0;

  const draw = (now: Picture): void => {
    picture = now;
    // The figure is replaced when an axis comes, or becomes linear or logarithmic.
    if (bqplot !== null && figure?.isConnected === false) begin();
    if (bqplot !== null) bqplot.draw(now, width());
    else own?.chart.draw(sceneOf(now));
  };

  const width = (): number => {
    return (stage.clientWidth || USUAL_WIDTH_PX) - MARGIN.left - rightOf(picture?.chart.metric);
  };

  const begin = (): void => {
    clearTimeout(timer);
    bqplot = null;
    search += 1;
    since_ms = performance.now();
    if (Object.keys(fieldsOf(model, "figure")).length === 0) drawItself();
    else void look(search, null);
  };

  const look = async (current: number, before: Bqplot | null): Promise<void> => {
    const found = before ?? (await findBqplot(model, model.get("figure")));
    if (current !== search || signal.aborted) return;
    figure = findRoot().querySelector(":scope > .bqplot");
    if (found !== null && figure !== null) {
      bqplot = found;
      flag(figure, "figure", true);
      removeOwn();
      if (picture) draw(picture);
      return;
    }
    const waited_ms = performance.now() - since_ms;
    if (waited_ms >= WAIT_MS) drawItself();
    if (waited_ms >= GIVE_UP_MS) return;
    const again_ms = waited_ms < WAIT_MS ? LOOK_EVERY_MS : LOOK_LATER_MS;
    timer = setTimeout(() => void look(current, found), again_ms);
  };

  const drawItself = (): void => {
    if (own !== null) return;
    const box = make("div", "figure own", stage);
    const options = {
      ...{ name: "Loss over learning rate", xLabel: "learning rate" },
      ...{ height_px: HEIGHT_PX, top_px: MARGIN.top },
    };
    own = { box, chart: addChart(box, options, signal) };
    flag(findRoot(), "draws", true);
    if (picture) draw(picture);
  };

  const removeOwn = (): void => {
    own?.box.remove();
    own = null;
    flag(findRoot(), "draws", false);
  };

  listen(model, changes("figure"), begin, signal);
  whenResized(stage, signal, () => {
    if (picture !== null && bqplot !== null) draw(picture);
  });
  on(signal, "abort", () => clearTimeout(timer));
  begin();
  return { draw };
}
