"""The README and the pages in `docs/`: links lead somewhere, and the code in them works."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lrfinder_widget
from lrfinder_widget import LRFinder, State

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/*.md"))
}
PUBLIC = {name: getattr(lrfinder_widget, name) for name in lrfinder_widget.__all__}

each_page = pytest.mark.parametrize("document", PAGES)


def prose(document: str) -> str:
    return re.sub(r"^```.*?^```", "", PAGES[document], flags=re.DOTALL | re.MULTILINE)


def inline(document: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(document))


def blocks(document: str) -> list[str]:
    if document == "docs/trackers.md":  # needs their packages: tests/works_with/trackers.py runs it
        return []
    return re.findall(r"^```python\n(.*?)^```", PAGES[document], flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What a link may name behind ``#``: each heading, as it is made into an id on the web."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    readme = PAGES["README.md"]
    assert len(readme.splitlines()) <= 110
    assert len(readme.split()) <= 900


@each_page
def test_every_link_leads_to_a_file_and_a_heading_in_it(document: str) -> None:
    links = re.findall(r"\]\((?!\w+://)([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(document)))
    dead = []
    for link in links:
        file, _, anchor = link.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(link)
    assert dead == []


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    assert [p for p in PAGES if p.startswith("docs/") and f"({p})" not in PAGES["README.md"]] == []


@each_page
def test_every_file_that_is_named_is_there(document: str) -> None:
    named = r"(?:docs|js|lrfinder_widget|notebooks|scripts|tests)/[\w/.-]+\.\w+"
    files = [code for code in inline(document) if re.fullmatch(named, code)]
    assert [file for file in files if not (ROOT / file).exists()] == []


@each_page
def test_every_make_command_has_a_target(document: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert targets
    commands = re.findall(r"\bmake ((?:[A-Z]+=\S+ )*[\w./-]+)", "\n".join(code_of(document)))
    made = {command.split()[-1] for command in commands}
    extras = {f".venv/{extra}" for extra in ("demo", "peers", "test")}
    assert made <= {*targets[1].split(), *extras}


def code_of(document: str) -> list[str]:
    return [*inline(document), *re.findall(r"^make .+$", PAGES[document], re.MULTILINE)]


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples take for granted, as small as it can be."""
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, several wait for each other
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    inputs = torch.randn(128, 4)
    targets = inputs[:, :3].argmax(1)
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=16, shuffle=True)
    yield {
        "torch": torch,
        "nn": nn,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "criterion": nn.CrossEntropyLoss(),
        "loader": loader,
        "train_loader": loader,
        "val_loader": loader,
    }
    torch.set_num_threads(threads)


@pytest.mark.parametrize("document", [page for page in PAGES if blocks(page)])
def test_the_examples_of_a_page_run_one_after_the_other(
    document: str, setting: dict[str, Any]
) -> None:
    variables = setting if document == "README.md" else {**PUBLIC, **setting}
    for block in blocks(document):
        exec(compile(block, document, "exec"), variables)
        finder = variables.pop("finder", None)
        if finder is not None:
            (finder if finder.state is not State.READY else finder.start()).wait(timeout=60)
            finder.close()


@each_page
def test_code_in_the_text_calls_what_there_is(document: str, setting: dict[str, Any]) -> None:
    keys = ("model", "optimizer", "loader", "criterion")
    finder = LRFinder(*(setting[key] for key in keys)).start().wait(timeout=60)
    known = {**PUBLIC, "finder": finder, "curve": finder.curve}
    for code in inline(document):
        try:
            tree = ast.parse(code.replace("…", "..."))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node).split(".")[0] in known:
                eval(ast.unparse(node), dict(known))
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in known:
                called = inspect.signature(eval(ast.unparse(node.func), dict(known)))
                names = {keyword.arg: ... for keyword in node.keywords if keyword.arg}
                called.bind_partial(*node.args, **names)
    finder.close()


def test_the_examples_of_the_docstrings_run() -> None:
    names = [m.name for m in pkgutil.walk_packages(lrfinder_widget.__path__, "lrfinder_widget.")]
    modules = [lrfinder_widget, *map(importlib.import_module, names)]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 30
