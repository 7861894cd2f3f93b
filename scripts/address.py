"""Put the project's internet address where readers meet it, or take it out again.

The address stands in one place, as ``Source`` in ``[project.urls]`` of ``pyproject.toml``. With it,
the README's table of notebooks gets badges that open them elsewhere, and the first cell of each
notebook installs the package from there. Without it, that cell says how to install from a clone.

    python scripts/address.py
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

NEEDS = {
    "cifar10_resnet18": ("torchvision", "notebooks"),
    "cluster": ("distributed", "notebooks"),
    "fine_tuning": ("matplotlib", "notebooks"),
    "mnist_lenet": ("torchvision", "notebooks"),
    "quickstart": ("sklearn", "notebooks"),
    "workshop": ("matplotlib", "notebooks"),
    "your_own_loop": ("sklearn", "notebooks,frameworks"),
}
"""For each notebook: a module that not every environment with the package has, and the extras that
bring it."""

FROM_A_CLONE = """\
import sys
from importlib.util import find_spec

if not (find_spec("lrfinder_widget") and find_spec("{module}")):
    raise ModuleNotFoundError(
        "lrfinder_widget or {module} is missing. In a terminal, in the clone's folder, run\\n"
        f'    {{sys.executable}} -m pip install ".[{extras}]"\\n'
        "and restart the kernel."
    )"""

FROM_THE_ADDRESS = """\
import sys
from importlib.util import find_spec

if not (find_spec("lrfinder_widget") and find_spec("{module}")):  # on Colab, for one
    %pip install --quiet "lrfinder_widget[{extras}] @ git+{address}"
if "google.colab" in sys.modules:
    from google.colab import output

    output.enable_custom_widget_manager()"""

# A row of the README's table: the link to a notebook, and the badges behind it.
ROW = re.compile(
    r"^(\| \[[^]]+\]\((notebooks/\w+\.ipynb)\))(?: \[!\[[^]]+\]\(\S+\)\]\(\S+\))*", re.MULTILINE
)
GITHUB = "https://github.com/"  # both services know a repository there by its owner and name
BADGES = (
    " [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{home}/blob/main/{file})"
    " [![Open in Binder](https://mybinder.org/badge_logo.svg)]"
    "(https://mybinder.org/v2/gh/{home}/main?urlpath=lab/tree/{file})"
)


def address() -> str:
    """Return the project's address; empty if it has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source: str = project.get("urls", {}).get("Source", "")
    if source and not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", source):
        sys.exit(f"Source in pyproject.toml is not the address of a repository: {source!r}")
    return source


def badges(file: str, source: str) -> str:
    """Return the badges of a notebook; empty without an address on GitHub."""
    if not source.startswith(GITHUB):
        return ""
    return BADGES.format(home=source.removeprefix(GITHUB), file=file)


def first_cell(name: str, source: str) -> str:
    """Return the first code cell of a notebook."""
    module, extras = NEEDS[name]
    template = FROM_THE_ADDRESS if source else FROM_A_CLONE
    return template.format(module=module, extras=extras, address=source)


def main() -> None:
    """Bring the README and the notebooks up to date with ``pyproject.toml``."""
    source = address()
    readme = ROOT / "README.md"
    rows = ROW.sub(lambda row: row[1] + badges(row[2], source), readme.read_text(encoding="utf-8"))
    readme.write_text(rows, encoding="utf-8")
    for name in NEEDS:
        path = ROOT / "notebooks" / f"{name}.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        install = next(cell for cell in notebook["cells"] if cell["id"] == "install")
        install["source"] = first_cell(name, source).splitlines(keepends=True)
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
