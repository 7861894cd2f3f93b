"""Every notebook runs from top to bottom, without a hand on the marker, and is kept clean."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_quickstart_runs_and_trains_with_the_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    path = next(path for path in NOTEBOOKS if path.stem == "quickstart")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell(
            "before = [p.clone() for p in finder.parameters()]\n"
            "finder.start().wait()\n"
            "after = finder.parameters()\n"
            "print(finder.reason, finder.suggestion.lr, lr, "
            "all(torch.equal(a, b) for a, b in zip(before, after)))"
        )
    )
    client = NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    trained, tested = (
        "".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells[-2:]
    )
    accuracy = re.match(r"lr = 1\.00e-04: (\d+\.\d)% of the test digits", trained)
    assert accuracy, trained
    assert float(accuracy[1]) > 50
    reason, candidate, lr, restored = tested.split()
    assert (reason, lr, restored) == ("diverged", "0.0001", "True")
    assert 3e-4 < float(candidate) < 3e-2
    display = notebook.cells[3].outputs[-1]["data"]
    assert "pip install ipywidgets bqplot anywidget" in display["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in display
