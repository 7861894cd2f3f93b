"""The notebook before version 7, as Colab's packages still need it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from host import Host

READY = """() => {
  const { notebook } = window.Jupyter ?? {};
  const kernel = notebook?.kernel;
  return notebook?._fully_loaded && kernel?.is_connected() && !notebook.kernel_busy
    && kernel.widget_manager;
}"""
# Once it has asked a new kernel for its widgets, the page draws every output with one anew, and
# loses those that are there by then. The kernel answers in turn: this question is the later one.
LOADED = "() => Jupyter.notebook.kernel.widget_manager._loadFromKernel()"
CELLS = """() => Jupyter.notebook.get_cells()
  .map((cell, index) => ({ cell, index }))
  .filter(({ cell }) => cell.cell_type === "code")
  .map(({ cell, index }) => ({
    index,
    id: cell.id ?? cell.cell_id,
    prompt: cell.input_prompt_number,
    busy: cell.input_prompt_number === "*",
    outputs: cell.output_area.toJSON(),
  }))"""
SELECT = "(index) => Jupyter.notebook.select(index)"
APPEND = """(source) => {
  const cell = Jupyter.notebook.insert_cell_at_bottom("code");
  cell.set_text(source);
  return Jupyter.notebook.find_cell_index(cell);
}"""
SAVE = "() => Jupyter.notebook.save_notebook()"
COMMAND = "([name]) => void Jupyter.notebook[name]()"


class ClassicHost(Host):
    """Notebook 6, with one notebook open; it has one theme, a light one."""

    READY, CELLS, SELECT, APPEND, SAVE = READY, CELLS, SELECT, APPEND, SAVE
    COMMAND = COMMAND
    RUN_ALL, RUN_CELL = "execute_all_cells", "execute_selected_cells"
    PATHS: ClassVar = {"classic": "notebooks"}
    KNOWN = re.compile(r"^Comm promise not found for comm id")  # a change during a reload

    def open(self, notebook: str | Sequence[str]) -> ClassicHost:
        super().open(notebook)
        self.page.evaluate(LOADED)
        return self
