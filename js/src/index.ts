/** The widgets' front end: the whole finder, or the marker alone. */

import { renderAlone } from "./alone.ts";
import type { Model } from "./model.ts";
import { renderPage } from "./page.ts";
import { putBack } from "./source.ts";

const isFinder = (model: Model): boolean => model.get("chart") !== undefined;

export default {
  initialize({ model }: { model: Model }): void {
    putBack(model, isFinder(model) ? "position" : "lr");
  },
  render: ({ model, el }: { model: Model; el: HTMLElement }): (() => void) =>
    (isFinder(model) ? renderPage : renderAlone)(model, el),
};
