/** The status line: what went wrong with a click, the state in whole sentences, and warnings. */

import { hide, make, say } from "./dom.ts";
import { fields, list, text } from "./model.ts";
import type { Page } from "./parts.ts";

export interface Status {
  /** Say why a click did nothing, until the kernel says something else. */
  refuse(why: string): void;
}

export function addStatus(page: Pick<Page, "model" | "when">, root: Element): Status {
  const { model, when } = page;
  const box = make("div", "lrf-status", root);
  const line = make("div", "lrf-said", box);
  // Read out when a sentence changes; drawing again changes nothing.
  line.setAttribute("role", "status");
  const problem = make("p", "lrf-problem", line);
  const sentence = make("p", "", line);
  const failed = make("details", "", line);
  make("summary", "", failed, "Traceback");
  const trace = make("pre", "", failed);
  trace.tabIndex = 0;
  const warnings = make("ul", "lrf-warnings", box);
  warnings.setAttribute("aria-label", "not put back");
  warnings.setAttribute("aria-live", "polite");

  when(["status"], () => {
    const status = fields(model.get("status"));
    say(problem, text(status["problem"]));
    hide(problem, !text(status["problem"]));
    say(sentence, text(status["text"]));
    say(trace, text(status["traceback"]));
    hide(failed, !text(status["traceback"]));
    const sentences = list(status["unrestored"]).map(text).filter(Boolean);
    if (sentences.join("\n") !== [...warnings.children].map((e) => e.textContent).join("\n")) {
      warnings.replaceChildren(...sentences.map((each) => make("li", "", undefined, each)));
    }
    hide(warnings, sentences.length === 0);
    box.classList.toggle("lrf-failed", status["state"] === "failed");
  });
  return {
    refuse(why) {
      say(problem, why);
      hide(problem, false);
    },
  };
}
