/** Who draws the chart: bqplot if its figure is there, else this page. */

import { type Bqplot, findBqplot } from "./bqplot.ts";
import { addChart, type Chart, HEIGHT_PX, MARGIN, type Scene, USUAL_WIDTH_PX } from "./chart.ts";
import { flag, make, on, whenResized } from "./dom.ts";
import { changes, fieldsOf, listen, type Model } from "./model.ts";

const WAIT_MS = 2000;
const LOOK_AGAIN_MS = 100;
/** A figure is looked for less and less often, and one day no more. */
const GIVE_UP_MS = 60_000;

export interface Surface {
  draw(scene: Scene): void;
}

export function addSurface(
  model: Model,
  stage: HTMLElement,
  findRoot: () => HTMLElement,
  signal: AbortSignal,
): Surface {
  let scene: Scene | null = null;
  let own: { box: HTMLElement; chart: Chart } | null = null;
  let bqplot: Bqplot | null = null;
  let figure: Element | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let redraw: ReturnType<typeof setTimeout> | undefined;
  let since_ms = 0;
  /** Which search this is: an older one that ends late counts no more. */
  let search = 0;

  const draw = (now: Scene): void => {
    scene = now;
    // The figure is replaced when an axis comes, or becomes linear or logarithmic.
    if (bqplot !== null && figure?.isConnected === false) begin();
    const { right_px = MARGIN.right } = now;
    const width_px = (stage.clientWidth || USUAL_WIDTH_PX) - MARGIN.left - right_px;
    if (bqplot !== null) bqplot.draw(now, width_px);
    else own?.chart.draw(now);
  };

  const begin = (): void => {
    clearTimeout(timer);
    bqplot = null;
    search += 1;
    since_ms = performance.now();
    if (Object.keys(fieldsOf(model, "figure")).length === 0) drawItself();
    else void look(search, null);
  };

  const drawAgain = (): void => {
    clearTimeout(redraw);
    redraw = setTimeout(() => scene && draw(scene));
  };

  const look = async (current: number, before: Bqplot | null): Promise<void> => {
    const found = before ?? (await findBqplot(model, model.get("figure"), drawAgain, signal));
    if (current !== search || signal.aborted) return;
    figure = findRoot().querySelector(":scope > .bqplot");
    if (found !== null && figure !== null) {
      bqplot = found;
      flag(figure, "figure", true);
      removeOwn();
      if (scene) draw(scene);
      return;
    }
    const waited_ms = performance.now() - since_ms;
    if (waited_ms >= WAIT_MS) drawItself();
    if (waited_ms >= GIVE_UP_MS) return;
    timer = setTimeout(() => void look(current, found), LOOK_AGAIN_MS + waited_ms / 2);
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
    if (scene) draw(scene);
  };

  const removeOwn = (): void => {
    own?.box.remove();
    own = null;
    flag(findRoot(), "draws", false);
  };

  listen(model, changes("figure"), begin, signal);
  whenResized(stage, signal, () => {
    if (scene !== null && bqplot !== null) draw(scene);
  });
  on(signal, "abort", () => {
    clearTimeout(timer);
    clearTimeout(redraw);
  });
  begin();
  return { draw };
}
