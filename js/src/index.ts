/** The widgets' front end: the whole finder, or the marker alone. */

import { renderAlone } from "./alone.ts";
import type { Model } from "./model.ts";
import { renderPage } from "./page.ts";
import { putBack } from "./source.ts";

function isFinder(model: Model): boolean {
  return model.get("chart") !== undefined;
}

function initialize({ model }: { model: Model }): void {
  putBack(model, isFinder(model) ? "position" : "lr");
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  return isFinder(model) ? renderPage(model, el) : renderAlone(model, el);
}

export default { initialize, render };
