"""What is shipped, and what may import what."""

import functools
import importlib.metadata
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import grimp
import pytest

import lrfinder_widget

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lrfinder_widget"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_public_names_are_sorted_and_there() -> None:
    names = lrfinder_widget.__all__
    assert names == sorted(names)
    assert [name for name in names if not hasattr(lrfinder_widget, name)] == []


def test_public_names_say_that_they_are_the_packages_own() -> None:
    modules = {getattr(lrfinder_widget, name).__module__ for name in lrfinder_widget.__all__}
    assert modules == {"lrfinder_widget"}
    assert pickle.loads(pickle.dumps(lrfinder_widget.LossCurve)) is lrfinder_widget.LossCurve


# -- the direction of imports, see [tool.importlinter] in pyproject.toml --------------------------


def lint_imports(package: Path) -> str:
    """Check a copy of the package, and return what is said of each contract."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        check=False,
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (" BROKEN" in done.stdout), done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "lrfinder_widget")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_keep_the_contracts(copied: Path) -> None:
    assert "5 kept, 0 broken" in lint_imports(copied)


@pytest.mark.parametrize(
    ("module", "wrong", "contract"),
    [
        ("curve/plan", "import lrfinder_widget.training.step", "Folders import downward"),
        ("training/step", "import lrfinder_widget.background.state", "Folders import downward"),
        ("training/step", "import ipywidgets", "Only widget/ knows the notebook"),
        ("curve/plan", "import torch", "Curves, runs and the background know no torch"),
        ("background/state", "import torch", "Curves, runs and the background know no torch"),
        ("remote/places", "import distributed", "No engine of a cluster is imported"),
        ("curve/plan", "import lrfinder_widget.curve.points", "No circles"),
    ],
)
def test_a_wrong_import_breaks_its_contract(
    module: str, wrong: str, contract: str, copied: Path
) -> None:
    path = copied / "lrfinder_widget" / f"{module}.py"
    path.write_text(path.read_text() + f"\n{wrong}\n")
    if contract == "No circles":
        other = copied / "lrfinder_widget" / "curve" / "points.py"
        other.write_text(other.read_text() + "\nimport lrfinder_widget.curve.plan\n")
    assert f"{contract} BROKEN" in lint_imports(copied)


@pytest.mark.parametrize(
    "folder", ["curve", "runs", "restore", "data", "training", "background", "remote"]
)
def test_a_folder_has_at_most_seven_floors(folder: str) -> None:
    graph = grimp.build_graph("lrfinder_widget", cache_dir=None)
    modules = graph.find_children(f"lrfinder_widget.{folder}")

    @functools.cache
    def floor(module: str) -> int:
        below = graph.find_modules_directly_imported_by(module) & modules
        return 1 + max(map(floor, below), default=0)

    assert 1 < max(map(floor, modules)) <= 7


def test_importing_the_package_loads_nothing_it_can_do_without() -> None:
    source = "import json, sys, lrfinder_widget; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", source])))
    unwanted = {"matplotlib", "pandas.plotting._matplotlib", "sklearn", "torchvision"}
    assert loaded & unwanted == set()


WITHOUT = """
import importlib.util, sys
assert importlib.util.find_spec("matplotlib") is None
from lrfinder_widget import LossCurve, RangeTest
curve = RangeTest([(1e-3, 2.0), (1e-2, 1.0)]).start().wait().curve
assert len(curve.to_dataframe()) == 2
try:
    curve.plot()
except ImportError as error:
    print(error)
"""


def test_without_matplotlib_all_works_but_plot_which_says_what_to_do(tmp_path: Path) -> None:
    # Everything that is installed here, but for that.
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("matplotlib", "mpl_toolkits")):
            (tmp_path / path.name).symlink_to(path)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-S", "-c", WITHOUT]
    printed = subprocess.check_output(command, env=environment, text=True)
    assert "pip install matplotlib" in printed


def test_version_is_the_same_everywhere() -> None:
    version = PROJECT["version"]
    assert importlib.metadata.version("lrfinder_widget") == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_no_source_file_is_much_longer_than_300_lines() -> None:
    sources = [*MODULES, *ROOT.glob("js/src/*.ts")]
    lengths = {path.name: len(path.read_text().splitlines()) for path in sources}
    assert {name: length for name, length in lengths.items() if length > 340} == {}


def test_the_page_weighs_less_than_50_kb() -> None:
    files = [PACKAGE / "static" / name for name in ("finder.js", "finder.css")]
    assert sum(path.stat().st_size for path in files) <= 48_500


def test_every_property_that_the_styles_use_is_set() -> None:
    sources = [*ROOT.glob("js/src/*.ts"), *ROOT.glob("js/src/styles/*.css")]
    written = "".join(path.read_text() for path in sources)
    used = set(re.findall(r"var\(\s*--([\w-]+)", written))
    ours = {name for name in used if not name.startswith(("jp-", "vscode-"))}
    assert ours
    assert ours <= set(re.findall(r"""(?:^\s*|")--([\w-]+)[":]""", written, re.MULTILINE))


def test_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "js" / "package-lock.json").read_text()
    assert "omit-lockfile-registry-resolved=true" in (ROOT / "js" / ".npmrc").read_text()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True)
    return {"sdist": next(out.glob("*.tar.gz")), "wheel": next(out.glob("*.whl"))}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_wheel_and_sdist_hold_what_they_should(built: dict[str, Path]) -> None:
    wheel = set(zipfile.ZipFile(built["wheel"]).namelist())
    with tarfile.open(built["sdist"]) as archive:
        sdist = {name.partition("/")[2] for name in archive.getnames()}
    shipped = {"static/finder.js", "static/finder.css", "py.typed", "__init__.py"}
    assert {f"lrfinder_widget/{name}" for name in shipped} <= wheel & sdist
    assert {name.partition("/")[0] for name in wheel} == {
        "lrfinder_widget",
        f"lrfinder_widget-{PROJECT['version']}.dist-info",
    }
    assert {"js/src/index.ts", "js/package-lock.json", "hatch_build.py"} <= sdist
    assert not [name for name in sdist if re.search("node_modules|__pycache__|screenshots", name)]
    assert built["wheel"].stat().st_size < 350_000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_built_installs_without_node(
    kind: str, built: dict[str, Path], tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--no-deps", built[kind]],
        check=True,
        env=os.environ | {"PATH": str(scripts)},
    )
    # The libraries are the ones at hand; after its own, so that the package is the one installed.
    where = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    Path(where, "at_hand.pth").write_text(sysconfig.get_path("purelib"))
    source = "import lrfinder_widget as p; print(p.__file__, *p.__all__)"
    # Isolated: PYTHONPATH may name the sources.
    printed = subprocess.check_output([python, "-I", "-c", source], cwd=tmp_path, text=True).split()
    assert Path(printed[0]).is_relative_to(where)
    assert printed[1:] == lrfinder_widget.__all__
    assert Path(printed[0]).with_name("static").joinpath("finder.js").stat().st_size > 0
