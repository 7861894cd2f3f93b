"""The project's internet address: it has none yet, and one command puts it in, or takes it out."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path.name for path in ROOT.glob("notebooks/*.ipynb"))
FILES = ["README.md", "pyproject.toml", *(f"notebooks/{name}" for name in NOTEBOOKS)]
ADDRESS = "https://github.com/someone/somewhere"

CITED = (
    "https://anywidget.dev",
    "https://arxiv.org/abs/",
    "https://bqplot.github.io/bqplot/",
    "https://github.com/googlecolab/colabtools/issues/",
    "https://github.com/jupyter/notebook/issues/",
    "https://keepachangelog.com/",
    "https://mlverse.github.io/luz/",
    "https://mxnet.apache.org/",
    "https://semver.org/",
    "http://www.w3.org/",  # names of XML, which nobody opens
    "http://127.0.0.1",
)
BADGES = ("https://colab.research.google.com/", "https://mybinder.org/")


def own_address(root: Path) -> str | None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"].get("Source")


def test_no_file_names_an_internet_address_but_those_it_cites() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone, so what belongs to the project is not known")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    own = own_address(ROOT)
    allowed = (*CITED, *BADGES, own) if own else CITED
    strange = []
    # Left out: the lock file, in which packages name their home pages, and the examples below.
    for name in {*listed} - {"", "js/package-lock.json", "tests/test_address.py"}:
        path = ROOT / name
        if not path.is_file() or path.suffix == ".png":
            continue
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"(?:\w+\+)?(?:https?|ssh|git|ftp)://\w[^\s\"'`)>]*|git@[\w.]+", text)
        if name == "scripts/address.py":  # the beginnings of what it puts in
            found = [url for url in found if not url.startswith((*BADGES, "https://github.com/"))]
        strange += [f"{name}: {url}" for url in found if not url.startswith(allowed)]
    assert strange == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the command reads and writes, in a folder of its own, beside an empty package."""
    (tmp_path / "lrfinder_widget").mkdir()
    for name in (*FILES, "scripts/address.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(copy: Path, address: str | None = None) -> None:
    """Run the command, with another address in `pyproject.toml`; empty for none."""
    if address is not None:
        path = copy / "pyproject.toml"
        text = re.sub(r"^Source = .*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        source = f'[project.urls]\nSource = "{address}"\n' if address else "[project.urls]\n"
        assert text.count("[project.urls]\n") == 1
        path.write_text(text.replace("[project.urls]\n", source), encoding="utf-8")
    subprocess.run([sys.executable, copy / "scripts" / "address.py"], check=True)


def contents(copy: Path) -> dict[str, str]:
    return {name: (copy / name).read_text(encoding="utf-8") for name in FILES}


def cells(text: str) -> dict[str, str]:
    return {cell["id"]: "".join(cell["source"]) for cell in json.loads(text)["cells"]}


def test_the_files_are_as_the_command_leaves_them(copy: Path) -> None:
    before = contents(copy)
    run(copy)
    assert contents(copy) == before


def test_an_address_puts_badges_and_first_cells_in_and_changes_nothing_else(copy: Path) -> None:
    run(copy, "")
    before = contents(copy)
    run(copy, ADDRESS)
    after = contents(copy)
    badge = r" \[!\[Open in \w+\]\(\S+\)\]\(\S*someone/somewhere\S*\)"
    assert len(re.findall(badge, after["README.md"])) == 2 * len(NOTEBOOKS)
    assert re.sub(badge, "", after["README.md"]) == before["README.md"]
    for name in NOTEBOOKS:
        file = f"notebooks/{name}"
        home = ADDRESS.removeprefix("https://github.com/")
        assert f"/github/{home}/blob/main/{file})" in after["README.md"]
        assert f"/gh/{home}/main?urlpath=lab/tree/{file})" in after["README.md"]
        old, new = cells(before[file]), cells(after[file])
        assert f' @ git+{ADDRESS}"\n' in new["install"]
        assert len(after[file].splitlines()) - len(before[file].splitlines()) < 5
        assert {**new, "install": old["install"]} == old


def test_the_command_does_the_same_twice_and_takes_all_of_it_out_again(copy: Path) -> None:
    run(copy, "")
    before = contents(copy)
    run(copy, ADDRESS)
    once = contents(copy)
    run(copy)
    assert contents(copy) == once
    run(copy, "")
    assert contents(copy) == before
    assert "someone" not in "".join(before.values())


def test_an_address_that_badges_cannot_open_is_in_the_first_cells_alone(copy: Path) -> None:
    run(copy, "")
    before = contents(copy)
    run(copy, "https://git.example/someone/somewhere")
    after = contents(copy)
    assert after["README.md"] == before["README.md"]
    assert all("git+https://git.example/" in after[f"notebooks/{name}"] for name in NOTEBOOKS)


@pytest.mark.parametrize("address", ["nowhere", "http://a.example/b", 'https://a.example/b\\"; x'])
def test_what_is_not_an_address_is_refused_before_anything_is_written(
    copy: Path, address: str
) -> None:
    before = contents(copy)
    with pytest.raises(subprocess.CalledProcessError):
        run(copy, address)
    del before["pyproject.toml"]
    assert before.items() <= contents(copy).items()


def test_what_the_command_writes_passes_the_linter(copy: Path) -> None:
    for address in ("", ADDRESS):
        run(copy, address)
        for command in (["check"], ["format", "--check"]):
            subprocess.run(
                [sys.executable, "-m", "ruff", *command, "--no-cache"], cwd=copy, check=True
            )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_first_cell_says_how_to_install_what_is_missing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "notebooks" / name).read_text(encoding="utf-8")
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert code[0]["id"] == "install"
    first = cells(text)["install"]
    if own_address(ROOT):
        pytest.skip("with an address it installs by itself")
    exec(first, {})
    for missing in re.findall(r'find_spec\("(\w+)"\)', first):
        with monkeypatch.context() as patched:
            patched.setattr(importlib.util, "find_spec", missing.__ne__)
            with pytest.raises(
                ModuleNotFoundError, match=r"-m pip install \"\.\[notebooks"
            ) as error:
                exec(first, {})
        assert missing in str(error.value)
        assert sys.executable in str(error.value)
