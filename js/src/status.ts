/** The status line: what went wrong with a click, the state in whole sentences, and warnings. */

import { hide, make, rows, say, sayOrHide } from "./dom.ts";
import { fieldsOf, list, text } from "./model.ts";
import type { Page } from "./parts.ts";

/** Returns what says why a click did nothing, until the kernel says something else. */
export function addStatus({ model, when }: Page, root: Element): (why: string) => void {
  const box = make("div", "status", root);
  // Read out when a sentence changes; drawing again changes nothing.
  const line = make("div", "", box, "", { role: "status" });
  const problem = make("p", "problem", line);
  const sentence = make("p", "", line);
  const failed = make("details", "", line);
  make("summary", "", failed, "Traceback");
  const trace = make("pre", "", failed, "", { tabindex: 0 });
  const warnings = make("ul", "warnings", box, "", {
    ...{ "aria-label": "not put back", "aria-live": "polite" },
  });
  const warn = rows<string>(
    warnings,
    (warning) => warning,
    (warning) => ({ element: make("li", "", null, warning) }),
  );

  when(["status"], () => {
    const status = fieldsOf(model, "status");
    const unrestored = list(status["unrestored"]).map(text).filter(Boolean);
    sayOrHide(problem, text(status["problem"]));
    say(sentence, text(status["text"]));
    say(trace, text(status["traceback"]));
    hide(failed, !trace.textContent);
    warn(unrestored);
    hide(warnings, unrestored.length === 0);
  });
  return (why) => sayOrHide(problem, why);
}
