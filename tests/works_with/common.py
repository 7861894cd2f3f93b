"""What `optimizers.py` and `loaders.py` share: the environment, the page, and bits to compare."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "works-with.md"
WRITE = "--write"


def packages_in(file: Path) -> list[str]:
    """Return the packages that a list of requirements pins; the others are what these need."""
    return [line.split("==")[0] for line in file.read_text().split() if "==" in line]


def chosen(arguments: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Return the packages to examine, all of them unless some are named."""
    wanted = [argument for argument in arguments if argument != WRITE]
    if unknown := set(wanted) - set(packages):
        print(f"no such package: {sorted(unknown)}; there are {', '.join(packages)}")
        sys.exit(2)
    if wanted and WRITE in arguments:
        print(f"{WRITE} takes no packages: the page has them all")
        sys.exit(2)
    return wanted or list(packages)


def ensure(packages: Iterable[str], script: str, arguments: Sequence[str]) -> None:
    """Unless the packages are here, run the script in an environment that has them, and exit.

    It is in ``.hosts/``, sees the packages of this one, and is made if need be.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if not missing:
        return
    home = ROOT / ".hosts" / Path(script).stem
    if Path(sys.prefix) == home:
        raise ModuleNotFoundError(f"{missing} are not in {home}; delete it to try again")
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        own = {"base": str(home), "platbase": str(home)}
        place = Path(sysconfig.get_path("purelib", vars=own))
        (place / "parent.pth").write_text(sysconfig.get_path("purelib"))
        lines = (ROOT / "tests" / "constraints.txt").read_text().splitlines()
        # Not all of them: other packages may want another release of something small.
        kept = [line for line in lines if line.startswith(("torch", "numpy=="))]
        (home / "constraints.txt").write_text("\n".join(kept))
        pins = ("--constraint", home / "constraints.txt")
        wanted = ("--requirement", Path(script).with_suffix(".txt"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins, *wanted], check=True)
    sys.exit(subprocess.run([python, script, *arguments], check=False).returncode)


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def head(*names: str) -> list[str]:
    return [row(*names), "|" + "---|" * len(names)]


def write(section: str, lines: Sequence[str]) -> None:
    """Replace a section of the page, which is between two comments."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->\n"
    text = PAGE.read_text(encoding="utf-8")
    before, old = text.split(begin)
    after = old.split(end)[1]
    PAGE.write_text(before + begin + "\n".join((*lines, end)) + after, encoding="utf-8")


def seed() -> None:
    import numpy as np
    import torch

    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


def bits(value: Any) -> Any:
    """Describe what may be nested in containers by its bits."""
    from torch import Tensor

    if isinstance(value, Tensor):
        if hasattr(value, "__tensor_flatten__"):
            return [bits(getattr(value, name)) for name in value.__tensor_flatten__()[0]]
        plain = value.detach().to_dense() if value.is_sparse else value.detach()
        return str(plain.dtype), tuple(plain.shape), repr(plain.flatten().tolist())
    if isinstance(value, dict):
        return [(str(key), bits(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return repr(value) if isinstance(value, (int, float, str, bool)) else type(value).__name__
