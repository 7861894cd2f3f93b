/** Save text as a file, as the kernel asks the page to, or copy it to the clipboard. */

import { make, on } from "./dom.ts";
import { type Fields, fields, listen, type Model, text } from "./model.ts";

const PIXELS_PER_POINT = 2;

/** Several pages may show this finder. Only the one that was clicked last answers. */
export function answerIfClicked(model: Model, findRoot: () => Element, signal: AbortSignal): void {
  let wasClicked = false;
  const onAnyClick = (event: MouseEvent) => {
    wasClicked = event.composedPath().includes(findRoot());
  };
  const onMessage = (content?: unknown) => {
    if (wasClicked) void answer(fields(content));
  };
  on(document, "click", onAnyClick, { signal, capture: true });
  listen(model, ["msg:custom"], onMessage, signal);
}

async function answer(request: Fields): Promise<void> {
  const name = request["download"];
  if (typeof name !== "string") return;
  const content = text(request["text"]);
  const type = text(request["type"]);
  save(type === "image/png" ? await bitmap(content) : new Blob([content], { type }), name);
}

function save(blob: Blob, name: string): void {
  const href = URL.createObjectURL(blob);
  make("a", "", null, "", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** Rasterize an SVG picture as an image, so that no script in it can run. */
async function bitmap(svg: string): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const width = image.naturalWidth * PIXELS_PER_POINT;
  const height = image.naturalHeight * PIXELS_PER_POINT;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(image, 0, 0, width, height);
  return await canvas.convertToBlob(); // as PNG
}

export async function copy(text: string): Promise<void> {
  // The clipboard API is not available on a page without HTTPS or without the focus.
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = make("textarea", "", document.body, text);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}
