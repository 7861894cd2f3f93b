"""The browser tests in other hosts: ``python tests/hosts.py [name …] [-- options of pytest]``.

Without a name, in all of them. Each that needs other packages has an environment in ``.hosts/``,
of one to two gigabytes, where its server and its kernels run; the tests themselves run here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".hosts"
# They need more than the package does, and say little about a host that the others do not.
NEED_MORE = tuple(f"tests/browser/test_{name}.py" for name in ("cluster", "marimo", "notebooks"))


# What only Notebook 7 and newer can do, or what the helpers of the tests do only there.
NOT_IN_CLASSIC = tuple(
    f"tests/browser/test_{name}"
    for name in (
        "access.py",
        "busy.py",
        "cluster.py",
        "elsewhere.py",
        "hidden.py",
        "instrument.py",
        "marimo.py",
        "notebooks.py",
        "own_chart.py",
        "saved_state.py",
        "smoke.py",
        "static.py",
        "subshells.py",
        "vary.py",
        "voila.py",
        "why.py",
        "finder.py::test_it_looks_well",
        "finder.py::test_the_numbers_are_read_in_a_narrow_column",
        "metric.py::test_it_is_seen_named_and_told",
        "metric.py::test_its_line_is_where_bqplot_draws_it",
        "metric.py::test_its_name_never_touches_the_labels_of_its_axis",
        "metric.py::test_the_marker_stays_on_its_axis_while_that_makes_room",
        # A box of ipywidgets 7 needs all its children; without one, the hint is not there either.
        "finder.py::test_a_host_without_anywidget_is_told_what_to_install",
        # It sends no ids of cells.
        "finder.py::test_a_cell_run_again_takes_over",
    )
)


class Combination(NamedTuple):
    packages: tuple[str, ...] = ()
    """Where they are none, it is the environment of the tests."""
    settings: tuple[tuple[str, str], ...] = ()
    """For `tests/browser/server.py`."""
    left_out: tuple[str, ...] = ()
    """Tests that cannot run there."""
    extra: str = "[demo]"
    pinned: bool = True
    """Whether the other packages are those of the tests."""


COMBINATIONS = {
    "lab-4.2": Combination(
        ("jupyterlab==4.2.0", "notebook==7.2.0", "ipykernel==6.30.0"),
        left_out=(
            *NEED_MORE,
            "tests/browser/test_voila.py",  # which needs a newer server
            "tests/browser/test_subshells.py",  # there are none
        ),
    ),
    "kernel-7.3": Combination(("notebook", "voila", "ipykernel==7.3.0"), left_out=NEED_MORE),
    "no-subshells": Combination(settings=(("HOST_SUBSHELLS", "disabled"),)),
    "subshell-each": Combination(settings=(("HOST_SUBSHELLS", "perComm"),)),
    # The packages of Colab, as of August 2026, in a notebook that takes them.
    "colab": Combination(
        (
            "anywidget==0.9.21",
            "bqplot==0.12.47",
            "ipykernel==6.17.1",
            "ipython==7.34.0",
            "ipywidgets==7.7.1",
            "jupyter_client==7.4.9",
            "notebook==6.5.7",
            "scikit-learn",
            "traitlets==5.7.1",
        ),
        settings=(("HOST_CLASSIC", "1"),),
        left_out=NOT_IN_CLASSIC,
        extra="",
        pinned=False,
    ),
    "prefix": Combination(settings=(("HOST_BASE_URL", "/user/x/"),)),
}


def python_of(name: str, combination: Combination) -> Path:
    """Make the environment, unless it is there; return its Python."""
    if not combination.packages:
        return Path(sys.executable)
    home = PLACE / name
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        free = {re.split("[=<>]", package)[0] for package in combination.packages}
        pinned = (ROOT / "tests" / "constraints.txt").read_text().splitlines()
        constraints = home / "constraints.txt"
        free |= set() if combination.pinned else {line.split("==")[0].lower() for line in pinned}
        kept = [line for line in pinned if line.split("==")[0].lower() not in free - {"torch"}]
        constraints.write_text("\n".join(kept))
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints]
        subprocess.run(
            [*install, *combination.packages, "--editable", f"{ROOT}{combination.extra}"],
            check=True,
        )
    return python


def run(name: str, options: list[str]) -> int:
    combination = COMBINATIONS[name]
    python = python_of(name, combination)
    left_out = [f"--deselect={test}" for test in combination.left_out]
    command = [sys.executable, "-m", "pytest", "tests/browser", *left_out, *options]
    environment = os.environ | {"HOST_PYTHON": str(python)} | dict(combination.settings)
    print(f"== {name}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main(arguments: list[str]) -> int:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    names, options = arguments[:at] or list(COMBINATIONS), arguments[at + 1 :]
    if unknown := set(names) - set(COMBINATIONS):
        print(f"no such host: {sorted(unknown)}; there are {', '.join(COMBINATIONS)}")
        return 2
    failed = [name for name in names if run(name, options)]
    print(f"passed: {sorted(set(names) - set(failed))}; failed: {failed}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
